//! Writing what reports change: the worker's own answers and the providers' callbacks alike.

mod batch;
mod opt_in;
mod taken;

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use tocsin_domain::policy::RedialPolicy;
use tocsin_domain::settlement::{AttemptView, Background, Change, JobAction, JobView, Report, settle};
use tocsin_domain::{AttemptKey, CampaignId, Channel, DistrictId, JobKey, Outcome};
use tokio_postgres::Row;
use uuid::Uuid;

use self::batch::Batch;
pub(crate) use self::taken::TAKE;
use self::taken::only_taken;
use crate::standing::told_people;
use crate::{Store, StoreError, row};

/// How often a batch is read and decided again because its rows moved meanwhile. Each round settles at
/// least the rows that nobody else moved, so that more means a fault.
const ROUNDS_MAX: usize = 20;

/// How many rows one statement reads or writes.
const ROWS_MAX: usize = 500;

/// A change and what it was decided on.
type Entry<'a> = &'a (AttemptView, Change);

/// What became of a batch of reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Attempts whose row changed.
    pub changed: usize,
    /// Attempts for which the reports said nothing new.
    pub unchanged: usize,
    /// Attempts that do not exist, or not yet.
    pub unmatched: Vec<AttemptKey>,
    /// Jobs that wait again, so that a release is worth its while.
    pub waiting_again: usize,
    /// How many attempts came to which terminal outcome; one that rose counts again.
    pub outcomes: BTreeMap<(Channel, Outcome), u64>,
    /// What was written, each with what it was decided on.
    pub written: Vec<(AttemptView, Change)>,
}

impl Store {
    /// Merges `reports` into their attempts and moves their jobs on: reads, decides by
    /// [`tocsin_domain::settlement::settle`], writes by compare-and-set, and does it again for rows that
    /// moved meanwhile. `known` are views that the caller already has (from a claim); they save the read.
    pub async fn settle(
        &self,
        reports: Vec<Report>,
        known: Vec<AttemptView>,
        now: DateTime<Utc>,
    ) -> Result<Settled, StoreError> {
        let mut by_attempt: BTreeMap<AttemptKey, Vec<Report>> = BTreeMap::new();
        for report in reports {
            by_attempt.entry(report.attempt).or_default().push(report);
        }
        let mut views: Vec<AttemptView> =
            known.into_iter().filter(|view| by_attempt.contains_key(&view.key)).collect();
        let mut to_read: Vec<AttemptKey> = {
            let have: HashSet<AttemptKey> = views.iter().map(|view| view.key).collect();
            by_attempt.keys().filter(|key| !have.contains(key)).copied().collect()
        };
        let mut settled = Settled::default();
        for _ in 0..ROUNDS_MAX {
            if !to_read.is_empty() {
                let read = self.attempt_views(&to_read).await?;
                if read.len() < to_read.len() {
                    let found: HashSet<AttemptKey> = read.iter().map(|view| view.key).collect();
                    settled.unmatched.extend(to_read.iter().filter(|key| !found.contains(key)));
                }
                views.extend(read);
            }
            let mut changes = Vec::with_capacity(views.len());
            let mut later = Vec::new();
            let mut jobs = HashSet::with_capacity(views.len());
            for view in views.drain(..) {
                // Two attempts of one job would each decide what the job does next: one a round.
                if !jobs.insert(view.key.job) {
                    later.push(view.key);
                    continue;
                }
                let reports = by_attempt.get(&view.key).map_or(&[][..], Vec::as_slice);
                match settle(&view, reports, now) {
                    Some(change) => changes.push((view, change)),
                    None => settled.unchanged += 1,
                }
            }
            // Before the rows: what a process that dies in between leaves undone is done again.
            self.ask_opt_ins(&changes, now).await?;
            let moved = self.apply(&changes, now).await?;
            settled.changed += changes.len() - moved.len();
            let stayed: HashSet<AttemptKey> = moved.iter().copied().collect();
            settled.waiting_again += changes
                .iter()
                .filter(|(view, change)| {
                    matches!(change.job, JobAction::Wait { .. }) && !stayed.contains(&view.key)
                })
                .count();
            let came_to = changes.iter().filter(|(view, _)| !stayed.contains(&view.key)).filter_map(terminal);
            came_to.for_each(|key| *settled.outcomes.entry(key).or_default() += 1);
            changes.retain(|(view, _)| !stayed.contains(&view.key));
            settled.written.append(&mut changes);
            to_read = moved;
            to_read.extend(later);
            if to_read.is_empty() {
                return Ok(settled);
            }
        }
        Err(StoreError::Contended { statement: "settle", rows: to_read.len() })
    }

    /// The attempts of `keys` that exist, each with its job.
    pub async fn attempt_views(&self, keys: &[AttemptKey]) -> Result<Vec<AttemptView>, StoreError> {
        let mut views = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(ROWS_MAX) {
            let campaigns: Vec<Uuid> = chunk.iter().map(|key| key.job.campaign.0).collect();
            let jobs: Vec<i32> = chunk.iter().map(|key| key.job.job).collect();
            let numbers: Vec<i16> = chunk.iter().map(|key| key.number).collect();
            let rows = self.rows("attempt_views", ATTEMPT_VIEWS, &[&campaigns, &jobs, &numbers]).await?;
            for found in rows {
                views.push(read_view(&found)?);
            }
        }
        Ok(views)
    }

    /// Writes `changes` where neither the attempt nor its job moved since the view was taken. Returns the
    /// attempts that did move.
    async fn apply(
        &self,
        changes: &[(AttemptView, Change)],
        now: DateTime<Utc>,
    ) -> Result<Vec<AttemptKey>, StoreError> {
        let (taken, others): (Vec<Entry>, Vec<Entry>) =
            changes.iter().partition(|(view, change)| only_taken(view, change));
        let mut moved = Vec::new();
        for chunk in others.chunks(ROWS_MAX) {
            moved.extend(self.apply_batch(chunk, now).await?);
        }
        for chunk in taken.chunks(ROWS_MAX) {
            moved.extend(self.take(chunk).await?);
        }
        Ok(moved)
    }

    async fn apply_batch(
        &self,
        changes: &[Entry<'_>],
        now: DateTime<Utc>,
    ) -> Result<Vec<AttemptKey>, StoreError> {
        let batch = Batch::of(changes);
        let rows = self
            .rows(
                "apply",
                APPLY,
                &[
                    &batch.campaigns,
                    &batch.jobs,
                    &batch.numbers,
                    &batch.versions,
                    &batch.states,
                    &batch.outcomes,
                    &batch.results,
                    &batch.provider_ids,
                    &batch.provider_codes,
                    &batch.job_states,
                    &batch.job_attempts,
                    &batch.job_outcomes,
                    &batch.actions,
                    &batch.due_at,
                    &batch.reasons,
                    &batch.best,
                    &batch.refunds,
                    &batch.canceled,
                    &batch.job_results,
                    &batch.best_results,
                    &now,
                    &batch.sequences,
                    &batch.answered,
                    &batch.detect_until,
                    &batch.attempted,
                    &batch.contacted,
                    &batch.with_result,
                ],
            )
            .await?;
        let written = written(&rows);
        Ok(changes.iter().map(|(view, _)| view.key).filter(|key| !written.contains(key)).collect())
    }
}

/// The terminal outcome that a change brings its attempt to.
fn terminal((view, change): &(AttemptView, Change)) -> Option<(Channel, Outcome)> {
    let outcome = change.outcome.filter(|outcome| outcome.terminal() && view.outcome != Some(*outcome))?;
    Some((view.job.channel, outcome))
}

/// The attempts that a statement says it wrote.
fn written(rows: &[Row]) -> HashSet<AttemptKey> {
    let key = |found: &Row| AttemptKey {
        job: JobKey { campaign: CampaignId(found.get("campaign_id")), job: found.get("job_id") },
        number: found.get("number"),
    };
    rows.iter().map(key).collect()
}

fn read_view(found: &Row) -> Result<AttemptView, StoreError> {
    const NAME: &str = "attempt_views";
    let redial: RedialPolicy = row::from_json(NAME, "a redial policy", found.get("redial"))?;
    Ok(AttemptView {
        key: AttemptKey {
            job: JobKey { campaign: CampaignId(found.get("campaign_id")), job: found.get("job_id") },
            number: found.get("number"),
        },
        version: found.get("version"),
        state: row::attempt_state(NAME, found.get("state"))?,
        outcome: row::optional_outcome(NAME, found.get("outcome"))?,
        sequence: found.get("sequence"),
        provider_code: found.get("provider_code"),
        provider_id: found.get("provider_id"),
        answered: row::optional_outcome(NAME, found.get("answered"))?,
        detect_until: found.get("detect_until"),
        job: JobView {
            state: row::job_state(NAME, found.get("job_state"))?,
            attempt: found.get("job_attempt"),
            tries: found.get("tries"),
            outcome: row::optional_outcome(NAME, found.get("job_outcome"))?,
            channel: row::channel(NAME, found.get("channel"))?,
            lane: row::lane(NAME, found.get("lane"))?,
            redial,
            expires_at: found.get("expires_at"),
            canceled: found.get("canceled"),
            asks_opt_in: found.get("asks_opt_in"),
        },
        background: Background {
            district: Some(DistrictId(found.get("district_id"))),
            released_at: found.get("released_at"),
            claimed_at: found.get("claimed_at"),
        },
    })
}

pub(crate) const ATTEMPT_VIEWS: &str = "-- store.attempt_views
select a.campaign_id, a.job_id, a.number, a.version, a.state, a.outcome, a.provider_code, a.provider_id,
  a.sequence, a.answered, a.detect_until, a.claimed_at, a.district_id,
  case when j.generation = a.generation then j.released_at end as released_at,
  j.state as job_state, j.attempt as job_attempt, j.tries, j.outcome as job_outcome, j.channel, j.lane,
  c.redial, c.expires_at, c.cancel_epoch is not null as canceled,
  c.consent_class = 4 as asks_opt_in
from unnest($1::uuid[], $2::int[], $3::smallint[]) u(campaign_id, job_id, number)
cross join lateral (
  select * from attempts
  where campaign_id = u.campaign_id and job_id = u.job_id and number = u.number limit 1) a
cross join lateral (select * from jobs where campaign_id = u.campaign_id and id = u.job_id limit 1) j
cross join lateral (select * from campaigns where id = u.campaign_id limit 1) c";

/// Actions: 0 keep, 1 raise, 2 wait, 3 end. Each job is locked before its attempt, in key order, as
/// everywhere; the attempt is compared by its version, the job by state, attempt and outcome; and no job of a
/// campaign that was canceled since the decision goes back to waiting. Returns what was written.
///
/// Job states: 1 waiting, 2 queued, 4 ended. Results: 1 successful, 2 error, 3 canceled, 4 not dispatched,
/// which takes the attempt out of the count (nobody was contacted). A job that ended without an attempt that
/// counts is itself counted, `was` before and `becomes` after. Attempt state 1 is asking, 2 accepted: these the
/// provider holds, but for calls that are over and wait for the word who answered: outcome 50, Call Ended. Those are looked
/// after at `detect_until`. Outcome 106 is Confirmed, which nothing that a call comes to outranks. 3 is settled, 4 unknown; recall 1 ordered, 2 stopped, 3 too late.
///
/// `attempted`, `contact` and `with_result` are what the change adds to the totals of addresses. Of people who are
/// contacted by phone (channels 1 and 2) those with one job count by it, the others by `phone_people`. A job whose
/// phone others share is passed over while this statement's snapshot does not have all of their rows.
pub(crate) const APPLY: &str = concat!(
    "-- store.apply
with asked as materialized (
  select * from unnest($1::uuid[], $2::int[], $3::smallint[], $4::int[], $5::smallint[], $6::smallint[],
    $7::smallint[], $8::text[], $9::text[], $10::smallint[], $11::smallint[], $12::smallint[],
    $13::smallint[], $14::timestamptz[], $15::smallint[], $16::smallint[], $17::smallint[], $18::boolean[],
    $19::smallint[], $20::smallint[], $22::bigint[], $23::smallint[], $24::timestamptz[],
    $25::smallint[], $26::smallint[], $27::smallint[])
  a(campaign_id, job_id, number, version, state, outcome, result, provider_id, provider_code, job_state,
    job_attempt, job_outcome, action, due_at, reason, best, refund, canceled, job_result, best_result, sequence,
    answered, detect_until, attempted, contact, with_result)
  order by campaign_id, job_id
), locked as materialized (
  select a.*, j.channel, j.lane, j.account_id, j.district_id, j.dispatched, j.recipient_id,
    j.repeats, j.sole, j.shared_by, t.result as old_result,
    t.account_id as asked_account, t.worker_id, t.detect_until as old_detect_until,
    (a.state in (1, 2) and a.outcome is distinct from 50)::int
      - (t.state in (1, 2) and t.outcome is distinct from 50)::int as holds,
    (a.result <> 4)::int - (t.result <> 4)::int as dispatches
  from asked a
  cross join lateral (
    select * from jobs k
    where k.campaign_id = a.campaign_id and k.id = a.job_id and k.state = a.job_state
      and k.attempt = a.job_attempt and k.outcome is not distinct from a.job_outcome
    for update) j
  cross join lateral (
    select * from attempts k
    where k.campaign_id = a.campaign_id and k.job_id = a.job_id and k.number = a.number
      and k.version = a.version
    for update) t
  where a.action <> 2 or exists (
    select from campaigns where id = a.campaign_id and a.canceled = (cancel_epoch is not null) offset 0)
), weighed as materialized (
  select l.*,
    case when l.job_state = 4 and l.dispatched = 0 then l.job_result end as was,
    case when (l.job_state = 4 or l.action = 3) and l.dispatched + l.dispatches = 0 then l.best_result end
      as becomes
  from locked l
  where l.contact = 0 or l.shared_by = 0
    or l.shared_by = (select count(*) from phone_duplicates where campaign_id = l.campaign_id and job_id = l.job_id)
), written as (
  update attempts t set version = t.version + 1, state = w.state, outcome = w.outcome, result = w.result,
    provider_id = w.provider_id, provider_code = w.provider_code, sequence = w.sequence, answered = w.answered,
    detect_until = w.detect_until,
    settled_at = case when w.state = 3 then coalesce(t.settled_at, $21) end,
    taken = t.taken or t.state in (2, 4) or w.state in (2, 4),
    recall = case when w.state = 3 and t.recall = 1 then case when w.result = 3 then 2 else 3 end
      else t.recall end
  from weighed w
  where t.campaign_id = any(array[w.campaign_id]) and t.job_id = w.job_id and t.number = w.number
), moved as (
  update jobs j set
    state = case w.action when 2 then 1 when 3 then 4 else j.state end,
    outcome = case w.action when 2 then w.best else coalesce(w.best, j.outcome) end,
    due_at = case w.action when 2 then w.due_at when 3 then null else j.due_at end,
    wait_reason = case w.action when 2 then w.reason when 3 then null else j.wait_reason end,
    ended_at = case w.action when 3 then coalesce(j.ended_at, $21) else j.ended_at end,
    tries = j.tries - w.refund,
    dispatched = j.dispatched + w.dispatches
  from weighed w
  where j.campaign_id = any(array[w.campaign_id]) and j.id = w.job_id and (w.action <> 0 or w.dispatches <> 0)
), flowed as (
  insert into flow (channel, lane, account_id, queued)
  select channel, lane, account_id, -count(*) from weighed
  where action in (2, 3) and job_state = 2 group by 1, 2, 3
), awaited as (
  insert into claim_batches (check_at, campaign_ids, job_ids, numbers)
  select detect_until, array_agg(campaign_id), array_agg(job_id), array_agg(number)
  from weighed where detect_until is not null and old_detect_until is null group by 1
), freed as (
  insert into held (account_id, worker_id, attempts)
  select asked_account, worker_id, sum(holds) from weighed group by 1, 2 having sum(holds) <> 0
), tallied as (
  insert into tallies (campaign_id, district_id, channel, open, attempts, successful, error, canceled,
    not_dispatched, addresses_attempted, addresses_contacted, addresses_with_result, confirmed)
  select campaign_id, district_id, channel,
    -count(*) filter (where action = 3 and job_state <> 4),
    sum(dispatches),
    count(*) filter (where result = 1) - count(*) filter (where old_result = 1)
      + count(*) filter (where becomes = 1) - count(*) filter (where was = 1),
    count(*) filter (where result = 2) - count(*) filter (where old_result = 2)
      + count(*) filter (where becomes = 2) - count(*) filter (where was = 2),
    count(*) filter (where result = 3) - count(*) filter (where old_result = 3)
      + count(*) filter (where becomes = 3) - count(*) filter (where was = 3),
    count(*) filter (where becomes = 4) - count(*) filter (where was = 4),
    coalesce(sum(attempted) filter (where not repeats), 0), coalesce(sum(contact) filter (where not repeats), 0),
    coalesce(sum(with_result) filter (where not repeats), 0),
    count(*) filter (where best = 106 and job_outcome is distinct from 106)
  from weighed
  where result <> old_result or was is distinct from becomes or (action = 3 and job_state <> 4)
    or attempted <> 0 or contact <> 0 or with_result <> 0
    or (best = 106 and job_outcome is distinct from 106)
  group by 1, 2, 3
), met as (
  select w.campaign_id, w.district_id, r.person_id, w.contact
  from weighed w cross join lateral (
    select person_id from recipients where campaign_id = w.campaign_id and id = w.recipient_id limit 1) r
  where w.contact <> 0 and w.channel in (1, 2) and not w.sole
  union all
  select w.campaign_id, w.district_id, d.person_id, w.contact
  from weighed w cross join lateral (
    select person_id from phone_duplicates where campaign_id = w.campaign_id and job_id = w.job_id offset 0) d
  where w.contact <> 0 and w.shared_by > 0
), ",
    told_people!(),
    ", tallied_people as (
  insert into tallies (campaign_id, district_id, channel, contacted_by_phone)
  select campaign_id, district_id, 0, sum(change)
  from (
    select campaign_id, district_id, contact as change from weighed where sole and contact <> 0
    union all
    select campaign_id, district_id, (contacts > 0)::int - (contacts_before > 0)::int from told_people) c
  group by 1, 2 having sum(change) <> 0
)
select campaign_id, job_id, number from weighed"
);

#[cfg(test)]
mod tests {
    use tocsin_domain::Outcome;

    #[test]
    fn the_numbers_written_into_the_statements_are_the_domains() {
        assert_eq!(Outcome::CallEnded.number(), 50);
        assert_eq!(Outcome::Confirmed.number(), 106);
        assert_eq!(tocsin_domain::consent::ConsentClass::AsksOptIn.number(), 4);
    }
}
