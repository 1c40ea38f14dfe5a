//! Calling windows at attempt time (promise 9): a job that falls due outside its recipient's hours waits on for
//! their next opening. It never reaches a queue, and so takes no place of any account's window.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tocsin_domain::window::{Contact, ZONE_UNKNOWN_WAIT, Zone, contact};
use tocsin_domain::{CampaignId, Lane, WaitReason};
use tocsin_store::release::{Due, Hold, OpenCampaign};

use crate::{Planner, PlannerError};

/// Jobs held in one statement.
const BATCH_MAX: usize = 500;

/// Due jobs, by what their recipients' clocks say.
#[derive(Debug, Default)]
pub struct Judged {
    /// Those that may be tried, each until when.
    pub open: Vec<(Due, DateTime<Utc>)>,
    /// Those that may not, as they are held.
    pub closed: Vec<(Hold, Due)>,
}

/// Holds each due job against its campaign's calling window. An emergency has none (requirement 178).
pub fn judge(campaigns: &[&OpenCampaign], due: &[Due], now: DateTime<Utc>) -> Judged {
    let campaigns: HashMap<CampaignId, &OpenCampaign> =
        campaigns.iter().map(|campaign| (campaign.id, *campaign)).collect();
    // Many recipients share few zones.
    let mut known: HashMap<(CampaignId, Option<Zone>), Contact> = HashMap::new();
    let mut judged = Judged::default();
    for job in due {
        let Some(campaign) = campaigns.get(&job.key.campaign) else { continue };
        let window = campaign.calling_window.as_ref().filter(|_| campaign.lane != Lane::Emergency);
        let zone = job.zone.or(campaign.zone);
        let contact = *known
            .entry((campaign.id, zone))
            .or_insert_with(|| contact(window, zone, now, campaign.expires_at));
        let (due_at, reason) = match contact {
            Contact::Open { until } => {
                judged.open.push((*job, until));
                continue;
            }
            Contact::Closed { opens_at } => (opens_at, WaitReason::Window),
            // The sweep ends it then.
            Contact::Never => (campaign.expires_at, WaitReason::Window),
            // Looked at again, because somebody may set the district's.
            Contact::ZoneUnknown => (now + ZONE_UNKNOWN_WAIT, WaitReason::ZoneUnknown),
        };
        let hold = Hold { key: job.key, generation: job.generation, due_at, reason };
        judged.closed.push((hold, *job));
    }
    judged
}

/// Lets jobs wait on. Returns how many.
pub async fn hold(planner: &Planner, closed: &[Hold]) -> Result<usize, PlannerError> {
    let mut held = 0;
    for batch in closed.chunks(BATCH_MAX) {
        held += planner.store.hold(batch).await?;
    }
    Ok(usize::try_from(held).unwrap_or(usize::MAX))
}
