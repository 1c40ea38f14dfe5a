//! The single process answers for all of its parts, also on the embedded store.

use anyhow::{Result, ensure};
use tocsin_domain::Channel;
use tocsin_testkit::wait_until;

use super::stage::Place;
use crate::client::Client;
use crate::district::{found, message};
use crate::facts::WITHIN;
use crate::fleet::free_ports;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_shows_what_every_role_shows_and_leaves_in_order() -> Result<()> {
    let mut place = Place::new()?;
    let [port] = free_ports()?;
    place.environment.insert("TOCSIN_HEALTH__LISTEN".to_owned(), format!("127.0.0.1:{port}"));
    let key = place.with_store(async |embedded| found(&embedded.store).await).await?;
    let mut up = place.up(&[]).await?;
    wait_until("it to be ready", WITHIN, async || up.is_ready().await).await?;
    let client = Client::new(&place.url(), key)?;
    client.send(&message("general", &[Channel::Inbox])).await?;
    let shown = [
        "tocsin_build_info{version=",
        "tocsin_dependency_up{dependency=\"store\"} 1.0\n",
        "tocsin_dependency_up{dependency=\"broker\"} 1.0\n",
        "tocsin_database_bytes ",
        "tocsin_oldest_snapshot_seconds ",
        "tocsin_partitions_ahead_days ",
        "tocsin_status_queue_messages{lane=\"general\"} 0.0\n",
        "tocsin_released_jobs_total{channel=\"inbox\",lane=\"general\"}",
        "tocsin_claims_total{channel=\"inbox\",lane=\"general\",verdict=\"granted\"}",
        "tocsin_outcomes_total{channel=\"inbox\"",
    ];
    let mut scrape = String::new();
    let all = wait_until("all of it to be shown", WITHIN, async || {
        scrape = up.scrape().await.unwrap_or_default();
        shown.iter().all(|part| scrape.contains(part))
    });
    let all = all.await;
    let missing: Vec<_> = shown.iter().filter(|part| !scrape.contains(*part)).collect();
    ensure!(all.is_ok(), "missing {missing:?} in:\n{scrape}");
    up.ask_to_leave()?;
    let left = up.left().await?;
    ensure!(left.success(), "it left with {left}");
    Ok(())
}
