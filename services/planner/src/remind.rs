//! People who were asked whether to opt in and did not answer are reminded by email (requirement 165): the campaigns that
//! do so are made here, and go the way of every campaign.

use tocsin_domain::trace::TraceId;
use tocsin_runtime::Progress;

use crate::{Planner, PlannerError};

/// Phones of one campaign.
const PHONES_MAX: i64 = 500;

pub async fn tick(planner: &Planner) -> Result<Progress, PlannerError> {
    let now = planner.store.now().await?;
    let mut progress = Progress::Idle;
    for due in planner.store.reminders_due(now).await? {
        let reminded = planner.store.remind_pending(&due, PHONES_MAX, now).await?;
        if reminded.phones > 0 {
            progress = Progress::More;
        }
        if let Some(campaign) = reminded.campaign {
            tracing::info!(district.id = %due.district, campaign.id = %campaign,
                trace_id = %TraceId::of_campaign(campaign), phones = reminded.phones,
                "people of pending phones are reminded of the question whether to opt in");
            planner.wakes.expand();
        }
    }
    Ok(progress)
}
