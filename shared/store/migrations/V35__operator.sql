-- What operators do from a terminal (docs/adr/0044-operators.md). The release before this one reads none of it: where it runs
-- beside this one its workers claim what is stopped, its planners release it, and its start brings an account's limits
-- back to the configured ones. So a stop holds for the whole installation once every process is of this release.

create table stops (
  id bigint generated always as identity primary key,
  district_id uuid references districts,
  stopped_at timestamptz not null,
  stopped_by text not null,
  reason text not null
);
comment on table stops is 'Whose claims are denied until an operator lets them go on. Almost always empty, and read whole by each claim.';
comment on column stops.district_id is 'Null: every district''s.';
create unique index stops_once on stops (district_id) nulls not distinct;
select tocsin_secure('stops', false);
create policy district on stops to tocsin_app using (district_id is null or district_id = current_district());
grant select on stops to tocsin_app;

create table processes (
  id uuid primary key,
  role text not null,
  version text not null,
  host text not null,
  started_at timestamptz not null,
  seen_at timestamptz not null
);
comment on table processes is 'The roles that run: each tells every few seconds that it does, and takes its row with it when it leaves.';
select tocsin_secure('processes', false);

create function process_seen(process uuid, its_role text, its_version text, its_host text) returns void
  language sql volatile security definer set search_path = public as $$
  delete from processes where seen_at < tocsin_now() - interval '1 day';
  insert into processes (id, role, version, host, started_at, seen_at)
  values (process, its_role, its_version, its_host, tocsin_now(), tocsin_now())
  on conflict (id) do update set seen_at = excluded.seen_at
$$;
comment on function process_seen is 'So that the api, which sees one district at a time, can tell that it runs.';
create function process_left(process uuid) returns void
  language sql volatile security definer set search_path = public as $$
  delete from processes where id = process
$$;
comment on function process_left is 'A role that leaves in order takes its row with it.';
alter function process_seen(uuid, text, text, text) owner to tocsin_engine;
alter function process_left(uuid) owner to tocsin_engine;
revoke execute on function process_seen(uuid, text, text, text), process_left(uuid) from public;
grant execute on function process_seen(uuid, text, text, text), process_left(uuid) to tocsin_app, tocsin_engine;

alter table provider_accounts
  add column limited_at timestamptz,
  add column limited_by text,
  add column configured jsonb;
comment on column provider_accounts.limited_at is 'Since when an operator''s limits hold in place of the configured ones; null: the configured ones hold.';
comment on column provider_accounts.configured is 'While an operator''s limits hold: rate_per_second, burst and concurrency as configured, which hold again afterwards.';

alter table campaigns add column undecided_since timestamptz;
comment on column campaigns.undecided_since is 'Restored from a backup: nothing of it is expanded, released or claimed until an operator decides (docs/adr/0045-restores.md).';
create index campaigns_undecided on campaigns (id) where undecided_since is not null;

create table installation (
  id int primary key default 1 check (id = 1),
  database_oid oid not null,
  recovered_at timestamptz
);
comment on table installation is 'One row: which database this is. A dump that was restored is another one, and says so.';
comment on column installation.recovered_at is 'When `tocsin recover` was last through: occurrences of series from before that wait for a decision.';
insert into installation (database_oid) select oid from pg_database where datname = current_database();
select tocsin_secure('installation', false);

create function is_restored() returns boolean language sql stable security definer set search_path = public as $$
  select database_oid <> (select oid from pg_database where datname = current_database()) from installation
$$;
comment on function is_restored is 'Is this a copy of the database that wrote the row? Then nobody knows what was sent since it was copied.';
alter function is_restored() owner to tocsin_engine;
revoke execute on function is_restored() from public;
grant execute on function is_restored() to tocsin_app, tocsin_engine;
