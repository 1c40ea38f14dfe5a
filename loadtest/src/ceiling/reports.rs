//! The provider's callbacks, from HTTP to the table.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use tocsin_runtime::Tasks;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::BATCH;
use super::table::Table;

type Report = (i32, String);

/// Listens on a free port, and returns the address under which each job has its own.
pub async fn listen(reports: mpsc::Sender<Report>, tasks: &Tasks) -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("callbacks")?;
    let url = format!("http://{}/callbacks", listener.local_addr()?);
    let router = Router::new().route("/callbacks/{job}", post(take)).with_state(reports);
    tasks.spawn_essential("callbacks", async move { axum::serve(listener, router).await });
    Ok(url)
}

async fn take(State(reports): State<mpsc::Sender<Report>>, Path(job): Path<i32>, form: String) -> StatusCode {
    let status = form_urlencoded::parse(form.as_bytes()).find(|(key, _)| key == "MessageStatus");
    let code = status.map(|(_, value)| value.into_owned()).unwrap_or_default();
    match reports.send((job, code)).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Applies reports until each job has one.
pub async fn apply(table: Table, mut reports: mpsc::Receiver<Report>, jobs: usize) -> Result<()> {
    let statement = table.applying().await?;
    let mut applied = 0;
    let mut batch = Vec::with_capacity(BATCH);
    while applied < jobs {
        anyhow::ensure!(reports.recv_many(&mut batch, BATCH).await > 0, "no more callbacks");
        applied += table.write(&statement, std::mem::take(&mut batch)).await? as usize;
    }
    Ok(())
}
