//! Which devices have an outcome that nobody was told of: a campaign's jobs are looked through page by page and compared
//! with what was told.

use chrono::{DateTime, Utc};
use deadpool_postgres::Transaction;
use tocsin_domain::webhook::{DeviceNews, Pass, next_pass};
use tocsin_domain::{CampaignId, DistrictId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{NewEvent, spread};
use crate::{Store, StoreError, row};

/// A campaign's devices that ended, and of which the district is to be told.
#[derive(Debug, Clone)]
pub struct DevicePage {
    pub campaign: CampaignId,
    pub district: DistrictId,
    pub devices: Vec<DeviceNews>,
}

/// What one page came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// No campaign is due.
    Nothing,
    /// A page was looked through; so many devices were told of.
    Page(usize),
}

impl Store {
    /// Puts off until `rest_until` all passes that are due over open campaigns in which no device has ended since the last
    /// one began: whose tallies are as they were. Job and tally are one commit. A late report may change an outcome and no
    /// sum; so closed campaigns are always looked through.
    pub async fn rest_passes(
        &self,
        now: DateTime<Utc>,
        rest_until: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        self.count("rest_passes", REST_PASSES, &[&now, &rest_until]).await
    }

    /// Looks through the next page, of `jobs_max` jobs, of the campaign that has waited longest. What `write` makes of it
    /// goes on its way in the same transaction that marks it as told. Of two planners each takes another campaign.
    pub async fn tell_devices<E: From<StoreError>>(
        &self,
        jobs_max: i64,
        now: DateTime<Utc>,
        write: impl FnOnce(&DevicePage) -> Result<Vec<NewEvent>, E>,
    ) -> Result<Passed, E> {
        let failed = || StoreError::statement("tell_devices");
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        let due = transaction.prepare_cached(DUE_PASS).await.map_err(failed())?;
        let due = transaction.query(&due, &[&now]).await.map_err(failed())?;
        let Some(due) = due.first().map(Due::read) else { return Ok(Passed::Nothing) };
        let ended = transaction.prepare_cached(ENDED_DEVICES).await.map_err(failed())?;
        let rows =
            transaction.query(&ended, &[&due.campaign.0, &due.cursor, &jobs_max]).await.map_err(failed())?;
        let page = DevicePage { campaign: due.campaign, district: due.district, devices: devices(&rows)? };
        let looked_at: i64 = rows.first().map_or(0, |found| found.get("looked_at"));
        let next = if looked_at < jobs_max {
            Next::after(&due, now)
        } else {
            Next { cursor: rows.first().map_or(0, |found| found.get("last")), pass_at: Some(now) }
        };
        spread(&transaction, &write(&page)?, now).await?;
        mark(&transaction, &page).await?;
        let moved = transaction.prepare_cached(MOVE_PASS).await.map_err(failed())?;
        transaction
            .execute(
                &moved,
                &[&due.campaign.0, &next.cursor, &due.began_at(now), &next.pass_at, &due.counted],
            )
            .await
            .map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(Passed::Page(page.devices.len()))
    }
}

/// A campaign whose next page is due.
struct Due {
    campaign: CampaignId,
    district: DistrictId,
    cursor: i32,
    pass_began_at: Option<DateTime<Utc>>,
    closed_at: Option<DateTime<Utc>>,
    /// Its tallies when this pass began.
    counted: Option<Vec<i64>>,
}

impl Due {
    fn read(found: &Row) -> Self {
        let cursor: i32 = found.get("cursor");
        Self {
            campaign: CampaignId(found.get("campaign_id")),
            district: DistrictId(found.get("district_id")),
            cursor,
            pass_began_at: found.get("pass_began_at"),
            closed_at: found.get("closed_at"),
            counted: found.get(if cursor == 0 { "counted_now" } else { "counted" }),
        }
    }

    fn began_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.pass_began_at.filter(|_| self.cursor > 0).unwrap_or(now)
    }
}

/// Where the next page begins, and when.
struct Next {
    cursor: i32,
    pass_at: Option<DateTime<Utc>>,
}

impl Next {
    /// After the last page of a pass.
    fn after(due: &Due, now: DateTime<Utc>) -> Self {
        let pass = Pass { began_at: due.began_at(now), ended_at: now, closed_at: due.closed_at };
        Self { cursor: 0, pass_at: next_pass(pass) }
    }
}

/// The first row says how far the page went; there is one also where no device is to be told of.
fn devices(rows: &[Row]) -> Result<Vec<DeviceNews>, StoreError> {
    const NAME: &str = "ended_devices";
    let read = |found: &Row| {
        Ok(DeviceNews {
            job: found.get("id"),
            recipient: found.get("recipient_id"),
            channel: row::channel(NAME, found.get("channel"))?,
            outcome: row::outcome(NAME, found.get("outcome"))?,
            ended_at: found.get("ended_at"),
            before: row::optional_outcome(NAME, found.get("told"))?,
        })
    };
    rows.iter().filter(|found| found.get::<_, Option<i32>>("id").is_some()).map(read).collect()
}

async fn mark(transaction: &Transaction<'_>, page: &DevicePage) -> Result<(), StoreError> {
    const NAME: &str = "mark_devices";
    if page.devices.is_empty() {
        return Ok(());
    }
    let jobs: Vec<i32> = page.devices.iter().map(|device| device.job).collect();
    let outcomes: Vec<i16> = page.devices.iter().map(|device| device.outcome.number()).collect();
    let statement = transaction.prepare_cached(MARK_DEVICES).await.map_err(StoreError::statement(NAME))?;
    let campaign: Uuid = page.campaign.0;
    transaction
        .execute(&statement, &[&campaign, &page.district.0, &jobs, &outcomes])
        .await
        .map_err(StoreError::statement(NAME))?;
    Ok(())
}

/// The sums of a campaign's tallies, which move with every device that ends.
macro_rules! counted {
    () => {
        "(select array[coalesce(sum(devices + duplicates), 0), coalesce(sum(open), 0), coalesce(sum(successful), 0),
    coalesce(sum(error), 0), coalesce(sum(canceled), 0), coalesce(sum(not_dispatched), 0)]::bigint[]
   from tallies where campaign_id = w.campaign_id)"
    };
}

/// A campaign that is not told to be closed is open, or has closed this moment.
const REST_PASSES: &str = concat!(
    "-- store.rest_passes
update webhook_campaigns w set pass_at = $2
where w.pass_at <= $1 and w.cursor = 0 and w.told < 16 and w.counted = ",
    counted!()
);

/// Campaigns of districts that ask for devices: those that are open, and those that closed since somebody asks. The sums
/// are of one snapshot that is older than every page of the pass.
const DUE_PASS: &str = concat!(
    "-- store.tell_devices due
with asking as materialized (
  select district_id, min(enabled_at) as since from webhook_endpoints
  where enabled and 'device.outcome' = any(events) group by 1
)
select w.campaign_id, w.district_id, w.cursor, w.pass_began_at, w.counted, c.closed_at, ",
    counted!(),
    " as counted_now
from asking a
join webhook_campaigns w on w.district_id = a.district_id and w.pass_at <= $1
cross join lateral (select closed_at from campaigns where id = w.campaign_id offset 0) c
where c.closed_at is null or c.closed_at >= a.since
order by w.pass_at
limit 1
for update of w skip locked"
);

/// Job state 4 is ended.
pub(crate) const ENDED_DEVICES: &str = "-- store.ended_devices
with page as materialized (
  select id, recipient_id, channel, state, outcome, ended_at from jobs
  where campaign_id = $1 and id > $2 order by id limit $3
), ended as materialized (
  select p.*, t.outcome as told from page p
  left join lateral (
    select outcome from webhook_devices where campaign_id = $1 and job_id = p.id limit 1) t on true
  where p.state = 4 and p.outcome is not null and p.outcome is distinct from t.outcome
)
select l.last, l.looked_at, e.id, e.recipient_id, e.channel, e.outcome, e.ended_at, e.told
from (select max(id) as last, count(*) as looked_at from page) l left join ended e on true
order by e.id";

const MARK_DEVICES: &str = "-- store.mark_devices
insert into webhook_devices (campaign_id, district_id, job_id, outcome)
select $1::uuid, $2::uuid, u.job_id, u.outcome from unnest($3::int[], $4::smallint[]) u(job_id, outcome) order by u.job_id
on conflict (campaign_id, job_id) do update set outcome = excluded.outcome";

const MOVE_PASS: &str = "-- store.tell_devices move
update webhook_campaigns set cursor = $2, pass_began_at = $3, pass_at = $4, counted = $5 where campaign_id = $1";
