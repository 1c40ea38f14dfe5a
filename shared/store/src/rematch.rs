//! Reports that were kept without an attempt find it later.
//!
//! Three ways lead there. A report whose token names an attempt that did not exist is tried again, by whoever
//! calls [`Store::unmatched_reports`] now and then. One without a token has the provider's id: when an attempt
//! is looked after, [`Store::name_unmatched`] gives those of its id the attempt's name; one that comes when its
//! attempt is settled, and looked after by nobody, is sought by [`Store::seek_settled`]. The first way does the rest.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::settlement::{Report, ReportKind};
use tocsin_domain::{AttemptKey, CampaignId, JobKey};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{Store, StoreError, row};

/// Which event, and where the pages of them go on: ids are drawn at receipt, in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub id: Uuid,
    pub ordinal: i16,
}

/// An event without an attempt, whose token names one.
#[derive(Debug, Clone)]
pub struct Unmatched {
    pub place: Place,
    pub attempt: AttemptKey,
    /// Name of the provider account that it came from.
    pub account: String,
    /// None for a callback that was not understood.
    pub report: Option<Report>,
}

/// What a search among settled attempts came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sought {
    pub reports: u64,
    /// Of these, those that are named after an attempt now.
    pub named: u64,
}

/// An attempt of a campaign older than this is not sought: nobody reports so late.
const CAMPAIGN_AGE_MAX: TimeDelta = TimeDelta::days(31);
/// A report is sought when it came, and once more so much later, for its attempt may have been open then, and been
/// settled by another report before anybody looked after it.
const SOUGHT_AGAIN_AFTER: TimeDelta = TimeDelta::hours(1);

impl Store {
    /// Unmatched reports that name an attempt, in the order of their receipt: after a place, or from the first
    /// that was received since `since` on.
    pub async fn unmatched_reports(
        &self,
        since: DateTime<Utc>,
        after: Option<Place>,
        reports_max: i64,
    ) -> Result<Vec<Unmatched>, StoreError> {
        const NAME: &str = "unmatched_reports";
        let (id, ordinal) = (after.map(|place| place.id), after.map(|place| place.ordinal));
        let rows = self.rows(NAME, UNMATCHED_REPORTS, &[&since, &id, &ordinal, &reports_max]).await?;
        rows.iter().map(|found| read(NAME, found)).collect()
    }

    /// These events become those of the attempts that they name, where they exist. Returns how many.
    pub async fn match_events(&self, events: &[Place]) -> Result<u64, StoreError> {
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        let ordinals: Vec<i16> = events.iter().map(|event| event.ordinal).collect();
        self.count("match_events", MATCH_EVENTS, &[&ids, &ordinals]).await
    }

    /// Unmatched reports with the provider's id of one of `attempts`, over the same account, are named after
    /// it. Returns how many.
    pub async fn name_unmatched(&self, attempts: &[AttemptKey]) -> Result<u64, StoreError> {
        let campaigns: Vec<Uuid> = attempts.iter().map(|key| key.job.campaign.0).collect();
        let jobs: Vec<i32> = attempts.iter().map(|key| key.job.job).collect();
        let numbers: Vec<i16> = attempts.iter().map(|key| key.number).collect();
        self.count("name_unmatched", NAME_UNMATCHED, &[&campaigns, &jobs, &numbers]).await
    }

    /// Seeks reports that came without a token, since `since`, by the provider's id and account among all attempts, and
    /// names those that are found after them. Each is sought twice at most, whoever asks. However many there are, the
    /// attempts are read once: whoever asks waits until some have come together.
    pub async fn seek_settled(
        &self,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
        reports_max: i64,
    ) -> Result<Sought, StoreError> {
        const NAME: &str = "seek_settled";
        let failed = || StoreError::statement(NAME);
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        let again = now - SOUGHT_AGAIN_AFTER;
        let statement = transaction.prepare_cached(UNSOUGHT).await.map_err(failed())?;
        let unsought =
            transaction.query(&statement, &[&since, &again, &reports_max]).await.map_err(failed())?;
        if unsought.is_empty() {
            return Ok(Sought::default());
        }
        let (mut ids, mut ordinals) = (Vec::<Uuid>::new(), Vec::<i16>::new());
        let (mut accounts, mut provider_ids) = (Vec::<&str>::new(), Vec::<&str>::new());
        for report in &unsought {
            ids.push(report.get("id"));
            ordinals.push(report.get("ordinal"));
            accounts.push(report.get("account"));
            provider_ids.push(report.get("provider_id"));
        }
        let from = now - CAMPAIGN_AGE_MAX;
        let parts = transaction.query(PARTS, &[&from]).await.map_err(failed())?;
        let names: Vec<&str> = parts.iter().map(|part| part.get("name")).collect();
        // No key leads from a provider's id to an attempt (docs/adr/0036-late-reports.md).
        transaction.batch_execute(PLAN_BY_READING).await.map_err(failed())?;
        let found = transaction
            .query(&seek_by_reading(&names), &[&accounts, &provider_ids])
            .await
            .map_err(failed())?;
        transaction.batch_execute(PLAN_BY_KEYS).await.map_err(failed())?;
        let mut campaigns: Vec<Option<Uuid>> = vec![None; ids.len()];
        let mut jobs: Vec<Option<i32>> = vec![None; ids.len()];
        let mut numbers: Vec<Option<i16>> = vec![None; ids.len()];
        let by_id: HashMap<(&str, &str), &tokio_postgres::Row> = found
            .iter()
            .map(|attempt| ((attempt.get("account"), attempt.get("provider_id")), attempt))
            .collect();
        for (at, of_report) in accounts.iter().zip(&provider_ids).enumerate() {
            if let Some(attempt) = by_id.get(&(*of_report.0, *of_report.1)) {
                campaigns[at] = attempt.get("campaign_id");
                jobs[at] = attempt.get("job_id");
                numbers[at] = attempt.get("number");
            }
        }
        let named = campaigns.iter().filter(|campaign| campaign.is_some()).count() as u64;
        let statement = transaction.prepare_cached(MARK_SOUGHT).await.map_err(failed())?;
        let parameters: [&(dyn ToSql + Sync); 5] = [&ids, &ordinals, &campaigns, &jobs, &numbers];
        transaction.execute(&statement, &parameters).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(Sought { reports: ids.len() as u64, named })
    }
}

fn read(statement: &'static str, found: &tokio_postgres::Row) -> Result<Unmatched, StoreError> {
    let place = Place { id: found.get("id"), ordinal: found.get("ordinal") };
    let job = JobKey { campaign: CampaignId(found.get("token_campaign_id")), job: found.get("token_job_id") };
    let attempt = AttemptKey { job, number: found.get("token_number") };
    let report = row::optional_outcome(statement, found.get("outcome"))?.map(|outcome| Report {
        attempt,
        at: found.get::<_, Option<DateTime<Utc>>>("reported_at").unwrap_or_else(|| found.get("received_at")),
        sequence: found.get("sequence"),
        kind: ReportKind::Status {
            outcome,
            provider_code: found.get("provider_code"),
            provider_id: found.get("provider_id"),
        },
    });
    Ok(Unmatched { place, attempt, account: found.get("account"), report })
}

/// What is unmatched has neither campaign nor district, and so lies in the default partition. The statements
/// name it, and compare neither campaign nor ordinal as they stand, by which another index could be walked whole.
pub(crate) const UNMATCHED_REPORTS: &str = "-- store.unmatched_reports
select id, ordinal, received_at, reported_at, token_campaign_id, token_job_id, token_number, outcome,
  account, provider_id, provider_code, sequence
from events_default
where district_id is null and token_campaign_id is not null
  and (id, ordinal) > (coalesce($2, uuid7_floor($1)), coalesce($3, (-1)::smallint))
order by id, ordinal limit $4";

/// The event of a redelivery may be there already.
pub(crate) const MATCH_EVENTS: &str = "-- store.match_events
with found as materialized (
  select a.id, a.ordinal
  from (select * from unnest($1::uuid[], $2::smallint[]) a(id, ordinal) order by id, ordinal) a
  cross join lateral (
    select * from events_default where id = a.id and ordinal = a.ordinal and district_id is null limit 1) e
  cross join lateral (
    select from attempts
    where campaign_id = e.token_campaign_id and job_id = e.token_job_id and number = e.token_number limit 1) t
), gone as (
  delete from events_default e using found f
  where e.id = any(array[f.id]) and e.ordinal::int = f.ordinal and e.district_id is null
  returning e.*
)
insert into events (campaign_id, district_id, job_id, number, id, ordinal, received_at, reported_at, outcome,
  account, provider_id, provider_code, raw, sequence)
select g.token_campaign_id, c.district_id, g.token_job_id, g.token_number, g.id, g.ordinal, g.received_at,
  g.reported_at, g.outcome, g.account, g.provider_id, g.provider_code, g.raw, g.sequence
from gone g
cross join lateral (select district_id from campaigns where id = g.token_campaign_id limit 1) c
on conflict (campaign_id, job_id, id, ordinal) do nothing";

pub(crate) const NAME_UNMATCHED: &str = "-- store.name_unmatched
with found as materialized (
  select e.id, e.ordinal, u.campaign_id, u.job_id, u.number
  from unnest($1::uuid[], $2::int[], $3::smallint[]) u(campaign_id, job_id, number)
  cross join lateral (
    select account_id, provider_id from attempts
    where campaign_id = u.campaign_id and job_id = u.job_id and number = u.number
      and provider_id is not null limit 1) a
  cross join lateral (
    select coalesce((select name from provider_accounts where id = o.parent_id), o.name) as name
    from provider_accounts o where o.id = a.account_id limit 1) p
  cross join lateral (
    select id, ordinal from events_default
    where provider_id = a.provider_id and account = p.name and district_id is null
      and token_campaign_id is null offset 0) e
  order by e.id, e.ordinal
)
update events_default e set token_campaign_id = f.campaign_id, token_job_id = f.job_id, token_number = f.number
from found f
where e.id = any(array[f.id]) and e.ordinal::int = f.ordinal and e.district_id is null";

/// Two collectors take different ones.
pub(crate) const UNSOUGHT: &str = "-- store.seek_settled unsought
select id, ordinal, account, provider_id from events_default
where district_id is null and token_campaign_id is null and provider_id is not null and sought < 2
  and id >= uuid7_floor($1) and (sought = 0 or received_at <= $2)
order by id limit $3 for update skip locked";

const PLAN_BY_READING: &str =
    "set local enable_seqscan = on; set local enable_hashjoin = on; set local enable_indexscan = off";
const PLAN_BY_KEYS: &str = "set local enable_bitmapscan = off; set local enable_seqscan = off; \
     set local enable_hashjoin = off; set local enable_indexscan = on";

/// The months that are sought, and the default partition. Their names are ours, and need no quotes.
const PARTS: &str = "-- store.seek_settled parts
select c.relname::text as name
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'attempts'::regclass and c.relname >= 'attempts_' || to_char($1::timestamptz at time zone 'UTC', 'YYYY_MM')
order by 1";

/// One reading of the attempts for all of them. Each partition by itself: a bound of the campaigns would be looked up by
/// the key, which leads to all of them. Joined by a hash: held against an array each attempt would be compared with every
/// report.
fn seek_by_reading(parts: &[&str]) -> String {
    let of_part = |part: &&str| {
        format!(
            "select account_id, provider_id, campaign_id, job_id, number from {part} where provider_id is not null"
        )
    };
    format!(
        "-- store.seek_settled by_reading
select coalesce(p.name, o.name) as account, a.provider_id, a.campaign_id, a.job_id, a.number
from unnest($1::text[], $2::text[]) u(account, provider_id)
join ({}) a on a.provider_id = u.provider_id
join provider_accounts o on o.id = a.account_id
left join provider_accounts p on p.id = o.parent_id
where coalesce(p.name, o.name) = u.account",
        parts.iter().map(of_part).collect::<Vec<_>>().join("\n  union all ")
    )
}

pub(crate) const MARK_SOUGHT: &str = "-- store.seek_settled mark
update events_default e set sought = e.sought + 1, token_campaign_id = u.campaign_id, token_job_id = u.job_id,
  token_number = u.number
from unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::int[], $5::smallint[])
  u(id, ordinal, campaign_id, job_id, number)
where e.id = any(array[u.id]) and e.ordinal::int = u.ordinal and e.district_id is null";
