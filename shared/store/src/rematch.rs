//! Reports that were kept without an attempt find it later.
//!
//! Two ways lead there. A report whose token names an attempt that did not exist is tried again, by whoever
//! calls [`Store::unmatched_reports`] now and then. One without a token has the provider's id: when an attempt
//! is looked after, [`Store::name_unmatched`] gives those of its id the attempt's name, and the first way does
//! the rest.

use chrono::{DateTime, Utc};
use tocsin_domain::settlement::{Report, ReportKind};
use tocsin_domain::{AttemptKey, CampaignId, JobKey};
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
