//! Academic sessions, classes and who is in them.

use deadpool_postgres::Transaction;
use tocsin_domain::DistrictId;

use super::{Step, gone, written};
use crate::StoreError;

pub(super) const SESSIONS: Step =
    Step { name: "import_directory: sessions", write: WRITE_SESSIONS, remove: DEACTIVATE_SESSIONS };
pub(super) const CLASSES: Step =
    Step { name: "import_directory: classes", write: WRITE_CLASSES, remove: DEACTIVATE_CLASSES };
pub(super) const MEMBERS: Step =
    Step { name: "import_directory: class members", write: WRITE_MEMBERS, remove: DEACTIVATE_MEMBERS };

const WRITE_SESSIONS: &str = concat!(
    "-- store.import_directory: write sessions
with delivered as materialized (
  select source_id, title, kind, starts_on, ends_on, school_year, parent_source_id
  from new_sessions where not deleted
), written as (
  insert into academic_sessions as s (district_id, source_id, title, kind, starts_on, ends_on, school_year,
    parent_source_id, active)
  select $1, d.*, true from delivered d
  on conflict (district_id, source_id) do update
  set title = excluded.title, kind = excluded.kind, starts_on = excluded.starts_on, ends_on = excluded.ends_on,
    school_year = excluded.school_year, parent_source_id = excluded.parent_source_id, active = true
  where (s.title, s.kind, s.starts_on, s.ends_on, s.school_year, s.parent_source_id, s.active)
    is distinct from (excluded.title, excluded.kind, excluded.starts_on, excluded.ends_on, excluded.school_year,
      excluded.parent_source_id, true)
  returning xmax = 0 as added, title
)",
    written!("w.title", "")
);

const DEACTIVATE_SESSIONS: &str = concat!(
    "-- store.import_directory: deactivate sessions
with gone as (
  update academic_sessions s set active = false
  from (
    select e.source_id
    from academic_sessions e left join new_sessions n on n.source_id = e.source_id
    where e.district_id = $1 and e.active and coalesce(n.deleted, $2)
  ) gone
  where s.district_id = $1 and s.source_id = gone.source_id
  returning s.title
)",
    gone!("w.title", "")
);

const WRITE_CLASSES: &str = concat!(
    "-- store.import_directory: write classes
with delivered as materialized (
  select source_id, title, code, school_source_id, session_source_ids from new_classes where not deleted
), written as (
  insert into classes as c (district_id, source_id, title, code, school_source_id, session_source_ids, active)
  select $1, d.*, true from delivered d
  on conflict (district_id, source_id) do update
  set title = excluded.title, code = excluded.code, school_source_id = excluded.school_source_id,
    session_source_ids = excluded.session_source_ids, active = true
  where (c.title, c.code, c.school_source_id, c.session_source_ids, c.active)
    is distinct from (excluded.title, excluded.code, excluded.school_source_id, excluded.session_source_ids, true)
  returning xmax = 0 as added, title, school_source_id
)",
    written!("w.title || ' at ' || w.school_source_id", "")
);

const DEACTIVATE_CLASSES: &str = concat!(
    "-- store.import_directory: deactivate classes
with gone as (
  update classes c set active = false
  from (
    select e.source_id
    from classes e left join new_classes n on n.source_id = e.source_id
    where e.district_id = $1 and e.active and coalesce(n.deleted, $2)
  ) gone
  where c.district_id = $1 and c.source_id = gone.source_id
  returning c.title, c.school_source_id
)",
    gone!("w.title || ' at ' || w.school_source_id", "")
);

/// Sessions may come without the classes that name them, so it is told anew of all classes.
const SCHOOL_YEARS: &str = "-- store.import_directory: school years
update classes c set school_year = told.school_year
from (
  select k.source_id, max(s.school_year) as school_year
  from classes k
  left join lateral unnest(k.session_source_ids) named(source_id) on true
  left join academic_sessions s on s.district_id = $1 and s.source_id = named.source_id
  where k.district_id = $1 group by k.source_id
) told
where c.district_id = $1 and c.source_id = told.source_id and c.school_year is distinct from told.school_year";

pub(super) async fn tell_school_years(
    transaction: &Transaction<'_>,
    district: DistrictId,
) -> Result<(), StoreError> {
    let told = transaction.execute(SCHOOL_YEARS, &[&district.0]).await;
    told.map(|_| ()).map_err(StoreError::statement("import_directory: school years"))
}

const WRITE_MEMBERS: &str = concat!(
    "-- store.import_directory: write class members
with delivered as materialized (
  select n.source_id, n.class_source_id, p.id as person_id, n.role, n.active
  from new_class_members n
  join people p on p.district_id = $1 and p.source_id = n.person_source_id and (p.by_roster or p.by_hand)
  join classes c on c.district_id = $1 and c.source_id = n.class_source_id
  where not n.deleted
), written as (
  insert into class_members as m (district_id, source_id, class_source_id, person_id, role, active)
  select $1, d.* from delivered d
  on conflict (district_id, source_id) do update
  set class_source_id = excluded.class_source_id, person_id = excluded.person_id, role = excluded.role,
    active = excluded.active
  where (m.class_source_id, m.person_id, m.role, m.active)
    is distinct from (excluded.class_source_id, excluded.person_id, excluded.role, excluded.active)
  returning xmax = 0 as added, person_id, class_source_id
)",
    written!(
        "p.given_name || ' ' || p.family_name || ' in ' || w.class_source_id",
        "join people p on p.district_id = $1 and p.id = w.person_id"
    )
);

const DEACTIVATE_MEMBERS: &str = concat!(
    "-- store.import_directory: deactivate class members
with gone as (
  update class_members m set active = false
  from (
    select e.source_id
    from class_members e left join new_class_members n on n.source_id = e.source_id
    where e.district_id = $1 and e.active and coalesce(n.deleted, $2)
  ) gone
  where m.district_id = $1 and m.source_id = gone.source_id
  returning m.person_id, m.class_source_id
)",
    gone!(
        "p.given_name || ' ' || p.family_name || ' in ' || w.class_source_id",
        "join people p on p.district_id = $1 and p.id = w.person_id"
    )
);
