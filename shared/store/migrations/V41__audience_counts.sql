-- How many an audience was when it was last counted, so that a count of a large district is made once for each state of
-- its directory (docs/adr/0050-counts-of-audiences.md). The release before counts each time.

create table audience_counts (
  district_id uuid not null references districts,
  asked bytea not null,
  directory_version bigint not null,
  counted_at timestamptz not null,
  recipients bigint not null,
  no_device bigint not null,
  devices jsonb not null,
  primary key (district_id, asked)
);
comment on table audience_counts is 'Exact counts of audiences. One is true as long as districts.directory_version is the one that it was counted at.';
comment on column audience_counts.asked is 'SHA-256 of what was counted: audience, channels, mode and message type.';
comment on column audience_counts.devices is 'By channel, before duplicates and whoever may not be contacted are taken out.';
select tocsin_secure('audience_counts', true);
grant insert, update, delete on audience_counts to tocsin_app;
