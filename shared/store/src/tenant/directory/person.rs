//! One person, with everything that the directory has of them.

use chrono::{DateTime, Utc};
use tocsin_domain::Channel;
use tocsin_domain::audience::Role;

use super::super::Tenant;
use crate::{StoreError, row};

/// A person. Debug output leaves the name out: it ends up in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    pub id: i64,
    pub source_id: String,
    pub given_name: String,
    pub family_name: String,
    pub role: Role,
    /// What is used: their own, else the roster's.
    pub language: Option<String>,
    pub time_zone: Option<String>,
    pub own_language: Option<String>,
    pub own_time_zone: Option<String>,
    pub active: bool,
    pub by_roster: bool,
    pub by_hand: bool,
    /// Made inactive by the district.
    pub stopped: bool,
    pub devices: Vec<OwnDevice>,
    pub enrolments: Vec<Enrolment>,
    /// On whose behalf the person is contacted.
    pub students: Vec<Related>,
    /// Who is contacted on the person's behalf.
    pub contacts: Vec<Related>,
    pub classes: Vec<Membership>,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("source_id", &self.source_id).finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct OwnDevice {
    pub channel: Channel,
    pub address: String,
    pub extension: Option<String>,
    pub by_roster: bool,
    pub by_hand: bool,
    /// Message types that the person does not want here.
    pub declined: Vec<String>,
}

impl std::fmt::Debug for OwnDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnDevice")
            .field("channel", &self.channel)
            .field("declined", &self.declined)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    pub school: String,
    /// None: the roster has no such school.
    pub school_name: Option<String>,
    pub grade: Option<String>,
    pub active: bool,
    pub by_hand: bool,
}

/// Somebody on the other side of a contact.
#[derive(Clone, PartialEq, Eq)]
pub struct Related {
    pub source_id: String,
    pub name: String,
    pub relationship: String,
    pub active: bool,
    /// The roster names the contact, by either row.
    pub by_roster: bool,
    pub by_hand: bool,
    /// The district ended it, and when; it is no contact then.
    pub ended_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for Related {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Related").field("source_id", &self.source_id).finish_non_exhaustive()
    }
}

/// A class that the person is taught in, or teaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub class: String,
    pub title: Option<String>,
    pub school_year: Option<i16>,
    pub role: Role,
}

impl Tenant {
    /// None: the district has no such person.
    pub async fn person(&self, source_id: &str) -> Result<Option<Person>, StoreError> {
        const NAME: &str = "person";
        let district = &self.district.0;
        let rows = self.rows(NAME, PERSON, &[district, &source_id]).await?;
        let Some(found) = rows.first() else { return Ok(None) };
        let id: i64 = found.get("id");
        let devices = self.rows("devices_of", DEVICES, &[district, &id]).await?;
        let enrolments = self.rows("enrolments_of", ENROLMENTS, &[district, &id]).await?;
        let related = self.rows("related_to", RELATED, &[district, &id]).await?;
        let classes = self.rows("classes_of", CLASSES, &[district, &id]).await?;
        let on_side = |side: &str| {
            related.iter().filter(|row| row.get::<_, &str>("side") == side).map(read_related).collect()
        };
        Ok(Some(Person {
            id,
            source_id: found.get("source_id"),
            given_name: found.get("given_name"),
            family_name: found.get("family_name"),
            role: row::role(NAME, found.get("role"))?,
            language: found.get("language"),
            time_zone: found.get("time_zone"),
            own_language: found.get("own_language"),
            own_time_zone: found.get("own_time_zone"),
            active: found.get("active"),
            by_roster: found.get("by_roster"),
            by_hand: found.get("by_hand"),
            stopped: found.get("stopped"),
            devices: devices.iter().map(read_device).collect::<Result<_, _>>()?,
            enrolments: enrolments.iter().map(read_enrolment).collect(),
            students: on_side("student"),
            contacts: on_side("contact"),
            classes: classes.iter().map(read_membership).collect::<Result<_, _>>()?,
        }))
    }
}

fn read_device(found: &tokio_postgres::Row) -> Result<OwnDevice, StoreError> {
    Ok(OwnDevice {
        channel: row::channel("devices_of", found.get("channel"))?,
        address: found.get("address"),
        extension: found.get("extension"),
        by_roster: found.get("by_roster"),
        by_hand: found.get("by_hand"),
        declined: found.get("declined"),
    })
}

fn read_enrolment(found: &tokio_postgres::Row) -> Enrolment {
    Enrolment {
        school: found.get("school_source_id"),
        school_name: found.get("name"),
        grade: found.get("grade"),
        active: found.get("active"),
        by_hand: found.get("by_hand"),
    }
}

fn read_related(found: &tokio_postgres::Row) -> Related {
    Related {
        source_id: found.get("source_id"),
        name: found.get("name"),
        relationship: found.get("relationship"),
        active: found.get("active"),
        by_roster: found.get("by_roster"),
        by_hand: found.get("by_hand"),
        ended_at: found.get("stopped_at"),
    }
}

fn read_membership(found: &tokio_postgres::Row) -> Result<Membership, StoreError> {
    Ok(Membership {
        class: found.get("class_source_id"),
        title: found.get("title"),
        school_year: found.get("school_year"),
        role: row::role("classes_of", found.get("role"))?,
    })
}

const PERSON: &str = "-- store.person
select id, source_id, given_name, family_name, role, language, time_zone, own_language, own_time_zone, active,
  by_roster, by_hand, stopped
from people where district_id = $1 and source_id = $2";

const DEVICES: &str = "-- store.devices_of
select channel, address, extension, by_roster, by_hand, declined from devices
where district_id = $1 and person_id = $2 order by channel, position, id";

const ENROLMENTS: &str = "-- store.enrolments_of
select s.school_source_id, o.name, s.grade, s.active, s.by_hand
from students s left join schools o on o.district_id = $1 and o.source_id = s.school_source_id
where s.district_id = $1 and s.person_id = $2 order by s.active desc, s.school_source_id";

/// Both sides, and what the district ended of either.
const RELATED: &str = "-- store.related_to
select o.side, p.source_id, p.given_name || ' ' || p.family_name as name, p.active, o.relationship, o.by_roster,
  o.by_hand, o.stopped_at
from (
  select 'student' as side, student_id as id, relationship, by_student or by_person as by_roster, by_hand,
    null::timestamptz as stopped_at
  from contacts where district_id = $1 and person_id = $2
  union all
  select 'contact', person_id, relationship, by_student or by_person, by_hand, null
  from contacts where district_id = $1 and student_id = $2
  union all
  select 'student', student_id, '', false, false, stopped_at
  from contact_stops where district_id = $1 and person_id = $2
  union all
  select 'contact', person_id, '', false, false, stopped_at
  from contact_stops where district_id = $1 and student_id = $2
) o join people p on p.district_id = $1 and p.id = o.id
order by o.stopped_at nulls first, p.family_key, p.given_key, p.id";

const CLASSES: &str = "-- store.classes_of
select m.class_source_id, c.title, c.school_year, m.role
from class_members m left join classes c on c.district_id = $1 and c.source_id = m.class_source_id
where m.district_id = $1 and m.person_id = $2 and m.active order by c.school_year desc nulls last, m.class_source_id";
