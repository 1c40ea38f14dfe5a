-- What a portal keeps of its inboxes (docs/adr/0030-inbox.md). Processes of the release before go on: they write none
-- of it.

alter table inbox_messages add column first_read_at timestamptz;
comment on column inbox_messages.read_at is 'Since when it is marked as read; null: it is not, or not any more.';
comment on column inbox_messages.first_read_at is 'When it was read first: a fact, which no later mark takes back.';

grant update (read_at, first_read_at) on inbox_messages to tocsin_app;
