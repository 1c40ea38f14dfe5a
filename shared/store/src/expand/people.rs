//! Whom an audience addresses, and on whose behalf: parts of the expanding statement, of what counts as it does, and
//! of the preview.

use serde_json::{Value, json};
use tocsin_domain::audience::{Audience, Role};

/// More than so many names or classes are not looked up anew for each chunk: then the district is walked after all.
const NAMES_MAX: usize = 2_000;
const CLASSES_MAX: usize = 50;

/// Does each group list whom it may address at most? Then people are found from the lists ([`candidates`]), and the
/// district is not walked (docs/adr/0058-from-the-lists.md).
pub(crate) fn starts_from_lists(audience: &Audience) -> bool {
    let (mut names, mut classes) = (0, 0);
    for group in audience.groups() {
        if group.people.is_empty() && group.students.is_empty() && group.classes.is_empty() {
            return false;
        }
        names += group.people.len() + group.students.len();
        classes += group.classes.len();
    }
    names <= NAMES_MAX && classes <= CLASSES_MAX
}

/// The groups of an audience as [`audience_groups`] takes them. What is null narrows nothing.
pub(crate) fn groups_of(audience: &Audience) -> Value {
    fn given<T>(list: &[T]) -> Option<&[T]> {
        (!list.is_empty()).then_some(list)
    }
    let groups = audience.groups().iter().enumerate().map(|(ordinal, group)| {
        let wants = |role| group.roles.contains(&role);
        json!({
            "ordinal": ordinal,
            "guardians": wants(Role::Guardian),
            "students": wants(Role::Student),
            "staff": wants(Role::Staff),
            "schools": given(&group.schools),
            "grades": given(&group.grades),
            "classes": given(&group.classes),
            "school_years": given(&group.school_years),
            "about": given(&group.students),
            "people": given(&group.people),
            "language": group.language,
            "inactive": group.include_inactive,
        })
    });
    Value::Array(groups.collect())
}

/// The groups, `$8`, and the people and students that they list, in tables of their own: these are hashed, and not
/// searched once for each person.
macro_rules! audience_groups {
    () => {
        concat!(
            "groups as materialized (
  select g.*, g.classes is not null or g.school_years is not null as by_class
  from jsonb_to_recordset($8::jsonb) as g(ordinal int, guardians boolean, students boolean, staff boolean,
    schools text[], grades text[], classes text[], school_years smallint[], about text[], people text[], language text,
    inactive boolean)
), listed as materialized (
  select g.ordinal, named.source_id from groups g cross join lateral unnest(g.people) named(source_id)
), listed_students as materialized (
  select g.ordinal, p.id as student_id from groups g cross join lateral unnest(g.about) l(source_id)
  cross join lateral (",
            named_person!(),
            ") p
)"
        )
    };
}

/// The person whom `l` lists. Compared as a row, so that no statement takes the index of the key, which begins with the
/// district, for this while the table is small (docs/adr/0004-plans.md).
macro_rules! named_person {
    () => {
        "select id from people where source_id = l.source_id
      and (source_id, district_id) >= (l.source_id, $2) and (source_id, district_id) <= (l.source_id, $2) limit 1"
    };
}

/// Nobody else can be in the audience: whoever is listed, and of students and classes the members and their guardians.
/// A group that has several kinds of lists is looked up by one of them.
macro_rules! candidates {
    () => {
        concat!(
            "members as materialized (
  select l.student_id as id from groups g cross join lateral (
    select student_id from listed_students where ordinal = g.ordinal offset 0) l
  where g.people is null
  union
  select m.person_id from groups g cross join lateral unnest(g.classes) named(source_id)
  cross join lateral (
    select person_id from class_members where class_source_id = named.source_id and district_id = $2 offset 0) m
  where g.people is null and g.about is null
), candidates as materialized (
  select p.id from listed l cross join lateral (",
            named_person!(),
            ") p
  union
  select id from members
  union
  select c.person_id from members m cross join lateral (
    select person_id from contacts where student_id = m.id and district_id = $2 offset 0) c
), "
        )
    };
}

/// Where the people of [`in_audience`] come from: the district, or its [`candidates`].
macro_rules! from_candidates {
    () => {
        "candidates k cross join lateral (select * from people where district_id = $2 and id = k.id limit 1) p"
    };
}

/// May the person `p` be addressed by the group `g`, whatever its students?
macro_rules! is_open_to {
    () => {
        "(p.active or g.inactive)
      and (g.language is null or p.language = g.language)
      and (g.people is null or (g.ordinal, p.source_id) in (select ordinal, source_id from listed))"
    };
}

/// Is `$person` a member in `$role`, 2 a student and 3 staff, of a class that `g` means?
macro_rules! in_class {
    ($person:literal, $role:literal) => {
        concat!(
            "(select true from class_members m cross join lateral (
          select from classes k
          where k.district_id = $2 and k.source_id = m.class_source_id and (k.active or g.inactive)
            and (g.school_years is null or k.school_year = any(g.school_years))
            and (g.schools is null or k.school_source_id = any(g.schools)) limit 1) k
        where m.district_id = $2 and m.person_id = ",
            $person,
            " and m.role = ",
            $role,
            " and (m.active or g.inactive)
          and (g.classes is null or m.class_source_id = any(g.classes)) limit 1)"
        )
    };
}

/// Is the enrolment `s` of `$person` one that `g` means?
macro_rules! is_meant {
    ($person:literal) => {
        concat!(
            "s.district_id = $2 and s.person_id = ",
            $person,
            " and (s.active or g.inactive)
        and (g.schools is null or s.school_source_id = any(g.schools))
        and (g.grades is null or s.grade = any(g.grades))
        and (g.about is null or (g.ordinal, s.person_id) in (select ordinal, student_id from listed_students))
        and (not g.by_class or ",
            in_class!($person, "2"),
            ")"
        )
    };
}

/// Is the person `p` in the audience, behind the cursor? Staff are found by the classes that they teach; a list of
/// people that nothing else narrows names its people whatever they are.
macro_rules! in_audience {
    () => {
        concat!(
            "where p.district_id = $2 and p.id > $3
      and (select true from groups g where ",
            is_open_to!(),
            "
        and ((g.guardians and (
              select true from contacts c cross join lateral (
                select from students s where ",
            is_meant!("c.student_id"),
            " limit 1) s
              where c.district_id = $2 and c.person_id = p.id limit 1))
          or (g.students and (select true from students s where ",
            is_meant!("p.id"),
            " limit 1))
          or (g.staff and p.role = 3 and g.grades is null and g.about is null
            and (g.schools is null and not g.by_class or ",
            in_class!("p.id", "3"),
            "))
          or (g.people is not null and g.schools is null and g.grades is null and g.about is null
            and not g.by_class))
        limit 1)"
        )
    };
}

/// The students on whose behalf the people of `chunk` are addressed, each pair once, by whatever group.
macro_rules! about_students {
    () => {
        concat!(
            "about as materialized (
  select distinct on (p.id, a.student_id)
    p.*, a.student_id, a.student_given_name, a.student_family_name, a.grade, a.school
  from chunk p left join lateral (
    select pair.student_id, sp.given_name as student_given_name, sp.family_name as student_family_name,
      s.grade, s.school_source_id, sch.name as school
    from groups g
    cross join lateral (
      (select student_id from contacts where g.guardians and district_id = $2 and person_id = p.id offset 0)
      union
      select p.id where g.students and p.role = 2
    ) pair
    cross join lateral (
      select s.grade, s.school_source_id from students s where ",
            is_meant!("pair.student_id"),
            " offset 0) s
    cross join lateral (
      select given_name, family_name from people where district_id = $2 and id = pair.student_id limit 1) sp
    left join lateral (
      select name from schools where district_id = $2 and source_id = s.school_source_id limit 1) sch on true
    where ",
            is_open_to!(),
            "
    offset 0) a on true
  order by p.id, a.student_id, a.school_source_id
)"
        )
    };
}

/// One row a message: in mode 2, `$7`, a person is addressed once for each student, in mode 1 once for all of them.
macro_rules! addressed_people {
    () => {
        "addressed as materialized (
  select id, given_name, family_name, language, time_zone, student_id as about_id,
    case when student_id is not null then array[student_id] end as students,
    student_given_name || ' ' || student_family_name as student_name, student_given_name, grade, school
  from about
  where $7::smallint = 2
  union all
  select id, given_name, family_name, language, time_zone, null,
    array_agg(student_id order by student_id) filter (where student_id is not null),
    string_agg(student_given_name || ' ' || student_family_name, ', ' order by student_id),
    string_agg(student_given_name, ', ' order by student_id),
    string_agg(distinct grade, ', '), string_agg(distinct school, ', ')
  from about
  where $7::smallint = 1
  group by id, given_name, family_name, language, time_zone
)"
    };
}

/// What the merge fields of the message `n` are filled in with.
macro_rules! merge_values {
    () => {
        "jsonb_strip_nulls(jsonb_build_object('recipient_name', n.given_name || ' ' || n.family_name,
      'given_name', n.given_name, 'family_name', n.family_name, 'student_name', n.student_name,
      'student_given_name', n.student_given_name, 'school_name', n.school, 'grade', n.grade))"
    };
}

pub(crate) use {
    about_students, addressed_people, audience_groups, candidates, from_candidates, in_audience, in_class,
    is_meant, is_open_to, merge_values, named_person,
};
