-- Users, roles and sessions, and who made what (docs/adr/0032-sign-in-and-rights.md). The release before goes on: keys that
-- it makes may do everything, as all keys could, and what it writes has no creator.

create function current_actor() returns uuid language sql stable
  as $$ select nullif(current_setting('tocsin.actor', true), '')::uuid $$;
comment on function current_actor is 'The user or API key for whom the api acts in this transaction; null: none, or the engine.';

create table users (
  district_id uuid not null references districts,
  id uuid not null,
  login text not null,
  display_name text not null,
  password_hash text not null,
  roles text[] not null,
  active boolean not null default true,
  epoch int not null default 0,
  created_at timestamptz not null,
  created_by text not null,
  changed_at timestamptz not null,
  changed_by text not null,
  password_changed_at timestamptz not null,
  primary key (district_id, id),
  unique (district_id, login)
);
comment on column users.login is 'An email address in lower case. Another district may have the same.';
comment on column users.password_hash is 'Argon2id, in the PHC format.';
comment on column users.roles is 'Names of built-in roles and of rows of roles. A name that leads to none gives no right.';
comment on column users.epoch is 'Raised by what ends every session: one that began with another epoch is none.';
create index users_by_login on users (login);

create table sessions (
  token_hash bytea primary key,
  district_id uuid not null references districts,
  user_id uuid not null,
  epoch int not null,
  created_at timestamptz not null,
  seen_at timestamptz not null,
  ends_at timestamptz not null,
  foreign key (district_id, user_id) references users
);
comment on column sessions.token_hash is 'SHA-256 of the token, which the browser alone has.';
comment on column sessions.seen_at is 'Of the last use, to the minute.';
create index sessions_by_user on sessions (district_id, user_id);

create table roles (
  district_id uuid not null references districts,
  name text not null,
  rights text[] not null,
  message_types text[],
  changed_at timestamptz not null,
  changed_by text not null,
  primary key (district_id, name)
);
comment on table roles is 'A district''s own ones. Those that every district has are in the program.';
comment on column roles.message_types is 'Of which types messages may be sent; null: of all.';

alter table api_keys add column roles text[] not null default '{administrator}';
alter table api_keys add column created_by text;
create index api_keys_by_district on api_keys (district_id, created_at, id);

create table sending_policies (
  district_id uuid primary key references districts,
  undo_seconds int not null check (undo_seconds between 0 and 3600),
  changed_at timestamptz not null,
  changed_by text not null
);
comment on column sending_policies.undo_seconds is 'So long a message that is no emergency waits, in which it can be canceled.';

create table guesses (
  subject bytea primary key,
  taken int not null,
  until timestamptz not null
);
comment on table guesses is 'How often a password was tried, by login and by address, each as a SHA-256, until when they are counted.';
create index guesses_over on guesses (until);

select tocsin_secure(t::regclass, true) from unnest(array['users', 'sessions', 'roles', 'sending_policies']) t;
select tocsin_secure('guesses', false);
grant insert, update on users, api_keys, sending_policies to tocsin_app;
grant insert, delete on sessions to tocsin_app;
grant insert, update, delete on roles to tocsin_app;

alter table campaigns add column creator_id uuid;
alter table campaigns alter column creator_id set default current_actor();
comment on column campaigns.creator_id is 'The user or API key that made it: whose own message it is.';
create index campaigns_by_creator on campaigns (district_id, creator_id, id);
create index campaigns_scheduled on campaigns (district_id, id) where state = 1;

alter table audit add column actor_id uuid;
alter table audit alter column actor_id set default current_actor();
comment on column audit.actor is 'As it was given: an API key may act on behalf of somebody.';
comment on column audit.actor_id is 'The user or API key that did it; null: the engine, an operator, or the release before.';
create index audit_by_time on audit (district_id, at, id);
create index audit_by_actor on audit (district_id, actor, at, id);
create index audit_by_action on audit (district_id, action, at, id);

-- Before a district is known ----------------------------------------------------------------------------------

create function own_roles(district uuid, names text[]) returns jsonb language sql stable set search_path = public
  as $$ select coalesce(jsonb_agg(jsonb_build_object('name', name, 'rights', rights, 'message_types', message_types)), '[]')
        from roles where district_id = district and name = any(names) $$;

create function caller_of_key(hash bytea)
  returns table (district_id uuid, id uuid, name text, roles text[], own jsonb)
  language sql stable security definer set search_path = public
  as $$ select k.district_id, k.id, k.name, k.roles, own_roles(k.district_id, k.roles)
        from api_keys k where k.key_hash = hash and k.revoked_at is null $$;
comment on function caller_of_key is 'How the api learns whose a key is, and what it may do.';

create function visitor_of_session(hash bytea, at timestamptz, idle interval, touch boolean)
  returns table (district_id uuid, id uuid, login text, name text, roles text[], own jsonb, district text, time_zone text, is_over boolean)
  language sql volatile security definer set search_path = public
  as $$
  with touched as (
    update sessions s set seen_at = at
    where s.token_hash = hash and touch and s.seen_at between at - idle and at - interval '1 minute' and s.ends_at > at
  )
  select u.district_id, u.id, u.login, u.display_name, u.roles, own_roles(u.district_id, u.roles), d.name, d.time_zone,
    s.ends_at <= at or s.seen_at <= at - idle
  from sessions s
  join users u on u.district_id = s.district_id and u.id = s.user_id and u.epoch = s.epoch and u.active
  join districts d on d.id = s.district_id
  where s.token_hash = hash
$$;
comment on function visitor_of_session is 'How the console learns who a visitor is, and marks that they were there.';

create function users_of_login(wanted text) returns table (district_id uuid, id uuid, district text)
  language sql stable security definer set search_path = public
  as $$ select u.district_id, u.id, d.name from users u join districts d on d.id = u.district_id
        where u.login = wanted and u.active order by d.name limit 8 $$;
comment on function users_of_login is 'Whose password is to be compared: one user, seldom more.';

create function take_guess(subjects bytea[], most int[], at timestamptz, span interval) returns timestamptz
  language sql volatile security definer set search_path = public
  as $$
  with cleared as (
    delete from guesses where subject in (
      select subject from guesses where until <= at and subject <> all(subjects) order by until limit 100 for update skip locked)
  ), counted as (
    insert into guesses as g (subject, taken, until)
    select u.subject, 1, at + span from unnest(subjects) u(subject) order by u.subject
    on conflict (subject) do update set taken = case when g.until <= at then 1 else g.taken + 1 end,
      until = case when g.until <= at then at + span else g.until end
    returning subject, taken, until
  )
  select max(c.until) from counted c join unnest(subjects, most) u(subject, most) on u.subject = c.subject
  where c.taken > u.most
$$;
comment on function take_guess is 'Counts a try before it is made, so that tries at once count too. Not null: it is one too many until then.';

create function forget_guess(own bytea, shared bytea) returns void
  language sql volatile security definer set search_path = public
  as $$
  with right_one as (delete from guesses where subject = own)
  update guesses set taken = greatest(taken - 1, 0) where subject = shared
$$;
comment on function forget_guess is 'The password was right: the login''s count ends, and this try does not count for the address.';

do $$
declare f regprocedure;
begin
  foreach f in array array['caller_of_key(bytea)', 'visitor_of_session(bytea, timestamptz, interval, boolean)',
    'users_of_login(text)', 'take_guess(bytea[], int[], timestamptz, interval)', 'forget_guess(bytea, bytea)']::regprocedure[] loop
    execute format('alter function %s owner to tocsin_engine', f);
    execute format('revoke execute on function %s from public', f);
    execute format('grant execute on function %s to tocsin_app, tocsin_engine', f);
  end loop;
end $$;
