//! What is left of a person whose text was refused in an emergency: the other devices in the campaign.

use std::collections::HashMap;

use tocsin_domain::trace::TraceId;
use tocsin_domain::{CampaignId, JobKey};
use uuid::Uuid;

use crate::{Store, StoreError, Tenant};

/// Why a text of an emergency is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// By its claim or its provider, after an opt-out.
    Refused,
    /// When its job was made, by an opt-out or a suppression.
    Barred,
}

impl Why {
    fn in_words(self) -> &'static str {
        match self {
            Self::Refused => "were refused",
            Self::Barred => "are barred by opt-outs or suppressions",
        }
    }
}

/// What is left of the people of some refused texts of one emergency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    pub campaign: CampaignId,
    pub refused: i64,
    pub other_devices: i64,
    /// Of the refused, those whose people have no other device in the campaign.
    pub without_other: i64,
}

impl Store {
    /// What is left of the people of these jobs, by campaign. Of those that are texts of emergencies.
    pub async fn others_left(&self, refused: &[JobKey]) -> Result<Vec<Left>, StoreError> {
        let campaigns: Vec<Uuid> = refused.iter().map(|key| key.campaign.0).collect();
        let jobs: Vec<i32> = refused.iter().map(|key| key.job).collect();
        let mut left: HashMap<CampaignId, Left> = HashMap::new();
        for found in self.rows("others_left", OTHERS_LEFT, &[&campaigns, &jobs]).await? {
            let (campaign, others) = (CampaignId(found.get("campaign_id")), found.get::<_, i64>("others"));
            let sums = left.entry(campaign).or_insert(Left {
                campaign,
                refused: 0,
                other_devices: 0,
                without_other: 0,
            });
            sums.refused += 1;
            sums.other_devices += others;
            sums.without_other += i64::from(others == 0);
        }
        Ok(left.into_values().collect())
    }

    /// Logs, by campaign, what is left of the people of these jobs, for somebody may have to act. That it cannot be read
    /// holds up nothing.
    pub async fn tell_others_left(&self, refused: &[JobKey], why: Why) {
        if refused.is_empty() {
            return;
        }
        let why = why.in_words();
        match self.others_left(refused).await {
            Ok(left) => left.iter().for_each(|left| {
                tracing::info!(campaign.id = %left.campaign,
                    trace_id = %TraceId::of_campaign(left.campaign), texts = left.refused, other_devices = left.other_devices,
                    people_without_other_device = left.without_other,
                    "emergency texts {why}: the other devices of their people are what is left");
            }),
            Err(error) => {
                tracing::warn!(%error, texts = refused.len(),
                    "emergency texts {why}; the other devices of their people could not be counted");
            }
        }
    }
}

impl Tenant {
    /// How many other devices the person of each of these jobs, texts of an emergency, has in the campaign.
    pub async fn others_left(
        &self,
        campaign: CampaignId,
        jobs: &[i32],
    ) -> Result<HashMap<i32, i64>, StoreError> {
        let campaigns = vec![campaign.0; jobs.len()];
        let rows = self.rows("others_left", OTHERS_LEFT, &[&campaigns, &jobs]).await?;
        Ok(rows.iter().map(|found| (found.get("job_id"), found.get("others"))).collect())
    }
}

/// Lane 1 is emergency, channel 2 sms. Jobs are numbered person by person, so that a person's are neighbours: 64 on either
/// side hold all of anybody who has no more, and are all that is looked at. Those that were refused themselves are not left: outcomes 31 to 49, but for 33 Duplicate (the device is reached once, for
/// several rows), 35 Expired and 36 Canceled.
pub(crate) const OTHERS_LEFT: &str = "-- store.others_left
select u.campaign_id, u.job_id, (
    select count(*)
    from jobs o cross join lateral (
      select person_id from recipients where campaign_id = o.campaign_id and id = o.recipient_id limit 1) p
    where o.campaign_id = u.campaign_id and o.id >= u.job_id - 64 and o.id <= u.job_id + 64 and o.id <> u.job_id
      and p.person_id = r.person_id
      and (o.outcome is null or o.outcome not between 31 and 49 or o.outcome in (33, 35, 36))) as others
from unnest($1::uuid[], $2::int[]) u(campaign_id, job_id)
cross join lateral (
  select recipient_id from jobs
  where campaign_id = u.campaign_id and id = u.job_id and lane = 1 and channel = 2 limit 1) j
cross join lateral (
  select person_id from recipients where campaign_id = u.campaign_id and id = j.recipient_id limit 1) r";

#[cfg(test)]
mod tests {
    use tocsin_domain::{AttemptResult, Outcome};

    #[test]
    fn the_refused_are_those_of_whom_nothing_is_dispatched_before_any_try() {
        for outcome in Outcome::all().filter(|outcome| (31..=49).contains(&outcome.number())) {
            let left = [33, 35, 36].contains(&outcome.number());
            assert!(left || outcome.result() == AttemptResult::NotDispatched, "{outcome}");
        }
    }
}
