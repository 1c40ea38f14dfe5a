-- Recurring campaigns, edits of what is scheduled, message templates, and lists by any column (docs/adr/0035-series.md).
-- The release before this one writes and reads campaigns as it did, and knows no series: its planners make none of
-- their campaigns, and its api shows those that were made.

alter table campaigns
  add column version int not null default 1,
  add column modified_at timestamptz,
  add column modified_by text,
  add column series_id uuid;
comment on column campaigns.version is 'Counts edits while it is scheduled; an edit names the one that it saw.';
comment on column campaigns.series_id is 'Whose occurrence it is.';
grant update, delete on contents to tocsin_app;

-- What lists are sorted by; a page is read in the order of its index.
create index campaigns_by_time on campaigns (district_id, scheduled_at, id);
create index campaigns_by_number on campaigns (district_id, number);
create index campaigns_by_subject on campaigns (district_id, lower(subject), id);
create index campaigns_by_author on campaigns (district_id, lower(created_by), id);
create index campaigns_by_type on campaigns (district_id, message_type, id);
create index campaigns_by_state on campaigns (district_id, state, id);
-- What is to come or under way is little beside what was: scheduled, processing, sending, canceling, failed.
create index campaigns_upcoming on campaigns (district_id, scheduled_at, id) where state in (1, 2, 3, 4, 9);

create table series (
  id uuid primary key,
  district_id uuid not null references districts,
  number bigint generated always as identity unique,
  client_key text not null,
  request_hash bytea not null,
  state smallint not null,
  version int not null default 1,
  recurrence jsonb not null,
  time_zone text not null,
  late_seconds_max int not null,
  next_on date,
  next_at timestamptz,
  lane smallint not null,
  mode smallint not null,
  message_type text not null,
  subject text not null,
  channels smallint[] not null,
  audience jsonb not null,
  contents jsonb not null,
  redial jsonb,
  calling_window jsonb,
  limits jsonb,
  expires_in_seconds int not null,
  created_by text not null,
  created_at timestamptz not null,
  modified_by text,
  modified_at timestamptz,
  canceled_at timestamptz,
  canceled_by text,
  cancel_reason text,
  unique (district_id, client_key),
  constraint only_an_active_one_goes_on check ((next_at is not null) = (state = 1) and (next_on is null) = (next_at is null))
);
comment on table series is 'A message that recurs. Each occurrence becomes a campaign when its time has come, with the content that the series has by then.';
comment on column series.state is '1 active, 2 ended, 3 canceled.';
comment on column series.version is 'Counts edits; an edit names the one that it saw, and an occurrence is made of the version that it was read with.';
comment on column series.recurrence is 'The day rule and the time of day, as written in the API.';
comment on column series.time_zone is 'By whose clocks: the district''s when it was made or last edited.';
comment on column series.late_seconds_max is 'An occurrence that nobody ran for longer is skipped.';
comment on column series.next_on is 'The local day of the next occurrence: what occurrences are known by.';
comment on column series.next_at is 'Its instant.';
comment on column series.redial is 'Null: as the district decides for its type when an occurrence comes. So is the calling window.';
create index series_due on series (next_at) where next_at is not null;
create index series_upcoming on series (district_id, next_at, id) where next_at is not null;
create index series_by_district on series (district_id, id);
select tocsin_secure('series', true);
grant insert, update on series to tocsin_app;

create table occurrences (
  series_id uuid not null,
  on_day date not null,
  district_id uuid not null,
  at timestamptz not null,
  recorded_at timestamptz not null,
  campaign_id uuid,
  primary key (series_id, on_day)
);
comment on table occurrences is 'Occurrences whose time has come. A series has at most one on a day.';
comment on column occurrences.campaign_id is 'Null: it was skipped, because nothing ran until it was too late.';
select tocsin_secure('occurrences', true);

create table templates (
  district_id uuid not null references districts,
  id uuid not null,
  name text not null,
  version int not null default 1,
  message_type text not null,
  subject text not null,
  channels smallint[] not null,
  contents jsonb not null,
  audience jsonb,
  created_by text not null,
  created_at timestamptz not null,
  modified_by text,
  modified_at timestamptz,
  primary key (district_id, id)
);
comment on table templates is 'What messages are begun from. A campaign keeps no tie to one.';
create unique index templates_by_name on templates (district_id, lower(name));
select tocsin_secure('templates', true);
grant insert, update, delete on templates to tocsin_app;
