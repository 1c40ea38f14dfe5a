//! The auditor: slowly, one campaign after the other, the counters are held against the rows (promise 10).

use tocsin_domain::trace::TraceId;
use tocsin_runtime::Progress;
use tocsin_runtime::metrics::COUNTER_DRIFT;

use crate::{Planner, PlannerError};

/// Audits the campaign that has waited longest, if one is due.
pub async fn tick(planner: &Planner) -> Result<Progress, PlannerError> {
    let now = planner.store.now().await?;
    let Some(campaign) = planner.store.next_audit(now).await? else { return Ok(Progress::Idle) };
    for drift in planner.store.audit_campaign(campaign, now).await?.unwrap_or_default() {
        COUNTER_DRIFT.add(1);
        let channel = drift.channel.map_or("people", |channel| channel.as_str());
        tracing::error!(campaign.id = %campaign, trace_id = %TraceId::of_campaign(campaign), channel, counter = drift.counter, off_by = drift.off_by,
            "a counter was not what the rows say: corrected");
    }
    // The next one has its turn a second later.
    Ok(Progress::Idle)
}
