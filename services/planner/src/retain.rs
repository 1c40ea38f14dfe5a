//! Months of which everything is closed for as long as this installation keeps it are dropped
//! (docs/adr/0052-retention.md).

use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_runtime::{Progress, Stopwatch, Tasks, run_ticker};
use tokio::sync::Notify;

use crate::{Planner, PlannerError};

/// Whoever has it drops; others come when it is free.
const DUTY: &str = "retain";
/// How often somebody looks whether a day is over since it was last done, or tries again what could not be done.
const PERIOD: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Drops once a day. Remembers when it did.
#[derive(Debug, Default)]
pub struct Retainer {
    done: Option<Stopwatch>,
}

impl Retainer {
    /// Where the configuration does not say how many months are kept, nothing is ever dropped.
    ///
    /// What is being sent goes before: a drop may keep every statement on the growing tables waiting for seconds.
    pub async fn tick(&mut self, planner: &Planner) -> Result<Progress, PlannerError> {
        let Some(months) = planner.retain_months else { return Ok(Progress::Idle) };
        let done_today = self.done.as_ref().is_some_and(|done| done.elapsed() < DAY);
        if done_today || !planner.wakes.urgent.channels().is_empty() {
            return Ok(Progress::Idle);
        }
        // Not fenced: each drop looks again under a lock whether the month may go, and one that is gone goes no second
        // time. The duty only keeps planners from waiting for each other's locks.
        if planner.store.hold_duties(planner.id, &[DUTY.to_owned()]).await?.is_empty() {
            return Ok(Progress::Idle);
        }
        if drop_all(planner, planner.store.now().await? - months).await? {
            self.done = Some(Stopwatch::start_by(&planner.clock));
        }
        Ok(Progress::Idle)
    }
}

/// Returns whether nothing is left that may go.
async fn drop_all(planner: &Planner, cutoff: DateTime<Utc>) -> Result<bool, PlannerError> {
    for month in planner.store.droppable_months(cutoff).await? {
        match planner.store.drop_month(&month, cutoff).await {
            Ok(0) => {}
            Ok(partitions) => tracing::info!(
                month = month.name,
                campaigns = month.campaigns,
                bytes = month.bytes,
                partitions,
                "month dropped: all of it was closed for as long as retention.months keeps it"
            ),
            // A report or a backup reads it. To try again at once would keep everybody waiting again.
            Err(error) if error.is_lock_held() => {
                tracing::info!(
                    month = month.name,
                    "month not dropped: something reads it; tried again in an hour"
                );
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

pub(crate) fn start(planner: &Planner, tasks: &Tasks) {
    let (planner, stopping) = (planner.clone(), tasks.stopping().clone());
    tasks.spawn("planner retain", async move {
        let mut retainer = Retainer::default();
        let tick = async move || retainer.tick(&planner).await;
        run_ticker("planner.retain", PERIOD, &Notify::new(), &stopping, tick).await;
    });
}
