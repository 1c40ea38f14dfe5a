//! What an installation does at the moment, for the terminal of whoever looks after it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tocsin_domain::{AccountId, CampaignId, CampaignState, DistrictId, Lane};
use uuid::Uuid;

use crate::{Store, StoreError, row};

/// Open campaigns that are told one by one.
pub const CAMPAIGNS_MAX: i64 = 50;

/// An open campaign and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenNow {
    pub id: CampaignId,
    pub number: i64,
    pub district: DistrictId,
    pub subject: String,
    pub lane: Lane,
    pub state: CampaignState,
    pub undecided: bool,
    /// Devices, and those without their final outcome.
    pub devices: i64,
    pub open: i64,
}

/// What workers hold of an account, or of a sender.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shared {
    pub workers: i64,
    /// None: the account has no limit.
    pub rate_per_second: Option<f64>,
    pub used_per_second: f64,
}

/// A duty of a planner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldDuty {
    pub name: String,
    pub holder: Uuid,
    pub until: DateTime<Utc>,
}

impl Store {
    /// Campaigns that are not closed by state, and those that closed within a day.
    pub async fn campaign_counts(&self) -> Result<Vec<(CampaignState, i64)>, StoreError> {
        const NAME: &str = "campaign_counts";
        let rows = self.rows(NAME, CAMPAIGN_COUNTS, &[]).await?;
        rows.iter()
            .map(|found| Ok((row::campaign_state(NAME, found.get("state"))?, found.get("campaigns"))))
            .collect()
    }

    /// The campaigns that are processed, sent or canceled, emergencies first: at most [`CAMPAIGNS_MAX`].
    pub async fn open_now(&self) -> Result<Vec<OpenNow>, StoreError> {
        const NAME: &str = "open_now";
        let rows = self.rows(NAME, OPEN_NOW, &[&CAMPAIGNS_MAX]).await?;
        rows.iter()
            .map(|found| {
                Ok(OpenNow {
                    id: CampaignId(found.get("id")),
                    number: found.get("number"),
                    district: DistrictId(found.get("district_id")),
                    subject: found.get("subject"),
                    lane: row::lane(NAME, found.get("lane"))?,
                    state: row::campaign_state(NAME, found.get("state"))?,
                    undecided: found.get("undecided"),
                    devices: found.get("devices"),
                    open: found.get("open"),
                })
            })
            .collect()
    }

    pub async fn shared(&self) -> Result<HashMap<AccountId, Shared>, StoreError> {
        let rows = self.rows("shared", SHARED, &[]).await?;
        Ok(rows
            .iter()
            .map(|found| {
                let shared = Shared {
                    workers: found.get("workers"),
                    rate_per_second: found.get("rate_per_second"),
                    used_per_second: found.get("used_per_second"),
                };
                (AccountId(found.get("account_id")), shared)
            })
            .collect())
    }

    /// The duties in force, by name.
    pub async fn duties(&self) -> Result<Vec<HeldDuty>, StoreError> {
        let rows = self.rows("duties", DUTIES, &[]).await?;
        Ok(rows
            .iter()
            .map(|found| HeldDuty {
                name: found.get("duty"),
                holder: found.get("holder"),
                until: found.get("expires_at"),
            })
            .collect())
    }

    /// Attempts of which nobody knows what became, and that are still looked after.
    pub async fn unknown_attempts(&self) -> Result<i64, StoreError> {
        let rows = self.rows("unknown_attempts", UNKNOWN_ATTEMPTS, &[]).await?;
        Ok(rows.first().map_or(0, |found| found.get(0)))
    }
}

const CAMPAIGN_COUNTS: &str = "-- store.campaign_counts
select state, count(*) as campaigns
from (
  select state from campaigns where closed_at is null
  union all
  select c.state from districts d
  cross join lateral (
    select state from campaigns where district_id = d.id and closed_at > tocsin_now() - interval '1 day') c
) recent
group by state order by state";

/// Campaign states 2 processing, 3 sending, 4 canceling. Tallies of one campaign are few.
const OPEN_NOW: &str = "-- store.open_now
select c.id, c.number, c.district_id, c.subject, c.lane, c.state, c.undecided_since is not null as undecided,
  coalesce(t.devices, 0) as devices, coalesce(t.open, 0) as open
from (
  select * from campaigns where closed_at is null and (state in (2, 3, 4) or undecided_since is not null)
  order by lane, id limit $1) c
left join lateral (
  select sum(devices)::bigint as devices, sum(open)::bigint as open from tallies where campaign_id = c.id) t on true
order by c.lane, c.id";

const SHARED: &str = "-- store.shared
select account_id, count(*) filter (where burst is null or burst > 0 or concurrency > 0) as workers,
  sum(rate_per_second) as rate_per_second, coalesce(sum(used_per_second), 0)::double precision as used_per_second
from leases where expires_at > tocsin_now() group by account_id order by account_id";

const DUTIES: &str = "-- store.duties
select duty, holder, expires_at from planner_leases where expires_at > tocsin_now() order by duty";

/// They are all among what is looked after. Attempt state 4 is unknown.
const UNKNOWN_ATTEMPTS: &str = "-- store.unknown_attempts
select count(*)
from claim_batches b
cross join lateral unnest(b.campaign_ids, b.job_ids, b.numbers) u(campaign_id, job_id, number)
cross join lateral (
  select from attempts
  where campaign_id = u.campaign_id and job_id = u.job_id and number = u.number and state = 4 limit 1) a";
