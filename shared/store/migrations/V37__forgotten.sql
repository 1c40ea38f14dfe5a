-- People who are erased (docs/adr/0044-operators.md). The release before this one neither erases nor needs to know.

create table forgotten (
  district_id uuid not null references districts,
  person_id bigint not null,
  source_hash bytea not null,
  forgotten_at timestamptz not null,
  forgotten_by text not null,
  cursor uuid,
  primary key (district_id, person_id)
);
comment on table forgotten is 'Who was erased: their number here, and a hash of their source id, so that it can be gone on with. No name.';
comment on column forgotten.source_hash is 'SHA-256 of the source id.';
comment on column forgotten.cursor is 'The last campaign in which the person was looked for and that was closed; null: none yet.';
create index forgotten_by_source on forgotten (district_id, source_hash);
select tocsin_secure('forgotten', false);

-- The engine only adds to the history of consents. Erasing is the owner's, to whom policies apply as well.
do $$ begin
  execute format('create policy erased on consent_history to %I using (true)', current_user);
end $$;
create function erase_consent_history(district uuid, phones text[]) returns void
  language sql volatile security definer set search_path = public as $$
  delete from consent_history where district_id = district and phone = any(phones)
$$;
comment on function erase_consent_history is 'The history of phones whose consents are erased.';

create function forget_consents(district uuid, phones text[]) returns int language plpgsql
  security definer set search_path = public as $$
declare erased text[];
begin
  with gone as (
    delete from consents where district_id = district and phone = any(phones) and state <> 3 returning phone)
  select coalesce(array_agg(phone), '{}') into erased from gone;
  perform erase_consent_history(district, erased);
  return cardinality(erased);
end $$;
comment on function forget_consents is 'Consents of phones that nobody in the directory has any more. Who opted out stays opted out: the number, without a name.';
alter function forget_consents(uuid, text[]) owner to tocsin_engine;
revoke execute on function erase_consent_history(uuid, text[]), forget_consents(uuid, text[]) from public;
grant execute on function erase_consent_history(uuid, text[]), forget_consents(uuid, text[]) to tocsin_engine;
