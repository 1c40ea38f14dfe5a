//! What was done about a person: changes by hand, contacts and enrolments that began or ended, and what was said about
//! their phones (requirement 168).

use std::fmt;

use chrono::{DateTime, Utc};
use tocsin_domain::consent::ConsentState;
use tokio_postgres::Row;

use super::super::Tenant;
use crate::{StoreError, row};

/// Of a person, the latest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    pub at: DateTime<Utc>,
    pub by: String,
    pub what: What,
}

/// Its `Debug` hides whom it is about.
#[derive(Clone, PartialEq, Eq)]
pub enum What {
    /// The audit's action.
    Changed {
        action: String,
    },
    Linked {
        link: Link,
        change: LinkChange,
        by: Hand,
    },
    Consent {
        phone: String,
        from: Option<ConsentState>,
        to: ConsentState,
    },
}

/// What a person is linked with, by its name, which its `Debug` hides.
#[derive(Clone, PartialEq, Eq)]
pub enum Link {
    /// Somebody is contacted on the person's behalf.
    Contact(String),
    /// The person is contacted on behalf of a student.
    Student(String),
    School(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkChange {
    Began,
    Ended,
}

/// By what it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// The district's own.
    District,
    /// A delivery's, which somebody applied.
    Roster,
}

impl fmt::Debug for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { action } => f.debug_tuple("Changed").field(action).finish(),
            Self::Linked { link, change, by } => {
                f.debug_tuple("Linked").field(link).field(change).field(by).finish()
            }
            Self::Consent { from, to, .. } => f.debug_tuple("Consent").field(from).field(to).finish(),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contact(_) => "Contact",
            Self::Student(_) => "Student",
            Self::School(_) => "School",
        })
    }
}

/// Are the consents of the person's phones among them?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consents {
    Shown,
    Hidden,
}

impl Tenant {
    pub async fn activities(
        &self,
        source_id: &str,
        consents: Consents,
        activities_max: u32,
    ) -> Result<Vec<Activity>, StoreError> {
        const NAME: &str = "activities";
        let (shown, most) = (consents == Consents::Shown, i64::from(activities_max));
        let rows = self.rows(NAME, ACTIVITIES, &[&self.district.0, &source_id, &shown, &most]).await?;
        rows.iter()
            .map(|found| Ok(Activity { at: found.get("at"), by: found.get("by"), what: read(found)? }))
            .collect()
    }
}

fn read(found: &Row) -> Result<What, StoreError> {
    const NAME: &str = "activities";
    let subject = || found.get("subject");
    if let Some(to) = found.get::<_, Option<i16>>("to_state") {
        let from: Option<i16> = found.get("from_state");
        let from = from.map(|number| row::consent_state(NAME, number)).transpose()?;
        return Ok(What::Consent { phone: subject(), from, to: row::consent_state(NAME, to)? });
    }
    let link = match found.get::<_, Option<&str>>("link") {
        None => return Ok(What::Changed { action: found.get("action") }),
        Some("contact") => Link::Contact(subject()),
        Some("student") => Link::Student(subject()),
        Some(_) => Link::School(subject()),
    };
    let change = if found.get("begins") { LinkChange::Began } else { LinkChange::Ended };
    let by = if found.get("by_roster") { Hand::Roster } else { Hand::District };
    Ok(What::Linked { link, change, by })
}

/// Of the indexes `audit_of_people` and `roster_changes`. Row-level security lets an index be asked for equal values
/// alone, so the subjects of what is about two (a contact for a student, an enrolment at a school) are put together from
/// the links that there are or were. What a delivery noted of somebody who was forgotten at that moment has no name, and is
/// not told. 2 is text.
pub(crate) const ACTIVITIES: &str = "-- store.activities
with me as materialized (
  select id, source_id from people where district_id = $1 and source_id = $2
), noted as materialized (
  (select r.at, r.actor, r.begins, r.student_id, r.contact_id, r.school_source_id from me
   join roster_changes r on r.district_id = $1 and r.student_id = me.id
   order by r.id desc limit $4)
  union all
  (select r.at, r.actor, r.begins, r.student_id, r.contact_id, r.school_source_id from me
   join roster_changes r on r.district_id = $1 and r.contact_id = me.id
   order by r.id desc limit $4)
), pairs as (
  select c.person_id, c.student_id from me join contacts c on c.district_id = $1 and c.person_id = me.id
  union
  select c.person_id, c.student_id from me join contacts c on c.district_id = $1 and c.student_id = me.id
  union
  select c.person_id, c.student_id from me join contact_stops c on c.district_id = $1 and c.person_id = me.id
  union
  select c.person_id, c.student_id from me join contact_stops c on c.district_id = $1 and c.student_id = me.id
  union
  select contact_id, student_id from noted where contact_id is not null
), people_linked as materialized (
  select l.person_id, l.student_id, p.source_id || ' for ' || s.source_id as subject,
    case when me.id = l.student_id then 'contact' else 'student' end as link,
    case when me.id = l.student_id then p.given_name || ' ' || p.family_name
      else s.given_name || ' ' || s.family_name end as name
  from me cross join pairs l
  join people p on p.district_id = $1 and p.id = l.person_id
  join people s on s.district_id = $1 and s.id = l.student_id
), schools_linked as materialized (
  select l.source_id, me.source_id || ' at ' || l.source_id as subject, coalesce(s.name, l.source_id) as name
  from me cross join lateral (
    select school_source_id as source_id from students where district_id = $1 and person_id = me.id
    union
    select school_source_id from noted where school_source_id is not null) l
  left join schools s on s.district_id = $1 and s.source_id = l.source_id
), linked as (
  select subject, link, name from people_linked
  union all
  select subject, 'school', name from schools_linked
)
select * from (
  (select at, actor as by, action, null as link, null::boolean as begins, false as by_roster, subject,
     null::smallint as from_state, null::smallint as to_state
   from audit where district_id = $1 and subject = $2 and action like 'directory.%'
   order by at desc limit $4)
  union all
  (select a.at, a.actor, a.action, l.link, a.action like '%.add', false, l.name, null, null
   from linked l join audit a on a.district_id = $1 and a.subject = l.subject and a.action like 'directory.%'
   order by a.at desc limit $4)
  union all
  (select n.at, n.actor, null, coalesce(l.link, 'school'), n.begins, true, coalesce(l.name, s.name), null, null
   from noted n
   left join people_linked l on l.person_id = n.contact_id and l.student_id = n.student_id
   left join schools_linked s on s.source_id = n.school_source_id
   where coalesce(l.name, s.name) is not null)
  union all
  (select h.at, h.source, null, null, null, false, h.phone, h.from_state, h.to_state from me
   join devices d on d.district_id = $1 and d.person_id = me.id and d.channel = 2
   join consent_history h on h.district_id = $1 and h.phone = d.address
   where $3
   order by h.at desc limit $4)
) found
order by at desc limit $4";
