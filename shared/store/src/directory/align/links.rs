//! Who is enrolled where, and who is contacted on behalf of whom.

use super::{Step, gone, written};

pub(super) const STUDENTS: Step =
    Step { name: "import_directory: students", write: WRITE_STUDENTS, remove: DEACTIVATE_STUDENTS };
pub(super) const CONTACTS: Step =
    Step { name: "import_directory: contacts", write: WRITE_CONTACTS, remove: REMOVE_CONTACTS };

/// An enrolment that came without its student's row (a change of roles.csv) says nothing of the grade. `$2` is null where
/// nothing is to be noted; here and below.
const WRITE_STUDENTS: &str = concat!(
    "-- store.import_directory: write students
with delivered as materialized (
  select p.id as person_id, n.school_source_id, n.active,
    coalesce(was.active, false) as was_active,
    coalesce(n.grade, case when own.source_id is null then (
      select e.grade from students e
      where e.district_id = $1 and e.person_id = p.id
      order by e.school_source_id = n.school_source_id desc, e.active desc limit 1) end) as grade
  from new_students n
  join people p on p.district_id = $1 and p.source_id = n.person_source_id and (p.by_roster or p.by_hand)
  left join new_people own on own.source_id = n.person_source_id
  left join students was
    on was.district_id = $1 and was.person_id = p.id and was.school_source_id = n.school_source_id
), written as (
  insert into students as s (district_id, person_id, school_source_id, grade, active)
  select $1, person_id, school_source_id, grade, active from delivered
  on conflict (district_id, person_id, school_source_id) do update
  set grade = excluded.grade, active = excluded.active or s.by_hand
  where (s.grade, s.active) is distinct from (excluded.grade, excluded.active or s.by_hand)
  returning xmax = 0 as added, person_id, school_source_id, active
), noted as (
  insert into roster_changes (district_id, student_id, school_source_id, at, actor, begins)
  select $1, person_id, school_source_id, $2, $3, w.active
  from written w join delivered d using (person_id, school_source_id)
  where $2::timestamptz is not null and w.active <> d.was_active
)",
    written!(
        "p.given_name || ' ' || p.family_name || ' at ' || w.school_source_id",
        "join people p on p.district_id = $1 and p.id = w.person_id"
    )
);

const DEACTIVATE_STUDENTS: &str = concat!(
    "-- store.import_directory: deactivate students
with gone as (
  update students s set active = false
  from (
    select e.person_id, e.school_source_id
    from students e
    join people p on p.district_id = $1 and p.id = e.person_id
    left join new_people own on own.source_id = p.source_id
    left join new_students n
      on n.person_source_id = p.source_id and n.school_source_id = e.school_source_id
    where e.district_id = $1 and e.active
      and (not (p.by_roster or p.by_hand)
        or not e.by_hand and n.person_source_id is null and ($2 or $3 and own.role is not null))
  ) gone
  where s.district_id = $1 and s.person_id = gone.person_id and s.school_source_id = gone.school_source_id
  returning s.person_id, s.school_source_id
), noted as (
  insert into roster_changes (district_id, student_id, school_source_id, at, actor, begins)
  select $1, person_id, school_source_id, $4, $5, false from gone where $4::timestamptz is not null
)",
    gone!(
        "p.given_name || ' ' || p.family_name || ' at ' || w.school_source_id",
        "join people p on p.district_id = $1 and p.id = w.person_id"
    )
);

/// Either side's row may name the other (wire.md F), and in most districts one side never does. So each side
/// of a contact is kept by itself: a row that came replaces what it named, and says nothing of what the other
/// side's row names. In a complete delivery all rows came; whoever has none is not active any more. What the
/// district ended is not named again, whichever row does.
const WRITE_CONTACTS: &str = concat!(
    "-- store.import_directory: write contacts
with delivered as materialized (
  select p.id as person_id, s.id as student_id, n.relationship, n.by_student, n.by_person,
    stop.person_id is not null as stopped
  from new_contacts n
  join people p on p.district_id = $1 and p.source_id = n.person_source_id and (p.by_roster or p.by_hand)
  join people s on s.district_id = $1 and s.source_id = n.student_source_id and (s.by_roster or s.by_hand)
  left join contact_stops stop on stop.district_id = $1 and stop.person_id = p.id and stop.student_id = s.id
), stored as materialized (
  select e.person_id, e.student_id, e.relationship, e.by_student as was_by_student, e.by_person as was_by_person,
    e.by_student and (student_row.lists_contacts is not true or of_student.owner_source_id is not null) as by_student,
    e.by_person and (person_row.lists_contacts is not true or of_person.owner_source_id is not null) as by_person
  from contacts e
  join people p on p.district_id = $1 and p.id = e.person_id and (p.by_roster or p.by_hand)
  join people s on s.district_id = $1 and s.id = e.student_id and (s.by_roster or s.by_hand)
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
  from (select * from delivered where not stopped) d full join stored e using (person_id, student_id)
  where d.person_id is not null or (e.by_student, e.by_person) <> (e.was_by_student, e.was_by_person)
), changed as (
  insert into contacts as c (district_id, person_id, student_id, relationship, by_student, by_person)
  select $1, person_id, student_id, relationship, by_student, by_person from named
  on conflict (district_id, person_id, student_id) do update
  set relationship = excluded.relationship, by_student = excluded.by_student, by_person = excluded.by_person
  where (c.relationship, c.by_student, c.by_person)
    is distinct from (excluded.relationship, excluded.by_student, excluded.by_person)
  returning xmax = 0 as added, person_id, student_id, by_student or by_person or by_hand as stays
), written as (
  select * from changed where added or stays
), noted as (
  insert into roster_changes (district_id, student_id, contact_id, at, actor, begins)
  select $1, student_id, person_id, $2, $3, true from changed where added and $2::timestamptz is not null
)",
    written!(
        "p.given_name || ' ' || p.family_name || ' for ' || s.given_name || ' ' || s.family_name",
        "join people p on p.district_id = $1 and p.id = w.person_id
    join people s on s.district_id = $1 and s.id = w.student_id"
    )
);

/// What nobody names any more, and what belongs to somebody who is gone.
const REMOVE_CONTACTS: &str = concat!(
    "-- store.import_directory: remove contacts
with gone as (
  delete from contacts c
  using (
    select e.person_id, e.student_id
    from contacts e
    join people p on p.district_id = $1 and p.id = e.person_id
    join people s on s.district_id = $1 and s.id = e.student_id
    where e.district_id = $1
      and not ((p.by_roster or p.by_hand) and (s.by_roster or s.by_hand)
        and (e.by_student or e.by_person or e.by_hand))
  ) gone
  where c.district_id = $1 and c.person_id = gone.person_id and c.student_id = gone.student_id
  returning c.person_id, c.student_id
), noted as (
  insert into roster_changes (district_id, student_id, contact_id, at, actor, begins)
  select $1, student_id, person_id, $2, $3, false from gone where $2::timestamptz is not null
)",
    gone!(
        "p.given_name || ' ' || p.family_name || ' for ' || s.given_name || ' ' || s.family_name",
        "join people p on p.district_id = $1 and p.id = w.person_id
    join people s on s.district_id = $1 and s.id = w.student_id"
    )
);
