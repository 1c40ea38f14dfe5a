//! Somebody wants to know what became of a campaign's messages: their providers are asked now, and not when they are
//! overdue (requirement 183). What they say is a report as any other; what they do not know changes nothing.

use chrono::TimeDelta;
use tocsin_domain::CampaignId;
use tocsin_domain::trace::TraceId;
use tocsin_runtime::Progress;
use tocsin_store::expire::OpenAttempt;

use crate::look_up::{self, Because, is_findable};
use crate::{Planner, PlannerError};

/// Campaigns of one tick.
const CAMPAIGNS_MAX: i64 = 8;
/// Look-ups of one refresh: so many take a provider that answers in 100 ms some 12 s. Whoever asks again has the next.
const LOOK_UPS_MAX: i64 = 1_000;
/// What was claimed or looked up a moment ago has its report on the way.
const LATELY: TimeDelta = TimeDelta::seconds(10);

pub async fn tick(planner: &Planner) -> Result<Progress, PlannerError> {
    // Taken before they are carried out: of two planners one asks. What fails is not tried again, but may be asked for.
    let due = planner.store.take_refreshes(CAMPAIGNS_MAX).await?;
    for campaign in &due {
        let trace = TraceId::of_campaign(*campaign);
        match ask(planner, *campaign).await {
            Ok(attempts) => tracing::info!(campaign.id = %campaign, trace_id = %trace, attempts,
                "somebody wants to know: providers are asked"),
            Err(error) => tracing::warn!(%error, campaign.id = %campaign, trace_id = %trace,
                "somebody wants to know, and providers are not asked"),
        }
    }
    Ok(if due.is_empty() { Progress::Idle } else { Progress::More })
}

/// Returns how many attempts are to be looked up.
async fn ask(planner: &Planner, campaign: CampaignId) -> Result<usize, PlannerError> {
    let now = planner.store.now().await?;
    let open = planner.store.open_since(campaign, now - LATELY, LOOK_UPS_MAX).await?;
    let findable = |open: &OpenAttempt| is_findable(open.view.job.channel);
    let sought: Vec<OpenAttempt> = open.into_iter().filter(findable).collect();
    look_up::order(planner, &sought, Because::Asked, now).await?;
    Ok(sought.len())
}
