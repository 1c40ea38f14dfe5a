-- Sender numbers of an account, and what districts and campaigns limit themselves (docs/adr/0016-senders.md).
-- The release before this one takes a sender for an account that it does not know: its planners and workers must be
-- gone before the first sender is added. Limits of districts and campaigns are kept by this release's planners.

alter table provider_accounts
  add column parent_id int references provider_accounts,
  add column address text,
  add constraint a_sender_is_of_an_account check ((parent_id is null) = (address is null));
comment on column provider_accounts.parent_id is 'Of a sender: the account that it belongs to. What a job is released to is a sender, or an account that has none.';
comment on column provider_accounts.address is 'Of a sender: the number, messaging service or mail address that it sends from.';
create unique index senders_once on provider_accounts (parent_id, address) where parent_id is not null;

create table district_limits (
  district_id uuid not null references districts,
  channel smallint not null,
  rate_per_second double precision check (rate_per_second > 0),
  concurrency int check (concurrency > 0),
  spares_emergencies boolean not null default false,
  updated_at timestamptz not null,
  updated_by text not null,
  primary key (district_id, channel)
);
comment on table district_limits is 'What a district allows over all accounts. Release keeps it.';
comment on column district_limits.spares_emergencies is 'Do emergencies neither heed nor use it up?';
select tocsin_secure('district_limits', true);
grant insert, update, delete on district_limits to tocsin_app;

alter table campaigns add column limits jsonb;
comment on column campaigns.limits is 'What its author allows, by channel. Null: nothing of its own.';

create table release_budgets (
  owner uuid not null,
  channel smallint not null,
  tokens double precision not null,
  granted int not null,
  at timestamptz not null,
  primary key (owner, channel)
) with (fillfactor = 50);
comment on table release_budgets is 'Jobs that a district or a campaign (the owner) may have released now, as of an instant of the store''s clock.';
comment on column release_budgets.granted is 'What the last draw got; below zero: it gave back.';
select tocsin_secure('release_budgets', false);

create table release_places (
  campaign_id uuid not null,
  job_id int not null,
  district_id uuid not null,
  taken_at timestamptz not null,
  generation int not null,
  channel smallint not null,
  lane smallint not null,
  primary key (campaign_id, job_id)
);
comment on table release_places is 'Jobs that take a place of their district''s concurrency: queued at this generation, or claimed and not settled. A row whose job moved on is removed by the next who looks.';
create index release_places_by_district on release_places (district_id, channel);
select tocsin_secure('release_places', false);
