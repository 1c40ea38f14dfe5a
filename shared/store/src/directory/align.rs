//! The statements that bring the directory in line with the staged delivery. Each table is first written, then
//! rid of what is gone; people come before all that refers to them.

use deadpool_postgres::Transaction;
use tocsin_domain::DistrictId;
use tokio_postgres::types::ToSql;

use super::{Directory, DirectoryReport, Enrolments, Extent, TableReport};
use crate::StoreError;

/// One table: `write` returns delivered, added, changed; `remove` takes away and is counted.
struct Step {
    name: &'static str,
    write: &'static str,
    remove: &'static str,
}

const SCHOOLS: Step =
    Step { name: "import_directory: schools", write: WRITE_SCHOOLS, remove: DEACTIVATE_SCHOOLS };
const PEOPLE: Step =
    Step { name: "import_directory: people", write: WRITE_PEOPLE, remove: DEACTIVATE_PEOPLE };
const STUDENTS: Step =
    Step { name: "import_directory: students", write: WRITE_STUDENTS, remove: DEACTIVATE_STUDENTS };
const CONTACTS: Step =
    Step { name: "import_directory: contacts", write: WRITE_CONTACTS, remove: REMOVE_CONTACTS };
const DEVICES: Step =
    Step { name: "import_directory: devices", write: WRITE_DEVICES, remove: REMOVE_DEVICES };

pub(super) async fn align(
    transaction: &Transaction<'_>,
    district: DistrictId,
    directory: &Directory<'_>,
) -> Result<DirectoryReport, StoreError> {
    let coverage = directory.coverage;
    let all_schools = coverage.schools == Extent::Complete;
    let all_people = coverage.people == Extent::Complete;
    let all_enrolments = coverage.enrolments == Enrolments::Complete;
    let of_people = coverage.enrolments == Enrolments::OfPeople;

    let schools = SCHOOLS.run(transaction, &[&district.0], &[&district.0, &all_schools]).await?;
    // Whoever is gone is made inactive before anything is linked to people.
    let people = PEOPLE.run(transaction, &[&district.0], &[&district.0, &all_people]).await?;
    let students =
        STUDENTS.run(transaction, &[&district.0], &[&district.0, &all_enrolments, &of_people]).await?;
    let contacts = CONTACTS.run(transaction, &[&district.0], &[&district.0]).await?;
    let devices = DEVICES.run(transaction, &[&district.0], &[&district.0]).await?;

    let linked = students.delivered + contacts.delivered;
    let links = (directory.students.len() + directory.contacts.len()) as u64;
    let unresolved = links.saturating_sub(linked);
    Ok(DirectoryReport { schools, people, students, contacts, devices, unresolved })
}

impl Step {
    async fn run(
        &self,
        transaction: &Transaction<'_>,
        to_write: &[&(dyn ToSql + Sync)],
        to_remove: &[&(dyn ToSql + Sync)],
    ) -> Result<TableReport, StoreError> {
        let failed = || StoreError::statement(self.name);
        let written = transaction.query_one(self.write, to_write).await.map_err(failed())?;
        let gone = transaction.execute(self.remove, to_remove).await.map_err(failed())?;
        let count = |column: &str| written.get::<_, i64>(column).unsigned_abs();
        Ok(TableReport {
            delivered: count("delivered"),
            added: count("added"),
            changed: count("changed"),
            gone,
        })
    }
}

// A row that the upsert inserted has no xmax; one that it updated has.

const WRITE_SCHOOLS: &str = "-- store.import_directory: write schools
with delivered as materialized (
  select source_id, name, kind, identifier, parent_source_id from new_schools where not deleted
), written as (
  insert into schools as s (district_id, source_id, name, kind, identifier, parent_source_id, active)
  select $1, source_id, name, kind, identifier, parent_source_id, true from delivered
  on conflict (district_id, source_id) do update
  set name = excluded.name, kind = excluded.kind, identifier = excluded.identifier,
    parent_source_id = excluded.parent_source_id, active = true
  where (s.name, s.kind, s.identifier, s.parent_source_id, s.active)
    is distinct from (excluded.name, excluded.kind, excluded.identifier, excluded.parent_source_id, true)
  returning xmax = 0 as added
)
select (select count(*) from delivered) as delivered, count(*) filter (where added) as added,
  count(*) filter (where not added) as changed
from written";

const DEACTIVATE_SCHOOLS: &str = "-- store.import_directory: deactivate schools
update schools s set active = false
from (
  select e.source_id
  from schools e left join new_schools n on n.source_id = e.source_id
  where e.district_id = $1 and e.active and coalesce(n.deleted, $2)
) gone
where s.district_id = $1 and s.source_id = gone.source_id";

const WRITE_PEOPLE: &str = "-- store.import_directory: write people
with delivered as materialized (
  select n.source_id, n.given_name, n.family_name, n.language, n.time_zone,
    coalesce(n.role, stored.role,
      case when student.id is not null then 2 when contact.id is not null then 1 else 3 end) as role
  from new_people n
  left join people stored on stored.district_id = $1 and stored.source_id = n.source_id
  left join (select distinct student_source_id as id from new_contacts) student on student.id = n.source_id
  left join (select distinct person_source_id as id from new_contacts) contact on contact.id = n.source_id
  where not n.deleted
), written as (
  insert into people as p (district_id, source_id, given_name, family_name, role, language, time_zone, active)
  select $1, source_id, given_name, family_name, role, language, time_zone, true from delivered
  on conflict (district_id, source_id) do update
  set given_name = excluded.given_name, family_name = excluded.family_name, role = excluded.role,
    language = excluded.language, time_zone = excluded.time_zone, active = true
  where (p.given_name, p.family_name, p.role, p.language, p.time_zone, p.active)
    is distinct from (excluded.given_name, excluded.family_name, excluded.role, excluded.language,
      excluded.time_zone, true)
  returning xmax = 0 as added
)
select (select count(*) from delivered) as delivered, count(*) filter (where added) as added,
  count(*) filter (where not added) as changed
from written";

const DEACTIVATE_PEOPLE: &str = "-- store.import_directory: deactivate people
update people p set active = false
from (
  select e.id
  from people e left join new_people n on n.source_id = e.source_id
  where e.district_id = $1 and e.active and coalesce(n.deleted, $2)
) gone
where p.district_id = $1 and p.id = gone.id";

/// An enrolment that came without its student's row (a change of roles.csv) says nothing of the grade.
const WRITE_STUDENTS: &str = "-- store.import_directory: write students
with delivered as materialized (
  select p.id as person_id, n.school_source_id, n.active,
    coalesce(n.grade, case when own.source_id is null then (
      select e.grade from students e
      where e.district_id = $1 and e.person_id = p.id
      order by e.school_source_id = n.school_source_id desc, e.active desc limit 1) end) as grade
  from new_students n
  join people p on p.district_id = $1 and p.source_id = n.person_source_id and p.active
  left join new_people own on own.source_id = n.person_source_id
), written as (
  insert into students as s (district_id, person_id, school_source_id, grade, active)
  select $1, person_id, school_source_id, grade, active from delivered
  on conflict (district_id, person_id, school_source_id) do update
  set grade = excluded.grade, active = excluded.active
  where (s.grade, s.active) is distinct from (excluded.grade, excluded.active)
  returning xmax = 0 as added
)
select (select count(*) from delivered) as delivered, count(*) filter (where added) as added,
  count(*) filter (where not added) as changed
from written";

const DEACTIVATE_STUDENTS: &str = "-- store.import_directory: deactivate students
update students s set active = false
from (
  select e.person_id, e.school_source_id
  from students e
  join people p on p.district_id = $1 and p.id = e.person_id
  left join new_people own on own.source_id = p.source_id
  left join new_students n
    on n.person_source_id = p.source_id and n.school_source_id = e.school_source_id
  where e.district_id = $1 and e.active
    and (not p.active
      or n.person_source_id is null and ($2 or $3 and own.role is not null))
) gone
where s.district_id = $1 and s.person_id = gone.person_id and s.school_source_id = gone.school_source_id";

/// Either side's row may name the other (wire.md F), and in most districts one side never does. So each side
/// of a contact is kept by itself: a row that came replaces what it named, and says nothing of what the other
/// side's row names. In a complete delivery all rows came; whoever has none is not active any more.
const WRITE_CONTACTS: &str = "-- store.import_directory: write contacts
with delivered as materialized (
  select p.id as person_id, s.id as student_id, n.relationship, n.by_student, n.by_person
  from new_contacts n
  join people p on p.district_id = $1 and p.source_id = n.person_source_id and p.active
  join people s on s.district_id = $1 and s.source_id = n.student_source_id and s.active
), stored as materialized (
  select e.person_id, e.student_id, e.relationship, e.by_student as was_by_student, e.by_person as was_by_person,
    e.by_student and (student_row.lists_contacts is not true or of_student.owner_source_id is not null) as by_student,
    e.by_person and (person_row.lists_contacts is not true or of_person.owner_source_id is not null) as by_person
  from contacts e
  join people p on p.district_id = $1 and p.id = e.person_id and p.active
  join people s on s.district_id = $1 and s.id = e.student_id and s.active
  left join new_people person_row on person_row.source_id = p.source_id
  left join new_people student_row on student_row.source_id = s.source_id
  left join new_mentions of_person
    on of_person.owner_source_id = p.source_id and of_person.named_source_id = s.source_id
  left join new_mentions of_student
    on of_student.owner_source_id = s.source_id and of_student.named_source_id = p.source_id
  where e.district_id = $1
), named as (
  select person_id, student_id, coalesce(d.relationship, e.relationship) as relationship,
    coalesce(d.by_student, false) or coalesce(e.by_student, false) as by_student,
    coalesce(d.by_person, false) or coalesce(e.by_person, false) as by_person
  from delivered d full join stored e using (person_id, student_id)
  where d.person_id is not null or (e.by_student, e.by_person) <> (e.was_by_student, e.was_by_person)
), written as (
  insert into contacts as c (district_id, person_id, student_id, relationship, by_student, by_person)
  select $1, person_id, student_id, relationship, by_student, by_person from named
  on conflict (district_id, person_id, student_id) do update
  set relationship = excluded.relationship, by_student = excluded.by_student, by_person = excluded.by_person
  where (c.relationship, c.by_student, c.by_person)
    is distinct from (excluded.relationship, excluded.by_student, excluded.by_person)
  returning xmax = 0 as added, by_student or by_person as stays
)
select (select count(*) from delivered) as delivered, count(*) filter (where added) as added,
  count(*) filter (where not added and stays) as changed
from written";

/// What neither side names any more, and what belongs to somebody who is gone.
const REMOVE_CONTACTS: &str = "-- store.import_directory: remove contacts
delete from contacts c
using (
  select e.person_id, e.student_id
  from contacts e
  join people p on p.district_id = $1 and p.id = e.person_id
  join people s on s.district_id = $1 and s.id = e.student_id
  where e.district_id = $1 and not (p.active and s.active and (e.by_student or e.by_person))
) gone
where c.district_id = $1 and c.person_id = gone.person_id and c.student_id = gone.student_id";

/// A device that stays keeps its id, which campaigns under way refer to.
const WRITE_DEVICES: &str = "-- store.import_directory: write devices
with delivered as materialized (
  select distinct on (p.id, n.channel, n.address)
    p.id as person_id, n.channel, n.address, n.extension, n.position
  from new_devices n
  join people p on p.district_id = $1 and p.source_id = n.person_source_id and p.active
  order by p.id, n.channel, n.address, n.position
), written as (
  insert into devices as d (district_id, person_id, channel, address, extension, position)
  select $1, person_id, channel, address, extension, position from delivered
  on conflict (district_id, person_id, channel, address) do update
  set extension = excluded.extension, position = excluded.position
  where (d.extension, d.position) is distinct from (excluded.extension, excluded.position)
  returning xmax = 0 as added
)
select (select count(*) from delivered) as delivered, count(*) filter (where added) as added,
  count(*) filter (where not added) as changed
from written";

const REMOVE_DEVICES: &str = "-- store.import_directory: remove devices
delete from devices d
using (
  select e.id
  from devices e
  join people p on p.district_id = $1 and p.id = e.person_id
  left join new_people own on own.source_id = p.source_id
  left join new_devices n
    on n.person_source_id = p.source_id and n.channel = e.channel and n.address = e.address
  where e.district_id = $1
    and (not p.active or own.source_id is not null and n.person_source_id is null)
) gone
where d.district_id = $1 and d.id = gone.id";
