//! Schools, people and their devices. A row that the upsert inserted has no xmax; one that it updated has.

use super::{Step, gone, written};

pub(super) const SCHOOLS: Step =
    Step { name: "import_directory: schools", write: WRITE_SCHOOLS, remove: DEACTIVATE_SCHOOLS };
pub(super) const PEOPLE: Step =
    Step { name: "import_directory: people", write: WRITE_PEOPLE, remove: DEACTIVATE_PEOPLE };
pub(super) const DEVICES: Step =
    Step { name: "import_directory: devices", write: WRITE_DEVICES, remove: REMOVE_DEVICES };

const WRITE_SCHOOLS: &str = concat!(
    "-- store.import_directory: write schools
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
  returning xmax = 0 as added, name
)",
    written!("w.name", "")
);

const DEACTIVATE_SCHOOLS: &str = concat!(
    "-- store.import_directory: deactivate schools
with gone as (
  update schools s set active = false
  from (
    select e.source_id
    from schools e left join new_schools n on n.source_id = e.source_id
    where e.district_id = $1 and e.active and coalesce(n.deleted, $2)
  ) gone
  where s.district_id = $1 and s.source_id = gone.source_id
  returning s.name
)",
    gone!("w.name", "")
);

/// Language and zone are the roster's only where the district has not said otherwise, and nobody whom it stopped is
/// made active again.
const WRITE_PEOPLE: &str = concat!(
    "-- store.import_directory: write people
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
  insert into people as p (district_id, source_id, given_name, family_name, role, language, time_zone,
    roster_language, roster_time_zone, active)
  select $1, source_id, given_name, family_name, role, language, time_zone, language, time_zone, true
  from delivered
  on conflict (district_id, source_id) do update
  set given_name = excluded.given_name, family_name = excluded.family_name, role = excluded.role,
    roster_language = excluded.roster_language, roster_time_zone = excluded.roster_time_zone,
    language = coalesce(p.own_language, excluded.roster_language),
    time_zone = coalesce(p.own_time_zone, excluded.roster_time_zone),
    by_roster = true, active = not p.stopped
  where (p.given_name, p.family_name, p.role, p.roster_language, p.roster_time_zone, p.by_roster, p.active)
    is distinct from (excluded.given_name, excluded.family_name, excluded.role, excluded.roster_language,
      excluded.roster_time_zone, true, not p.stopped)
  returning xmax = 0 as added, given_name || ' ' || family_name || ' (' || source_id || ')' as name
)",
    written!("w.name", "")
);

const DEACTIVATE_PEOPLE: &str = concat!(
    "-- store.import_directory: deactivate people
with gone as (
  update people p set by_roster = false, active = p.by_hand and not p.stopped
  from (
    select e.id
    from people e left join new_people n on n.source_id = e.source_id
    where e.district_id = $1 and e.by_roster and coalesce(n.deleted, $2)
  ) gone
  where p.district_id = $1 and p.id = gone.id
  returning p.given_name || ' ' || p.family_name || ' (' || p.source_id || ')' as name
)",
    gone!("w.name", "")
);

/// A device that stays keeps its id, which campaigns under way refer to. One that comes back is as its person
/// wanted it.
const WRITE_DEVICES: &str = concat!(
    "-- store.import_directory: write devices
with delivered as materialized (
  select distinct on (p.id, n.channel, n.address)
    p.id as person_id, n.channel, n.address, n.extension, n.position
  from new_devices n
  join people p on p.district_id = $1 and p.source_id = n.person_source_id and (p.by_roster or p.by_hand)
  order by p.id, n.channel, n.address, n.position
), written as (
  insert into devices as d (district_id, person_id, channel, address, extension, position, declined)
  select $1, n.person_id, n.channel, n.address, n.extension, n.position, coalesce(w.declined, '{}')
  from delivered n
  left join device_preferences w on w.district_id = $1 and w.person_id = n.person_id and w.channel = n.channel
    and w.address = n.address
  on conflict (district_id, person_id, channel, address) do update
  set extension = excluded.extension, position = excluded.position, by_roster = true
  where (d.extension, d.position, d.by_roster) is distinct from (excluded.extension, excluded.position, true)
  returning xmax = 0 as added, person_id, address
)",
    written!(
        "p.given_name || ' ' || p.family_name || ': ' || w.address",
        "join people p on p.district_id = $1 and p.id = w.person_id"
    )
);

/// What the district added stays, as long as its person does.
const REMOVE_DEVICES: &str = concat!(
    "-- store.import_directory: remove devices
with left_out as materialized (
  select e.id, e.by_hand and (p.by_roster or p.by_hand) as stays
  from devices e
  join people p on p.district_id = $1 and p.id = e.person_id
  left join new_people own on own.source_id = p.source_id
  left join new_devices n
    on n.person_source_id = p.source_id and n.channel = e.channel and n.address = e.address
  where e.district_id = $1
    and (not (p.by_roster or p.by_hand)
      or e.by_roster and own.source_id is not null and n.person_source_id is null)
), kept as (
  update devices d set by_roster = false
  from left_out l where d.district_id = $1 and d.id = l.id and l.stays
), gone as (
  delete from devices d using left_out l
  where d.district_id = $1 and d.id = l.id and not l.stays
  returning d.person_id, d.address
)",
    gone!(
        "p.given_name || ' ' || p.family_name || ': ' || w.address",
        "join people p on p.district_id = $1 and p.id = w.person_id"
    )
);
