//! The claim: the one statement that turns a queued job into an attempt.
//!
//! It is the fence against redelivery, duplicates, races, leases that are over and cancels (promises 2, 3
//! and 4). The attempt's row is committed before the provider is asked.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use tocsin_domain::policy::{RECORD_MARGIN, REQUEST_DEADLINE, SEND_BY};
use tocsin_domain::{AccountId, AttemptKey, CampaignId, Generation, JobKey, Outcome, WorkerId};
use uuid::Uuid;

use crate::standing::is_attempted;
use crate::{Store, StoreError, row};

/// A job that a worker asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub key: JobKey,
    pub generation: Generation,
    /// That its message names, whose token was taken for it.
    pub account: AccountId,
}

/// The answer for one job.
#[derive(Debug, Clone)]
pub enum Claim {
    Granted(Box<Granted>),
    Denied(JobKey, AccountId, Denied),
}

impl Claim {
    /// Of what was asked: the job, and the account that it was asked for.
    pub fn asked(&self) -> (JobKey, AccountId) {
        match self {
            Self::Granted(granted) => (granted.attempt.job, granted.account),
            Self::Denied(key, account, _) => (*key, *account),
        }
    }
}

/// Why a job was not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The job is not queued at this generation for this account: claimed, ended, canceled or released again meanwhile.
    Stale,
    /// The campaign is being canceled; the sweep ends the job.
    Canceled,
    /// The worker holds no share of the account, or it is over. The job is still queued.
    NoLease,
    /// Its recipient may not be contacted any more in this window. The job waits again.
    Late,
    /// An operator stopped the sending of its district, or of all. The job waits again.
    Stopped,
    /// The address was suppressed, or its consent withdrawn, since the job was made. The job has ended.
    Barred(Outcome),
}

/// A claimed job: all that a request to the provider needs beside the campaign's content.
#[derive(Debug, Clone)]
pub struct Granted {
    pub attempt: AttemptKey,
    pub account: AccountId,
    pub tries: i16,
    /// The best outcome of earlier attempts.
    pub outcome: Option<Outcome>,
    pub address: String,
    pub extension: Option<String>,
    pub language: Option<String>,
    pub merge_values: BTreeMap<String, String>,
    /// By the store's clock.
    pub claimed_at: DateTime<Utc>,
    pub released_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Claims `asked` for `worker`, in one statement. The answers come in no particular order. A job may be asked for more
    /// than one account: its row says which of them it is for. Nothing may be asked twice.
    pub async fn claim(&self, worker: WorkerId, asked: &[Asked]) -> Result<Vec<Claim>, StoreError> {
        const NAME: &str = "claim";
        let campaigns: Vec<Uuid> = asked.iter().map(|job| job.key.campaign.0).collect();
        let jobs: Vec<i32> = asked.iter().map(|job| job.key.job).collect();
        let generations: Vec<i32> = asked.iter().map(|job| job.generation.0).collect();
        let accounts: Vec<i32> = asked.iter().map(|job| job.account.0).collect();
        let send_by_seconds = SEND_BY.as_secs_f64();
        let check_seconds = (SEND_BY + REQUEST_DEADLINE + RECORD_MARGIN).as_secs_f64();
        let rows = self
            .rows(
                NAME,
                CLAIM,
                &[&campaigns, &jobs, &generations, &worker.0, &send_by_seconds, &check_seconds, &accounts],
            )
            .await?;
        let mut answers = rows.iter().map(read_answer).collect::<Result<Vec<Claim>, StoreError>>()?;
        let judged: HashSet<(JobKey, AccountId)> = answers.iter().map(Claim::asked).collect();
        let stale = asked.iter().map(|job| (job.key, job.account)).filter(|asked| !judged.contains(asked));
        answers.extend(stale.map(|(key, account)| Claim::Denied(key, account, Denied::Stale)));
        Ok(answers)
    }
}

fn read_answer(found: &tokio_postgres::Row) -> Result<Claim, StoreError> {
    const NAME: &str = "claim";
    let key = JobKey { campaign: CampaignId(found.get("campaign_id")), job: found.get("job_id") };
    let account = AccountId(found.get("account_id"));
    let denied = match found.get::<_, i32>("verdict") {
        0 => {
            let values: serde_json::Value = found.get("merge_values");
            return Ok(Claim::Granted(Box::new(Granted {
                attempt: AttemptKey { job: key, number: found.get("number") },
                account,
                tries: found.get("tries"),
                outcome: row::optional_outcome(NAME, found.get("outcome"))?,
                address: found.get("address"),
                extension: found.get("extension"),
                language: found.get("language"),
                merge_values: row::from_json(NAME, "merge values", values)?,
                claimed_at: found.get("now"),
                released_at: found.get("released_at"),
            })));
        }
        2 => Denied::Canceled,
        3 => Denied::NoLease,
        4 => Denied::Late,
        6 => Denied::Stopped,
        _ => Denied::Barred(row::outcome(NAME, found.get::<_, Option<i16>>("barred").unwrap_or_default())?),
    };
    Ok(Claim::Denied(key, account, denied))
}

/// `locked` takes the rows in key order; `instant` is read after that, so that a lease that ran out while
/// the statement waited for a row is seen as over. States: 2 queued, 3 claimed, 4 ended, 1 waiting;
/// 8 is the wait reason Window, 11 Stopped, 32 the outcome Suppressed of who unsubscribed (channel 3 is email), 3 of a campaign is Sending. What is not answered was not queued at that
/// generation. The campaign's row is not locked: share locks
/// would starve the cancel; the sweep that follows a cancel waits for these job rows instead. `stopped` is one row, read
/// once a batch from a table that is almost always empty.
pub(crate) const CLAIM: &str = concat!(
    "-- store.claim
with asked as materialized (
  select * from unnest($1::uuid[], $2::int[], $3::int[], $7::int[]) a(campaign_id, job_id, generation, account_id)
  order by campaign_id, job_id
), locked as materialized (
  select j.campaign_id, j.id as job_id, j.district_id, j.account_id, j.attempt, j.tries, j.outcome, j.channel,
    j.lane, j.contact_until, j.recipient_id, j.generation, j.dispatched,
    j.repeats, j.released_at
  from asked a cross join lateral (
    select * from jobs k
    where k.campaign_id = a.campaign_id and k.id = a.job_id and k.state = 2 and k.generation = a.generation
      and k.account_id = a.account_id
    for update) j
), instant as materialized (
  select tocsin_now() as now from (select count(*) from locked) after_the_locks
), campaign as materialized (
  select c.* from (select distinct campaign_id from locked) l
  cross join lateral (
    select id, state, cancel_epoch, consent_class, message_type, undecided_since from campaigns
    where id = l.campaign_id limit 1) c
), stopped as materialized (
  select coalesce(bool_or(district_id is null), false) as all_districts,
    coalesce(array_agg(district_id), '{}') as districts
  from stops
), lease as materialized (
  select s.* from (select distinct account_id from locked) l
  cross join lateral (
    select account_id, expires_at from leases where account_id = l.account_id and worker_id = $4 limit 1) s
), judged as materialized (
  select l.*, d.address, d.extension,
    case
      when c.state <> 3 or c.cancel_epoch is not null then 2
      when x.all_districts or l.district_id = any(x.districts) or c.undecided_since is not null then 6
      when s.expires_at is null or s.expires_at <= i.now then 3
      when i.now + $5 * interval '1 second' >= l.contact_until then 4
      when consent.phone is not null or suppressed.outcome is not null then 5
      else 0
    end as verdict,
    case when consent.phone is not null then 31::smallint else suppressed.outcome end as barred
  from locked l cross join instant i cross join stopped x
  cross join lateral (select * from campaign where id = l.campaign_id limit 1) c
  cross join lateral (
    select address, extension from destinations
    where campaign_id = l.campaign_id and job_id = l.job_id limit 1) d
  left join lateral (select expires_at from lease where account_id = l.account_id limit 1) s on true
  left join lateral (
    select phone from consents
    where l.channel = 2 and district_id = l.district_id and phone = d.address and state = 3
      and (c.consent_class = 1
        and (select emergency_overrides_stop from districts where id = l.district_id)) is not true limit 1) consent
    on true
  left join lateral (
    select outcome from suppressions
    where district_id = l.district_id and channel = l.channel and address = d.address
    union all
    select 32::smallint from unsubscribes
    where l.channel = 3 and district_id = l.district_id and address = d.address and message_type = c.message_type
    limit 1) suppressed
    on true
), marked as (
  update jobs j set
    state = case g.verdict when 0 then 3 when 4 then 1 when 6 then 1 else 4 end,
    attempt = case g.verdict when 0 then j.attempt + 1 else j.attempt end,
    tries = case g.verdict when 0 then j.tries + 1 else j.tries end,
    dispatched = case g.verdict when 0 then j.dispatched + 1 else j.dispatched end,
    outcome = case g.verdict when 5 then coalesce(j.outcome, g.barred) else j.outcome end,
    ended_at = case g.verdict when 5 then i.now end,
    due_at = case when g.verdict in (4, 6) then i.now end,
    wait_reason = case g.verdict when 4 then 8 when 6 then 11 end
  from judged g cross join instant i
  where j.campaign_id = any(array[g.campaign_id]) and j.id = g.job_id and g.verdict in (0, 4, 5, 6)
), attempted as (
  insert into attempts (campaign_id, district_id, worker_id, claimed_at, send_by, job_id, account_id,
    generation, version, number, state)
  select g.campaign_id, g.district_id, $4, i.now, i.now + $5 * interval '1 second', g.job_id, g.account_id,
    g.generation, 1, g.attempt + 1, 1
  from judged g cross join instant i where g.verdict = 0
), batched as (
  insert into claim_batches (check_at, campaign_ids, job_ids, numbers)
  select i.now + $6 * interval '1 second', array_agg(g.campaign_id), array_agg(g.job_id),
    array_agg((g.attempt + 1)::smallint)
  from judged g cross join instant i where g.verdict = 0 group by i.now
), flowed as (
  insert into flow (channel, lane, account_id, queued)
  select channel, lane, account_id, -count(*) from judged where verdict in (0, 4, 5, 6) group by 1, 2, 3
), taken as (
  insert into held (account_id, worker_id, attempts)
  select account_id, $4, count(*) from judged where verdict = 0 group by 1
), tallied as (
  insert into tallies (campaign_id, district_id, channel, open, attempts, not_dispatched, untried,
    last_first_attempt_at, addresses_attempted, addresses_with_result)
  select g.campaign_id, g.district_id, g.channel, -count(*) filter (where verdict = 5),
    count(*) filter (where verdict = 0), count(*) filter (where verdict = 5 and g.dispatched = 0),
    -count(*) filter (where g.attempt = 0), max(i.now) filter (where verdict = 0 and g.attempt = 0),
    coalesce(sum(",
    is_attempted!("true", "g.channel", "coalesce(g.outcome, g.barred)"),
    "::int - ",
    is_attempted!("g.attempt > 0", "g.channel", "g.outcome"),
    "::int) filter (where not g.repeats), 0),
    count(*) filter (where verdict = 5 and g.outcome is null and not g.repeats)
  from judged g cross join instant i where verdict in (0, 5) group by 1, 2, 3
)
select g.campaign_id, g.job_id, g.verdict, g.barred, g.account_id,
  (g.attempt + 1)::smallint as number, (g.tries + 1)::smallint as tries, g.outcome, g.address, g.extension,
  r.language, r.merge_values, i.now, g.released_at
from judged g cross join instant i
left join lateral (
  select language, merge_values from recipients
  where g.verdict = 0 and campaign_id = g.campaign_id and id = g.recipient_id limit 1) r on true"
);
