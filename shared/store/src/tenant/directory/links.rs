//! Contacts and enrolments that the district makes and ends.

use chrono::{DateTime, Utc};

use super::super::Tenant;
use super::changes::change;
use super::{Change, told};
use crate::StoreError;

impl Tenant {
    /// Names a contact, and lifts what ended it.
    pub async fn add_contact(
        &self,
        person: &str,
        student: &str,
        relationship: &str,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<Change, StoreError> {
        let rows = self
            .rows(
                "add_contact",
                ADD_CONTACT,
                &[&self.district.0, &actor, &now, &person, &student, &relationship],
            )
            .await?;
        Ok(change(&rows))
    }

    /// Ends a contact at once, whoever named it, and keeps deliveries from naming it again: a court's order does not
    /// wait for the next one.
    pub async fn end_contact(
        &self,
        person: &str,
        student: &str,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<Change, StoreError> {
        let rows = self
            .rows("end_contact", END_CONTACT, &[&self.district.0, &actor, &now, &person, &student])
            .await?;
        Ok(change(&rows))
    }

    pub async fn enrol(
        &self,
        student: &str,
        school: &str,
        grade: Option<&str>,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<Change, StoreError> {
        let rows =
            self.rows("enrol", ENROL, &[&self.district.0, &actor, &now, &student, &school, &grade]).await?;
        Ok(change(&rows))
    }

    /// Only one that the district made.
    pub async fn end_enrolment(
        &self,
        student: &str,
        school: &str,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<Change, StoreError> {
        let rows = self
            .rows("end_enrolment", END_ENROLMENT, &[&self.district.0, &actor, &now, &student, &school])
            .await?;
        Ok(change(&rows))
    }
}

/// 2 is a student: nobody is contacted on behalf of anybody else.
pub(crate) const ADD_CONTACT: &str = concat!(
    "-- store.add_contact
with known as (
  select p.id as person_id, s.id as student_id from people p
  join people s on s.district_id = $1 and s.source_id = $5 and s.role = 2 and s.id <> p.id
  where p.district_id = $1 and p.source_id = $4
), lifted as (
  delete from contact_stops c using known k
  where c.district_id = $1 and c.person_id = k.person_id and c.student_id = k.student_id
  returning c.person_id
), named as (
  insert into contacts as c (district_id, person_id, student_id, relationship, by_student, by_person, by_hand)
  select $1, person_id, student_id, $6, false, false, true from known
  on conflict (district_id, person_id, student_id) do update
  set by_hand = true,
    relationship = case when c.by_student or c.by_person then c.relationship else excluded.relationship end
  where not c.by_hand
    or not (c.by_student or c.by_person) and c.relationship is distinct from excluded.relationship
  returning c.person_id
), done as (
  select person_id from lifted union all select person_id from named
), ",
    told!("directory.contact.add", "$4 || ' for ' || $5", "select from done"),
    "
select exists (select from done) as changed, false as of_roster from known"
);

pub(crate) const END_CONTACT: &str = concat!(
    "-- store.end_contact
with known as (
  select p.id as person_id, s.id as student_id from people p
  join people s on s.district_id = $1 and s.source_id = $5
  where p.district_id = $1 and p.source_id = $4
    and (exists (select from contacts c where c.district_id = $1 and c.person_id = p.id and c.student_id = s.id)
      or exists (select from contact_stops c where c.district_id = $1 and c.person_id = p.id and c.student_id = s.id))
), ended as (
  delete from contacts c using known k
  where c.district_id = $1 and c.person_id = k.person_id and c.student_id = k.student_id
  returning c.person_id, c.student_id
), done as (
  insert into contact_stops (district_id, person_id, student_id, stopped_at, stopped_by)
  select $1, person_id, student_id, $3, $2 from ended
  on conflict do nothing
  returning person_id
), ",
    told!("directory.contact.end", "$4 || ' for ' || $5", "select from done"),
    "
select exists (select from done) as changed, false as of_roster from known"
);

pub(crate) const ENROL: &str = concat!(
    "-- store.enrol
with known as (
  select p.id from people p
  join schools s on s.district_id = $1 and s.source_id = $5
  where p.district_id = $1 and p.source_id = $4 and p.role = 2
), done as (
  insert into students as s (district_id, person_id, school_source_id, grade, active, by_hand)
  select $1, id, $5, $6, true, true from known
  on conflict (district_id, person_id, school_source_id) do update
  set by_hand = true, active = true, grade = coalesce(excluded.grade, s.grade)
  where (s.by_hand, s.active, s.grade) is distinct from (true, true, coalesce(excluded.grade, s.grade))
  returning s.person_id
), ",
    told!("directory.enrolment.add", "$4 || ' at ' || $5", "select from done"),
    "
select exists (select from done) as changed, false as of_roster from known"
);

/// What the district did not make is the roster's.
pub(crate) const END_ENROLMENT: &str = concat!(
    "-- store.end_enrolment
with known as (
  select s.person_id, s.by_hand, s.active from people p
  join students s on s.district_id = $1 and s.person_id = p.id and s.school_source_id = $5
  where p.district_id = $1 and p.source_id = $4
), done as (
  update students s set active = false, by_hand = false from known k
  where s.district_id = $1 and s.person_id = k.person_id and s.school_source_id = $5 and k.by_hand and k.active
  returning s.person_id
), ",
    told!("directory.enrolment.end", "$4 || ' at ' || $5", "select from done"),
    "
select exists (select from done) as changed, not by_hand and active as of_roster from known"
);
