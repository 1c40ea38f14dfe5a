-- People, contacts and devices that a district keeps beside its roster; preferences; classes and school years; what a
-- person was sent; deliveries that wait to be applied (docs/adr/0034-directory.md). Processes of the release before go
-- on: what they import is taken as the roster's.

-- Whose a row is ------------------------------------------------------------------------------------------------

alter table people
  add column by_roster boolean not null default true,
  add column by_hand boolean not null default false,
  add column stopped boolean not null default false,
  add column roster_language text,
  add column roster_time_zone text,
  add column own_language text,
  add column own_time_zone text;
comment on column people.by_roster is 'The latest delivery that spoke of it has it.';
comment on column people.by_hand is 'The district added it, or took it back in: no delivery makes it inactive.';
comment on column people.stopped is 'The district made it inactive: no delivery makes it active.';
comment on column people.active is '(by_roster or by_hand) and not stopped, kept by whoever writes one of them.';
comment on column people.language is 'own_language, else roster_language, kept by whoever writes one of them; so time_zone.';
update people set by_roster = active, roster_language = language, roster_time_zone = time_zone;

alter table students add column by_hand boolean not null default false;
comment on column students.by_hand is 'The district enrolled the student: no delivery ends it.';

alter table contacts add column by_hand boolean not null default false;
comment on column contacts.by_hand is 'The district named the contact: no delivery removes it.';

create table contact_stops (
  district_id uuid not null references districts,
  person_id bigint not null,
  student_id bigint not null,
  stopped_at timestamptz not null,
  stopped_by text not null,
  primary key (district_id, person_id, student_id)
);
comment on table contact_stops is 'Contacts that the district ended: no delivery names them again.';

alter table devices
  add column by_roster boolean not null default true,
  add column by_hand boolean not null default false,
  add column declined text[] not null default '{}' check (not 'emergency' = any(declined));
comment on column devices.by_hand is 'The district added it: no delivery removes it.';
comment on column devices.declined is 'Message types that its person does not want here: that of device_preferences. Emergencies use every device.';

create table device_preferences (
  district_id uuid not null references districts,
  person_id bigint not null,
  channel smallint not null,
  address text not null,
  declined text[] not null check (cardinality(declined) > 0 and not 'emergency' = any(declined)),
  changed_at timestamptz not null,
  changed_by text not null,
  primary key (district_id, person_id, channel, address)
);
comment on table device_preferences is 'By address and not by device, so that one that leaves the roster and comes back is as its person wanted it.';

alter table districts add column directory_version bigint not null default 0;
comment on column districts.directory_version is 'Goes up with every change of the directory, so that a delivery is applied to what it was compared with.';

-- Classes and school years ------------------------------------------------------------------------------------------

create table academic_sessions (
  district_id uuid not null references districts,
  source_id text not null,
  title text not null,
  kind text not null,
  starts_on date,
  ends_on date,
  school_year smallint,
  parent_source_id text,
  active boolean not null default true,
  primary key (district_id, source_id)
);
comment on column academic_sessions.school_year is 'The year in which it ends, as OneRoster counts.';

create table classes (
  district_id uuid not null references districts,
  source_id text not null,
  title text not null,
  code text,
  school_source_id text not null,
  session_source_ids text[] not null,
  school_year smallint,
  active boolean not null default true,
  primary key (district_id, source_id)
);
comment on column classes.school_year is 'The latest of its sessions, kept by the import.';
create index classes_by_school on classes (school_source_id);

create table class_members (
  district_id uuid not null references districts,
  source_id text not null,
  class_source_id text not null,
  person_id bigint not null,
  role smallint not null,
  active boolean not null,
  primary key (district_id, source_id)
);
comment on column class_members.role is 'As people.role: 2 is taught there, 3 teaches.';
create index class_members_by_person on class_members (district_id, person_id);
create index class_members_by_class on class_members (class_source_id);

-- Looking people up ---------------------------------------------------------------------------------------------------

-- Columns, because the district's policy lets no session of the api look by an expression: lower() might tell of rows.
alter table people
  add column family_key text collate "C" not null generated always as (lower(family_name)) stored,
  add column given_key text collate "C" not null generated always as (lower(given_name)) stored;
-- The engine looks into these tables by whole keys. An index that begins as a key does must be none that its statements
-- may take for that key, least of all while a table is empty and all indexes look alike (docs/adr/0004-plans.md): so
-- these have a condition that only a search says, and others do not begin with the district.
alter table people drop constraint people_district_id_source_id_key;
alter table people add constraint people_source unique (source_id, district_id);
create index people_by_name on people (district_id, family_key, given_key, id) where id > 0;
create index people_by_given_name on people (district_id, given_key) where id > 0;
create index people_by_source on people (district_id, (source_id collate "C")) where id > 0;
create index devices_by_address on devices (district_id, (address collate "C")) where id > 0;
create index students_by_school on students (school_source_id, grade);
create index contacts_by_student on contacts (student_id);

-- What a person was sent ------------------------------------------------------------------------------------------------

-- Campaigns of some days are few; each is looked into by person, in its partition.
create index campaigns_of_days on campaigns (district_id, scheduled_at, id) where number > 0;

alter table recipients
  add column student_ids bigint[],
  add column first_job int;
comment on column recipients.student_ids is 'On behalf of whom the person is contacted, in both modes.';
comment on column recipients.first_job is 'Its jobs begin here, if it has any, and end before the next recipient''s first.';

create table recipient_people (
  campaign_id uuid not null,
  district_id uuid not null,
  person_id bigint not null,
  recipient_id int not null,
  primary key (campaign_id, person_id, recipient_id)
) partition by range (campaign_id);
comment on table recipient_people is 'Whom a recipient''s messages are about: the person, and the students on whose behalf (requirement 195).';

-- A delivery that waits ----------------------------------------------------------------------------------------------------

create table imports (
  district_id uuid not null references districts,
  id uuid not null,
  state smallint not null,
  created_at timestamptz not null,
  created_by text not null,
  file_name text not null,
  strict boolean not null,
  delivery bytea,
  looked_at timestamptz,
  directory_version bigint,
  summary jsonb,
  problems text,
  reason text,
  applied_at timestamptz,
  applied_by text,
  primary key (district_id, id)
);
comment on column imports.state is '1 being read, 2 compared, 3 being applied, 4 applied, 5 refused, 6 given up.';
comment on column imports.delivery is 'The zip as it was sent; null when nothing can become of it any more.';
comment on column imports.directory_version is 'Of the directory that it was compared with: it is applied to no other.';
comment on column imports.problems is 'The faults of its rows, as CSV.';

-- Rights and partitions -------------------------------------------------------------------------------------------------------

select tocsin_secure(t::regclass, true) from unnest(array['contact_stops', 'device_preferences', 'academic_sessions',
  'classes', 'class_members', 'recipient_people', 'imports']) t;
grant insert, update, delete on schools, people, students, contacts, devices, contact_stops, device_preferences,
  academic_sessions, classes, class_members, imports to tocsin_app;
grant update (directory_version) on districts to tocsin_app;

-- As many partitions as the jobs have, those of the past and the default one among them.
select tocsin_partition('recipient_people', substr(c.relname, length('jobs_') + 1), pg_get_expr(c.relpartbound, c.oid), 100)
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent = 'jobs'::regclass;

-- Every partitioned table has a default partition, and that says how full the others are.
create or replace function tocsin_make_partitions(through timestamptz) returns int language plpgsql
  security definer set search_path = public as $$
declare
  month timestamptz := date_trunc('month', tocsin_now(), 'UTC');
  made int := 0;
  parent record;
begin
  -- Two planners may ask at once.
  perform pg_advisory_xact_lock(7402);
  while month <= through loop
    for parent in
      select p.relname as name,
        coalesce((select substr(o, length('fillfactor=') + 1)::int from unnest(d.reloptions) o
          where o like 'fillfactor=%'), 100) as fill
      from pg_class p join pg_class d on d.relnamespace = p.relnamespace and d.relname = p.relname || '_default'
      where p.relkind = 'p' and p.relnamespace = 'public'::regnamespace
      order by p.relname
    loop
      if to_regclass(parent.name || '_' || to_char(month at time zone 'UTC', 'YYYY_MM')) is null then
        perform tocsin_partition(parent.name, to_char(month at time zone 'UTC', 'YYYY_MM'),
          format('for values from (%L) to (%L)', uuid7_floor(month), uuid7_floor(month + interval '1 month')), parent.fill);
        made := made + 1;
      end if;
    end loop;
    month := month + interval '1 month';
  end loop;
  return made;
end $$;
