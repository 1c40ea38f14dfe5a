-- The totals of the delivery summary, requirements 49 and 65 to 73 (docs/adr/0019-totals.md).
-- The release before this one writes none of it: what its processes make and settle, and what is older, the auditor
-- counts, each campaign once, and tells as drift.

-- Campaigns before all else: in this order statements that are under way take them, too.
update campaigns set audit_due_at = now() where audit_due_at is null;

alter table jobs
  add column shared_by int not null default 0,
  add column repeats boolean not null default false,
  add column sole boolean not null default false;
comment on column jobs.shared_by is 'Of a call or text: how many rows of phone_duplicates it has. One that counts a contact must see as many.';
comment on column jobs.repeats is 'Another job to this address, on behalf of another student, stands for it in the totals of addresses.';
comment on column jobs.sole is 'A call or text, and its person has no other device for either in this campaign: its contact is the person''s.';

create table phone_duplicates (
  campaign_id uuid not null,
  district_id uuid not null,
  person_id bigint not null,
  job_id int not null,
  duplicate_id int not null,
  primary key (campaign_id, job_id, duplicate_id)
) partition by range (campaign_id);
comment on table phone_duplicates is 'Calls and texts that are sent once for several rows: the job that is sent, its duplicate, and whose that is.';

create table phone_people (
  campaign_id uuid not null,
  district_id uuid not null,
  person_id bigint not null,
  contacts smallint not null,
  contacts_before smallint not null,
  primary key (campaign_id, person_id)
) partition by range (campaign_id);
comment on table phone_people is 'By how many calls and texts a person was contacted. Only of people who have, or share, more than one.';
comment on column phone_people.contacts_before is 'As it was before the last change: the statement that makes it learns whether the person begins or ceases to count.';

select tocsin_secure(t::regclass, true) from unnest(array['phone_duplicates', 'phone_people']) t;

create or replace function tocsin_make_partitions(through timestamptz) returns int language plpgsql
  security definer set search_path = public as $$
declare
  parents constant text[] := array['recipients', 'destinations', 'jobs', 'attempts', 'events', 'inbox_messages',
    'phone_duplicates', 'phone_people'];
  fills constant int[] := array[100, 100, 50, 60, 100, 90, 100, 70];
  month timestamptz := date_trunc('month', tocsin_now(), 'UTC');
  made int := 0;
begin
  -- Two planners may ask at once.
  perform pg_advisory_xact_lock(7402);
  while month <= through loop
    for i in 1 .. array_length(parents, 1) loop
      if to_regclass(parents[i] || '_' || to_char(month at time zone 'UTC', 'YYYY_MM')) is null then
        perform tocsin_partition(parents[i], to_char(month at time zone 'UTC', 'YYYY_MM'),
          format('for values from (%L) to (%L)', uuid7_floor(month), uuid7_floor(month + interval '1 month')), fills[i]);
        made := made + 1;
      end if;
    end loop;
    month := month + interval '1 month';
  end loop;
  return made;
end $$;

-- As many partitions as the jobs have, those of the past and the default one among them.
select tocsin_partition(p, substr(c.relname, length('jobs_') + 1), pg_get_expr(c.relpartbound, c.oid), f)
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  cross join unnest(array['phone_duplicates', 'phone_people'], array[100, 70]) u(p, f)
  where i.inhparent = 'jobs'::regclass;

alter table tallies
  add column addresses int not null default 0,
  add column addresses_attempted int not null default 0,
  add column addresses_contacted int not null default 0,
  add column addresses_with_result int not null default 0,
  add column contacted_by_phone int not null default 0;
comment on column tallies.addresses is 'Unique addresses of the channel, whatever became of them (requirements 67 to 69).';
comment on column tallies.addresses_attempted is 'Of these, without the canceled, and of texts without the opted out (requirements 70 and 71).';
comment on column tallies.addresses_contacted is 'Of these, delivered to (requirement 66).';
comment on column tallies.addresses_with_result is 'Of these, something came of it (requirement 55).';
comment on column tallies.contacted_by_phone is 'Unique people (requirement 72), and so of channel 0.';

-- Callbacks that could not be parsed, and texts to our numbers, are counted from their rows. No report with an outcome
-- is entered here.
create index events_without_outcome on events (received_at) where outcome is null and provider_code is not null;
