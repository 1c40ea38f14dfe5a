-- Retention: months without open campaigns are dropped (docs/adr/0044-operators.md). The release before this one shows no
-- rows of them, and its auditor, which audits a campaign no more once it is closed for a day, does not look for any.

alter table campaigns add column rows_dropped_at timestamptz;
comment on column campaigns.rows_dropped_at is 'Since when its recipients, devices, attempts and events are gone, with their month. Its counts and its text stay.';

-- The months that have partitions, with the campaigns made in them.
create function tocsin_months() returns table (month text, first_id uuid, next_id uuid)
  language sql stable security definer set search_path = public set timezone = 'UTC' as $$
  select to_char(at, 'YYYY_MM'), uuid7_floor(at), uuid7_floor(at + interval '1 month')
  from (
    select to_timestamp(substr(c.relname, length('jobs_') + 1), 'YYYY_MM') as at
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'jobs'::regclass and c.relname ~ '^jobs_\d{4}_\d{2}$') m
  order by at
$$;
comment on function tocsin_months is 'The months that the growing tables have partitions of, and the bounds of the campaigns'' ids in each.';

create function tocsin_may_drop(first_id uuid, next_id uuid, cutoff timestamptz) returns boolean
  language sql stable security definer set search_path = public as $$
  select next_id <= uuid7_floor(cutoff) and not exists (
    select from campaigns where id >= first_id and id < next_id and (closed_at is null or closed_at > cutoff))
$$;
comment on function tocsin_may_drop is 'Is everything of a month closed, and was it before the cutoff?';

create function tocsin_bare_month(first_id uuid, next_id uuid) returns void
  language sql volatile security definer set search_path = public as $$
  update campaigns set rows_dropped_at = coalesce(rows_dropped_at, tocsin_now()), audit_due_at = null
    where id >= first_id and id < next_id;
  delete from progress where campaign_id >= first_id and campaign_id < next_id;
  delete from webhook_campaigns where campaign_id >= first_id and campaign_id < next_id;
  delete from webhook_devices where campaign_id >= first_id and campaign_id < next_id;
$$;
comment on function tocsin_bare_month is 'What goes with a month of the tables that have no partitions; and its campaigns say so.';

-- Policies are forced: the owner, who drops, sees no campaign. What looks at them runs as the engine.
alter function tocsin_may_drop(uuid, uuid, timestamptz) owner to tocsin_engine;
alter function tocsin_bare_month(uuid, uuid) owner to tocsin_engine;

create function tocsin_drop_month(which text, cutoff timestamptz) returns int language plpgsql
  security definer set search_path = public set lock_timeout = '2s' as $$
declare
  bounds record;
  parent record;
  dropped int := 0;
begin
  -- As tocsin_make_partitions, which it must not meet.
  perform pg_advisory_xact_lock(7402);
  select m.* into bounds from tocsin_months() m where m.month = which and tocsin_may_drop(m.first_id, m.next_id, cutoff);
  if not found then
    return 0;
  end if;
  perform tocsin_bare_month(bounds.first_id, bounds.next_id);
  for parent in
    select p.relname as name from pg_class p
    where p.relkind = 'p' and p.relnamespace = 'public'::regnamespace order by p.relname
  loop
    if to_regclass(parent.name || '_' || which) is not null then
      execute format('drop table %I', parent.name || '_' || which);
      dropped := dropped + 1;
    end if;
  end loop;
  return dropped;
end $$;
comment on function tocsin_drop_month is 'Drops a month''s partitions of every growing table, if it may; returns how many. Waits 2 s for each lock at most, for everything else waits behind it.';
revoke execute on function tocsin_months(), tocsin_may_drop(uuid, uuid, timestamptz), tocsin_bare_month(uuid, uuid),
  tocsin_drop_month(text, timestamptz) from public;
grant execute on function tocsin_months(), tocsin_may_drop(uuid, uuid, timestamptz), tocsin_drop_month(text, timestamptz)
  to tocsin_engine;
do $$ begin
  -- The owner, who is not the engine everywhere, calls what the engine owns.
  execute format('grant execute on function tocsin_may_drop(uuid, uuid, timestamptz), tocsin_bare_month(uuid, uuid) to %I', current_user);
end $$;
