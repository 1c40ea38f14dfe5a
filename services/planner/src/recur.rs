//! Occurrences of series whose time has come become campaigns, which go the way of every campaign
//! (docs/adr/0035-series.md).

use chrono::{DateTime, Utc};
use tocsin_domain::recurrence::{Turn, judge};
use tocsin_runtime::Progress;
use tocsin_store::series::{Decided, DueSeries, Recurred};

use crate::{Planner, PlannerError};

/// Series of one tick. Each is a transaction of its own.
const SERIES_MAX: i64 = 100;

pub async fn tick(planner: &Planner) -> Result<Progress, PlannerError> {
    let now = planner.clock.now();
    let mut progress = Progress::Idle;
    for due in planner.store.series_due(now, SERIES_MAX).await? {
        let decided = decide(&due, now);
        let (series, skipped) = (due.series.id, decided.skip.len());
        match planner.store.recur(&due, &decided, now).await? {
            Recurred::Moved => continue,
            Recurred::Made(campaign) => {
                tracing::info!(series.id = %series, campaign.id = %campaign, "an occurrence became a campaign");
                planner.wakes.expand();
            }
            Recurred::Skipped => {}
        }
        if skipped > 0 {
            tracing::warn!(series.id = %series, occurrences = skipped,
                "occurrences skipped: nothing ran when they were due, and it is too late for them");
        }
        progress = Progress::More;
    }
    Ok(progress)
}

/// Of several that are due the latest may still run. What a series says of lateness is less than a day, so that the
/// others are too late by all means.
fn decide(due: &DueSeries, now: DateTime<Utc>) -> Decided {
    let content = &due.series.content;
    let Some(first) = due.series.next else { return Decided::default() };
    let mut skip = content.recurrence.due(content.zone, first.on, now);
    let next = content.recurrence.next(content.zone, now, first.on);
    let in_time = |last: &tocsin_domain::recurrence::Occurrence| {
        judge(*last, now, content.late_max, content.expires_in) == Turn::Run
    };
    let run = skip.last().copied().filter(in_time);
    if run.is_some() {
        skip.pop();
    }
    Decided { run, skip, next }
}
