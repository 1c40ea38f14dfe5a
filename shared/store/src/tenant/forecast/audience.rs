//! Counting an audience without making anything of it: by the rules of expansion, whose parts these statements share.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use tocsin_domain::audience::Audience;
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::receipt::{AddressedPart, Part};
use tocsin_domain::window::{Zone, zone_named};
use tocsin_domain::{Channel, Outcome};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::expand::{
    about_students, already_told, attendance_of_day, audience_groups, candidates, from_candidates, groups_of,
    in_audience, in_class, is_meant, is_open_to, judged_devices, named_person, starts_from_lists,
    told_of_all,
};
use crate::receipt::part_of_attempt;
use crate::standing::may_have_told;
use crate::tenant::Tenant;
use crate::{StoreError, row};

/// Whose devices are counted.
#[derive(Debug, Clone, Copy)]
pub struct AudienceQuery<'a> {
    pub audience: &'a Audience,
    pub channels: &'a [Channel],
    pub mode: DedupeMode,
    /// As of a campaign.
    pub consent_class: i16,
    pub message_type: &'a str,
    /// Of an attendance message that heeds what others told: the day on which it begins.
    pub attendance_day: Option<NaiveDate>,
    pub now: DateTime<Utc>,
}

/// What expansion would make.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
    /// People, and those of them without a device.
    pub recipients: u64,
    pub no_device: u64,
    pub devices: Vec<Devices>,
}

/// Devices that are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Devices {
    pub channel: Channel,
    pub language: Option<String>,
    /// The recipients' own.
    pub zone: Option<Zone>,
    pub fate: Fate,
    pub count: u64,
}

/// What becomes of a device at expansion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    ToBeTried,
    Duplicate,
    /// Its job ends at once, with this outcome.
    Barred(Outcome),
}

impl Tenant {
    /// Counts what expanding a campaign to this audience would make now.
    pub async fn count_audience(&self, query: &AudienceQuery<'_>) -> Result<Counted, StoreError> {
        let audience = query.audience;
        let channels: Vec<i16> = query.channels.iter().map(|channel| channel.number()).collect();
        // The key of no campaign: what is judged is no duplicate of anything that exists.
        let (nobody, mode) = (Uuid::nil(), query.mode.number());
        if let Some(addressed) = audience.receipt {
            let last_part = match addressed.part {
                AddressedPart::ContactedOrUnknown => Part::InFlightOrUnknown,
            };
            let rows = self
                .rows(
                    "count_receipt",
                    RECEIPT,
                    &[
                        &nobody,
                        &self.district.0,
                        &addressed.campaign.0,
                        &i32::from(last_part.number()),
                        &query.consent_class,
                        &channels,
                        &mode,
                        &query.message_type,
                    ],
                )
                .await?;
            return read(&rows);
        }
        let (name, sql) = match starts_from_lists(audience) {
            true => ("count_audience_lists", AUDIENCE_LISTS),
            false => ("count_audience", AUDIENCE),
        };
        let rows = self
            .rows(
                name,
                sql,
                &[
                    &nobody,
                    &self.district.0,
                    &0_i64,
                    &i64::MAX,
                    &query.consent_class,
                    &channels,
                    &mode,
                    &groups_of(audience),
                    &query.message_type,
                    &query.attendance_day,
                    &query.now,
                ],
            )
            .await?;
        read(&rows)
    }
}

fn read(rows: &[Row]) -> Result<Counted, StoreError> {
    const NAME: &str = "count_audience";
    let mut counted = Counted::default();
    let mut zones: BTreeMap<String, Option<Zone>> = BTreeMap::new();
    for found in rows {
        let count = found.get::<_, i64>("devices").unsigned_abs();
        let (number, duplicate): (i16, bool) = (found.get("channel"), found.get("duplicate"));
        if number == 0 {
            *(if duplicate { &mut counted.no_device } else { &mut counted.recipients }) = count;
            continue;
        }
        let zone = found.get::<_, Option<String>>("time_zone");
        let zone = zone.and_then(|name| *zones.entry(name).or_insert_with_key(|name| zone_named(name)));
        let barred = row::optional_outcome(NAME, found.get("barred"))?;
        let fate = match barred {
            _ if duplicate => Fate::Duplicate,
            Some(outcome) => Fate::Barred(outcome),
            None => Fate::ToBeTried,
        };
        let channel = row::channel(NAME, number)?;
        counted.devices.push(Devices { channel, language: found.get("language"), zone, fate, count });
    }
    Ok(counted)
}

/// The campaign that does not exist, as `judged` asks for it, of the message type that a parameter names.
macro_rules! as_if_a_campaign {
    ($message_type:literal) => {
        concat!(
            "campaign as materialized (
  select $5::smallint as consent_class, ",
            $message_type,
            "::text as message_type,
    $5::smallint = 1 and (select emergency_overrides_stop from districts where id = $2) as overrides_stop
)"
        )
    };
}

/// As `expand`, without its chunks and rows. A row of channel 0 counts people, and one that is marked as a duplicate
/// those without a device. On whose behalf people are addressed matters where that makes a message each, or where some
/// may have been told already.
macro_rules! count_audience {
    ($name:literal, $candidates:expr, $people:expr) => {
        concat!(
            "-- store.",
            $name,
            "
with ",
            as_if_a_campaign!("$9"),
            ", ",
            audience_groups!(),
            ", ",
            attendance_of_day!("$10", "$11"),
            ", ",
            $candidates,
            "everybody as materialized (
  select p.id, p.source_id, p.active, p.role, p.language, p.time_zone from ",
            $people,
            "
    ",
            in_audience!(),
            "
  limit $4
), chunk as materialized (
  select * from everybody where $7::smallint = 2 or $10::date is not null
), ",
            about_students!(),
            ", addressed as materialized (
  select id, language, time_zone, null::bigint as about_id, null::uuid as told_by from everybody
  where $7::smallint = 1 and $10::date is null
  union all
  select a.id, a.language, a.time_zone, a.about_id, ",
            told_of_all!("$10", "a.id", "a.students"),
            "
  from (
    select id, language, time_zone, student_id as about_id,
      case when student_id is not null then array[student_id] end as students
    from about where $7::smallint = 2
    union all
    select id, language, time_zone, null, array_agg(student_id) filter (where student_id is not null)
    from about where $7::smallint = 1 group by 1, 2, 3) a
), reached as materialized (
  select a.about_id, a.told_by, a.language, a.time_zone, d.channel, d.address,
    row_number() over (order by a.id, a.about_id, d.channel, d.position, d.id) as job_id
  from addressed a join devices d on d.district_id = $2 and d.person_id = a.id and d.channel = any($6)
    and not $9 = any(d.declined)
), ",
            judged_devices!("reached"),
            ")
select channel, language, time_zone, duplicate, barred, count(*) as devices
from judged group by 1, 2, 3, 4, 5
union all
select 0::smallint, null, null, false, null, count(distinct id) from addressed
union all
select 0::smallint, null, null, true, null, count(distinct id) from addressed a
where not exists (
  select from devices d where d.district_id = $2 and d.person_id = a.id and d.channel = any($6)
    and not $9 = any(d.declined))"
        )
    };
}

pub(crate) const AUDIENCE: &str = count_audience!("count_audience", "", "people p");

/// The same, where the audience's lists say who may be in it.
pub(crate) const AUDIENCE_LISTS: &str =
    count_audience!("count_audience_lists", candidates!(), from_candidates!());

/// As `expand_receipt`, without its chunks and rows. `$3` is the campaign that is corrected.
pub(crate) const RECEIPT: &str = concat!(
    "-- store.count_receipt
with ",
    as_if_a_campaign!("$8"),
    ", told as materialized (
  select a.job_id, min(",
    part_of_attempt!(),
    ") as part
  from attempts a where a.campaign_id = $3 group by a.job_id
), reached as materialized (
  select case when $7::smallint = 2 then r.student_id end as about_id, null::uuid as told_by, r.language, r.time_zone, r.person_id,
    j.channel, d.address, j.id as job_id
  from told t
  join jobs j on j.campaign_id = $3 and j.id = t.job_id
  join destinations d on d.campaign_id = $3 and d.job_id = t.job_id
  join recipients r on r.campaign_id = $3 and r.id = j.recipient_id
  where t.part <= $4 and j.channel = any($6)
), ",
    judged_devices!("reached"),
    ")
select channel, language, time_zone, duplicate, barred, count(*) as devices
from judged group by 1, 2, 3, 4, 5
union all
select 0::smallint, null, null, false, null, count(distinct person_id) from reached"
);
