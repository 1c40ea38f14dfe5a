-- The schema of Tocsin. docs/adr/0003-schema.md justifies partitions, fill factors and every index.
--
-- Three roles: the owner (who runs this) migrates; tocsin_engine serves planner, workers and collector and
-- sees every district; tocsin_app serves the api and sees the one district set for its transaction.

do $$ begin create role tocsin_app nologin; exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role tocsin_engine nologin; exception when duplicate_object or unique_violation then null; end $$;
do $$ begin
  execute format('grant tocsin_app, tocsin_engine to %I', current_user);
exception when others then
  if not pg_has_role(current_user, 'tocsin_engine', 'member') then raise; end if;
end $$;

-- Time ------------------------------------------------------------------------------------------------

create table clock (
  id int primary key default 1 check (id = 1),
  shift interval not null default interval '0'
);
comment on table clock is 'One row: added to the server''s clock by tocsin_now(). Only tests change it.';
insert into clock default values;

create function tocsin_now() returns timestamptz language sql volatile
  as $$ select clock_timestamp() + (select shift from clock) $$;
comment on function tocsin_now() is 'The store''s clock: what leases, expiry, send_by and contact_until are compared with.';

create function current_district() returns uuid language sql stable
  as $$ select nullif(current_setting('tocsin.district', true), '')::uuid $$;

-- Tenants and their directory ---------------------------------------------------------------------------

create table districts (
  id uuid primary key,
  name text not null unique,
  time_zone text,
  default_region text not null default 'US',
  weight int not null default 1 check (weight between 1 and 100),
  created_at timestamptz not null
);
comment on column districts.weight is 'Its part in the planner''s sharing among districts.';

create table api_keys (
  district_id uuid not null references districts,
  id uuid primary key,
  name text not null,
  key_hash bytea not null unique,
  created_at timestamptz not null,
  revoked_at timestamptz
);
comment on column api_keys.key_hash is 'SHA-256 of the key; the key itself is shown once and not kept.';

create table schools (
  district_id uuid not null references districts,
  source_id text not null,
  name text not null,
  kind text not null,
  identifier text,
  parent_source_id text,
  active boolean not null default true,
  primary key (district_id, source_id)
);

create table people (
  district_id uuid not null references districts,
  id bigint generated always as identity,
  source_id text not null,
  given_name text not null,
  family_name text not null,
  role smallint not null,
  language text,
  time_zone text,
  active boolean not null,
  primary key (district_id, id),
  unique (district_id, source_id)
);
comment on column people.role is '1 guardian, 2 student, 3 staff.';

create table students (
  district_id uuid not null references districts,
  person_id bigint not null,
  school_source_id text not null,
  grade text,
  active boolean not null,
  primary key (district_id, person_id, school_source_id)
);

create table contacts (
  district_id uuid not null references districts,
  person_id bigint not null,
  student_id bigint not null,
  relationship text not null,
  primary key (district_id, person_id, student_id)
);
comment on table contacts is 'Who is contacted on behalf of which student.';

create table devices (
  district_id uuid not null references districts,
  id bigint generated always as identity,
  person_id bigint not null,
  channel smallint not null,
  address text not null,
  extension text,
  position smallint not null,
  primary key (district_id, id),
  unique (district_id, person_id, channel, address)
);
comment on column devices.address is 'E.164, normalised email address, or the portal account.';

create table consents (
  district_id uuid not null references districts,
  phone text not null,
  state smallint not null,
  changed_at timestamptz not null,
  source text not null,
  primary key (district_id, phone)
);
comment on column consents.state is '1 pending, 2 opted in, 3 opted out (requirement 162).';

create table suppressions (
  district_id uuid not null references districts,
  channel smallint not null,
  address text not null,
  outcome smallint not null check (outcome between 31 and 49 and outcome not in (33, 35, 36)),
  reason text not null,
  created_at timestamptz not null,
  primary key (district_id, channel, address)
);
comment on column suppressions.outcome is 'The outcome that a job to this address ends with: one of those of which nothing is dispatched.';

-- Provider accounts, their shares and the planners' duties ---------------------------------------------------

create table provider_accounts (
  id int generated always as identity primary key,
  name text not null unique,
  district_id uuid references districts,
  channel smallint not null,
  rate_per_second double precision check (rate_per_second > 0),
  burst int check (burst > 0),
  concurrency int check (concurrency > 0),
  weight int not null default 1 check (weight > 0),
  stopped_at timestamptz,
  stop_reason text,
  updated_at timestamptz not null
);
comment on column provider_accounts.district_id is 'Null: serves every district.';
comment on column provider_accounts.rate_per_second is 'In the unit that the provider counts: calls, text segments, messages. Null: no limit.';

create table leases (
  account_id int not null references provider_accounts,
  worker_id uuid not null,
  epoch bigint not null,
  rate_per_second double precision,
  burst int,
  concurrency int,
  expires_at timestamptz not null,
  primary key (account_id, worker_id)
);
comment on table leases is 'A worker''s time-limited share of an account. Without one that is not over no claim is granted.';

create table planner_leases (
  duty text primary key,
  holder uuid not null,
  epoch bigint not null,
  expires_at timestamptz not null
);
comment on table planner_leases is 'Which planner has which duty. The epoch fences a planner that was away.';

-- Campaigns ------------------------------------------------------------------------------------------------

create sequence cancel_epochs;

create table campaigns (
  id uuid primary key,
  district_id uuid not null references districts,
  number bigint generated always as identity unique,
  client_key text not null,
  request_hash bytea not null,
  state smallint not null,
  lane smallint not null,
  mode smallint not null,
  consent_class smallint not null,
  message_type text not null,
  subject text not null,
  channels smallint[] not null,
  audience jsonb not null,
  redial jsonb not null,
  created_by text not null,
  created_at timestamptz not null,
  scheduled_at timestamptz not null,
  expires_at timestamptz not null,
  expand_cursor bigint not null default 0,
  recipients_made int not null default 0,
  jobs_made int not null default 0,
  expanded_at timestamptz,
  started_at timestamptz,
  ended_at timestamptz,
  closed_at timestamptz,
  failure_reason text,
  cancel_epoch bigint,
  canceled_from smallint,
  canceled_at timestamptz,
  canceled_by text,
  cancel_reason text,
  swept_at timestamptz,
  unique (district_id, client_key)
) with (fillfactor = 70);
comment on column campaigns.number is 'The Message ID that users see and quote (requirement 1).';
comment on column campaigns.mode is '1 a message per device, 2 per device and student (decision D2).';
comment on column campaigns.consent_class is '1 emergency, 2 school mission, 3 opt-in needed (decision D11).';
comment on column campaigns.expand_cursor is 'The last person whose devices have jobs; moved by compare-and-set.';
comment on column campaigns.canceled_from is 'The state that the cancel found: one that was Processing is discarded (decision D4).';
comment on column campaigns.swept_at is 'When a whole pass of the sweep found nothing left to cancel.';
comment on column campaigns.closed_at is 'When no job was open any more. A canceled campaign may end before it closes.';
create index campaigns_open on campaigns (id) where closed_at is null;
create index campaigns_by_district on campaigns (district_id, id);

create table contents (
  campaign_id uuid not null,
  ordinal smallint not null,
  district_id uuid not null,
  channel smallint,
  language text,
  subject text,
  body text not null,
  primary key (campaign_id, ordinal)
);

create table recipients (
  campaign_id uuid not null,
  district_id uuid not null,
  person_id bigint not null,
  student_id bigint,
  id int not null,
  no_device boolean not null,
  name text not null,
  student_name text,
  language text,
  time_zone text,
  merge_values jsonb not null,
  primary key (campaign_id, id)
) partition by range (campaign_id);
comment on column recipients.merge_values is 'As they were at expansion, so that what was sent can be shown byte for byte.';

create table destinations (
  campaign_id uuid not null,
  district_id uuid not null,
  device_id bigint not null,
  student_id bigint,
  job_id int not null,
  channel smallint not null,
  duplicate boolean not null,
  address text not null,
  extension text,
  primary key (campaign_id, job_id)
) partition by range (campaign_id);
comment on table destinations is 'What never changes of a job. The job''s own row is narrow and written three times.';
comment on column destinations.student_id is 'Part of the dedupe key in mode 2, null in mode 1 (decision D2).';
create unique index destinations_once on destinations (campaign_id, channel, address, student_id)
  nulls not distinct where not duplicate;

create table jobs (
  campaign_id uuid not null,
  district_id uuid not null,
  due_at timestamptz,
  contact_until timestamptz,
  ended_at timestamptz,
  id int not null,
  recipient_id int not null,
  account_id int,
  generation int not null,
  channel smallint not null,
  lane smallint not null,
  state smallint not null,
  attempt smallint not null default 0,
  tries smallint not null default 0,
  dispatched smallint not null default 0,
  outcome smallint,
  wait_reason smallint,
  primary key (campaign_id, id)
) partition by range (campaign_id);
comment on column jobs.due_at is 'Set while the job waits and only then, so that a claim and an end touch no index.';
comment on column jobs.generation is 'Counts releases; a queue message of an earlier one is void.';
comment on column jobs.attempt is 'Number of the latest attempt.';
comment on column jobs.tries is 'Attempts that count against the redial policy.';
comment on column jobs.dispatched is 'Attempts whose result is not 4. A job that ends with none of them is counted once, by its own outcome.';
comment on column jobs.outcome is 'The highest-ranked outcome of its attempts; final when state is 4.';
create index jobs_due on jobs (campaign_id, channel, due_at, id) where due_at is not null;

create table attempts (
  campaign_id uuid not null,
  district_id uuid not null,
  worker_id uuid not null,
  claimed_at timestamptz not null,
  send_by timestamptz not null,
  settled_at timestamptz,
  recall_until timestamptz,
  job_id int not null,
  account_id int not null,
  generation int not null,
  version int not null,
  number smallint not null,
  state smallint not null,
  outcome smallint,
  result smallint not null default 0,
  recall smallint not null default 0,
  provider_id text,
  provider_code text,
  primary key (campaign_id, job_id, number)
) partition by range (campaign_id);
comment on column attempts.result is 'First axis of decision D1: 0 open, 1 successful, 2 error, 3 canceled, 4 not dispatched.';
comment on column attempts.recall is '0 none, 1 ordered, 2 stopped, 3 too late or not possible.';
comment on column attempts.provider_code is 'The provider''s own word, verbatim.';

create table events (
  campaign_id uuid,
  id uuid not null,
  district_id uuid,
  received_at timestamptz not null,
  reported_at timestamptz,
  job_id int,
  number smallint,
  ordinal smallint not null,
  outcome smallint,
  account text not null,
  provider_id text,
  provider_code text,
  raw bytea
) partition by range (campaign_id);
comment on table events is 'Every report ever received. One that matches no attempt has no campaign and lies in the default partition.';
create unique index events_once on events (campaign_id, id, ordinal) nulls not distinct;
create index events_by_job on events (campaign_id, job_id);

create table inbox_messages (
  campaign_id uuid not null,
  district_id uuid not null,
  created_at timestamptz not null,
  read_at timestamptz,
  job_id int not null,
  account text not null,
  subject text not null,
  body text not null,
  primary key (campaign_id, job_id)
) partition by range (campaign_id);
create index inbox_by_account on inbox_messages (district_id, account, created_at);

-- Batches, tallies, logs ---------------------------------------------------------------------------------------

create table release_batches (
  id bigint generated always as identity primary key,
  released_at timestamptz not null,
  requeue_at timestamptz not null,
  channel smallint not null,
  lane smallint not null,
  campaign_ids uuid[] not null,
  job_ids int[] not null,
  generations int[] not null
);
comment on table release_batches is 'What was released when: how a message that the broker lost is found without an index on the job''s state.';
create index release_batches_due on release_batches (requeue_at);

create table claim_batches (
  id bigint generated always as identity primary key,
  check_at timestamptz not null,
  campaign_ids uuid[] not null,
  job_ids int[] not null,
  numbers smallint[] not null
);
comment on table claim_batches is 'What was claimed together: how attempts that nobody answered for are found without an index on their state.';
create index claim_batches_due on claim_batches (check_at);

create table flow (
  channel smallint not null,
  lane smallint not null,
  account_id int not null,
  queued int not null
);
comment on table flow is 'Insert-only changes of the number of queued jobs by channel, lane and account; folded by a tick.';

create table tallies (
  campaign_id uuid not null,
  district_id uuid not null,
  channel smallint not null,
  recipients int not null default 0,
  no_device int not null default 0,
  devices int not null default 0,
  duplicates int not null default 0,
  open int not null default 0,
  attempts int not null default 0,
  successful int not null default 0,
  error int not null default 0,
  canceled int not null default 0,
  not_dispatched int not null default 0,
  untried int not null default 0,
  last_first_attempt_at timestamptz
);
comment on table tallies is 'Insert-only changes of a campaign''s counters, one row a batch; channel 0 counts people; folded by a tick.';
comment on column tallies.untried is 'Jobs still to be tried for the first time (requirement 52).';
create index tallies_by_campaign on tallies (campaign_id);

create table control_log (
  epoch bigint primary key,
  district_id uuid not null,
  campaign_id uuid not null,
  command text not null,
  actor text not null,
  reason text,
  at timestamptz not null
);

create table audit (
  id bigint generated always as identity primary key,
  district_id uuid not null,
  at timestamptz not null,
  actor text not null,
  action text not null,
  subject text not null,
  details jsonb not null default '{}'
);

-- Row-level security ---------------------------------------------------------------------------------------------

create function tocsin_secure(target regclass, tenant boolean) returns void language plpgsql as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('create policy engine on %s to tocsin_engine using (true) with check (true)', target);
  execute format('grant select, insert, update, delete on %s to tocsin_engine', target);
  if tenant then
    execute format('create policy district on %s to tocsin_app using (district_id = current_district()) with check (district_id = current_district())', target);
    execute format('grant select on %s to tocsin_app', target);
  end if;
end $$;
comment on function tocsin_secure is 'Puts the district boundary on a table; every table and every partition passes through here.';

select tocsin_secure(t::regclass, true) from unnest(array['api_keys', 'schools', 'people', 'students', 'contacts',
  'devices', 'consents', 'suppressions', 'campaigns', 'contents', 'recipients', 'destinations', 'jobs', 'attempts',
  'events', 'inbox_messages', 'tallies', 'control_log', 'audit']) t;
select tocsin_secure(t::regclass, false) from unnest(array['districts', 'provider_accounts', 'leases',
  'planner_leases', 'release_batches', 'claim_batches', 'flow']) t;
create policy district on districts to tocsin_app using (id = current_district());
create policy district on provider_accounts to tocsin_app using (district_id is null or district_id = current_district());
grant select on districts, provider_accounts to tocsin_app;
grant insert, update on campaigns to tocsin_app;
grant insert on contents, control_log, audit to tocsin_app;
grant select on clock to tocsin_app, tocsin_engine;
grant usage on sequence cancel_epochs to tocsin_app, tocsin_engine;

create function district_of_key(hash bytea) returns uuid language sql stable security definer set search_path = public
  as $$ select district_id from api_keys where key_hash = hash and revoked_at is null $$;
comment on function district_of_key is 'How the api learns a caller''s district before one is set.';
alter function district_of_key(bytea) owner to tocsin_engine;
revoke execute on function district_of_key(bytea) from public;
grant execute on function district_of_key(bytea) to tocsin_app, tocsin_engine;

-- Partitions --------------------------------------------------------------------------------------------------------

create function uuid7_floor(at timestamptz) returns uuid language sql immutable
  as $$ select rpad(lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0'), 32, '0')::uuid $$;
comment on function uuid7_floor is 'The smallest UUIDv7 of an instant.';

create function tocsin_partition(parent text, suffix text, bounds text, fill int) returns void language plpgsql as $$
declare child text := parent || '_' || suffix;
begin
  execute format('create table %I partition of %I %s with (fillfactor = %s, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.1)',
    child, parent, bounds, fill);
  perform tocsin_secure(child::regclass, true);
end $$;

create function tocsin_make_partitions(through timestamptz) returns int language plpgsql
  security definer set search_path = public as $$
declare
  parents constant text[] := array['recipients', 'destinations', 'jobs', 'attempts', 'events', 'inbox_messages'];
  fills constant int[] := array[100, 100, 50, 60, 100, 90];
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
comment on function tocsin_make_partitions is 'Makes the monthly partitions up to an instant; returns how many were missing.';
revoke execute on function tocsin_make_partitions(timestamptz) from public;
grant execute on function tocsin_make_partitions(timestamptz) to tocsin_engine;

select tocsin_partition(p, 'default', 'default', f)
  from unnest(array['recipients', 'destinations', 'jobs', 'attempts', 'events', 'inbox_messages'], array[100, 100, 50, 60, 100, 90]) u(p, f);
select tocsin_make_partitions(tocsin_now() + interval '40 days');

-- Version ---------------------------------------------------------------------------------------------------------

create function schema_version() returns int language sql stable security definer set search_path = public
  as $$ select coalesce(max(version), 0)::int from refinery_schema_history $$;
comment on function schema_version is 'What every process compares with its own at start.';
