-- Signed webhooks to a district's own systems (docs/adr/0037-webhooks.md). The release before this one neither makes nor
-- sends any; what happens while it runs beside this one is told by this one.

create table webhook_endpoints (
  district_id uuid not null references districts,
  id uuid not null,
  url text not null,
  description text not null,
  events text[] not null,
  enabled boolean not null default true,
  disabled_reason text,
  enabled_at timestamptz not null,
  secret_key text not null,
  secret_number int not null default 1,
  previous_secret_key text,
  previous_secret_number int,
  previous_secret_until timestamptz,
  failing_since timestamptz,
  held_until timestamptz,
  served_by uuid,
  served_until timestamptz,
  created_at timestamptz not null,
  created_by text not null,
  changed_at timestamptz not null,
  changed_by text not null,
  primary key (district_id, id),
  check (enabled = (disabled_reason is null))
);
comment on table webhook_endpoints is 'Where a district wants to be told what happens. An endpoint''s secret is made from the configuration''s key and is not here.';
comment on column webhook_endpoints.disabled_reason is 'by_hand, gone (it answered 410) or failing (it took nothing for days); null: it is enabled.';
comment on column webhook_endpoints.enabled_at is 'What lies before is not told.';
comment on column webhook_endpoints.secret_key is 'What the key is known by with which the secret is made; not the key.';
comment on column webhook_endpoints.secret_number is 'Raised by each rotation.';
comment on column webhook_endpoints.previous_secret_until is 'So long messages are signed with the secret before the last rotation, too.';
comment on column webhook_endpoints.failing_since is 'Of the first failure since it took something.';
comment on column webhook_endpoints.held_until is 'Until then nothing is sent there: it asked for time, or has just failed.';
comment on column webhook_endpoints.served_by is 'The planner that is sending there; one at a time, until served_until by the store''s clock.';

create table webhook_deliveries (
  district_id uuid not null,
  endpoint_id uuid not null,
  id uuid not null,
  event_type text not null,
  campaign_id uuid,
  body text not null,
  created_at timestamptz not null,
  state smallint not null default 1,
  attempts smallint not null default 0,
  next_at timestamptz,
  tried_at timestamptz,
  status smallint,
  fault text,
  primary key (district_id, endpoint_id, id),
  foreign key (district_id, endpoint_id) references webhook_endpoints on delete cascade,
  check ((next_at is not null) = (state = 1))
) with (fillfactor = 80);
comment on table webhook_deliveries is 'An event on its way to one endpoint. Kept for a month.';
comment on column webhook_deliveries.id is 'UUIDv7 of the event, the same at every endpoint: what receivers know a repetition by.';
comment on column webhook_deliveries.body is 'What is signed and sent, byte for byte. It names nobody.';
comment on column webhook_deliveries.state is '1 waiting, 2 delivered, 3 failed.';
comment on column webhook_deliveries.next_at is 'Set while it waits and only then.';
comment on column webhook_deliveries.status is 'Of the last answer; null: there was none, and fault says why.';
create index webhook_deliveries_due on webhook_deliveries (district_id, endpoint_id, next_at, id) where next_at is not null;
create index webhook_deliveries_by_time on webhook_deliveries (created_at);

create table webhook_campaigns (
  campaign_id uuid primary key,
  district_id uuid not null references districts,
  told smallint not null default 0,
  cursor int not null default 0,
  pass_began_at timestamptz,
  pass_at timestamptz,
  counted bigint[]
) with (fillfactor = 70);
comment on table webhook_campaigns is 'What was told of a campaign whose district has webhooks. Events are what its rows say beyond that, so that nothing that commits late is passed over.';
comment on column webhook_campaigns.told is 'Bits of the facts that were looked at: 1 made, 2 started, 4 canceled, 8 ended, 16 closed.';
comment on column webhook_campaigns.cursor is 'The last job that this pass over its devices looked at.';
comment on column webhook_campaigns.pass_at is 'When the next page of a pass is due; null: no more, its outcomes are old.';
comment on column webhook_campaigns.counted is 'Sums of its tallies when the last pass began: as long as they stay, no device has ended.';
create index webhook_campaigns_untold on webhook_campaigns (district_id, campaign_id) where told < 16;
create index webhook_campaigns_due on webhook_campaigns (district_id, pass_at) where pass_at is not null;

create table webhook_devices (
  campaign_id uuid not null,
  job_id int not null,
  district_id uuid not null,
  outcome smallint not null,
  primary key (campaign_id, job_id)
);
comment on table webhook_devices is 'Which outcome of a device was told. Removed a month after its campaign closed.';

-- The campaigns that a district has open, and those that closed lately.
create index campaigns_open_by_district on campaigns (district_id, id) where closed_at is null;
create index campaigns_by_close on campaigns (district_id, closed_at) where closed_at is not null;

select tocsin_secure(t::regclass, true) from unnest(array['webhook_endpoints', 'webhook_deliveries']) t;
select tocsin_secure(t::regclass, false) from unnest(array['webhook_campaigns', 'webhook_devices']) t;
grant insert, update, delete on webhook_endpoints to tocsin_app;
grant insert on webhook_deliveries to tocsin_app;
