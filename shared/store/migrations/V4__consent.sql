-- Consent with its history, suppressions with their source (docs/adr/0012-consent.md).

create table consent_history (
  district_id uuid not null references districts,
  id bigint generated always as identity primary key,
  phone text not null,
  from_state smallint,
  to_state smallint not null,
  source text not null,
  at timestamptz not null,
  event_id uuid
);
comment on table consent_history is 'Every change of a consent, and how it came about. Only added to.';
comment on column consent_history.from_state is 'As consents.state; null: the phone was never asked.';
comment on column consent_history.event_id is 'The inbound text or the report that changed it.';
create index consent_history_by_phone on consent_history (district_id, phone, id);
select tocsin_secure('consent_history', true);
revoke update, delete on consent_history from tocsin_engine;

comment on column consents.changed_at is 'When the newest of what was said about it was said.';
comment on column consents.source is 'Who said so last: text, provider, or a name of the district''s.';
grant insert, update on consents to tocsin_app;
grant insert on consent_history to tocsin_app;

-- A text to a shared number names no district: its sender is looked for in all of them.
create index devices_for_texts on devices (address) where channel = 2;

alter table suppressions add column source text not null default 'provider';
comment on column suppressions.source is 'Who said so: provider, or a name of the district''s.';
comment on column suppressions.reason is 'hard_bounce, complaint, unsubscribe, not_text_capable, do_not_call, requested.';
grant insert, delete on suppressions to tocsin_app;

alter table districts add column emergency_overrides_stop boolean not null default false;
comment on column districts.emergency_overrides_stop is
  'May emergency texts go to those who opted out (decision D11)? Carriers block them all the same.';
grant update (emergency_overrides_stop) on districts to tocsin_app;
