//! `/livez`, `/readyz` and `/metrics`, for whatever runs the process.

use std::fmt::Display;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::Tasks;
use crate::metrics::{self, CATALOGUE, DEPENDENCY_UP};
use crate::telemetry::log_filter;

/// A check that has not answered by then counts as not ready.
const CHECK_DEADLINE: Duration = Duration::from_secs(2);
/// The checks that a scrape tells of.
const DEPENDENCIES: [&str; 2] = ["store", "broker"];

/// What must hold before the process is given work. Liveness is only that it answers at all: restarting a process
/// does not mend its database.
#[derive(Debug)]
pub struct Health {
    checks: Vec<Check>,
    tasks: Tasks,
    /// What a role adds to the address of its own.
    routes: Router,
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
    /// Is the process not ready without it? Else it is only told of.
    needed: bool,
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
    /// Not ready from the moment that `tasks` are to leave, so that no more work is sent here.
    pub fn new(tasks: &Tasks) -> Self {
        Self { checks: Vec::new(), tasks: tasks.clone(), routes: Router::new() }
    }

    /// Adds what [`serve`] serves beside.
    #[must_use]
    pub fn with(mut self, routes: Router) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Adds a check. It is asked on every request of `/readyz`, so it should be cheap.
    #[must_use]
    pub fn check<E: Display, A: Future<Output = Result<(), E>> + Send + 'static>(
        self,
        name: &'static str,
        ask: impl Fn() -> A + Send + Sync + 'static,
    ) -> Self {
        self.ask(name, true, ask)
    }

    /// Adds a dependency that the process does its part without: metrics tell of it, readiness does not hang on it.
    #[must_use]
    pub fn watch<E: Display, A: Future<Output = Result<(), E>> + Send + 'static>(
        self,
        name: &'static str,
        ask: impl Fn() -> A + Send + Sync + 'static,
    ) -> Self {
        self.ask(name, false, ask)
    }

    fn ask<E: Display, A: Future<Output = Result<(), E>> + Send + 'static>(
        mut self,
        name: &'static str,
        needed: bool,
        ask: impl Fn() -> A + Send + Sync + 'static,
    ) -> Self {
        let ask = move || -> Answer {
            let answer = ask();
            Box::pin(async move { answer.await.map_err(|error| error.to_string()) })
        };
        self.checks.push(Check { name, ask: Box::new(ask), needed, failing: AtomicBool::new(false) });
        self
    }

    /// `/livez` answers 200; `/readyz` 200, or 503 with the names of what is not ready.
    pub fn router(self) -> Router {
        probes(Arc::new(self))
    }

    async fn note_dependencies(&self) {
        for check in self.checks.iter().filter(|check| DEPENDENCIES.contains(&check.name)) {
            DEPENDENCY_UP.of([check.name]).set(if check.fails().await { 0.0 } else { 1.0 });
        }
    }

    async fn not_ready(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        if self.tasks.are_leaving() {
            names.push("stopping");
        }
        for check in self.checks.iter().filter(|check| check.needed) {
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
            Some(error) if !failed_before => tracing::warn!(check = self.name, %error, "check fails"),
            None if failed_before => tracing::info!(check = self.name, "check holds again"),
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

/// Serves the router on an address of its own, with `/metrics` and what the role added. Until everything else has left: a
/// process that drains is looked at, too. Returns the address, which tells the port when 0 was asked for.
pub async fn serve(listen: SocketAddr, mut health: Health, tasks: &Tasks) -> Result<SocketAddr, HealthError> {
    let failed = |error| HealthError::Listen(listen, error);
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let routes = std::mem::take(&mut health.routes);
    let health = Arc::new(health);
    let scraped = Router::new().route("/metrics", get(scrape)).with_state(Arc::clone(&health));
    let router = probes(health).merge(scraped).merge(log_filter::router()).merge(routes);
    let drained = tasks.clone();
    tasks.spawn_to_the_end("health", async move {
        axum::serve(listener, router).with_graceful_shutdown(async move { drained.drained().await }).await
    });
    Ok(address)
}

fn probes(health: Arc<Health>) -> Router {
    Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).with_state(health)
}

async fn scrape(State(health): State<Arc<Health>>, headers: HeaderMap) -> impl IntoResponse {
    health.note_dependencies().await;
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = metrics::Format::accepted(accept);
    ([(CONTENT_TYPE, format.content_type())], metrics::text(CATALOGUE, format))
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
        let health = checks(Health::new(&tasks));
        let address = serve((Ipv4Addr::LOCALHOST, 0).into(), health, &tasks).await.unwrap();
        (tasks, address)
    }

    /// The status line's number and the body.
    async fn get_text(address: SocketAddr, path: &str) -> (u16, String) {
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
        assert_eq!(get_text(address, "/readyz").await, ready);
        assert_eq!(get_text(address, "/livez").await, (200, "live\n".to_owned()));
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
        assert_eq!(get_text(address, "/readyz").await, not_ready);
        assert_eq!(get_text(address, "/livez").await.0, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_counts_as_not_ready() {
        let health = Health::new(&Tasks::new()).check("store", std::future::pending::<Result<(), String>>);
        assert_eq!(health.not_ready().await, ["store"]);
    }

    #[tokio::test]
    async fn a_stopping_process_is_not_ready() {
        let tasks = Tasks::new();
        let health = Health::new(&tasks.child());
        assert_eq!(health.not_ready().await, Vec::<&str>::new());
        tasks.leave();
        assert_eq!(health.not_ready().await, ["stopping"]);
        assert!(!tasks.stopping().is_cancelled(), "it goes on with what it has");
    }

    #[tokio::test]
    async fn what_drains_is_looked_at_until_the_last_task_has_left() {
        let (tasks, address) = started(|health| health.with(Router::new().route("/own", get(livez)))).await;
        let (last, left) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn("last", async move { drop(left.await) });
        tasks.stopping().cancel();
        let (status, body) = get_text(address, "/readyz").await;
        assert_eq!((status, body.as_str()), (503, r#"{"ready":false,"not_ready":["stopping"]}"#));
        assert_eq!(get_text(address, "/own").await.0, 200);
        drop(last);
        assert_eq!(tasks.stop(CHECK_DEADLINE).await.unfinished, Vec::<&str>::new());
        tasks.drained().await;
    }

    #[tokio::test]
    async fn a_scrape_tells_which_dependencies_are_up() {
        let checks = |health: Health| {
            health
                .check("store", async || Ok::<_, String>(()))
                .watch("broker", async || Err("away"))
                .check("leases", async || Err("not yet"))
        };
        let (_tasks, address) = started(checks).await;
        let (status, text) = get_text(address, "/metrics").await;
        assert_eq!(status, 200);
        assert!(text.contains("tocsin_dependency_up{dependency=\"store\"} 1.0\n"), "{text}");
        assert!(text.contains("tocsin_dependency_up{dependency=\"broker\"} 0.0\n"), "{text}");
        assert!(!text.contains("leases"), "{text}");
        let not_ready = r#"{"ready":false,"not_ready":["leases"]}"#;
        assert_eq!(
            get_text(address, "/readyz").await,
            (503, not_ready.to_owned()),
            "it does without the broker"
        );
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let (tasks, address) = started(|health| health).await;
        let error = serve(address, Health::new(&tasks), &tasks).await.unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
