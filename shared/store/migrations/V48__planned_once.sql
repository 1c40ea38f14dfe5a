-- A function in SQL that cannot be put in place of its call is planned anew by every statement that calls it; one in
-- PL/pgSQL once a session. These are called by almost every statement, by every request of the API and by every page.

create or replace function tocsin_now() returns timestamptz language plpgsql volatile
  as $$ begin return clock_timestamp() + (select shift from clock); end $$;

create or replace function own_roles(district uuid, names text[]) returns jsonb
  language plpgsql stable set search_path = public
  as $$ begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object('name', name, 'rights', rights, 'message_types', message_types)), '[]')
    from roles where district_id = district and name = any(names));
end $$;

create or replace function caller_of_key(hash bytea)
  returns table (district_id uuid, id uuid, name text, roles text[], own jsonb)
  language plpgsql stable security definer set search_path = public
  as $$
  #variable_conflict use_column
begin
  return query select k.district_id, k.id, k.name, k.roles, own_roles(k.district_id, k.roles)
    from api_keys k where k.key_hash = hash and k.revoked_at is null;
end $$;

create or replace function visitor_of_session(hash bytea, at timestamptz, idle interval, touch boolean)
  returns table (district_id uuid, id uuid, login text, name text, roles text[], own jsonb, district text, time_zone text, is_over boolean)
  language plpgsql volatile security definer set search_path = public
  as $$
  #variable_conflict use_column
begin
  return query with touched as (
    update sessions s set seen_at = at
    where s.token_hash = hash and touch and s.seen_at between at - idle and at - interval '1 minute' and s.ends_at > at
  )
  select u.district_id, u.id, u.login, u.display_name, u.roles, own_roles(u.district_id, u.roles), d.name, d.time_zone,
    s.ends_at <= at or s.seen_at <= at - idle
  from sessions s
  join users u on u.district_id = s.district_id and u.id = s.user_id and u.epoch = s.epoch and u.active
  join districts d on d.id = s.district_id
  where s.token_hash = hash;
end $$;
