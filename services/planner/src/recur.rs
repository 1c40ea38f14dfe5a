//! Occurrences of series whose time has come become campaigns, which go the way of every campaign
//! (docs/adr/0035-series.md).

use chrono::{DateTime, Utc};
use tocsin_domain::recurrence::{Decided, DueRule, decide};
use tocsin_domain::trace::TraceId;
use tocsin_runtime::Progress;
use tocsin_store::series::{DueSeries, Recurred};

use crate::{Planner, PlannerError};

/// Series of one tick. Each is a transaction of its own.
const SERIES_MAX: i64 = 100;

pub async fn tick(planner: &Planner) -> Result<Progress, PlannerError> {
    let now = planner.clock.now();
    let mut progress = Progress::Idle;
    for due in planner.store.series_due(now, SERIES_MAX).await? {
        let decided = decision(&due, now);
        let (series, skipped) = (due.series.id, decided.skip.len());
        match planner.store.recur(&due, &decided, now).await? {
            Recurred::Moved => continue,
            Recurred::Made(campaign) => {
                tracing::info!(series.id = %series, campaign.id = %campaign,
                    trace_id = %TraceId::of_campaign(campaign), "an occurrence became a campaign");
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

fn decision(due: &DueSeries, now: DateTime<Utc>) -> Decided {
    let content = &due.series.content;
    let Some(next) = due.series.next else { return Decided::default() };
    let rule = DueRule {
        recurrence: &content.recurrence,
        zone: content.zone,
        next_on: next.on,
        late_max: content.late_max,
        expires_in: content.expires_in,
    };
    decide(rule, now)
}
