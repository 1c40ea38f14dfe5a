//! What nobody answered for in time: messages that the broker lost, attempts that stayed open.

use chrono::{DateTime, Utc};
use tocsin_domain::settlement::AttemptView;
use tocsin_domain::{AttemptKey, AttemptState, CampaignId, Channel, JobKey, Lane, WaitReason};

use uuid::Uuid;

use crate::release::GIVE_BACK;
use crate::{Store, StoreError};

/// Attempts claimed together that are due for a look.
#[derive(Debug, Clone)]
pub struct ClaimBatch {
    pub id: i64,
    /// Those of the batch that are not settled.
    pub open: Vec<OpenAttempt>,
}

/// An attempt that nobody has answered for.
#[derive(Debug, Clone)]
pub struct OpenAttempt {
    pub view: AttemptView,
    pub claimed_at: DateTime<Utc>,
    /// When a look-up at its provider was last ordered.
    pub looked_up_at: Option<DateTime<Utc>>,
    /// Does its campaign wait for an operator's decision, after a restore?
    pub undecided: bool,
}

impl Store {
    /// Jobs whose message should have been claimed by now wait again: at most `batches_max` batches of
    /// releases past their time. Returns how many jobs were still queued.
    pub async fn requeue_overdue(&self, now: DateTime<Utc>, batches_max: i64) -> Result<u64, StoreError> {
        const NAME: &str = "requeue_overdue";
        // Most often there is none, and no transaction is worth its round trips.
        if self.rows(NAME, ANY_OVERDUE, &[&now]).await?.is_empty() {
            return Ok(0);
        }
        let failed = || StoreError::statement(NAME);
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        let statement = transaction.prepare_cached(OVERDUE_RELEASES).await.map_err(failed())?;
        let overdue = transaction.query(&statement, &[&now, &batches_max]).await.map_err(failed())?;
        if overdue.is_empty() {
            return Ok(0);
        }
        let (mut campaigns, mut jobs, mut generations) = (Vec::new(), Vec::new(), Vec::new());
        for batch in overdue {
            campaigns.extend(batch.get::<_, Vec<Uuid>>("campaign_ids"));
            jobs.extend(batch.get::<_, Vec<i32>>("job_ids"));
            generations.extend(batch.get::<_, Vec<i32>>("generations"));
        }
        let statement = transaction.prepare_cached(GIVE_BACK).await.map_err(failed())?;
        let reason = WaitReason::Republish.number();
        let given_back = transaction
            .query_one(&statement, &[&campaigns, &jobs, &generations, &now, &reason])
            .await
            .map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(given_back.get::<_, i64>(0).unsigned_abs())
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
            let campaigns: Vec<Uuid> = found.get("campaign_ids");
            let jobs: Vec<i32> = found.get("job_ids");
            let numbers: Vec<i16> = found.get("numbers");
            due.push(ClaimBatch {
                id: found.get("id"),
                open: self.open_attempts(&campaigns, &jobs, &numbers).await?,
            });
        }
        Ok(due)
    }

    pub(crate) async fn open_attempts(
        &self,
        campaigns: &[Uuid],
        jobs: &[i32],
        numbers: &[i16],
    ) -> Result<Vec<OpenAttempt>, StoreError> {
        let rows = self.rows("open_attempts", OPEN_ATTEMPTS, &[&campaigns, &jobs, &numbers]).await?;
        let mut times = std::collections::BTreeMap::new();
        for found in rows {
            let key = AttemptKey {
                job: JobKey { campaign: CampaignId(found.get("campaign_id")), job: found.get("job_id") },
                number: found.get("number"),
            };
            times.insert(key, (found.get("claimed_at"), found.get("looked_up_at"), found.get("undecided")));
        }
        let keys: Vec<AttemptKey> = times.keys().copied().collect();
        Ok(self
            .attempt_views(&keys)
            .await?
            .into_iter()
            .filter(|view| view.state != AttemptState::Settled)
            .filter_map(|view| {
                let (claimed_at, looked_up_at, undecided) = *times.get(&view.key)?;
                Some(OpenAttempt { view, claimed_at, looked_up_at, undecided })
            })
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

const ANY_OVERDUE: &str = "-- store.requeue_overdue any
select from release_batches where requeue_at <= $1 limit 1";

/// Forgets the batches it returns: their jobs are given back in the same transaction. Two planners take
/// different ones.
pub(crate) const OVERDUE_RELEASES: &str = "-- store.requeue_overdue batches
with overdue as materialized (
  select id from release_batches where requeue_at <= $1 order by requeue_at limit $2 for update skip locked
)
delete from release_batches b where b.id = any(array(select id from overdue))
returning b.campaign_ids, b.job_ids, b.generations";

pub(crate) const DUE_CLAIM_BATCHES: &str = "-- store.due_claim_batches
select id, campaign_ids, job_ids, numbers from claim_batches where check_at <= $1
order by check_at limit $2";

/// Attempt state 3 is settled.
pub(crate) const OPEN_ATTEMPTS: &str = "-- store.open_attempts
select a.campaign_id, a.job_id, a.number, a.claimed_at, a.looked_up_at,
  (select undecided_since is not null from campaigns where id = a.campaign_id limit 1) as undecided
from unnest($1::uuid[], $2::int[], $3::smallint[]) u(campaign_id, job_id, number)
cross join lateral (
  select * from attempts
  where campaign_id = u.campaign_id and job_id = u.job_id and number = u.number and state <> 3 limit 1) a";

pub(crate) const FINISH_CLAIM_BATCHES: &str = "-- store.finish_claim_batches
with asked as materialized (
  select * from unnest($1::bigint[], $2::timestamptz[]) a(id, check_at) order by id
), locked as materialized (
  select a.* from asked a
  cross join lateral (select from claim_batches where id = a.id for update) b
), forgotten as (
  delete from claim_batches where id = any(array(select id from locked where check_at is null))
)
update claim_batches b set check_at = l.check_at from locked l
where b.id = any(array[l.id]) and l.check_at is not null";
