//! Ending the jobs of a campaign that are not claimed: after a cancel, and after its expiry.
//!
//! The sweep walks a campaign's jobs in key order and waits for every row lock, never skipping one, so that
//! when it is through each job has ended or is visibly claimed (promise 3).

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::{AccountId, AttemptKey, CampaignId, Channel, JobKey, Lane, Outcome};

use crate::standing::is_attempted;
use crate::{Store, StoreError, row};

/// A campaign that is swept but not closed is swept again after this time.
const SWEPT_AGAIN_AFTER: TimeDelta = TimeDelta::seconds(5);

/// A campaign with jobs to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToSweep {
    pub campaign: CampaignId,
    /// What its unclaimed jobs end with, where no attempt told anything.
    pub outcome: Outcome,
}

/// One step of a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    pub ended: i64,
    /// Those of the ended that were released, tried or held before, so that something was told of their next attempt: it
    /// will not be made.
    pub untried: Vec<Untried>,
    /// The last job looked at.
    pub last: i32,
    /// Was that the campaign's last job?
    pub through: bool,
}

/// An attempt that was planned and is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Untried {
    pub attempt: AttemptKey,
    pub channel: Channel,
    pub lane: Lane,
}

/// An accepted attempt whose provider is asked to stop it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderedRecall {
    pub attempt: AttemptKey,
    pub channel: Channel,
    pub lane: Lane,
    pub account: AccountId,
    pub provider_id: String,
}

impl Store {
    /// Canceled campaigns, and campaigns past their expiry, that have open jobs: until they are swept clean
    /// at once, then now and again until they are closed. A record that was decided before the cancel and
    /// committed after the sweep may have put a job back to waiting.
    pub async fn campaigns_to_sweep(&self, now: DateTime<Utc>) -> Result<Vec<ToSweep>, StoreError> {
        const NAME: &str = "campaigns_to_sweep";
        let rows = self
            .rows(
                NAME,
                "-- store.campaigns_to_sweep
                 select id, cancel_epoch is not null as canceled from campaigns
                 where closed_at is null and (swept_at is null or swept_at <= $2 or state = 4)
                   and (cancel_epoch is not null or (expires_at <= $1 and expanded_at is not null))
                 order by lane, id",
                &[&now, &(now - SWEPT_AGAIN_AFTER)],
            )
            .await?;
        Ok(rows
            .into_iter()
            .map(|found| ToSweep {
                campaign: CampaignId(found.get("id")),
                outcome: if found.get("canceled") { Outcome::Canceled } else { Outcome::Expired },
            })
            .collect())
    }

    /// Ends the waiting and queued jobs among the `jobs_max` jobs after `after`. Must begin after the
    /// cancel's commit: a statement's snapshot is what makes it see, or wait for, every claim before it.
    pub async fn sweep(
        &self,
        sweep: &ToSweep,
        after: i32,
        jobs_max: i32,
        now: DateTime<Utc>,
    ) -> Result<Swept, StoreError> {
        let rows = self
            .rows(
                "sweep",
                SWEEP,
                &[
                    &sweep.campaign.0,
                    &after,
                    &jobs_max,
                    &sweep.outcome.number(),
                    &sweep.outcome.result().number(),
                    &now,
                ],
            )
            .await?;
        let Some(found) = rows.first() else {
            return Ok(Swept { ended: 0, untried: Vec::new(), last: after, through: true });
        };
        Ok(Swept {
            ended: found.get("ended"),
            untried: read_untried(sweep.campaign, found)?,
            last: found.get("last"),
            through: found.get("through"),
        })
    }

    /// A whole pass found nothing left to end. Says nothing if the campaign was canceled since the pass
    /// began: that pass may have been over before a claim that began ahead of the cancel took its row.
    pub async fn mark_swept(&self, sweep: &ToSweep, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.count(
            "mark_swept",
            "-- store.mark_swept
             update campaigns set swept_at = $2 where id = $1 and (cancel_epoch is not null) = $3",
            &[&sweep.campaign.0, &now, &(sweep.outcome == Outcome::Canceled)],
        )
        .await
        .map(drop)
    }

    /// Orders the recall of the campaign's accepted attempts on `channels`, each to be answered until
    /// `until`; returns those to be sent to a worker.
    pub async fn order_recalls(
        &self,
        campaign: CampaignId,
        channels: &[Channel],
        until: DateTime<Utc>,
    ) -> Result<Vec<OrderedRecall>, StoreError> {
        const NAME: &str = "order_recalls";
        let channels: Vec<i16> = channels.iter().map(|channel| channel.number()).collect();
        let rows = self.rows(NAME, ORDER_RECALLS, &[&campaign.0, &channels, &until]).await?;
        rows.into_iter()
            .map(|found| {
                Ok(OrderedRecall {
                    attempt: AttemptKey {
                        job: JobKey { campaign, job: found.get("job_id") },
                        number: found.get("number"),
                    },
                    channel: row::channel(NAME, found.get("channel"))?,
                    lane: row::lane(NAME, found.get("lane"))?,
                    account: AccountId(found.get("account_id")),
                    provider_id: found.get("provider_id"),
                })
            })
            .collect()
    }

    /// The provider could not stop these attempts any more (or cannot stop any).
    pub async fn recall_failed(&self, attempts: &[AttemptKey]) -> Result<u64, StoreError> {
        let campaigns: Vec<_> = attempts.iter().map(|key| key.job.campaign.0).collect();
        let jobs: Vec<i32> = attempts.iter().map(|key| key.job.job).collect();
        let numbers: Vec<i16> = attempts.iter().map(|key| key.number).collect();
        self.count("recall_failed", RECALL_FAILED, &[&campaigns, &jobs, &numbers]).await
    }
}

fn read_untried(campaign: CampaignId, found: &tokio_postgres::Row) -> Result<Vec<Untried>, StoreError> {
    const NAME: &str = "sweep";
    let numbers = |column| found.get::<_, Option<Vec<i16>>>(column).unwrap_or_default();
    let jobs = found.get::<_, Option<Vec<i32>>>("jobs").unwrap_or_default();
    jobs.into_iter()
        .zip(numbers("attempts"))
        .zip(numbers("channels").into_iter().zip(numbers("lanes")))
        .map(|((job, attempt), (channel, lane))| {
            Ok(Untried {
                attempt: AttemptKey { job: JobKey { campaign, job }, number: attempt.saturating_add(1) },
                channel: row::channel(NAME, channel)?,
                lane: row::lane(NAME, lane)?,
            })
        })
        .collect()
}

/// Wait reason 1 is Turn: a job that waits for its first is told of nowhere. Job states: 1 waiting, 2 queued, 4 ended. A job of which nothing was dispatched counts as its outcome:
/// results 2 error, 3 canceled, 4 not dispatched, which is also all that an attempt can have told of it.
pub(crate) const SWEEP: &str = concat!(
    "-- store.sweep
with locked as materialized (
  select j.campaign_id, j.id, j.district_id, j.state as old_state, j.channel, j.lane, j.account_id, j.outcome,
    j.attempt, j.dispatched, j.repeats, j.state = 2 or j.attempt > 0 or j.wait_reason <> 1 as told
  from jobs j
  where j.campaign_id = $1 and j.id > $2 and j.id <= $2 + $3 and j.state in (1, 2)
  order by j.campaign_id, j.id
  for update of j
), ended as (
  update jobs j set state = 4, outcome = coalesce(j.outcome, $4), due_at = null, wait_reason = null, ended_at = $6
  from locked l where j.campaign_id = any(array[l.campaign_id]) and j.id = l.id
), flowed as (
  insert into flow (channel, lane, account_id, queued)
  select channel, lane, account_id, -count(*) from locked where old_state = 2 group by 1, 2, 3
), tallied as (
  insert into tallies (campaign_id, district_id, channel, open, untried, error, canceled, not_dispatched,
    addresses_attempted, addresses_with_result)
  select $1, district_id, channel, -count(*), -count(*) filter (where attempt = 0),
    count(*) filter (where dispatched = 0 and outcome is null and $5::smallint = 2),
    count(*) filter (where dispatched = 0 and outcome is null and $5::smallint = 3),
    count(*) filter (where dispatched = 0 and (outcome is not null or $5::smallint = 4)),
    coalesce(sum(",
    is_attempted!("true", "channel", "coalesce(outcome, $4)"),
    "::int - ",
    is_attempted!("attempt > 0", "channel", "outcome"),
    "::int) filter (where not repeats), 0),
    count(*) filter (where outcome is null and not repeats)
  from locked group by 2, 3
)
select (select count(*) from locked) as ended, u.jobs, u.attempts, u.channels, u.lanes, $2 + $3 as last, $2 + $3 >= c.jobs_made as through
from campaigns c
cross join (
  select array_agg(id) as jobs, array_agg(attempt) as attempts, array_agg(channel) as channels,
    array_agg(lane) as lanes
  from locked where told) u
where c.id = $1"
);

/// Attempt state 2 is accepted; recall 1 is ordered; a call that is over (outcome 50) is not to be stopped. Walks the
/// campaign's claimed jobs. What a sender sent its account takes back.
pub(crate) const ORDER_RECALLS: &str = "-- store.order_recalls
with accepted as materialized (
  select id, attempt, channel, lane from jobs
  where campaign_id = $1 and state = 3 and channel = any($2) order by id
), locked as materialized (
  select a.campaign_id, a.job_id, a.number, j.channel, j.lane
  from accepted j cross join lateral (
    select * from attempts k
    where k.campaign_id = $1 and k.job_id = j.id and k.number = j.attempt
      and k.state = 2 and k.recall = 0 and k.provider_id is not null and k.outcome is distinct from 50
    for update) a
)
update attempts a set recall = 1, recall_until = $3
from locked l
where a.campaign_id = any(array[l.campaign_id]) and a.job_id = l.job_id and a.number = l.number
returning a.job_id, a.number, a.provider_id, l.channel, l.lane,
  (select coalesce(parent_id, id) from provider_accounts where id = a.account_id) as account_id";

pub(crate) const RECALL_FAILED: &str = "-- store.recall_failed
with locked as materialized (
  select a.campaign_id, a.job_id, a.number
  from (
    select * from unnest($1::uuid[], $2::int[], $3::smallint[]) u(campaign_id, job_id, number)
    order by campaign_id, job_id, number) u
  cross join lateral (
    select * from attempts k
    where k.campaign_id = u.campaign_id and k.job_id = u.job_id and k.number = u.number and k.recall = 1
    for update) a
)
update attempts a set recall = 3 from locked l
where a.campaign_id = any(array[l.campaign_id]) and a.job_id = l.job_id and a.number = l.number";
