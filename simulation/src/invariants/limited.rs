//! What districts and campaigns allow: in every window of time no more jobs are released than their rate and what they
//! may save up, and no more are under way than their district has places.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use tocsin_domain::{CampaignId, Channel, Lane};

use super::{Promise, hold};
use crate::broker::PublishedJob;
use crate::database::{Database, district};
use crate::plan::PlannedLimit;
use crate::world::Campaign;

/// Beside one job what comes in this time may be saved up.
const SAVED_SECONDS: f64 = 0.5;
const ROUNDING: f64 = 1e-3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    District(usize),
    Campaign(CampaignId),
}

#[derive(Debug, Default)]
pub struct Released {
    by_owner: HashMap<(Owner, Channel), Vec<DateTime<Utc>>>,
}

impl Released {
    /// After a release.
    pub fn rates(
        &mut self,
        campaigns: &[Campaign],
        limits: &[PlannedLimit],
        published: &[PublishedJob],
        now: DateTime<Utc>,
    ) -> Result<()> {
        for job in published {
            let Some(campaign) = campaigns.iter().find(|campaign| campaign.id == job.key.campaign) else {
                continue;
            };
            if let Some(rate) = campaign.submission.rate_per_second {
                self.released(Owner::Campaign(campaign.id), job.channel, rate, now)?;
            }
            if let Some(limit) = limit_of(limits, campaign, job)
                && let Some(rate) = limit.rate_per_second
            {
                self.released(Owner::District(limit.district), job.channel, rate, now)?;
            }
        }
        Ok(())
    }

    fn released(&mut self, owner: Owner, channel: Channel, rate: f64, now: DateTime<Utc>) -> Result<()> {
        let of_owner = self.by_owner.entry((owner, channel)).or_default();
        of_owner.push(now);
        for (earlier, from) in of_owner.iter().enumerate() {
            let jobs = of_owner.len() - earlier;
            let seconds = (now - *from).as_seconds_f64();
            let allowed = 1.0 + rate * (SAVED_SECONDS + seconds);
            hold(Promise::NeverAboveTheLimit, jobs as f64 <= allowed + ROUNDING, || {
                format!(
                    "{jobs} jobs of {owner:?} were released on {channel} in {seconds} s: {allowed} are allowed"
                )
            })?;
        }
        Ok(())
    }
}

/// After a release: emergencies count those of emergencies alone, all others count all; whom the limit spares it counts
/// neither way.
pub async fn places(
    database: &Database,
    campaigns: &[Campaign],
    limits: &[PlannedLimit],
    published: &[PublishedJob],
) -> Result<()> {
    for limit in limits {
        let Some(places) = limit.concurrency.map(i64::from) else { continue };
        let of_limit = |job: &&PublishedJob| {
            let campaign = campaigns.iter().find(|campaign| campaign.id == job.key.campaign);
            campaign.is_some_and(|campaign| limit_of(std::slice::from_ref(limit), campaign, job).is_some())
        };
        if !published.iter().any(|job| of_limit(&job)) {
            continue;
        }
        let row = database.query_one(BUSY, &[&district(limit.district).0, &limit.channel.number()]).await?;
        let (emergencies, others): (i64, i64) = (row.get("emergencies"), row.get("others"));
        for job in published.iter().filter(of_limit) {
            let under_way = match job.lane {
                Lane::Emergency => emergencies,
                Lane::Priority | Lane::General if limit.spares_emergencies => others,
                Lane::Priority | Lane::General => emergencies + others,
            };
            hold(Promise::NeverAboveTheLimit, under_way <= places, || {
                format!("{under_way} jobs are under way after the release of {job:?}: {limit:?}")
            })?;
        }
    }
    Ok(())
}

fn limit_of<'a>(
    limits: &'a [PlannedLimit],
    campaign: &Campaign,
    job: &PublishedJob,
) -> Option<&'a PlannedLimit> {
    limits.iter().find(|limit| {
        (limit.district, limit.channel) == (campaign.submission.district, job.channel)
            && !(limit.spares_emergencies && job.lane == Lane::Emergency)
    })
}

/// Job states 2 queued, 3 claimed; outcome 50 is a call that is over; lane 1 is emergency.
const BUSY: &str = "select
  count(*) filter (where j.lane = 1) as emergencies, count(*) filter (where j.lane <> 1) as others
from jobs j
where j.district_id = $1 and j.channel = $2 and (j.state = 2 or (j.state = 3 and not exists (
  select from attempts a
  where a.campaign_id = j.campaign_id and a.job_id = j.id and a.number = j.attempt and a.outcome = 50)))";
