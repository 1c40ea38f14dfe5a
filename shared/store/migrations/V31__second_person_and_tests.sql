-- A second person for emergencies to the whole district, and messages that are only tests
-- (docs/adr/0040-second-person-and-tests.md). The release before knows neither: what it sends asks nobody, and it sends
-- no tests. Of a test that waits for its time it may change no more than which people are named.

alter table sending_policies
  add column second_person boolean not null default false,
  add column test_people text[] not null default '{}' check (cardinality(test_people) <= 50);
comment on column sending_policies.second_person is 'An emergency to the whole district goes out only after another person has said yes.';
comment on column sending_policies.test_people is 'Source ids of the people whom tests go to; empty: nobody is named, and no test can be sent.';

create table approvals (
  district_id uuid not null references districts,
  id uuid not null,
  client_key text not null,
  request_hash bytea not null,
  request jsonb not null,
  subject text not null,
  asked_by text not null,
  asker_id uuid default current_actor(),
  asked_at timestamptz not null,
  expires_at timestamptz not null,
  decision smallint,
  decided_at timestamptz,
  decided_by text,
  decider_id uuid,
  reason text,
  campaign_id uuid,
  primary key (district_id, id),
  unique (district_id, client_key),
  constraint a_decision_has_its_time_and_name check ((decision is null) = (decided_at is null) and (decision is null) = (decided_by is null)),
  constraint only_an_approved_one_has_a_campaign check ((decision is not distinct from 1) = (campaign_id is not null)),
  constraint another_says_yes check (decision is distinct from 1 or (decider_id is not null and decider_id is distinct from asker_id))
);
comment on table approvals is 'Emergencies to the whole district that a second person is asked for. Nothing else knows of them until one is approved: then it becomes a campaign.';
comment on column approvals.client_key is 'The key of the campaign that it becomes; asking twice with it makes one row.';
comment on column approvals.request_hash is 'As of a campaign: SHA-256 of the request.';
comment on column approvals.request is 'The body of POST /v1/campaigns, with who made it. It is checked again when it is approved.';
comment on column approvals.asker_id is 'The user or API key that asked; null: whoever was at the machine, without sign-in.';
comment on column approvals.expires_at is 'From then on it can no more be decided. Nothing is written when that comes.';
comment on column approvals.decision is '1 approved, 2 declined; null: it waits, or its time is over.';
comment on column approvals.decider_id is 'The user or API key that decided.';
create index approvals_waiting on approvals (district_id, expires_at) where decision is null;
select tocsin_secure('approvals', true);
grant insert, update on approvals to tocsin_app;

alter table campaigns add column test boolean not null default false;
comment on column campaigns.test is 'It went to the district''s test people, whoever its author chose.';
-- Whatever reads the audience later finds no other: neither a school nor everybody. The rows of today are no tests.
alter table campaigns add constraint a_test_names_its_people check (not test
  or coalesce(audience->>'all' = 'false' and audience->'schools' = '[]' and audience->'grades' = '[]'
    and not audience ?| array['classes', 'school_years', 'any_of']
    and (audience->'people' <> '[]' or audience ? 'receipt'), false)) not valid;
