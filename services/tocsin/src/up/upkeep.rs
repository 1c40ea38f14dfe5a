//! What an embedded store needs that a server does for itself, and an eye on whether it still answers.

use std::time::Duration;

use anyhow::{Result, ensure};
use tocsin_runtime::{CancellationToken, Progress, Tasks, run_ticker};
use tocsin_store::Store;
use tokio::sync::Notify;

use super::ground::Ground;

const VACUUM_EVERY: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Looks that fail in a row before the process gives up. A session that broke is opened again within one.
const FAILURES_MAX: u32 = 5;

pub fn start(ground: &Ground, tasks: &Tasks) {
    if ground.embedded.is_none() {
        return;
    }
    let (store, stopping) = (ground.stores.engine.clone(), tasks.stopping().clone());
    tasks.spawn("vacuum", async move {
        let tick = async move || {
            if let Some(table) = store.vacuum_next().await? {
                tracing::debug!(table, "vacuumed");
            }
            Ok::<_, tocsin_store::StoreError>(Progress::Idle)
        };
        run_ticker("up.vacuum", VACUUM_EVERY, &Notify::new(), &stopping, tick).await;
    });
    let (store, stopping) = (ground.stores.engine.clone(), tasks.stopping().clone());
    tasks.spawn_essential("embedded store", async move { watch(store, stopping).await });
}

/// An embedded PostgreSQL that has ended does not come back in this process: leaving is the remedy, for the
/// next start goes on where this one was.
async fn watch(store: Store, stopping: CancellationToken) -> Result<()> {
    let mut failures = 0;
    while stopping.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
        failures = if store.check().await.is_ok() { 0 } else { failures + 1 };
        ensure!(
            failures < FAILURES_MAX,
            "it does not answer any more: look whether its disk is full, then start `tocsin up` again"
        );
    }
    Ok(())
}
