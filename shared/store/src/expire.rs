//! What nobody answered for in time: messages that the broker lost, attempts that stayed open.

use chrono::{DateTime, Utc};
use tocsin_domain::settlement::AttemptView;
use tocsin_domain::{AttemptKey, AttemptState, CampaignId, Channel, JobKey, Lane, WaitReason};

use crate::{Store, StoreError};

/// Attempts claimed together that are due for a look.
#[derive(Debug, Clone)]
pub struct ClaimBatch {
    pub id: i64,
    /// Those of the batch that are not settled, each with the time of its claim.
    pub open: Vec<(AttemptView, DateTime<Utc>)>,
}

impl Store {
    /// Jobs whose message should have been claimed by now wait again: at most `batches_max` batches of
    /// releases past their time. Returns how many jobs were still queued.
    pub async fn requeue_overdue(&self, now: DateTime<Utc>, batches_max: i64) -> Result<u64, StoreError> {
        let reason = WaitReason::Republish.number();
        let rows = self.rows("requeue_overdue", REQUEUE_OVERDUE, &[&now, &batches_max, &reason]).await?;
        Ok(rows.first().map_or(0, |found| found.get::<_, i64>(0).unsigned_abs()))
    }

    /// The broker's queue of a channel and lane is empty though older releases are still queued: they are
    /// due again at once. Returns how many batches that concerns.
    pub async fn hasten_requeue(
        &self,
        channel: Channel,
        lane: Lane,
        released_before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        self.count(
            "hasten_requeue",
            "-- store.hasten_requeue
             update release_batches set requeue_at = $4
             where channel = $1 and lane = $2 and released_at < $3 and requeue_at > $4",
            &[&channel.number(), &lane.number(), &released_before, &now],
        )
        .await
    }

    /// Batches of claims due for a look, oldest first.
    pub async fn due_claim_batches(
        &self,
        now: DateTime<Utc>,
        batches_max: i64,
    ) -> Result<Vec<ClaimBatch>, StoreError> {
        const NAME: &str = "due_claim_batches";
        let batches = self.rows(NAME, DUE_CLAIM_BATCHES, &[&now, &batches_max]).await?;
        let mut due = Vec::with_capacity(batches.len());
        for found in batches {
            let campaigns: Vec<uuid::Uuid> = found.get("campaign_ids");
            let jobs: Vec<i32> = found.get("job_ids");
            let numbers: Vec<i16> = found.get("numbers");
            due.push(ClaimBatch {
                id: found.get("id"),
                open: self.open_attempts(&campaigns, &jobs, &numbers).await?,
            });
        }
        Ok(due)
    }

    async fn open_attempts(
        &self,
        campaigns: &[uuid::Uuid],
        jobs: &[i32],
        numbers: &[i16],
    ) -> Result<Vec<(AttemptView, DateTime<Utc>)>, StoreError> {
        let rows = self.rows("open_attempts", OPEN_ATTEMPTS, &[&campaigns, &jobs, &numbers]).await?;
        let mut claimed_at = std::collections::HashMap::with_capacity(rows.len());
        for found in rows {
            let key = AttemptKey {
                job: JobKey { campaign: CampaignId(found.get("campaign_id")), job: found.get("job_id") },
                number: found.get("number"),
            };
            claimed_at.insert(key, found.get::<_, DateTime<Utc>>("claimed_at"));
        }
        let keys: Vec<AttemptKey> = claimed_at.keys().copied().collect();
        Ok(self
            .attempt_views(&keys)
            .await?
            .into_iter()
            .filter(|view| view.state != AttemptState::Settled)
            .filter_map(|view| claimed_at.get(&view.key).map(|at| (view, *at)))
            .collect())
    }

    /// Sets when a batch is looked at next; None: all its attempts are settled, it is forgotten.
    pub async fn finish_claim_batches(
        &self,
        batches: &[(i64, Option<DateTime<Utc>>)],
    ) -> Result<(), StoreError> {
        let ids: Vec<i64> = batches.iter().map(|(id, _)| *id).collect();
        let check_at: Vec<Option<DateTime<Utc>>> = batches.iter().map(|(_, at)| *at).collect();
        self.rows("finish_claim_batches", FINISH_CLAIM_BATCHES, &[&ids, &check_at]).await.map(drop)
    }
}

pub(crate) const REQUEUE_OVERDUE: &str = "-- store.requeue_overdue
with overdue as materialized (
  select id from release_batches where requeue_at <= $1 order by requeue_at limit $2 for update skip locked
), gone as (
  delete from release_batches b using overdue o where b.id = o.id
  returning b.campaign_ids, b.job_ids, b.generations
), asked as materialized (
  select u.campaign_id, u.job_id, u.generation
  from gone g cross join lateral unnest(g.campaign_ids, g.job_ids, g.generations) u(campaign_id, job_id, generation)
), locked as materialized (
  select j.campaign_id, j.id
  from asked a join jobs j on j.campaign_id = a.campaign_id and j.id = a.job_id
  where j.state = 2 and j.generation = a.generation
  order by j.campaign_id, j.id
  for update of j
), marked as (
  update jobs j set state = 1, due_at = $1, wait_reason = $3
  from locked l where j.campaign_id = l.campaign_id and j.id = l.id
  returning j.channel, j.lane, j.account_id
), flowed as (
  insert into flow (channel, lane, account_id, queued)
  select channel, lane, account_id, -count(*) from marked group by 1, 2, 3
)
select count(*) from marked";

pub(crate) const DUE_CLAIM_BATCHES: &str = "-- store.due_claim_batches
select id, campaign_ids, job_ids, numbers from claim_batches where check_at <= $1
order by check_at limit $2";

/// Attempt state 3 is settled.
pub(crate) const OPEN_ATTEMPTS: &str = "-- store.open_attempts
select a.campaign_id, a.job_id, a.number, a.claimed_at
from unnest($1::uuid[], $2::int[], $3::smallint[]) u(campaign_id, job_id, number)
join attempts a on a.campaign_id = u.campaign_id and a.job_id = u.job_id and a.number = u.number
where a.state <> 3";

pub(crate) const FINISH_CLAIM_BATCHES: &str = "-- store.finish_claim_batches
with asked as materialized (
  select * from unnest($1::bigint[], $2::timestamptz[]) a(id, check_at)
), locked as materialized (
  select a.id, a.check_at from asked a join claim_batches b on b.id = a.id
  order by b.id
  for update of b
), forgotten as (
  delete from claim_batches b using locked l where b.id = l.id and l.check_at is null
)
update claim_batches b set check_at = l.check_at from locked l where b.id = l.id and l.check_at is not null";
