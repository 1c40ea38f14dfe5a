//! Reports that were kept without an attempt are tried again for a day, a page at a time.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::AttemptKey;
use tocsin_runtime::metrics::note_outcomes;
use tocsin_runtime::telemetry::By;
use tocsin_runtime::{CancellationToken, Progress, run_ticker};
use tocsin_store::StoreError;
use tocsin_store::rematch::{Place, Sought, Unmatched};
use tocsin_store::suppressions::Learned;
use tokio::sync::Notify;

use crate::reports::fact;
use crate::{Collector, tally, traced};

/// Every unmatched report is tried again this often.
const PERIOD: std::time::Duration = std::time::Duration::from_secs(60);
/// Older ones stay as they are.
const TRIED_FOR: TimeDelta = TimeDelta::hours(24);
/// Reports settled in one statement.
const PAGE_MAX: i64 = 500;
/// A search for reports without a token reads all attempts of a month or two, however few they are: so those of this time
/// are sought together, so many at most.
const SOUGHT_EVERY: TimeDelta = TimeDelta::minutes(10);
const SOUGHT_MAX: i64 = 5_000;

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
    /// When it read the attempts last.
    sought_at: Option<DateTime<Utc>>,
}

impl Rematch {
    /// One page: first the reports are settled, then their events become the attempts'.
    pub async fn tick(&mut self, collector: &Collector) -> Result<Progress, StoreError> {
        let Collector { store, clock, counts, .. } = collector;
        let now = clock.now();
        // First in a pass, so that it matches what is found.
        let may_seek = self.sought_at.is_none_or(|at| now >= at + SOUGHT_EVERY);
        if self.next.is_none() && may_seek {
            let sought = match store.seek_settled(now - TRIED_FOR, now, SOUGHT_MAX).await {
                Err(error) if !error.is_outage() => {
                    // Those that have a token are matched all the same.
                    tracing::warn!(%error, "reports without a token were not sought");
                    Sought::default()
                }
                sought => sought?,
            };
            if sought.named > 0 {
                tracing::info!(
                    reports = sought.named,
                    "reports without a token belong to attempts that ended"
                );
            }
            if sought.reports > 0 {
                self.sought_at = Some(now);
            }
        }
        let page = store.unmatched_reports(now - TRIED_FOR, self.next, PAGE_MAX).await?;
        self.next = page.last().map(|last| last.place);
        if page.is_empty() {
            return Ok(Progress::Idle);
        }
        let reports = page.iter().filter_map(|unmatched| unmatched.report.clone()).collect();
        let settled = store.settle(reports, Vec::new(), now).await?;
        note_outcomes(&settled.outcomes);
        traced::applied(&collector.spans, By::Rematch, &settled.written, &[], (now, clock.now()));
        let missing: HashSet<AttemptKey> = settled.unmatched.into_iter().collect();
        let found: Vec<&Unmatched> =
            page.iter().filter(|unmatched| !missing.contains(&unmatched.attempt)).collect();
        // What it tells of its address was not learned when it came, for nobody knew the address.
        let learned: Vec<Learned> = found
            .iter()
            .filter_map(|unmatched| {
                let provider = collector.registry.get(&unmatched.account)?;
                fact(unmatched.report.as_ref()?, unmatched.place.id, provider.as_ref())
            })
            .collect();
        store.learn(&learned).await?;
        let there: Vec<Place> = found.iter().map(|unmatched| unmatched.place).collect();
        let matched = store.match_events(&there).await?;
        if matched > 0 {
            tracing::info!(reports = matched, "reports have found their attempts");
            let matched = usize::try_from(matched).unwrap_or(usize::MAX);
            counts.rematched.add(matched);
            tally::odd("", "rematched", matched);
        }
        Ok(Progress::More)
    }
}
