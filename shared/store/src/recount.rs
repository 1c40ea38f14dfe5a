//! The auditor's part: a campaign's counters recounted from its rows, and corrected (promise 10).

use chrono::{DateTime, Utc};
use tocsin_domain::{AttemptResult, CampaignId, Channel, Outcome};

use crate::standing::{is_attempted, is_contacted};
use crate::unhurried::unhurried;
use crate::{Store, StoreError, row};

/// A counter whose tallies are not what the rows say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift {
    /// None: it counts people.
    pub channel: Option<Channel>,
    pub counter: &'static str,
    /// What the rows say less what the tallies said. None for a time.
    pub off_by: Option<i32>,
}

/// The counters, as they are called in `tallies`.
const COUNTERS: [&str; 17] = [
    "recipients",
    "no_device",
    "devices",
    "duplicates",
    "open",
    "attempts",
    "successful",
    "error",
    "canceled",
    "not_dispatched",
    "untried",
    "addresses",
    "addresses_attempted",
    "addresses_contacted",
    "addresses_with_result",
    "contacted_by_phone",
    "confirmed",
];
const LAST_FIRST_ATTEMPT: &str = "last_first_attempt_at";

impl Store {
    /// The campaign that has waited longest to be audited, if one is due.
    pub async fn next_audit(&self, now: DateTime<Utc>) -> Result<Option<CampaignId>, StoreError> {
        let due = self
            .rows(
                "next_audit",
                "-- store.next_audit
                 select id from campaigns where audit_due_at <= $1 order by audit_due_at limit 1",
                &[&now],
            )
            .await?;
        Ok(due.first().map(|found| CampaignId(found.get("id"))))
    }

    /// The campaigns that will be audited again, by their age: the open ones, and those closed not long ago.
    pub async fn campaigns_to_audit(&self) -> Result<Vec<CampaignId>, StoreError> {
        let rows = self
            .rows(
                "campaigns_to_audit",
                "-- store.campaigns_to_audit
                 select id from campaigns where audit_due_at is not null order by id",
                &[],
            )
            .await?;
        Ok(rows.into_iter().map(|found| CampaignId(found.get("id"))).collect())
    }

    /// Recounts a campaign and corrects its tallies by a row of its own. Returns what had drifted: nothing, if
    /// another audit of it came first, which has corrected it; None if there is no such campaign.
    pub async fn audit_campaign(
        &self,
        campaign: CampaignId,
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<Drift>>, StoreError> {
        let found = self
            .rows(
                "audits",
                "-- store.audits
                 select audits, rows_dropped_at is not null as dropped from campaigns where id = $1",
                &[&campaign.0],
            )
            .await?;
        let Some(found) = found.first() else { return Ok(None) };
        // There are no rows any more to hold its counters against.
        if found.get("dropped") {
            return Ok(Some(Vec::new()));
        }
        let audits: i32 = found.get("audits");
        Ok(Some(self.recount(campaign, audits, now).await?.unwrap_or_default()))
    }

    /// None: another audit came first.
    async fn recount(
        &self,
        campaign: CampaignId,
        audits: i32,
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<Drift>>, StoreError> {
        const NAME: &str = "audit_campaign";
        let rows =
            self.rows(NAME, AUDIT_CAMPAIGN, &[&campaign.0, &audits, &results_by_outcome(), &now]).await?;
        let mut drifted = Vec::new();
        for found in &rows {
            if !found.get::<_, bool>("ours") {
                return Ok(None);
            }
            let Some(number) = found.get::<_, Option<i16>>("channel") else { continue };
            let channel = if number == 0 { None } else { Some(row::channel(NAME, number)?) };
            for counter in COUNTERS {
                let off_by: i32 = found.get(counter);
                if off_by != 0 {
                    drifted.push(Drift { channel, counter, off_by: Some(off_by) });
                }
            }
            if found.get::<_, Option<DateTime<Utc>>>(LAST_FIRST_ATTEMPT).is_some() {
                drifted.push(Drift { channel, counter: LAST_FIRST_ATTEMPT, off_by: None });
            }
        }
        Ok(Some(drifted))
    }
}

/// What a job counts as that ended with each outcome, at the outcome's number from 1.
fn results_by_outcome() -> Vec<i16> {
    let last = Outcome::all().map(Outcome::number).max().unwrap_or_default();
    let result = |number| Outcome::from_number(number).map_or(AttemptResult::NotDispatched, Outcome::result);
    (1..=last).map(|number| result(number).number()).collect()
}

/// One statement, so that rows and tallies are read from one snapshot: what commits meanwhile is in neither.
/// The campaign's row is locked last, when all is counted, and only if no other audit corrected it since.
///
/// As `tocsin_domain::counters` counts: job state 4 is ended, outcome 33 duplicate, 106 confirmed; results 1 successful,
/// 2 error, 3 canceled, 4 not dispatched. A job that ended without an attempt that counts is itself counted. Of
/// calls and texts, channels 1 and 2, each row contacts its person as the job does that is sent for it. A job's outcome
/// is never mere progress, so that whoever has one has a result.
///
/// An open campaign is due again in a minute, or later if it is so large that this takes long; a closed one a
/// day after it closed, when late reports have come, and then never again.
pub(crate) const AUDIT_CAMPAIGN: &str = concat!(
    "-- store.audit_campaign
with counted as (
  select 0::smallint as channel, count(distinct person_id) as recipients,
    count(distinct person_id) filter (where no_device) as no_device, 0::bigint as devices,
    0::bigint as duplicates, 0::bigint as open, 0::bigint as attempts, 0::bigint as successful,
    0::bigint as error, 0::bigint as canceled, 0::bigint as not_dispatched, 0::bigint as untried,
    0::bigint as addresses, 0::bigint as addresses_attempted, 0::bigint as addresses_contacted,
    0::bigint as addresses_with_result,
    (select count(distinct r.person_id)
     from jobs j cross join lateral (
       select person_id from recipients where campaign_id = j.campaign_id and id = j.recipient_id limit 1) r
     where j.campaign_id = $1 and j.channel in (1, 2)
       and case when j.outcome = 33 then (
         select ",
    is_contacted!("sent.outcome"),
    " from destinations d cross join lateral (
           select job_id from destinations
           where campaign_id = d.campaign_id and channel = d.channel and address = d.address
             and student_id is not distinct from d.student_id and not duplicate limit 1) first
         cross join lateral (
           select outcome from jobs where campaign_id = d.campaign_id and id = first.job_id limit 1) sent
         where d.campaign_id = j.campaign_id and d.job_id = j.id limit 1)
       else ",
    is_contacted!("j.outcome"),
    " end) as contacted_by_phone, 0::bigint as confirmed, null::timestamptz as last_first_attempt_at
  from recipients where campaign_id = $1
  union all
  select channel, 0, 0, count(*) filter (where not duplicate), count(*) filter (where duplicate),
    count(*) filter (where not ended), coalesce(sum(dispatched), 0),
    coalesce(sum(successful), 0) + count(*) filter (where alone = 1),
    coalesce(sum(error), 0) + count(*) filter (where alone = 2),
    coalesce(sum(canceled), 0) + count(*) filter (where alone = 3),
    count(*) filter (where alone = 4), count(*) filter (where not ended and attempt = 0),
    count(*) filter (where counts),
    count(*) filter (where counts and ",
    is_attempted!("ended or attempt > 0", "channel", "outcome"),
    "),
    count(*) filter (where counts and ",
    is_contacted!("outcome"),
    "),
    count(*) filter (where counts and (ended or outcome is not null)), 0, count(*) filter (where outcome = 106),
    max(first_at)
  from (
    select j.channel, j.attempt, j.outcome, j.state = 4 as ended,
      j.outcome is distinct from 33 and not j.repeats as counts, j.outcome is not distinct from 33 as duplicate,
      a.dispatched, a.successful, a.error, a.canceled, a.first_at,
      case when j.state = 4 and j.outcome is distinct from 33 and coalesce(a.dispatched, 0) = 0
        then coalesce(($3::smallint[])[j.outcome], 4) end as alone
    from jobs j
    left join lateral (
      select count(*) filter (where result <> 4) as dispatched, count(*) filter (where result = 1) as successful,
        count(*) filter (where result = 2) as error, count(*) filter (where result = 3) as canceled,
        min(claimed_at) filter (where number = 1) as first_at
      from attempts where campaign_id = j.campaign_id and job_id = j.id) a on j.attempt > 0
    where j.campaign_id = $1) d
  group by channel
), drift as materialized (
  select channel, sum(recipients)::int as recipients, sum(no_device)::int as no_device,
    sum(devices)::int as devices, sum(duplicates)::int as duplicates, sum(open)::int as open,
    sum(attempts)::int as attempts, sum(successful)::int as successful, sum(error)::int as error,
    sum(canceled)::int as canceled, sum(not_dispatched)::int as not_dispatched, sum(untried)::int as untried,
    sum(addresses)::int as addresses, sum(addresses_attempted)::int as addresses_attempted,
    sum(addresses_contacted)::int as addresses_contacted,
    sum(addresses_with_result)::int as addresses_with_result,
    sum(contacted_by_phone)::int as contacted_by_phone, sum(confirmed)::int as confirmed,
    case when max(counted_at) > coalesce(max(kept_at), '-infinity') then max(counted_at) end
      as last_first_attempt_at
  from (
    select channel, recipients, no_device, devices, duplicates, open, attempts, successful, error, canceled,
      not_dispatched, untried, addresses, addresses_attempted, addresses_contacted, addresses_with_result,
      contacted_by_phone, confirmed, last_first_attempt_at as counted_at, null::timestamptz as kept_at
    from counted
    union all
    select channel, -recipients, -no_device, -devices, -duplicates, -open, -attempts, -successful, -error,
      -canceled, -not_dispatched, -untried, -addresses, -addresses_attempted, -addresses_contacted,
      -addresses_with_result, -contacted_by_phone, -confirmed, null, last_first_attempt_at
    from tallies where campaign_id = $1) both_sides
  group by channel
  having (sum(recipients), sum(no_device), sum(devices), sum(duplicates), sum(open), sum(attempts),
      sum(successful), sum(error), sum(canceled), sum(not_dispatched), sum(untried), sum(addresses), sum(addresses_attempted),
      sum(addresses_contacted), sum(addresses_with_result), sum(contacted_by_phone), sum(confirmed))
      <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    or max(counted_at) > coalesce(max(kept_at), '-infinity')
), marked as (
  update campaigns set audits = audits + 1,
    audit_due_at = case
      when closed_at is null
        then $4::timestamptz + greatest(interval '1 minute', 20 * (clock_timestamp() - statement_timestamp()))
      when $4::timestamptz < closed_at + interval '1 day' then closed_at + interval '1 day'
    end
  where id = $1 and audits = $2 and (select count(*) from drift) >= 0
  returning district_id
), corrected as (
  insert into tallies (campaign_id, district_id, channel, recipients, no_device, devices, duplicates, open,
    attempts, successful, error, canceled, not_dispatched, untried, addresses, addresses_attempted, addresses_contacted,
    addresses_with_result, contacted_by_phone, confirmed, last_first_attempt_at)
  select $1, m.district_id, d.channel, d.recipients, d.no_device, d.devices, d.duplicates, d.open, d.attempts,
    d.successful, d.error, d.canceled, d.not_dispatched, d.untried, d.addresses, d.addresses_attempted, d.addresses_contacted,
    d.addresses_with_result, d.contacted_by_phone, d.confirmed, d.last_first_attempt_at
  from marked m cross join drift d
)
select exists (select from marked) as ours, d.* from ",
    unhurried!(),
    " left join drift d on true"
);
