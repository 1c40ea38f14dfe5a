//! Reports that were kept without an attempt are tried again for a day, a page at a time.

use std::collections::HashSet;

use chrono::TimeDelta;
use tocsin_domain::AttemptKey;
use tocsin_runtime::{CancellationToken, Progress, run_ticker};
use tocsin_store::StoreError;
use tocsin_store::rematch::Place;
use tokio::sync::Notify;

use crate::Collector;

/// Every unmatched report is tried again this often.
const PERIOD: std::time::Duration = std::time::Duration::from_secs(60);
/// Older ones stay as they are.
const TRIED_FOR: TimeDelta = TimeDelta::hours(24);
/// Reports settled in one statement.
const PAGE_MAX: i64 = 500;

/// Tries until stopping.
pub async fn run(collector: Collector, stopping: CancellationToken) {
    let mut rematch = Rematch::default();
    let tick = async move || rematch.tick(&collector).await;
    run_ticker("collector.re-match", PERIOD, &Notify::new(), &stopping, tick).await;
}

/// A pass over the unmatched reports. Several collectors may do the same: each settles by rank, and one of them
/// moves the event.
#[derive(Debug, Default)]
pub struct Rematch {
    /// Where this pass goes on; None begins one.
    next: Option<Place>,
}

impl Rematch {
    /// One page: first the reports are settled, then their events become the attempts'.
    pub async fn tick(&mut self, collector: &Collector) -> Result<Progress, StoreError> {
        let Collector { store, clock, counts, .. } = collector;
        let now = clock.now();
        let page = store.unmatched_reports(now - TRIED_FOR, self.next, PAGE_MAX).await?;
        self.next = page.last().map(|last| last.place);
        if page.is_empty() {
            return Ok(Progress::Idle);
        }
        let reports = page.iter().filter_map(|unmatched| unmatched.report.clone()).collect();
        let settled = store.settle(reports, Vec::new(), now).await?;
        let missing: HashSet<AttemptKey> = settled.unmatched.into_iter().collect();
        let there: Vec<Place> = page
            .iter()
            .filter(|unmatched| !missing.contains(&unmatched.attempt))
            .map(|unmatched| unmatched.place)
            .collect();
        let matched = store.match_events(&there).await?;
        if matched > 0 {
            tracing::info!(reports = matched, "reports have found their attempts");
            counts.rematched.add(usize::try_from(matched).unwrap_or(usize::MAX));
        }
        Ok(Progress::More)
    }
}
