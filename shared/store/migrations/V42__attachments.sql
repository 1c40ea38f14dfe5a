-- Files that emails and inbox messages carry (docs/adr/0049-attachments.md). The release before knows none: what its
-- workers send has no files, and its planners make no message of a series that has some.

create table attachments (
  district_id uuid not null references districts,
  id uuid not null,
  name text not null,
  media_type text not null,
  byte_count int check (byte_count > 0),
  digest bytea check (length(digest) = 32),
  created_at timestamptz not null,
  created_by text not null,
  creator_id uuid default current_actor(),
  used_at timestamptz,
  primary key (district_id, id),
  constraint whole_or_not check ((byte_count is null) = (digest is null)),
  constraint only_a_whole_one_is_used check (used_at is null or digest is not null)
);
comment on table attachments is 'Files that were uploaded. Each is kept once, however many messages and recipients it goes to.';
comment on column attachments.digest is 'SHA-256 of its bytes; null, as byte_count, until the last of them is there.';
comment on column attachments.used_at is 'When a message was first made with it. One that none uses goes after a day.';
create index attachments_unused on attachments (district_id, created_at) where used_at is null;

create table attachment_chunks (
  district_id uuid not null,
  attachment_id uuid not null,
  ordinal int not null,
  bytes bytea not null,
  primary key (district_id, attachment_id, ordinal),
  foreign key (district_id, attachment_id) references attachments on delete cascade
);
-- What is compressed already gains nothing.
alter table attachment_chunks alter column bytes set storage external;
comment on table attachment_chunks is 'The bytes of an attachment, in order.';

select tocsin_secure(t::regclass, true) from unnest(array['attachments', 'attachment_chunks']) t;
grant insert, update, delete on attachments to tocsin_app;
grant insert on attachment_chunks to tocsin_app;

alter table contents add column attachments jsonb;
comment on column contents.attachments is 'Files that go along: id, name, media_type and bytes of each; null: none.';
