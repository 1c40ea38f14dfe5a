//! The ends of campaigns: `canceled` is answered, and what has no open job is closed.

use tocsin_domain::trace::TraceId;
use tocsin_runtime::Progress;
use tocsin_runtime::metrics::CANCEL_SECONDS;
use tocsin_runtime::telemetry::names;

use crate::sweep::RECALLABLE;
use crate::{Planner, PlannerError};

pub async fn tick(planner: &Planner) -> Result<Progress, PlannerError> {
    let now = planner.clock.now();
    let spans = planner.campaign_spans();
    for canceled in planner.store.finish_cancels(now, &RECALLABLE).await? {
        if let Some(canceled_at) = canceled.canceled_at {
            CANCEL_SECONDS.observe((now - canceled_at).as_seconds_f64().max(0.0));
        }
        spans.did(canceled.campaign, names::span::CANCEL, (now, now), |span| {
            span.with(names::CAMPAIGN_STATE, canceled.state.as_str())
        });
        let trace = TraceId::of_campaign(canceled.campaign);
        tracing::info!(campaign.id = %canceled.campaign, trace_id = %trace, state = %canceled.state, "cancel is through");
    }
    for closed in planner.store.close_campaigns(now).await? {
        let (made, state) = (closed.created_at, closed.state.as_str());
        spans.closed(closed.campaign, (made, now), state, closed.traceparent.as_deref());
        let trace = TraceId::of_campaign(closed.campaign);
        tracing::info!(campaign.id = %closed.campaign, trace_id = %trace, state = %closed.state, "campaign closed");
    }
    Ok(Progress::Idle)
}
