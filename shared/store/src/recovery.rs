//! After a restore from a backup: what may have been sent since the backup becomes unknown, and waits for an operator's
//! decision, so that a restore sends nothing again by itself (docs/adr/0045-restores.md).

use chrono::{DateTime, Utc};
use tocsin_domain::recovery::Decision;
use tocsin_domain::settlement::{Report, ReportKind};
use tocsin_domain::{AttemptKey, CampaignId, CampaignState, DistrictId, JobKey, Lane};
use uuid::Uuid;

use crate::settle::Settled;
use crate::standing::is_attempted;
use crate::{Store, StoreError, row};

/// Jobs of one statement.
const JOBS_MAX: i32 = 2_000;

/// A campaign that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    pub id: CampaignId,
    pub district: DistrictId,
    pub number: i64,
    pub subject: String,
    pub lane: Lane,
    pub state: CampaignState,
    pub since: DateTime<Utc>,
    /// Jobs of which nobody knows whether they were sent.
    pub unknown: i64,
    /// Jobs that wait, and were surely not sent meanwhile.
    pub waiting: i64,
}

impl Undecided {
    /// Had it not begun to send when the backup was made? It may have since.
    pub fn had_not_begun(&self) -> bool {
        matches!(self.state, CampaignState::Scheduled | CampaignState::Processing)
    }
}

impl Store {
    /// Is this database a copy of the one that roles ran on?
    pub async fn is_restored(&self) -> Result<bool, StoreError> {
        let rows = self.rows("is_restored", "-- store.is_restored\nselect is_restored()", &[]).await?;
        Ok(rows.first().is_some_and(|found| found.get(0)))
    }

    /// Whatever this database is a copy of: nothing ran on that since it was copied. Roles start on this one.
    pub async fn mark_moved(&self) -> Result<(), StoreError> {
        self.count("mark_moved", MARK_MOVED, &[]).await.map(drop)
    }

    /// Turns what may have been sent into unknown attempts, and lets their campaigns wait for a decision. Does as much
    /// again when it is called again after it was interrupted. Roles start on this database afterwards.
    pub async fn recover(&self) -> Result<(), StoreError> {
        let now = self.now().await?;
        let rows = self.rows("mark_undecided", MARK_UNDECIDED, &[&now]).await?;
        for found in rows.iter().filter(|found| found.get::<_, bool>("sending")) {
            let (campaign, jobs): (Uuid, i32) = (found.get("id"), found.get("jobs_made"));
            let mut after = 0;
            while after < jobs {
                self.count("doubt_jobs", DOUBT_JOBS, &[&campaign, &after, &JOBS_MAX, &now]).await?;
                after += JOBS_MAX;
            }
        }
        self.count("mark_recovered", MARK_RECOVERED, &[&now]).await.map(drop)
    }

    /// The campaigns that wait for a decision, the oldest first.
    pub async fn undecided(&self) -> Result<Vec<Undecided>, StoreError> {
        const NAME: &str = "undecided";
        self.rows(NAME, UNDECIDED, &[])
            .await?
            .iter()
            .map(|found| {
                Ok(Undecided {
                    id: CampaignId(found.get("id")),
                    district: DistrictId(found.get("district_id")),
                    number: found.get("number"),
                    subject: found.get("subject"),
                    lane: row::lane(NAME, found.get("lane"))?,
                    state: row::campaign_state(NAME, found.get("state"))?,
                    since: found.get("undecided_since"),
                    unknown: found.get("unknown"),
                    waiting: found.get("waiting"),
                })
            })
            .collect()
    }

    /// Decides on a campaign that waits for it, and returns how many unknown jobs that moved. Its other jobs go on. One
    /// that had not begun goes on, or is canceled. None: no such campaign waits for a decision.
    pub async fn decide(
        &self,
        campaign: CampaignId,
        decision: Decision,
        by: &str,
    ) -> Result<Option<usize>, StoreError> {
        let Some(found) = self.undecided().await?.into_iter().find(|found| found.id == campaign) else {
            return Ok(None);
        };
        if decision == Decision::Leave && found.had_not_begun() {
            let reason = "left after a restore from a backup";
            self.tenant(found.district).cancel(campaign, by, Some(reason)).await?;
        }
        let now = self.now().await?;
        let mut after = 0;
        let mut moved = 0;
        loop {
            let rows = self.rows("in_doubt", IN_DOUBT, &[&campaign.0, &after, &i64::from(JOBS_MAX)]).await?;
            let Some(last) = rows.last() else { break };
            after = last.get("job_id");
            let keys: Vec<AttemptKey> = rows
                .iter()
                .map(|found| AttemptKey {
                    job: JobKey { campaign, job: found.get("job_id") },
                    number: found.get("number"),
                })
                .collect();
            moved += self.end_doubt(&keys, decision, now).await?.changed;
        }
        if decision == Decision::Leave {
            self.count("leave_tried", LEAVE_TRIED, &[&campaign.0, &now]).await?;
        }
        let details = serde_json::json!({ "decision": decision.as_str(), "jobs": moved });
        self.count("mark_decided", MARK_DECIDED, &[&campaign.0, &now, &by, &details]).await?;
        Ok(Some(moved))
    }

    async fn end_doubt(
        &self,
        keys: &[AttemptKey],
        decision: Decision,
        now: DateTime<Utc>,
    ) -> Result<Settled, StoreError> {
        let views =
            self.attempt_views(keys).await?.into_iter().map(|view| decision.of(view)).collect::<Vec<_>>();
        let over = |attempt: &AttemptKey| Report {
            attempt: *attempt,
            at: now,
            sequence: None,
            kind: ReportKind::DoubtOver,
        };
        self.settle(keys.iter().map(over).collect(), views, now).await
    }
}

const MARK_MOVED: &str = "-- store.mark_moved
update installation set database_oid = (select oid from pg_database where datname = current_database())";

const MARK_RECOVERED: &str = "-- store.mark_recovered
update installation set recovered_at = $1,
  database_oid = (select oid from pg_database where datname = current_database())";

/// Campaign states 1 scheduled, 2 processing, 3 sending. One whose time came may have begun meanwhile; one that was
/// canceled sends nothing more by itself.
const MARK_UNDECIDED: &str = "-- store.mark_undecided
update campaigns set undecided_since = coalesce(undecided_since, $1)
where closed_at is null and cancel_epoch is null
  and (state in (2, 3) or (state = 1 and scheduled_at <= $1))
returning id, jobs_made, state = 3 as sending";

/// Job states 1 waiting, 2 queued, 3 claimed; attempt states 1 asking, 2 accepted, 4 unknown; outcome 50 a call that is
/// over, which holds nothing. A job that is due later than now was surely not sent: it waits on.
///
/// The attempt is the one that a claim would have made, so that what its provider tells of it later finds it. It counts as
/// one that a claim made. The account of a job that was never released is any of its channel.
pub(crate) const DOUBT_JOBS: &str = concat!(
    "-- store.doubt_jobs
with locked as materialized (
  select j.campaign_id, j.id, j.district_id, j.state as old_state, j.channel, j.lane, j.account_id, j.generation,
    j.attempt, j.outcome, j.repeats
  from jobs j
  where j.campaign_id = $1 and j.id > $2 and j.id <= $2 + $3
    and (j.state = 2 or (j.state = 1 and j.due_at <= $4))
  order by j.campaign_id, j.id
  for update of j
), open as materialized (
  select a.campaign_id, a.job_id, a.number, a.account_id, a.worker_id, a.outcome
  from (
    select id, attempt from jobs
    where campaign_id = $1 and id > $2 and id <= $2 + $3 and state = 3
    order by id for update) j
  cross join lateral (
    select * from attempts k
    where k.campaign_id = $1 and k.job_id = j.id and k.number = j.attempt and k.state in (1, 2)
    for update) a
), marked as (
  update jobs j set state = 3, attempt = j.attempt + 1, tries = j.tries + 1, dispatched = j.dispatched + 1,
    due_at = null, wait_reason = null
  from locked l where j.campaign_id = any(array[l.campaign_id]) and j.id = l.id
), attempted as (
  insert into attempts (campaign_id, district_id, worker_id, claimed_at, send_by, job_id, account_id, generation,
    version, number, state, taken)
  select l.campaign_id, l.district_id, '00000000-0000-0000-0000-000000000000'::uuid, $4, $4, l.id,
    coalesce(l.account_id, (select min(id) from provider_accounts where channel = l.channel), 0), l.generation, 1,
    l.attempt + 1, 4, true
  from locked l
), doubted as (
  update attempts a set state = 4, version = a.version + 1, taken = true
  from open o where a.campaign_id = any(array[o.campaign_id]) and a.job_id = o.job_id and a.number = o.number
), looked_after as (
  insert into claim_batches (check_at, campaign_ids, job_ids, numbers)
  select $4, array_agg(u.campaign_id), array_agg(u.job_id), array_agg(u.number)
  from (
    select campaign_id, id as job_id, (attempt + 1)::smallint as number from locked
    union all select campaign_id, job_id, number from open) u
  group by u.job_id / 500
), freed as (
  insert into held (account_id, worker_id, attempts)
  select account_id, worker_id, -count(*) from open where outcome is distinct from 50 group by 1, 2
), flowed as (
  insert into flow (channel, lane, account_id, queued)
  select channel, lane, account_id, -count(*) from locked where old_state = 2 group by 1, 2, 3
), tallied as (
  insert into tallies (campaign_id, district_id, channel, attempts, untried, last_first_attempt_at, addresses_attempted)
  select campaign_id, district_id, channel, count(*), -count(*) filter (where attempt = 0),
    max($4::timestamptz) filter (where attempt = 0),
    coalesce(sum(",
    is_attempted!("true", "channel", "outcome"),
    "::int - ",
    is_attempted!("attempt > 0", "channel", "outcome"),
    "::int) filter (where not repeats), 0)
  from locked group by 1, 2, 3
)
select from locked"
);

const UNDECIDED: &str = "-- store.undecided
select c.id, c.district_id, c.number, c.subject, c.lane, c.state, c.undecided_since,
  (select count(*) from jobs j
   cross join lateral (
     select state from attempts where campaign_id = j.campaign_id and job_id = j.id and number = j.attempt limit 1) a
   where j.campaign_id = c.id and j.state = 3 and a.state = 4) as unknown,
  (select count(*) from jobs where campaign_id = c.id and state = 1) as waiting
from campaigns c where c.undecided_since is not null and c.closed_at is null
order by c.id";

/// The latest attempts of claimed jobs that are unknown.
const IN_DOUBT: &str = "-- store.in_doubt
select a.job_id, a.number
from (select campaign_id, id, attempt from jobs where campaign_id = $1 and id > $2 and state = 3 order by id) j
cross join lateral (
  select job_id, number from attempts
  where campaign_id = j.campaign_id and job_id = j.id and number = j.attempt and state = 4 limit 1) a
order by a.job_id limit $3";

/// Jobs that a report put back to waiting since the restore, for a redial that may have been made before it, end with what
/// they came to. Job states 1 waiting, 4 ended; the wait reason 2 is a redial.
const LEAVE_TRIED: &str = "-- store.leave_tried
with locked as materialized (
  select j.campaign_id, j.id, j.district_id, j.channel
  from jobs j cross join lateral (select undecided_since from campaigns where id = $1 limit 1) c
  where j.campaign_id = $1 and j.state = 1 and j.wait_reason = 2 and j.outcome is not null and j.dispatched > 0
    and exists (
      select from attempts a
      where a.campaign_id = j.campaign_id and a.job_id = j.id and a.number = j.attempt
        and a.settled_at >= c.undecided_since)
  order by j.id
  for update of j
), ended as (
  update jobs j set state = 4, due_at = null, wait_reason = null, ended_at = $2
  from locked l where j.campaign_id = any(array[l.campaign_id]) and j.id = l.id
)
insert into tallies (campaign_id, district_id, channel, open)
select campaign_id, district_id, channel, -count(*) from locked group by 1, 2, 3";

const MARK_DECIDED: &str = "-- store.mark_decided
with decided as (
  update campaigns set undecided_since = null where id = $1 returning district_id
)
insert into audit (district_id, at, actor, action, subject, details)
select district_id, $2, $3, 'campaign.recover', $1::text, $4 from decided";
