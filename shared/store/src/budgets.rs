//! What districts and campaigns allow, kept by release: budgets of jobs a second, and places. Both by the store's
//! clock and in its rows, so that they hold whichever planner releases, and over a change of planners.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tocsin_domain::limits::{DistrictLimit, capacity};
use tocsin_domain::{Channel, DistrictId, Generation, JobKey, Lane};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{Store, StoreError, row};

/// Jobs that the owner of a budget, a district or a campaign, would release now. Below zero: what it got and did
/// not release.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetDraw {
    pub owner: Uuid,
    pub rate_per_second: f64,
    pub jobs: i32,
}

/// A job that is to be released, and whose places it takes one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceWish {
    pub district: DistrictId,
    pub key: JobKey,
    /// That it has now; its release is the next.
    pub generation: Generation,
}

impl Store {
    /// What districts allow of a channel.
    pub async fn district_limits(
        &self,
        channel: Channel,
    ) -> Result<HashMap<DistrictId, DistrictLimit>, StoreError> {
        let rows = self.rows("district_limits", DISTRICT_LIMITS, &[&channel.number()]).await?;
        Ok(read_district_limits(&rows))
    }

    /// Takes jobs from budgets, each owner's no more than it has by now. Returns how many each draw got. A budget
    /// that was never drawn from is full: nothing was released under it.
    pub async fn draw_budgets(&self, channel: Channel, draws: &[BudgetDraw]) -> Result<Vec<u32>, StoreError> {
        let mut got: HashMap<Uuid, i32> = self.draw_known(channel, draws).await?;
        let unknown: Vec<BudgetDraw> =
            draws.iter().filter(|draw| !got.contains_key(&draw.owner)).copied().collect();
        if !unknown.is_empty() {
            let owners: Vec<Uuid> = unknown.iter().map(|draw| draw.owner).collect();
            let full: Vec<f64> = unknown.iter().map(|draw| capacity(draw.rate_per_second)).collect();
            self.count("open_budgets", OPEN_BUDGETS, &[&owners, &channel.number(), &full]).await?;
            got.extend(self.draw_known(channel, &unknown).await?);
        }
        let got = draws.iter().map(|draw| got.get(&draw.owner).copied().unwrap_or(0));
        Ok(got.map(|jobs| u32::try_from(jobs).unwrap_or(0)).collect())
    }

    async fn draw_known(
        &self,
        channel: Channel,
        draws: &[BudgetDraw],
    ) -> Result<HashMap<Uuid, i32>, StoreError> {
        let owners: Vec<Uuid> = draws.iter().map(|draw| draw.owner).collect();
        let rates: Vec<f64> = draws.iter().map(|draw| draw.rate_per_second).collect();
        let full: Vec<f64> = draws.iter().map(|draw| capacity(draw.rate_per_second)).collect();
        let jobs: Vec<i32> = draws.iter().map(|draw| draw.jobs).collect();
        let rows = self
            .rows("draw_budgets", DRAW_BUDGETS, &[&owners, &channel.number(), &rates, &full, &jobs])
            .await?;
        Ok(rows.iter().map(|found| (found.get("owner"), found.get("granted"))).collect())
    }

    /// How many more of a channel's jobs each district has places for, of those that limit their concurrency.
    /// Emergencies find free what other lanes' jobs have taken.
    pub async fn free_places(
        &self,
        channel: Channel,
        lane: Lane,
        districts: &[DistrictId],
    ) -> Result<HashMap<DistrictId, u32>, StoreError> {
        let ids: Vec<Uuid> = districts.iter().map(|district| district.0).collect();
        let rows = self.rows("free_places", FREE_PLACES, &[&ids, &channel.number(), &lane.number()]).await?;
        Ok(rows.iter().map(free).collect())
    }

    /// Takes places for jobs that are to be released now, as long as their districts have any. Returns those that got
    /// one. Of two planners one waits for the other, so that they do not take the same places.
    pub async fn take_places(
        &self,
        channel: Channel,
        lane: Lane,
        wishes: &[PlaceWish],
    ) -> Result<Vec<JobKey>, StoreError> {
        const NAME: &str = "take_places";
        let mut districts: Vec<Uuid> = wishes.iter().map(|wish| wish.district.0).collect();
        districts.sort_unstable();
        districts.dedup();
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(StoreError::statement(NAME))?;
        let (number, lane) = (channel.number(), lane.number());
        let fault = StoreError::statement;
        let lock = transaction.prepare_cached(LOCK_PLACES).await.map_err(fault(NAME))?;
        transaction.query(&lock, &[&districts, &number]).await.map_err(fault(NAME))?;
        // A statement of its own: it sees what was committed while this waited for the lock.
        let look = transaction.prepare_cached(FREE_PLACES).await.map_err(fault(NAME))?;
        let rows = transaction.query(&look, &[&districts, &number, &lane]).await.map_err(fault(NAME))?;
        let mut free: HashMap<DistrictId, u32> = rows.iter().map(free).collect();
        let taken: Vec<PlaceWish> = wishes
            .iter()
            .filter(|wish| match free.get_mut(&wish.district) {
                // Not limited any more.
                None => true,
                Some(left) => {
                    let fits = *left > 0;
                    *left = left.saturating_sub(1);
                    fits
                }
            })
            .copied()
            .collect();
        let campaigns: Vec<Uuid> = taken.iter().map(|wish| wish.key.campaign.0).collect();
        let jobs: Vec<i32> = taken.iter().map(|wish| wish.key.job).collect();
        let owners: Vec<Uuid> = taken.iter().map(|wish| wish.district.0).collect();
        let generations: Vec<i32> = taken.iter().map(|wish| wish.generation.0 + 1).collect();
        let take = transaction.prepare_cached(TAKE_PLACES).await.map_err(fault(NAME))?;
        transaction
            .execute(&take, &[&campaigns, &jobs, &owners, &generations, &number, &lane])
            .await
            .map_err(fault(NAME))?;
        transaction.commit().await.map_err(fault(NAME))?;
        Ok(taken.iter().map(|wish| wish.key).collect())
    }

    /// Forgets budgets that nobody drew from since `before`: each is full again by then, whatever its rate.
    pub async fn forget_budgets(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        self.count(
            "forget_budgets",
            "-- store.forget_budgets
             delete from release_budgets where at < $1",
            &[&before],
        )
        .await
    }
}

fn free(found: &Row) -> (DistrictId, u32) {
    let free: i64 = found.get("free");
    (DistrictId(found.get("district_id")), u32::try_from(free).unwrap_or(0))
}

const OPEN_BUDGETS: &str = "-- store.open_budgets
insert into release_budgets (owner, channel, tokens, granted, at)
select owner, $2, tokens, 0, tocsin_now() from unnest($1::uuid[], $3::float8[]) a(owner, tokens)
order by owner
on conflict (owner, channel) do nothing";

/// `instant` is read after the locks: whoever waited has a later time than those it waited for.
pub(crate) const DRAW_BUDGETS: &str = "-- store.draw_budgets
with asked as materialized (
  select *, $2::smallint as channel
  from unnest($1::uuid[], $3::float8[], $4::float8[], $5::int[]) a(owner, rate, full_at, jobs)
  order by owner
), locked as materialized (
  select b.owner, b.channel, b.tokens, b.at, a.rate, a.full_at, a.jobs
  from asked a cross join lateral (
    select * from release_budgets k where k.owner = a.owner and k.channel = a.channel for update) b
), instant as materialized (
  select tocsin_now() as now from (select count(*) from locked) after_the_locks
), filled as materialized (
  select l.owner, l.channel, l.jobs, greatest(i.now, l.at) as at,
    least(l.full_at, l.tokens + l.rate * greatest(0, extract(epoch from i.now - l.at))::float8) as tokens
  from locked l cross join instant i
)
update release_budgets b
set granted = least(f.jobs, greatest(0, floor(f.tokens)))::int,
  tokens = f.tokens - least(f.jobs, greatest(0, floor(f.tokens))), at = f.at
from filled f
where b.owner = any(array[f.owner]) and b.channel = f.channel
returning b.owner, b.granted";

pub(crate) const DISTRICT_LIMITS: &str = "-- store.district_limits
select district_id, channel, rate_per_second, concurrency, spares_emergencies
from district_limits where channel = $1";

pub(crate) fn read_district_limits(rows: &[Row]) -> HashMap<DistrictId, DistrictLimit> {
    rows.iter().map(|found| (DistrictId(found.get("district_id")), row::district_limit(found))).collect()
}

const LOCK_PLACES: &str = "-- store.take_places lock
select district_id from district_limits
where district_id = any($1) and channel = $2 and concurrency is not null
order by district_id
for update";

/// Job states: 1 waiting, 2 queued, 3 claimed; lane 1 is emergency, which places of other lanes leave alone;
/// outcome 50 is a call that is over, whose line is free while it waits for the word who answered. A place that was taken for a release that has not been made yet is
/// kept for a while, and no longer: its planner may be gone. One that was taken anew since is not removed.
pub(crate) const FREE_PLACES: &str = "-- store.free_places
with limits as materialized (
  select district_id, channel, concurrency from district_limits
  where district_id = any($1) and channel = $2 and concurrency is not null
), judged as materialized (
  select p.campaign_id, p.job_id, p.district_id, p.lane, p.generation, p.taken_at, exists (
    select from jobs j
    where j.campaign_id = p.campaign_id and j.id = p.job_id
      and ((j.state = 2 and j.generation = p.generation)
        or (j.state = 3 and j.generation = p.generation and not exists (
          select from attempts
          where campaign_id = p.campaign_id and job_id = p.job_id and number = j.attempt and outcome = 50 offset 0))
        or (j.state = 1 and j.generation = p.generation - 1
          and p.taken_at > tocsin_now() - interval '3 seconds')) offset 0) as busy
  from limits l cross join lateral (
    select * from release_places where district_id = l.district_id and channel = l.channel offset 0) p
), gone as materialized (
  select k.campaign_id, k.job_id
  from (select * from judged where not busy order by campaign_id, job_id) g
  cross join lateral (
    select * from release_places
    where campaign_id = g.campaign_id and job_id = g.job_id and generation = g.generation and taken_at = g.taken_at
    for update) k
), removed as (
  delete from release_places p using gone g
  where p.campaign_id = any(array[g.campaign_id]) and p.job_id = g.job_id
)
select l.district_id,
  l.concurrency - (
    select count(*) from judged g
    where g.district_id = l.district_id and g.busy and (g.lane = 1 or $3::smallint <> 1)) as free
from limits l";

pub(crate) const TAKE_PLACES: &str = "-- store.take_places
insert into release_places (campaign_id, job_id, district_id, generation, channel, lane, taken_at)
select campaign_id, job_id, district_id, generation, $5, $6, tocsin_now()
from unnest($1::uuid[], $2::int[], $3::uuid[], $4::int[]) a(campaign_id, job_id, district_id, generation)
order by campaign_id, job_id
on conflict (campaign_id, job_id) do update set generation = excluded.generation, taken_at = excluded.taken_at";
