//! A few hundred seeds of the simulation, on two databases at a time.

use std::ops::RangeInclusive;

use simulation::{Database, Report, run};

/// Runs seeds, and shows the first that fails with all that led to it.
async fn hold(seeds: RangeInclusive<u64>) -> Report {
    let database = Database::create().await.unwrap();
    let mut all = Report::default();
    for seed in seeds {
        match run(&database, seed).await {
            Ok(report) => all += report,
            Err(failure) => panic!("{failure}"),
        }
    }
    database.close().await;
    all
}

#[tokio::test]
async fn every_promise_holds_under_random_operations_and_faults() {
    hold(1..=150).await;
}

#[tokio::test]
async fn every_promise_holds_under_other_random_operations_and_faults() {
    let all = hold(1_001..=1_150).await;
    // A run in which little happens proves little.
    assert!(all.requests > 300 && all.denied > 30 && all.not_asked > 10 && all.lost > 5, "{all:?}");
}

#[tokio::test]
async fn the_same_seed_is_the_same_run() {
    for seed in [3, 5, 8] {
        assert_eq!(hold(seed..=seed).await, hold(seed..=seed).await, "{seed}");
    }
}
