//! A few hundred seeds of the simulation, on two databases at a time.

use std::ops::RangeInclusive;

use anyhow::{Result, ensure};
use simulation::{Database, Report, run};

/// Runs seeds, and shows the first that fails with all that led to it.
async fn hold(seeds: RangeInclusive<u64>) -> Result<Report> {
    let database = Database::create().await?;
    let mut all = Report::default();
    for seed in seeds {
        all += report(&database, seed).await?;
    }
    database.close().await;
    Ok(all)
}

async fn report(database: &Database, seed: u64) -> Result<Report> {
    run(database, seed).await.map_err(|failure| anyhow::anyhow!("{failure}"))
}

#[tokio::test]
async fn every_promise_holds_under_random_operations_and_faults() -> Result<()> {
    hold(1..=150).await.map(drop)
}

#[tokio::test]
async fn every_promise_holds_under_other_random_operations_and_faults() -> Result<()> {
    let all = hold(1_001..=1_150).await?;
    // Runs in which little happens prove little.
    ensure!(all.requests > 300 && all.denied > 30 && all.not_asked > 10 && all.lost > 0, "{all:?}");
    Ok(())
}

/// Message by message and request by request, whatever ran before it on the same database.
#[tokio::test]
async fn the_same_seed_is_the_same_run() -> Result<()> {
    let (upwards, downwards) = (Database::create().await?, Database::create().await?);
    let (mut one, mut another) = (Vec::new(), Vec::new());
    for place in 0..20 {
        one.push(report(&upwards, 1 + place).await?);
        another.push(report(&downwards, 20 - place).await?);
    }
    another.reverse();
    assert_eq!(one, another);
    upwards.close().await;
    downwards.close().await;
    Ok(())
}
