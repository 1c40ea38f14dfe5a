//! A role tells the store every few seconds that it runs: `tocsin status` shows it, and `tocsin recover` waits for it to end.

use tocsin_runtime::{Progress, Tasks, run_ticker};
use tocsin_store::processes::{PRESENCE_PERIOD, Presence};
use tocsin_store::{Store, StoreError};
use tokio::sync::Notify;
use uuid::Uuid;

/// Begins to tell, until `tasks` are asked to stop. One that is killed is not heard of any more.
pub fn start(store: &Store, role: &str, tasks: &Tasks) {
    let presence = Presence {
        id: Uuid::now_v7(),
        role: role.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: host(),
    };
    let (store, stopping) = (store.clone(), tasks.stopping().clone());
    tasks.spawn("presence", async move {
        let (telling, told) = (store.clone(), presence.clone());
        let tick = async move || {
            telling.tell_presence(&told).await?;
            Ok::<_, StoreError>(Progress::Idle)
        };
        run_ticker("presence", PRESENCE_PERIOD, &Notify::new(), &stopping, tick).await;
        if let Err(error) = store.end_presence(presence.id).await {
            tracing::debug!(%error, "this process counts as running for some seconds more");
        }
    });
}

/// Where it runs: the pod's name where there is one.
fn host() -> String {
    let named = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    named
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok().map(|name| name.trim().to_owned()))
        .unwrap_or_default()
}
