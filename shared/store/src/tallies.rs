//! Counters: insert-only rows, one a batch, folded by a tick. A counter on the campaign's row would be the
//! hottest row of all.

use chrono::{DateTime, Utc};

use crate::unhurried::unhurried;
use crate::{Store, StoreError};

impl Store {
    /// Folds the tallies of campaigns with more than a few rows, the flow and what providers hold, each into
    /// one row a key.
    /// Returns how many rows that saved.
    pub async fn fold(&self) -> Result<i64, StoreError> {
        let tallies = self.rows("fold_tallies", FOLD_TALLIES, &[]).await?;
        let flow = self.rows("fold_flow", FOLD_FLOW, &[]).await?;
        let held = self.rows("fold_held", FOLD_HELD, &[]).await?;
        Ok([tallies, flow, held]
            .iter()
            .filter_map(|rows| rows.first())
            .map(|found| found.get::<_, i64>(0))
            .sum())
    }

    /// Counts anew what providers hold, from the batches of claims that are not settled whole, and corrects the
    /// tally by a row of its own. Returns by how many attempts it was off. It goes wrong while a release that
    /// does not know the tally still runs. Two at once would each correct the whole of it, so they take turns: the
    /// second one's snapshot has the first one's row.
    pub async fn recount_held(&self) -> Result<i64, StoreError> {
        const NAME: &str = "recount_held";
        let failed = || StoreError::statement(NAME);
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        let turn = transaction.prepare_cached(RECOUNT_TURN).await.map_err(failed())?;
        transaction.query(&turn, &[]).await.map_err(failed())?;
        let recount = transaction.prepare_cached(RECOUNT_HELD).await.map_err(failed())?;
        let rows = transaction.query(&recount, &[]).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(rows.iter().map(|found| i64::from(found.get::<_, i32>("attempts")).abs()).sum())
    }

    /// Makes the partitions that the time up to `through` needs. Returns how many were missing.
    pub async fn make_partitions(&self, through: DateTime<Utc>) -> Result<i32, StoreError> {
        let rows = self
            .rows(
                "make_partitions",
                "-- store.make_partitions
                 select tocsin_make_partitions($1)",
                &[&through],
            )
            .await?;
        Ok(rows.first().map_or(0, |found| found.get(0)))
    }

    /// The store's clock, which leases, expiry and `send_by` are compared with.
    pub async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        if let Some(now) = self.told_now() {
            return Ok(now);
        }
        read_now(&self.rows("now", NOW, &[]).await?)
    }
}

pub(crate) const NOW: &str = "-- store.now
select tocsin_now()";

pub(crate) fn read_now(rows: &[tokio_postgres::Row]) -> Result<DateTime<Utc>, StoreError> {
    rows.first().map(|found| found.get(0)).ok_or(StoreError::Unreadable {
        statement: "now",
        what: "no time",
        value: String::new(),
    })
}

/// Only rows that this statement deletes are summed. It passes over those that another fold has locked, so that
/// two at once take different rows and neither ever waits for the other. The rows are never updated, and so a
/// locked one stays where its `ctid` says.
const FOLD_TALLIES: &str = concat!(
    "-- store.fold_tallies
with crowded as materialized (
  select c.id as campaign_id from campaigns c
  where c.closed_at is null
    and (select count(*) from (select from tallies t where t.campaign_id = c.id limit 17) first_few) > 16
), free as materialized (
  select t.ctid from crowded c cross join lateral (
    select ctid from tallies k where k.campaign_id = c.campaign_id for update skip locked) t
), gone as (
  delete from tallies where ctid = any(array(select ctid from free)) returning *
), folded as (
  insert into tallies (campaign_id, district_id, channel, recipients, no_device, devices, duplicates, open,
    attempts, successful, error, canceled, not_dispatched, untried, addresses, addresses_attempted, addresses_contacted,
    addresses_with_result, contacted_by_phone, confirmed, last_first_attempt_at)
  select campaign_id, district_id, channel, sum(recipients), sum(no_device), sum(devices), sum(duplicates),
    sum(open), sum(attempts), sum(successful), sum(error), sum(canceled), sum(not_dispatched),
    sum(untried), sum(addresses), sum(addresses_attempted), sum(addresses_contacted), sum(addresses_with_result),
    sum(contacted_by_phone), sum(confirmed), max(last_first_attempt_at)
  from gone group by 1, 2, 3
  returning 1
)
select (select count(*) from gone) - (select count(*) from folded) from ",
    unhurried!()
);

const FOLD_FLOW: &str = concat!(
    "-- store.fold_flow
with free as materialized (
  select ctid from flow for update skip locked
), gone as (
  delete from flow where ctid = any(array(select ctid from free)) returning *
), folded as (
  insert into flow (channel, lane, account_id, queued)
  select channel, lane, account_id, sum(queued) from gone group by 1, 2, 3 having sum(queued) <> 0
  returning 1
)
select (select count(*) from gone) - (select count(*) from folded) from ",
    unhurried!()
);

const FOLD_HELD: &str = concat!(
    "-- store.fold_held
with free as materialized (
  select ctid from held for update skip locked
), gone as (
  delete from held where ctid = any(array(select ctid from free)) returning *
), folded as (
  insert into held (account_id, worker_id, attempts)
  select account_id, worker_id, sum(attempts) from gone group by 1, 2 having sum(attempts) <> 0
  returning 1
)
select (select count(*) from gone) - (select count(*) from folded) from ",
    unhurried!()
);

const RECOUNT_TURN: &str = "-- store.recount_held turn
select pg_advisory_xact_lock(7403)";

/// One snapshot for both counts: a tally is written with the state that it counts. Attempt states: 1 asking,
/// 2 accepted. A call that is over (outcome 50) holds no place; it alone stands in two batches.
pub(crate) const RECOUNT_HELD: &str = "-- store.recount_held
with counted as materialized (
  select a.account_id, a.worker_id, count(*) as attempts
  from claim_batches b
  cross join lateral unnest(b.campaign_ids, b.job_ids, b.numbers) u(campaign_id, job_id, number)
  cross join lateral (
    select account_id, worker_id from attempts
    where campaign_id = u.campaign_id and job_id = u.job_id and number = u.number and state in (1, 2)
      and outcome is distinct from 50 limit 1) a
  group by 1, 2
), compared as (
  select account_id, worker_id, attempts from counted
  union all
  select account_id, worker_id, -attempts from held
)
insert into held (account_id, worker_id, attempts)
select account_id, worker_id, sum(attempts) from compared group by 1, 2 having sum(attempts) <> 0
returning attempts";
