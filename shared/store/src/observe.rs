//! What a planner observes for its metrics: cheap with a million rows, and of no lock.

use chrono::{DateTime, Utc};
use tocsin_domain::{AccountId, CampaignId, Channel, Lane};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{Store, StoreError, row};

/// Due jobs of a campaign and channel are counted up to here.
pub const DUE_COUNTED_MAX: i64 = 5_000;
/// Of the latest releases, so many batches are looked at for the age of what is queued.
const RELEASES_MAX: i64 = 2_000;
/// Unmatched reports are counted up to here.
const UNMATCHED_MAX: i64 = 10_000;

/// One channel of a campaign that jobs may be released from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    pub campaign: CampaignId,
    pub lane: Lane,
    pub channel: Channel,
    /// Has it begun to send?
    pub sending: bool,
    /// [`DUE_COUNTED_MAX`] at most.
    pub due: i64,
    pub oldest: Option<DateTime<Utc>>,
    /// Devices without an outcome, by the tallies.
    pub open: i64,
    /// Attempts so far, by the tallies.
    pub attempts: i64,
}

/// A batch of released jobs, as large as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    pub channel: Channel,
    pub lane: Lane,
    pub released_at: DateTime<Utc>,
    pub jobs: i64,
}

/// What is shared out of an account or a sender.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leased {
    pub account: AccountId,
    pub leases: i64,
    pub rate_per_second: f64,
    pub used_per_second: f64,
}

/// Attempts of which nobody knows whether the provider took them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InDoubt {
    pub channel: Channel,
    pub lane: Lane,
    pub attempts: i64,
}

/// Single numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kept {
    pub unmatched: i64,
    pub waiting_approvals: i64,
    /// In force, of a district or of all.
    pub stops: i64,
    pub partitions_ahead_days: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Server {
    pub oldest_snapshot_seconds: f64,
    pub database_bytes: i64,
}

impl Store {
    /// The work at hand, of every campaign that jobs may be released from.
    pub async fn observe_work(&self, now: DateTime<Utc>) -> Result<Vec<Work>, StoreError> {
        const NAME: &str = "observe_work";
        let rows = self.rows(NAME, OBSERVE_WORK, &[&now, &DUE_COUNTED_MAX]).await?;
        let read = |found: tokio_postgres::Row| {
            Ok(Work {
                campaign: CampaignId(found.get("id")),
                lane: row::lane(NAME, found.get("lane"))?,
                channel: row::channel(NAME, found.get("channel"))?,
                sending: found.get("sending"),
                due: found.get("due"),
                oldest: found.get("oldest"),
                open: found.get("open"),
                attempts: found.get("attempts"),
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// The latest releases, the latest first.
    pub async fn observe_releases(&self) -> Result<Vec<Batch>, StoreError> {
        const NAME: &str = "observe_releases";
        let rows = self.rows(NAME, OBSERVE_RELEASES, &[&RELEASES_MAX]).await?;
        let read = |found: tokio_postgres::Row| {
            Ok(Batch {
                channel: row::channel(NAME, found.get("channel"))?,
                lane: row::lane(NAME, found.get("lane"))?,
                released_at: found.get("released_at"),
                jobs: found.get("jobs"),
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Which of these campaigns have a job that is queued: by the releases that are not forgotten yet.
    pub async fn observe_queued(&self, campaigns: &[CampaignId]) -> Result<Vec<CampaignId>, StoreError> {
        let campaigns: Vec<Uuid> = campaigns.iter().map(|campaign| campaign.0).collect();
        let rows = self.rows("observe_queued", OBSERVE_QUEUED, &[&campaigns]).await?;
        Ok(rows.into_iter().map(|found| CampaignId(found.get("campaign_id"))).collect())
    }

    pub async fn observe_leases(&self) -> Result<Vec<Leased>, StoreError> {
        let rows = self.rows("observe_leases", OBSERVE_LEASES, &[]).await?;
        let read = |found: tokio_postgres::Row| Leased {
            account: AccountId(found.get("account_id")),
            leases: found.get("leases"),
            rate_per_second: found.get("rate_per_second"),
            used_per_second: found.get("used_per_second"),
        };
        Ok(rows.into_iter().map(read).collect())
    }

    pub async fn observe_kept(&self, now: DateTime<Utc>) -> Result<Kept, StoreError> {
        const NAME: &str = "observe_kept";
        let found = self.one(NAME, OBSERVE_KEPT, &[&now, &UNMATCHED_MAX]).await?;
        Ok(Kept {
            unmatched: found.get("unmatched"),
            waiting_approvals: found.get("waiting_approvals"),
            stops: found.get("stops"),
            partitions_ahead_days: found.get("partitions_ahead_days"),
        })
    }

    /// Costs as much as there are claims that are not settled whole: for once a minute.
    pub async fn observe_doubt(&self) -> Result<Vec<InDoubt>, StoreError> {
        const NAME: &str = "observe_doubt";
        let rows = self.rows(NAME, OBSERVE_DOUBT, &[]).await?;
        let read = |found: tokio_postgres::Row| {
            Ok(InDoubt {
                channel: row::channel(NAME, found.get("channel"))?,
                lane: row::lane(NAME, found.get("lane"))?,
                attempts: found.get("attempts"),
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Looks at every file of the database: for once a minute.
    pub async fn observe_server(&self) -> Result<Server, StoreError> {
        const NAME: &str = "observe_server";
        let found = self.one(NAME, OBSERVE_SERVER, &[]).await?;
        Ok(Server {
            oldest_snapshot_seconds: found.get("oldest_snapshot_seconds"),
            database_bytes: found.get("database_bytes"),
        })
    }

    async fn one(
        &self,
        statement: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<tokio_postgres::Row, StoreError> {
        let client = self.client().await?;
        let prepared = client.prepare_cached(sql).await.map_err(StoreError::statement(statement))?;
        client.query_one(&prepared, parameters).await.map_err(StoreError::statement(statement))
    }
}

/// Campaigns as in `open_campaigns`. The head of an index for each of their channels, and their tallies.
pub(crate) const OBSERVE_WORK: &str = "-- store.observe_work
select c.id, c.lane, ch.channel, c.state = 3 as sending, head.due, head.oldest,
  coalesce(t.open, 0) as open, coalesce(t.attempts, 0) as attempts
from campaigns c
cross join lateral unnest(c.channels) ch(channel)
cross join lateral (
  select count(*) as due, min(due_at) as oldest
  from (
    select j.due_at from jobs j
    where j.campaign_id = c.id and j.channel = ch.channel and j.due_at <= $1
    order by j.due_at, j.id limit $2) first) head
left join lateral (
  select sum(open)::bigint as open, sum(attempts)::bigint as attempts
  from tallies where campaign_id = c.id and channel = ch.channel) t on true
where c.closed_at is null and c.state in (2, 3) and c.cancel_epoch is null and c.undecided_since is null
  and c.expires_at > (select tocsin_now()) and (c.expanded_at is not null or c.lane = 1)
  and not exists (select from stops s where s.district_id is null or s.district_id = c.district_id)";

const OBSERVE_RELEASES: &str = "-- store.observe_releases
select channel, lane, released_at, cardinality(job_ids)::bigint as jobs
from release_batches order by id desc limit $1";

/// Job state 2 is queued.
const OBSERVE_QUEUED: &str = "-- store.observe_queued
select distinct b.campaign_id from (
  select u.campaign_id, u.job_id
  from release_batches r
  cross join lateral unnest(r.campaign_ids, r.job_ids) u(campaign_id, job_id)
  where u.campaign_id = any($1)) b
cross join lateral (
  select from jobs where campaign_id = b.campaign_id and id = b.job_id and state = 2 limit 1) queued";

const OBSERVE_LEASES: &str = "-- store.observe_leases
select account_id, count(*) as leases, coalesce(sum(rate_per_second), 0)::double precision as rate_per_second,
  coalesce(sum(used_per_second), 0)::double precision as used_per_second
from leases where expires_at > (select tocsin_now()) group by account_id";

/// What matches no attempt lies in the default partition. A month's partitions are named after it.
const OBSERVE_KEPT: &str = "-- store.observe_kept
select
  (select count(*) from (
     select from events_default
     where id >= uuid7_floor($1::timestamptz - interval '24 hours') and district_id is null and outcome is not null
     limit $2) recent) as unmatched,
  (select count(*) from approvals where decision is null and expires_at > $1::timestamptz) as waiting_approvals,
  (select count(*) from stops) as stops,
  (select extract(epoch from min(until) - $1::timestamptz)::double precision / 86400 from (
     select (to_date(max(right(c.relname::text, 7)), 'YYYY_MM') + interval '1 month') at time zone 'UTC' as until
     from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where c.relname ~ '_[0-9]{4}_[0-9]{2}$'
     group by i.inhparent) tables) as partitions_ahead_days";

/// Attempt state 4 is unknown.
const OBSERVE_DOUBT: &str = "-- store.observe_doubt
select j.channel, j.lane, count(*) as attempts
from claim_batches b
cross join lateral unnest(b.campaign_ids, b.job_ids, b.numbers) u(campaign_id, job_id, number)
cross join lateral (
  select from attempts
  where campaign_id = u.campaign_id and job_id = u.job_id and number = u.number and state = 4 limit 1) a
cross join lateral (
  select channel, lane from jobs where campaign_id = u.campaign_id and id = u.job_id limit 1) j
group by 1, 2";

const OBSERVE_SERVER: &str = "-- store.observe_server
select oldest_snapshot_seconds, database_bytes from server_observation()";
