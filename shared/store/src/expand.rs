//! Turning a campaign's audience into recipients, destinations and jobs, one chunk of people a time.
//!
//! A chunk is one statement, and so one transaction: it moves the campaign's cursor by compare-and-set, so
//! that two planners, or one that crashed between, never make a job twice.

mod devices;
mod people;
mod told;

use chrono::{DateTime, NaiveDate, Utc};
use tocsin_domain::audience::Audience;
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::message_type::MessageType;
use tocsin_domain::window::{day_in, zone_named};
use tocsin_domain::{CampaignId, CampaignState, Channel, DistrictId, Lane};
use tokio_postgres::types::ToSql;

pub(crate) use self::devices::{judged_devices, made_devices, tallied_devices};
pub(crate) use self::people::{
    about_students, addressed_people, audience_groups, candidates, from_candidates, groups_of, in_audience,
    in_class, is_meant, is_open_to, merge_values, named_person, starts_from_lists,
};
pub(crate) use self::told::{already_told, attendance_of_day, heeds_told, ignores_told, told_of_all};
use crate::close::{Closed, closed};
use crate::standing::{is_attempted, is_contacted, may_have_told, told_people};
use crate::unhurried::unhurried;
use crate::{Store, StoreError, row};

/// What a chunk needs to know of its campaign.
#[derive(Debug, Clone)]
pub struct Expansion {
    pub campaign: CampaignId,
    pub district: DistrictId,
    pub lane: Lane,
    pub mode: DedupeMode,
    pub audience: Audience,
    pub channels: Vec<Channel>,
    /// The last person whose rows are made; of a correction, the last job of the campaign corrected.
    pub cursor: i64,
    /// Of an attendance message: the day whose others it heeds. None: another message, a test or a correction.
    pub attendance_day: Option<NaiveDate>,
}

/// How a chunk went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// The campaign was not where the caller thought: canceled, or expanded by somebody else. Or a job whose phone
    /// somebody of the chunk shares is on its way at this moment. Nothing was made.
    Moved,
    /// People up to this cursor have their rows.
    Made { cursor: i64, people: i32, jobs: i32, barred: Vec<i32> },
    /// The audience is exhausted.
    Complete { people: i32, jobs: i32, barred: Vec<i32> },
}

impl Chunk {
    /// Of an emergency, its texts that are barred: by an opt-out or a suppression.
    pub fn barred_texts(&self) -> &[i32] {
        match self {
            Self::Moved => &[],
            Self::Made { barred, .. } | Self::Complete { barred, .. } => barred,
        }
    }
}

impl Store {
    /// Campaigns whose expansion is due, emergencies first, oldest first.
    pub async fn expansions_due(&self, now: DateTime<Utc>, max: i64) -> Result<Vec<Expansion>, StoreError> {
        const NAME: &str = "expansions_due";
        let rows = self.rows(NAME, EXPANSIONS_DUE, &[&now, &max]).await?;
        rows.into_iter()
            .map(|found| {
                let audience: Audience = row::from_json(NAME, "an audience", found.get("audience"))?;
                Ok(Expansion {
                    campaign: CampaignId(found.get("id")),
                    district: DistrictId(found.get("district_id")),
                    lane: row::lane(NAME, found.get("lane"))?,
                    mode: mode(NAME, found.get("mode"))?,
                    attendance_day: attendance_day(&found, &audience, now),
                    audience,
                    channels: found
                        .get::<_, Vec<i16>>("channels")
                        .into_iter()
                        .map(|number| row::channel(NAME, number))
                        .collect::<Result<_, _>>()?,
                    cursor: found.get("expand_cursor"),
                })
            })
            .collect()
    }

    /// Makes the rows of the next `people_max` people of the audience; of a correction, of as many attempts of the
    /// campaign that it corrects. Of an attendance message in the turn of its district: another that is expanded at the same
    /// time is seen by this statement, or sees it.
    pub async fn expand(
        &self,
        expansion: &Expansion,
        people_max: i64,
        now: DateTime<Utc>,
    ) -> Result<Chunk, StoreError> {
        let audience = &expansion.audience;
        if let Some(addressed) = audience.receipt {
            return self.expand_receipt(expansion, addressed, people_max, now).await;
        }
        let channels: Vec<i16> = expansion.channels.iter().map(|channel| channel.number()).collect();
        let (mode, groups) = (expansion.mode.number(), groups_of(audience));
        let parameters: [&(dyn ToSql + Sync); 9] = [
            &expansion.campaign.0,
            &expansion.district.0,
            &expansion.cursor,
            &people_max,
            &now,
            &channels,
            &mode,
            &groups,
            &expansion.attendance_day,
        ];
        read_chunk(match (expansion.attendance_day, starts_from_lists(audience)) {
            (None, false) => self.rows("expand", EXPAND, &parameters).await,
            (None, true) => self.rows("expand_lists", EXPAND_LISTS, &parameters).await,
            (Some(_), false) => self.expand_in_turn(expansion.district, EXPAND_ATTENDANCE, &parameters).await,
            (Some(_), true) => {
                self.expand_in_turn(expansion.district, EXPAND_ATTENDANCE_LISTS, &parameters).await
            }
        })
    }

    /// A statement sees what was committed when it began: the turn is waited for by one before.
    async fn expand_in_turn(
        &self,
        district: DistrictId,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let failed = || StoreError::statement("expand_attendance");
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        let turn = transaction.prepare_cached(ATTENDANCE_TURN).await.map_err(failed())?;
        transaction.execute(&turn, &[&district.0]).await.map_err(failed())?;
        let expand = transaction.prepare_cached(sql).await.map_err(failed())?;
        let rows = transaction.query(&expand, parameters).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(rows)
    }

    /// The campaign could not be expanded: nobody was reached (requirement 11). None: it is not to fail any more.
    pub async fn fail_expansion(
        &self,
        campaign: CampaignId,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Closed>, StoreError> {
        const NAME: &str = "fail_expansion";
        let rows = self
            .rows(
                NAME,
                "-- store.fail_expansion
                 update campaigns set state = $4, failure_reason = $2, ended_at = $3, closed_at = $3
                 where id = $1 and state = $5 and started_at is null
                 returning id, state, canceled_at, created_at, traceparent",
                &[
                    &campaign.0,
                    &reason,
                    &now,
                    &CampaignState::Failed.number(),
                    &CampaignState::Processing.number(),
                ],
            )
            .await?;
        Ok(closed(NAME, rows)?.pop())
    }
}

/// Tests and corrections are told whatever others told; the day of the first chunk is that of all.
fn attendance_day(found: &tokio_postgres::Row, audience: &Audience, now: DateTime<Utc>) -> Option<NaiveDate> {
    let once_a_day = MessageType::named(found.get("message_type")).is_some_and(MessageType::tells_once_a_day);
    if !once_a_day || found.get("test") || audience.receipt.is_some() {
        return None;
    }
    let zone = found.get::<_, Option<&str>>("time_zone").and_then(zone_named);
    found.get::<_, Option<NaiveDate>>("attendance_day").or_else(|| Some(day_in(zone, now)))
}

/// What an expanding statement answers.
pub(crate) fn read_chunk(rows: Result<Vec<tokio_postgres::Row>, StoreError>) -> Result<Chunk, StoreError> {
    let rows = match rows {
        Err(error) if error.is_lock_held() => return Ok(Chunk::Moved),
        rows => rows?,
    };
    let Some(made) = rows.first() else { return Ok(Chunk::Moved) };
    let (people, jobs, barred) = (made.get("people"), made.get("jobs"), made.get("barred"));
    Ok(match made.get::<_, Option<i64>>("cursor") {
        Some(cursor) => Chunk::Made { cursor, people, jobs, barred },
        None => Chunk::Complete { people, jobs, barred },
    })
}

pub(crate) fn mode(statement: &'static str, number: i16) -> Result<DedupeMode, StoreError> {
    DedupeMode::from_number(number).ok_or_else(|| StoreError::Unreadable {
        statement,
        what: "a mode",
        value: number.to_string(),
    })
}

/// What has just begun is taken as the update left it, not as the statement's snapshot has it: an edit may have come
/// between the two.
const EXPANSIONS_DUE: &str = "-- store.expansions_due
with starting as materialized (
  select id from campaigns where closed_at is null and state = 1 and scheduled_at <= $1 and undecided_since is null
  order by id
  for no key update
), started as (
  update campaigns c set state = 2 where c.id = any(array(select id from starting))
  returning c.id, c.district_id, c.lane, c.mode, c.audience, c.channels, c.expand_cursor, c.message_type, c.test,
    c.attendance_day
), due as (
  select * from started
  union all
  select id, district_id, lane, mode, audience, channels, expand_cursor, message_type, test, attendance_day
  from campaigns
  where closed_at is null and expanded_at is null and cancel_epoch is null and undecided_since is null and state in (2, 3)
  order by lane, id
  limit $2
)
select u.*, d.time_zone from due u join districts d on d.id = u.district_id order by u.lane, u.id";

/// Until its transaction ends nobody else expands an attendance message of the district. 7451 tells this lock from others.
const ATTENDANCE_TURN: &str = "-- store.attendance_turn
select pg_advisory_xact_lock(7451, hashtext($1::uuid::text))";

/// `campaign` is locked first, against the cancel and other planners. `chunk` picks the people; `about` pairs
/// them with the students they are contacted for; the rest numbers and writes. A device that its person does not want
/// for this message type is as none. No two batches are joined to
/// each other: without hash joins that is quadratic. `$told` heeds whom others of the day `$9` told, or not. Which form is taken
/// depends on the message, never on PostgreSQL's estimates.
/// Lane 1 is emergency, channel 2 sms. Numbers 33, 31, 32, 48, 52 are outcomes Duplicate, OptOut, Suppressed, Ineligible and
/// AlreadyTold; states 1 and 4 a job's Waiting and Ended. A test holds them to the domain's.
macro_rules! expand {
    ($statement:literal, $candidates:expr, $people:expr, $told:ident) => {
        concat!(
            "-- store.",
            $statement,
            "
with campaign as materialized (
  select id, recipients_made, jobs_made, scheduled_at, lane, consent_class, message_type,
    consent_class = 1 and (select emergency_overrides_stop from districts where id = $2) as overrides_stop
  from campaigns
  where id = $1 and expand_cursor = $3 and expanded_at is null and state in (2, 3)
  for update
), ",
            audience_groups!(),
            ", ",
            $told!(campaigns),
            $candidates,
            "chunk as materialized (
  select p.id, p.source_id, p.active, p.role, p.given_name, p.family_name, p.language, p.time_zone
  from campaign cross join lateral (
    select p.* from ",
            $people,
            "
    ",
            in_audience!(),
            "
    order by p.id
    limit $4) p
), ",
            about_students!(),
            ", ",
            addressed_people!(),
            ", numbered as materialized (
  select a.*, c.recipients_made + (row_number() over (order by a.id, a.about_id))::int as recipient_id,
    owned.devices = 0 as no_device, owned.phones = 1 and $7::smallint = 1 as one_phone,
    c.jobs_made + 1 + coalesce(sum(owned.devices) over (
      order by a.id, a.about_id rows between unbounded preceding and 1 preceding), 0)::int as first_job,
    ",
            $told!(person),
            " as told_by
  from addressed a cross join campaign c cross join lateral (
    select count(*)::int as devices, count(*) filter (where d.channel in (1, 2)) as phones from devices d
    where d.district_id = $2 and d.person_id = a.id and d.channel = any($6)
      and not c.message_type = any(d.declined)) owned
), reached as materialized (
  select n.recipient_id, n.about_id, n.id as person_id, d.id as device_id, d.channel, d.address, d.extension,
    n.one_phone and d.channel in (1, 2) as sole,
    ",
            $told!(device),
            " as told_by,
    c.jobs_made + (row_number() over (order by n.recipient_id, d.channel, d.position, d.id))::int as job_id
  from numbered n cross join campaign c cross join lateral (
    select * from devices where district_id = $2 and person_id = n.id and channel = any($6)
      and not c.message_type = any(declined) offset 0) d
), ",
            judged_devices!("reached"),
            "), made_recipients as (
  insert into recipients (campaign_id, district_id, person_id, student_id, id, no_device, name, student_name,
    language, time_zone, student_ids, first_job, told_by, merge_values)
  select $1, $2, n.id, n.about_id, n.recipient_id, n.no_device, n.given_name || ' ' || n.family_name,
    n.student_name, n.language, n.time_zone, n.students, n.first_job, n.told_by, ",
            merge_values!(),
            "
  from numbered n
), made_people as (
  insert into recipient_people (campaign_id, district_id, person_id, recipient_id)
  select $1, $2, concerned, n.recipient_id
  from numbered n cross join lateral unnest(
    case when n.id = any(n.students) then n.students else n.id || n.students end) concerned
), ",
            made_devices!(),
            "), tallied as (
  insert into tallies (campaign_id, district_id, channel, recipients, no_device, devices, duplicates, open,
    untried, not_dispatched, addresses, addresses_attempted, addresses_with_result)
  select $1, $2, 0::smallint, count(distinct id), count(distinct id) filter (where no_device), 0, 0, 0, 0, 0, 0, 0, 0
  from numbered having count(*) > 0
  union all
  select $1, $2, channel, 0, 0, ",
            tallied_devices!(),
            "
), extent as (
  select (select max(id) from chunk) as last, (select count(*)::int from chunk) as people,
    (select count(*)::int from numbered) as recipients, (select count(*)::int from judged) as jobs
)
update campaigns c set
  expand_cursor = coalesce(x.last, c.expand_cursor),
  recipients_made = c.recipients_made + x.recipients,
  jobs_made = c.jobs_made + x.jobs,
  attendance_day = coalesce(c.attendance_day, $9),
  expanded_at = case when x.people < $4 then $5 end
from extent x cross join ",
            unhurried!(),
            "
where c.id = $1 and exists (select from campaign)
returning case when x.people < $4 then null else x.last end as cursor, x.people, x.jobs,
  array(select job_id from judged where c.lane = 1 and channel = 2 and not duplicate and barred is not null) as barred"
        )
    };
}

pub(crate) const EXPAND: &str = expand!("expand", "", "people p", ignores_told);

/// The same, where the audience's lists say who may be in it.
pub(crate) const EXPAND_LISTS: &str =
    expand!("expand_lists", candidates!(), from_candidates!(), ignores_told);

/// Of an attendance message.
pub(crate) const EXPAND_ATTENDANCE: &str = expand!("expand_attendance", "", "people p", heeds_told);

pub(crate) const EXPAND_ATTENDANCE_LISTS: &str =
    expand!("expand_attendance_lists", candidates!(), from_candidates!(), heeds_told);

#[cfg(test)]
mod tests {
    use tocsin_domain::{JobState, Outcome};

    #[test]
    fn the_numbers_written_into_the_statement_are_the_domains() {
        let written = [
            (33, Outcome::Duplicate.number()),
            (31, Outcome::OptOut.number()),
            (32, Outcome::Suppressed.number()),
            (48, Outcome::Ineligible.number()),
            (52, Outcome::AlreadyTold.number()),
            (1, JobState::Waiting.number()),
            (4, JobState::Ended.number()),
        ];
        for (in_sql, in_domain) in written {
            assert_eq!(in_sql, in_domain);
        }
    }
}
