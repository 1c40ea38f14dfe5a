-- Signing in through an OpenID Connect issuer (docs/adr/0048-oidc.md). The release before neither writes nor reads it.

create table sign_ins_begun (
  state_hash bytea primary key,
  browser_hash bytea not null,
  issuer text not null,
  nonce text not null,
  verifier text not null,
  next text not null,
  district_id uuid references districts,
  ends_at timestamptz not null
);
comment on table sign_ins_begun is 'Browsers that were sent to an issuer and are not back yet. Each row is taken once.';
comment on column sign_ins_begun.state_hash is 'SHA-256 of what the browser comes back with.';
comment on column sign_ins_begun.browser_hash is 'SHA-256 of the cookie that the browser was given: another browser does not come back in its place.';
comment on column sign_ins_begun.issuer is 'The name in the configuration.';
comment on column sign_ins_begun.verifier is 'Goes to the issuer with the code (RFC 7636).';
comment on column sign_ins_begun.next is 'The page to go on with.';
comment on column sign_ins_begun.district_id is 'Chosen by a user of several; null: not chosen.';
create index sign_ins_begun_over on sign_ins_begun (ends_at);

select tocsin_secure('sign_ins_begun', false);

-- Before a district is known ----------------------------------------------------------------------------------

create function keep_sign_in(state bytea, browser bytea, from_issuer text, said text, proof text, page text, chosen uuid,
  at timestamptz, until timestamptz) returns void
  language sql volatile security definer set search_path = public
  as $$
  with cleared as (
    delete from sign_ins_begun where state_hash in (
      select state_hash from sign_ins_begun where ends_at <= at order by ends_at limit 100 for update skip locked)
  )
  insert into sign_ins_begun (state_hash, browser_hash, issuer, nonce, verifier, next, district_id, ends_at)
  select state, browser, from_issuer, said, proof, page, (select id from districts where id = chosen), until
$$;
comment on function keep_sign_in is 'A browser is sent to an issuer. What nobody came back for is cleared away.';

create function take_sign_in(state bytea, browser bytea, from_issuer text, at timestamptz)
  returns table (nonce text, verifier text, next text, district_id uuid)
  language sql volatile security definer set search_path = public
  as $$
  delete from sign_ins_begun b
  where b.state_hash = state and b.browser_hash = browser and b.issuer = from_issuer and b.ends_at > at
  returning b.nonce, b.verifier, b.next, b.district_id
$$;
comment on function take_sign_in is 'The browser that was sent is back, once. No row: it was never sent, or is another, or too late, or back already.';

create function district_of_name(wanted text) returns uuid language sql stable security definer set search_path = public
  as $$ select id from districts where name = wanted $$;
comment on function district_of_name is 'How the api learns of which district an issuer that makes users is.';

do $$
declare f regprocedure;
begin
  foreach f in array array['keep_sign_in(bytea, bytea, text, text, text, text, uuid, timestamptz, timestamptz)',
    'take_sign_in(bytea, bytea, text, timestamptz)', 'district_of_name(text)']::regprocedure[] loop
    execute format('alter function %s owner to tocsin_engine', f);
    execute format('revoke execute on function %s from public', f);
    execute format('grant execute on function %s to tocsin_app, tocsin_engine', f);
  end loop;
end $$;
