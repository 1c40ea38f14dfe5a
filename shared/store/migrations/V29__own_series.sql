-- Whose own a series is, and with it the campaigns that it becomes (docs/adr/0032-sign-in-and-rights.md).

alter table series add column creator_id uuid;
alter table series alter column creator_id set default current_actor();
comment on column series.creator_id is 'The user or API key that made it: whose own it is. Its campaigns are theirs, too.';
