-- What a planner observes of the server itself, for its metrics (docs/METRICS.md). The release before this one calls none of it.

create function server_observation() returns table (oldest_snapshot_seconds double precision, database_bytes bigint)
  language sql volatile security definer set search_path = public as $$
  select
    greatest(
      (select coalesce(extract(epoch from max(clock_timestamp() - xact_start)), 0)
       from pg_stat_activity
       where datname = current_database() and (backend_xmin is not null or backend_xid is not null)
         and backend_type is distinct from 'autovacuum worker' and pid <> pg_backend_pid()),
      (select coalesce(extract(epoch from max(clock_timestamp() - prepared)), 0)
       from pg_prepared_xacts where database = current_database()),
      0)::double precision,
    pg_database_size(current_database())
$$;
comment on function server_observation is 'The age of the oldest transaction that keeps dead rows from being removed, and what the database takes on disk. Run as the schema''s owner: of other logins'' sessions it sees what the owner may see (all with pg_read_all_stats).';
revoke execute on function server_observation() from public;
grant execute on function server_observation() to tocsin_engine;
