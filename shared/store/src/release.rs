//! From waiting to queued: the only way into a job queue.

use chrono::{DateTime, Utc};
use tocsin_domain::limits::CampaignLimits;
use tocsin_domain::trace::TraceId;
use tocsin_domain::window::{CallingWindow, Zone, zone_named};
use tocsin_domain::{
    AccountId, CampaignId, Channel, DistrictId, Generation, JobKey, Lane, Outcome, WaitReason,
};
use uuid::Uuid;

use crate::leadership::Duty;
use crate::unhurried::unhurried;
use crate::{Store, StoreError, row};

/// A campaign that may have due jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenCampaign {
    pub id: CampaignId,
    pub district: DistrictId,
    pub weight: u32,
    pub lane: Lane,
    pub channels: Vec<Channel>,
    pub expires_at: DateTime<Utc>,
    /// None: at any hour.
    pub calling_window: Option<CallingWindow>,
    /// What its author allows.
    pub limits: CampaignLimits,
    /// The district's, for recipients whose own is not known.
    pub zone: Option<Zone>,
    /// Is every job made? Only emergencies are released before.
    pub expanded: bool,
}

/// Where release stands in one campaign's due jobs of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub due_at: DateTime<Utc>,
    pub job: i32,
}

impl Position {
    /// Before every job.
    pub const HEAD: Self = Self { due_at: DateTime::<Utc>::UNIX_EPOCH, job: 0 };
}

/// How many due jobs to take from a campaign, and after which.
#[derive(Debug, Clone, Copy)]
pub struct Draw {
    pub campaign: CampaignId,
    pub after: Position,
    pub jobs_max: u32,
}

/// A due job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub key: JobKey,
    pub generation: Generation,
    pub due_at: DateTime<Utc>,
    /// The best outcome of its attempts, and the account that it was last released to.
    pub outcome: Option<Outcome>,
    pub account: Option<AccountId>,
    /// Why it waited until it fell due.
    pub reason: Option<WaitReason>,
    /// The latest of its attempts.
    pub attempt: i16,
    /// The recipient's own, read only where the campaign has a calling window.
    pub zone: Option<Zone>,
    /// The same for every job to one address, read only where asked for.
    pub person: Option<i64>,
}

/// Is it of interest to whom a due job goes?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persons {
    Read,
    Unread,
}

/// A due job that may not be tried yet, and when it is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    pub key: JobKey,
    pub generation: Generation,
    pub due_at: DateTime<Utc>,
    pub reason: WaitReason,
}

/// A due job, decided upon.
#[derive(Debug, Clone, Copy)]
pub struct Release {
    pub key: JobKey,
    pub generation: Generation,
    pub account: AccountId,
    pub contact_until: DateTime<Utc>,
}

/// A job whose message is to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    pub key: JobKey,
    pub generation: Generation,
    pub account: AccountId,
    /// The latest of its attempts: the claim makes the next one.
    pub attempt: i16,
}

/// Queued jobs of one channel, lane and account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuedCount {
    pub channel: Channel,
    pub lane: Lane,
    pub account: AccountId,
    pub queued: i64,
}

impl Store {
    /// Every campaign that jobs may be released from: none of a district whose sending is stopped, which so holds up
    /// nobody else, emergencies neither. One whose calling window or limits cannot be read is closed:
    /// it must not hold up the others.
    pub async fn open_campaigns(&self) -> Result<Vec<OpenCampaign>, StoreError> {
        read_open_campaigns(self.rows("open_campaigns", OPEN_CAMPAIGNS, &[]).await?)
    }

    /// The next due jobs of each campaign, in the order in which they fell due. Locks nothing.
    pub async fn due_jobs(
        &self,
        channel: Channel,
        draws: &[Draw],
        persons: Persons,
        now: DateTime<Utc>,
    ) -> Result<Vec<Due>, StoreError> {
        const NAME: &str = "due_jobs";
        let campaigns: Vec<Uuid> = draws.iter().map(|draw| draw.campaign.0).collect();
        let after_due: Vec<DateTime<Utc>> = draws.iter().map(|draw| draw.after.due_at).collect();
        let after_job: Vec<i32> = draws.iter().map(|draw| draw.after.job).collect();
        let most: Vec<i32> =
            draws.iter().map(|draw| i32::try_from(draw.jobs_max).unwrap_or(i32::MAX)).collect();
        let rows = self
            .rows(
                NAME,
                DUE_JOBS,
                &[
                    &campaigns,
                    &after_due,
                    &after_job,
                    &most,
                    &channel.number(),
                    &now,
                    &(persons == Persons::Read),
                ],
            )
            .await?;
        rows.into_iter()
            .map(|found| {
                Ok(Due {
                    key: JobKey { campaign: CampaignId(found.get("campaign_id")), job: found.get("id") },
                    generation: Generation(found.get("generation")),
                    due_at: found.get("due_at"),
                    outcome: row::optional_outcome(NAME, found.get("outcome"))?,
                    account: found.get::<_, Option<i32>>("account_id").map(AccountId),
                    reason: found.get::<_, Option<i16>>("wait_reason").and_then(WaitReason::from_number),
                    attempt: found.get("attempt"),
                    zone: found.get::<_, Option<&str>>("time_zone").and_then(zone_named),
                    person: found.get("person"),
                })
            })
            .collect()
    }

    /// Due jobs wait on, each for its own time and reason. Returns how many were still waiting at their
    /// generation.
    pub async fn hold(&self, holds: &[Hold]) -> Result<u64, StoreError> {
        let campaigns: Vec<Uuid> = holds.iter().map(|hold| hold.key.campaign.0).collect();
        let jobs: Vec<i32> = holds.iter().map(|hold| hold.key.job).collect();
        let generations: Vec<i32> = holds.iter().map(|hold| hold.generation.0).collect();
        let due_at: Vec<DateTime<Utc>> = holds.iter().map(|hold| hold.due_at).collect();
        let reasons: Vec<i16> = holds.iter().map(|hold| hold.reason.number()).collect();
        self.count("hold", HOLD, &[&campaigns, &jobs, &generations, &due_at, &reasons]).await
    }

    /// Marks jobs queued, each with a new generation, if `duty` is still the caller's. Returns those that
    /// were still waiting. `requeue_at` is when a job whose message went missing is released again.
    pub async fn release(
        &self,
        duty: &Duty,
        releases: &[Release],
        now: DateTime<Utc>,
        requeue_at: DateTime<Utc>,
    ) -> Result<Vec<Released>, StoreError> {
        let campaigns: Vec<Uuid> = releases.iter().map(|release| release.key.campaign.0).collect();
        let jobs: Vec<i32> = releases.iter().map(|release| release.key.job).collect();
        let generations: Vec<i32> = releases.iter().map(|release| release.generation.0).collect();
        let accounts: Vec<i32> = releases.iter().map(|release| release.account.0).collect();
        let until: Vec<DateTime<Utc>> = releases.iter().map(|release| release.contact_until).collect();
        let rows = self
            .rows(
                "release",
                RELEASE,
                &[
                    &campaigns,
                    &jobs,
                    &generations,
                    &accounts,
                    &until,
                    &duty.name,
                    &duty.holder,
                    &duty.epoch,
                    &now,
                    &requeue_at,
                ],
            )
            .await?;
        Ok(rows
            .into_iter()
            .map(|found| Released {
                key: JobKey { campaign: CampaignId(found.get("campaign_id")), job: found.get("id") },
                generation: Generation(found.get("generation")),
                account: AccountId(found.get("account_id")),
                attempt: found.get("attempt"),
            })
            .collect())
    }

    /// Queued jobs go back to waiting: their message was not confirmed, or a worker gave them back. Returns
    /// how many were still queued at their generation.
    pub async fn give_back(
        &self,
        jobs: &[(JobKey, Generation)],
        due_at: DateTime<Utc>,
        reason: WaitReason,
    ) -> Result<u64, StoreError> {
        let campaigns: Vec<Uuid> = jobs.iter().map(|(key, _)| key.campaign.0).collect();
        let ids: Vec<i32> = jobs.iter().map(|(key, _)| key.job).collect();
        let generations: Vec<i32> = jobs.iter().map(|(_, generation)| generation.0).collect();
        let rows = self
            .rows("give_back", GIVE_BACK, &[&campaigns, &ids, &generations, &due_at, &reason.number()])
            .await?;
        Ok(rows.first().map_or(0, |found| found.get::<_, i64>(0).unsigned_abs()))
    }

    /// How many jobs are queued, by channel, lane and account.
    pub async fn queued_counts(&self) -> Result<Vec<QueuedCount>, StoreError> {
        read_queued_counts(self.rows("queued_counts", QUEUED_COUNTS, &[]).await?)
    }
}

pub(crate) fn read_open_campaigns(rows: Vec<tokio_postgres::Row>) -> Result<Vec<OpenCampaign>, StoreError> {
    const NAME: &str = "open_campaigns";
    let readable = |found: &tokio_postgres::Row| {
        row::calling_window(NAME, found)
            .and_then(|window| Ok((window, row::campaign_limits(NAME, found)?)))
            .inspect_err(|error| {
                let id = CampaignId(found.get("id"));
                tracing::error!(campaign.id = %id, trace_id = %TraceId::of_campaign(id), %error,
                    "campaign not released: its window or its limits are unreadable");
            })
            .ok()
    };
    rows.into_iter()
        .filter_map(|found| readable(&found).map(|settings| (found, settings)))
        .map(|(found, (calling_window, limits))| {
            Ok(OpenCampaign {
                id: CampaignId(found.get("id")),
                district: DistrictId(found.get("district_id")),
                weight: found.get::<_, i32>("weight").unsigned_abs(),
                lane: row::lane(NAME, found.get("lane"))?,
                channels: found
                    .get::<_, Vec<i16>>("channels")
                    .into_iter()
                    .map(|number| row::channel(NAME, number))
                    .collect::<Result<_, _>>()?,
                expires_at: found.get("expires_at"),
                calling_window,
                limits,
                zone: found.get::<_, Option<&str>>("time_zone").and_then(zone_named),
                expanded: found.get("expanded"),
            })
        })
        .collect()
}

pub(crate) fn read_queued_counts(rows: Vec<tokio_postgres::Row>) -> Result<Vec<QueuedCount>, StoreError> {
    const NAME: &str = "queued_counts";
    rows.into_iter()
        .map(|found| {
            Ok(QueuedCount {
                channel: row::channel(NAME, found.get("channel"))?,
                lane: row::lane(NAME, found.get("lane"))?,
                account: AccountId(found.get("account_id")),
                queued: found.get("queued"),
            })
        })
        .collect()
}

pub(crate) const OPEN_CAMPAIGNS: &str = "-- store.open_campaigns
select c.id, c.district_id, d.weight, c.lane, c.channels, c.expires_at, c.calling_window, c.limits, d.time_zone,
  c.expanded_at is not null as expanded
from campaigns c join districts d on d.id = c.district_id
where c.closed_at is null and c.state in (2, 3) and c.cancel_epoch is null and c.undecided_since is null
  and c.expires_at > (select tocsin_now()) and (c.expanded_at is not null or c.lane = 1)
  and not exists (select from stops s where s.district_id is null or s.district_id = c.district_id)
order by c.id";

pub(crate) const QUEUED_COUNTS: &str = "-- store.queued_counts
select channel, lane, account_id, sum(queued)::bigint as queued from flow group by 1, 2, 3";

/// A recipient's row is read only where the campaign has a window to hold it against, an address only where there
/// are senders to choose from.
pub(crate) const DUE_JOBS: &str = "-- store.due_jobs
select j.campaign_id, j.id, j.generation, j.due_at, j.outcome, j.account_id, j.wait_reason, j.attempt, r.time_zone,
  whom.person
from unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::int[]) d(campaign_id, after_due, after_job, most)
cross join lateral (select calling_window is not null as windowed from campaigns where id = d.campaign_id limit 1) c
cross join lateral (
  select j.campaign_id, j.id, j.generation, j.due_at, j.outcome, j.account_id, j.wait_reason, j.attempt,
    j.recipient_id
  from jobs j
  where j.campaign_id = d.campaign_id and j.channel = $5
    and j.due_at <= $6 and (j.due_at, j.id) > (d.after_due, d.after_job)
  order by j.due_at, j.id
  limit d.most) j
left join lateral (
  select time_zone from recipients
  where c.windowed and campaign_id = j.campaign_id and id = j.recipient_id limit 1) r on true
left join lateral (
  select hashtextextended(address, 0) as person from destinations
  where $7 and campaign_id = j.campaign_id and job_id = j.id limit 1) whom on true";

/// Job state 1 is waiting. A job that was released meanwhile has another generation.
pub(crate) const HOLD: &str = "-- store.hold
with asked as materialized (
  select * from unnest($1::uuid[], $2::int[], $3::int[], $4::timestamptz[], $5::smallint[])
    a(campaign_id, job_id, generation, due_at, reason)
  order by campaign_id, job_id
), locked as materialized (
  select j.campaign_id, j.id, a.due_at, a.reason
  from asked a cross join lateral (
    select * from jobs k
    where k.campaign_id = a.campaign_id and k.id = a.job_id and k.state = 1 and k.generation = a.generation
    for update) j
)
update jobs j set due_at = l.due_at, wait_reason = l.reason
from locked l where j.campaign_id = any(array[l.campaign_id]) and j.id = l.id";

/// A release that is lost with the server is made again, by the same generation; that another account may have it by then
/// is why a claim names its account.
pub(crate) const RELEASE: &str = concat!(
    "-- store.release
with asked as materialized (
  select * from unnest($1::uuid[], $2::int[], $3::int[], $4::int[], $5::timestamptz[])
    a(campaign_id, job_id, generation, account_id, contact_until)
  order by campaign_id, job_id
), leader as materialized (
  select 1 from planner_leases where duty = $6 and holder = $7 and epoch = $8 and expires_at > tocsin_now()
), locked as materialized (
  select j.campaign_id, j.id, a.account_id, a.contact_until
  from asked a cross join lateral (
    select * from jobs k
    where k.campaign_id = a.campaign_id and k.id = a.job_id and k.state = 1 and k.generation = a.generation
      and exists (select from leader)
    for update) j
), marked as (
  update jobs j set state = 2, generation = j.generation + 1, account_id = l.account_id,
    contact_until = l.contact_until, due_at = null, wait_reason = null, released_at = $9
  from locked l where j.campaign_id = any(array[l.campaign_id]) and j.id = l.id
  returning j.campaign_id, j.id, j.generation, j.account_id, j.channel, j.lane, j.attempt
), batched as (
  insert into release_batches (released_at, requeue_at, channel, lane, campaign_ids, job_ids, generations)
  select $9, $10, channel, lane, array_agg(campaign_id), array_agg(id), array_agg(generation)
  from marked group by channel, lane
), flowed as (
  insert into flow (channel, lane, account_id, queued)
  select channel, lane, account_id, count(*) from marked group by 1, 2, 3
), starting as materialized (
  select c.id
  from (select distinct campaign_id from marked order by campaign_id) m
  cross join lateral (select id from campaigns where id = m.campaign_id and state = 2 for no key update) c
), started as (
  update campaigns c set state = 3, started_at = coalesce(c.started_at, $9)
  where c.id = any(array(select id from starting))
)
select campaign_id, id, generation, account_id, attempt from marked cross join ",
    unhurried!()
);

pub(crate) const GIVE_BACK: &str = "-- store.give_back
with asked as materialized (
  select * from unnest($1::uuid[], $2::int[], $3::int[]) a(campaign_id, job_id, generation)
  order by campaign_id, job_id
), locked as materialized (
  select j.campaign_id, j.id
  from asked a cross join lateral (
    select * from jobs k
    where k.campaign_id = a.campaign_id and k.id = a.job_id and k.state = 2 and k.generation = a.generation
    for update) j
), marked as (
  update jobs j set state = 1, due_at = $4, wait_reason = $5
  from locked l where j.campaign_id = any(array[l.campaign_id]) and j.id = l.id
  returning j.channel, j.lane, j.account_id
), flowed as (
  insert into flow (channel, lane, account_id, queued)
  select channel, lane, account_id, -count(*) from marked group by 1, 2, 3
)
select count(*) from marked";
