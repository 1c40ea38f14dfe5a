//! What a forecast stands on, as the district may see it. Nothing is written.
//!
//! Of its history the district sees its own campaigns; of other districts how many jobs they have in the way, without
//! a name (docs/adr/0022-forecast.md).

mod audience;

use chrono::{DateTime, Utc};
use tocsin_domain::forecast::{AccountState, Earlier, Rival, Started, Tried};
use tocsin_domain::{AccountId, Channel, backoff};
use tokio_postgres::Row;
use uuid::Uuid;

pub use self::audience::{AudienceQuery, Counted, Devices, Fate};
use super::Tenant;
use crate::leases::backoff_of;
use crate::{StoreError, row};

/// No more campaigns are looked at for one channel.
const CAMPAIGNS_MAX: i64 = 30;
/// Nor any behind so many jobs of newer ones.
const JOBS_ENOUGH: i64 = 3_000;
/// Of one campaign so many jobs at most, from everywhere in it.
const JOBS_OF_CAMPAIGN_MAX: i32 = 2_000;
/// How many campaigns say how long a start takes.
const STARTS_MAX: i64 = 20;

/// An account or sender of a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct ServingAccount {
    pub channel: Channel,
    pub state: AccountState,
}

/// Work that is in the way on a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorkAhead {
    pub channel: Channel,
    pub rival: Rival,
}

impl Tenant {
    /// The accounts and senders of all channels that the district may use.
    pub async fn serving_accounts(&self) -> Result<Vec<ServingAccount>, StoreError> {
        const NAME: &str = "serving_accounts";
        let rows = self.rows(NAME, SERVING_ACCOUNTS, &[]).await?;
        rows.iter().map(read_account).collect()
    }

    /// What is still to be tried of open campaigns, of this district and, without their names, of others.
    pub async fn work_ahead(&self) -> Result<Vec<WorkAhead>, StoreError> {
        const NAME: &str = "work_ahead";
        let sql = "-- store.work_ahead
                   select channel, lane, own, weight, campaigns, jobs from work_ahead()";
        let rows = self.rows(NAME, sql, &[]).await?;
        rows.iter()
            .map(|found| {
                Ok(WorkAhead {
                    channel: row::channel(NAME, found.get("channel"))?,
                    rival: Rival {
                        lane: row::lane(NAME, found.get("lane"))?,
                        own: found.get("own"),
                        weight: found.get::<_, i32>("weight").unsigned_abs(),
                        campaigns: found.get::<_, i32>("campaigns").unsigned_abs(),
                        jobs: found.get::<_, i64>("jobs").unsigned_abs(),
                    },
                })
            })
            .collect()
    }

    /// The district's weight among districts.
    pub async fn weight(&self) -> Result<u32, StoreError> {
        let sql = "-- store.weight\nselect weight from districts where id = $1";
        let rows = self.rows("weight", sql, &[&self.district.0]).await?;
        Ok(rows.first().map_or(1, |found| found.get::<_, i32>(0).unsigned_abs()))
    }

    /// What the district's latest campaigns over `channel` came to, newest first: those that have closed, and were not
    /// canceled. Bounded, however large they were.
    pub async fn earlier_campaigns(&self, channel: Channel) -> Result<Vec<Earlier>, StoreError> {
        const NAME: &str = "earlier_campaigns";
        let rows = self
            .rows(
                NAME,
                EARLIER_CAMPAIGNS,
                &[
                    &self.district.0,
                    &channel.number(),
                    &channel.as_str(),
                    &CAMPAIGNS_MAX,
                    &JOBS_ENOUGH,
                    &JOBS_OF_CAMPAIGN_MAX,
                ],
            )
            .await?;
        let mut earlier: Vec<(Uuid, Earlier)> = Vec::new();
        for found in &rows {
            let campaign: Uuid = found.get("campaign_id");
            let tried = Tried {
                job: found.get("job_id"),
                outcome: row::outcome(NAME, found.get("outcome"))?,
                claimed_at: found.get("claimed_at"),
                settled_at: found.get("settled_at"),
            };
            match earlier.last_mut() {
                Some((known, last)) if *known == campaign => last.tried.push(tried),
                _ => {
                    let (scale, limited) = (found.get("scale"), found.get("limited"));
                    earlier.push((campaign, Earlier { tried: vec![tried], scale, limited }));
                }
            }
        }
        Ok(earlier.into_iter().map(|(_, campaign)| campaign).collect())
    }

    /// How the district's latest campaigns began.
    pub async fn campaign_starts(&self) -> Result<Vec<Started>, StoreError> {
        let rows = self.rows("campaign_starts", CAMPAIGN_STARTS, &[&self.district.0, &STARTS_MAX]).await?;
        Ok(rows
            .iter()
            .map(|found| Started {
                jobs: u64::from(found.get::<_, i32>("jobs_made").unsigned_abs()),
                expansion_seconds: found.get("expansion_seconds"),
                release_seconds: found.get("release_seconds"),
            })
            .collect())
    }
}

fn read_account(found: &Row) -> Result<ServingAccount, StoreError> {
    let unsigned = |column: &str| found.get::<_, Option<i32>>(column).map(i32::unsigned_abs);
    let own: Option<f64> = found.get("rate_per_second");
    let now: DateTime<Utc> = found.get("now");
    let present = backoff::effective_rate(own, backoff_of(found).as_ref(), now);
    Ok(ServingAccount {
        channel: row::channel("serving_accounts", found.get("channel"))?,
        state: AccountState {
            id: AccountId(found.get("id")),
            parent: found.get::<_, Option<i32>>("parent_id").map(AccountId),
            name: found.get("name"),
            own: found.get("own"),
            rate_per_second: present,
            slowed: present != own,
            concurrency: unsigned("concurrency"),
            reserve: unsigned("reserve").unwrap_or_default(),
            depth: unsigned("depth"),
            stopped: found.get("stopped"),
        },
    })
}

const SERVING_ACCOUNTS: &str = "-- store.serving_accounts
select id, parent_id, name, channel, district_id is not null as own, rate_per_second, concurrency, reserve, depth,
  stopped_at is not null as stopped, backoff_rate, backoff_full, backoff_since, tocsin_now() as now
from provider_accounts
order by id";

/// `chosen` are the newest campaigns, up to the one with which there are jobs enough; `sampled` jobs from everywhere in
/// each, a little beside even steps so that none keeps time with the channels of a recipient. Outcomes 10 to 12 are of
/// attempts that no provider took. Every job and attempt is looked up by its key.
pub(crate) const EARLIER_CAMPAIGNS: &str = "-- store.earlier_campaigns
with latest as materialized (
  select id, jobs_made, coalesce(limits ? $3, false) as limited
  from campaigns
  where district_id = $1 and closed_at is not null and started_at is not null and cancel_epoch is null
    and $2::smallint = any(channels) and jobs_made > 0
  order by id desc
  limit $4
), counted as materialized (
  select l.*, coalesce(sum(jobs_made) over (order by id desc rows between unbounded preceding and 1 preceding), 0)
    as newer
  from latest l
), chosen as materialized (
  select id, jobs_made, limited, least(jobs_made, $6::int) as jobs from counted where newer < $5
), sampled as materialized (
  select c.id as campaign_id, c.limited, c.jobs_made::float8 / c.jobs as scale, s.job_id
  from chosen c cross join lateral (
    select distinct least(c.jobs_made,
      1 + floor((k + (hashint4(k) & 1023) / 1024.0) * c.jobs_made / c.jobs)::int) as job_id
    from generate_series(0, c.jobs - 1) k) s
)
select s.campaign_id, s.job_id, s.scale, s.limited, a.outcome, a.claimed_at, a.settled_at
from sampled s
cross join lateral (
  select channel from jobs where campaign_id = s.campaign_id and id = s.job_id and channel = $2 limit 1) j
cross join lateral (
  select number, outcome, claimed_at, settled_at from attempts
  where campaign_id = s.campaign_id and job_id = s.job_id and settled_at is not null
    and outcome is not null and outcome not between 10 and 12
  offset 0) a
order by s.campaign_id desc, s.job_id, a.number";

/// Campaigns without a window: others may have waited for its opening.
const CAMPAIGN_STARTS: &str = "-- store.campaign_starts
select jobs_made,
  greatest(0, extract(epoch from expanded_at - greatest(scheduled_at, created_at)))::float8 as expansion_seconds,
  greatest(0, extract(epoch from started_at - expanded_at))::float8 as release_seconds
from campaigns
where district_id = $1 and started_at is not null and expanded_at is not null and calling_window is null
order by id desc
limit $2";

#[cfg(test)]
mod tests {
    use tocsin_domain::Outcome;

    #[test]
    fn the_numbers_written_into_the_statements_are_the_domains() {
        for outcome in Outcome::all() {
            assert_eq!((10..=12).contains(&outcome.number()), outcome.is_not_taken(), "{outcome}");
        }
    }
}
