//! `/livez` and `/readyz`, for whatever runs the process.

use std::fmt::Display;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Tasks;
use crate::telemetry::log_filter;

/// A check that has not answered by then counts as not ready.
const CHECK_DEADLINE: Duration = Duration::from_secs(2);

/// What must hold before the process is given work. Liveness is only that it answers at all: restarting a process
/// does not mend its database.
#[derive(Debug)]
pub struct Health {
    checks: Vec<Check>,
    stopping: CancellationToken,
}

#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    #[error("health.listen {0}: cannot listen there; free the port or name another")]
    Listen(SocketAddr, #[source] std::io::Error),
}

type Answer = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

struct Check {
    name: &'static str,
    ask: Box<dyn Fn() -> Answer + Send + Sync>,
    /// What it answered last, so that only changes are logged.
    failing: AtomicBool,
}

/// The body of `/readyz`. Names only: an error's text may tell a stranger about the inside, so it goes to the log.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    not_ready: Vec<&'static str>,
}

impl Health {
    /// Not ready from the moment `stopping` is cancelled, so that no more work is sent here.
    pub fn new(stopping: CancellationToken) -> Self {
        Self { checks: Vec::new(), stopping }
    }

    /// Adds a check. It is asked on every request of `/readyz`, so it should be cheap.
    #[must_use]
    pub fn check<E: Display, A: Future<Output = Result<(), E>> + Send + 'static>(
        mut self,
        name: &'static str,
        ask: impl Fn() -> A + Send + Sync + 'static,
    ) -> Self {
        let ask = move || -> Answer {
            let answer = ask();
            Box::pin(async move { answer.await.map_err(|error| error.to_string()) })
        };
        self.checks.push(Check { name, ask: Box::new(ask), failing: AtomicBool::new(false) });
        self
    }

    /// `/livez` answers 200; `/readyz` 200, or 503 with the names of what is not ready.
    pub fn router(self) -> Router {
        Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).with_state(Arc::new(self))
    }

    async fn not_ready(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        if self.stopping.is_cancelled() {
            names.push("stopping");
        }
        for check in &self.checks {
            if check.fails().await {
                names.push(check.name);
            }
        }
        names
    }
}

impl Check {
    async fn fails(&self) -> bool {
        let answer = tokio::time::timeout(CHECK_DEADLINE, (self.ask)()).await;
        let failure = answer.unwrap_or_else(|_| Err("no answer in time".to_owned())).err();
        let failed_before = self.failing.swap(failure.is_some(), Ordering::Relaxed);
        match &failure {
            Some(error) if !failed_before => tracing::warn!(check = self.name, %error, "not ready"),
            None if failed_before => tracing::info!(check = self.name, "ready again"),
            Some(_) | None => {}
        }
        failure.is_some()
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check")
            .field("name", &self.name)
            .field("failing", &self.failing)
            .finish_non_exhaustive()
    }
}

/// Serves the router on an address of its own, for a role that listens for nothing else. Returns the address, which
/// tells the port when 0 was asked for.
pub async fn serve(listen: SocketAddr, health: Health, tasks: &Tasks) -> Result<SocketAddr, HealthError> {
    let failed = |error| HealthError::Listen(listen, error);
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let stopping = tasks.stopping().clone();
    tasks.spawn_essential("health", async move {
        let stopped = async move { stopping.cancelled().await };
        axum::serve(listener, health.router().merge(log_filter::router()))
            .with_graceful_shutdown(stopped)
            .await
    });
    Ok(address)
}

async fn livez() -> &'static str {
    "live\n"
}

async fn readyz(State(health): State<Arc<Health>>) -> (StatusCode, Json<Readiness>) {
    let not_ready = health.not_ready().await;
    let ready = not_ready.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, not_ready }))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn started(checks: impl FnOnce(Health) -> Health) -> (Tasks, SocketAddr) {
        let tasks = Tasks::new();
        let health = checks(Health::new(CancellationToken::new()));
        let address = serve((Ipv4Addr::LOCALHOST, 0).into(), health, &tasks).await.unwrap();
        (tasks, address)
    }

    /// The status line's number and the body.
    async fn get(address: SocketAddr, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    #[tokio::test]
    async fn ready_when_every_check_holds() {
        let (tasks, address) = started(|health| health.check("store", async || Ok::<_, String>(()))).await;
        let ready = (200, r#"{"ready":true,"not_ready":[]}"#.to_owned());
        assert_eq!(get(address, "/readyz").await, ready);
        assert_eq!(get(address, "/livez").await, (200, "live\n".to_owned()));
        assert_eq!(tasks.stop(CHECK_DEADLINE).await.unfinished, Vec::<&str>::new());
    }

    #[tokio::test]
    async fn what_is_not_ready_is_named_without_its_text_and_the_process_stays_live() {
        let checks = |health: Health| {
            health
                .check("store", async || Ok::<_, String>(()))
                .check("broker", async || Err("no route to 10.0.0.7"))
                .check("schema", async || Err("version 3"))
        };
        let (_tasks, address) = started(checks).await;
        let not_ready = (503, r#"{"ready":false,"not_ready":["broker","schema"]}"#.to_owned());
        assert_eq!(get(address, "/readyz").await, not_ready);
        assert_eq!(get(address, "/livez").await.0, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_counts_as_not_ready() {
        let health =
            Health::new(CancellationToken::new()).check("store", std::future::pending::<Result<(), String>>);
        assert_eq!(health.not_ready().await, ["store"]);
    }

    #[tokio::test]
    async fn a_stopping_process_is_not_ready() {
        let stopping = CancellationToken::new();
        let health = Health::new(stopping.clone());
        assert_eq!(health.not_ready().await, Vec::<&str>::new());
        stopping.cancel();
        assert_eq!(health.not_ready().await, ["stopping"]);
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let (tasks, address) = started(|health| health).await;
        let error = serve(address, Health::new(CancellationToken::new()), &tasks).await.unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
