//! What was kept for a while is removed when it is over (docs/RUNNING.md, "What is kept how long").

use std::time::Duration;

use chrono::TimeDelta;
use tocsin_runtime::{Progress, Tasks, run_ticker};
use tocsin_store::pruning::Older;
use tokio::sync::Notify;

use crate::{Planner, PlannerError};

const PERIOD: Duration = Duration::from_secs(60);
/// Long enough to ask what happened in a term; the audit keeps who asked and who decided.
const APPROVALS_KEPT: TimeDelta = TimeDelta::days(90);
/// A roster of last week is not what anybody wants to apply.
const WAITING_IMPORTS_KEPT: TimeDelta = TimeDelta::days(7);
const IMPORTS_KEPT: TimeDelta = TimeDelta::days(90);
/// This school year and the one before.
const ROSTER_CHANGES_KEPT: TimeDelta = TimeDelta::days(730);
/// So long whoever comes back to a page is told that the sign-in has expired.
const SESSIONS_KEPT: TimeDelta = TimeDelta::days(1);

/// Removes a part of what is too old.
pub async fn tick(planner: &Planner) -> Result<Progress, PlannerError> {
    let now = planner.clock.now();
    let older = Older {
        approvals: now - APPROVALS_KEPT,
        waiting_imports: now - WAITING_IMPORTS_KEPT,
        imports: now - IMPORTS_KEPT,
        roster_changes: now - ROSTER_CHANGES_KEPT,
        sessions: now - SESSIONS_KEPT,
        sign_ins: now,
    };
    let removed = planner.store.prune(&older).await?;
    Ok(if removed > 0 { Progress::More } else { Progress::Idle })
}

pub(crate) fn start(planner: &Planner, tasks: &Tasks) {
    let (planner, stopping) = (planner.clone(), tasks.stopping().clone());
    tasks.spawn("planner prune", async move {
        let tick = async move || tick(&planner).await;
        run_ticker("planner.prune", PERIOD, &Notify::new(), &stopping, tick).await;
    });
}
