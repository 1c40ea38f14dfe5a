-- Who unsubscribed from mails of one message type by a link in a mail (docs/adr/0028-mail-in-batches-and-unsubscribing.md).
-- The release before this one does not look here: what it expands and claims meanwhile is mailed.

create table unsubscribes (
  district_id uuid not null references districts,
  address text not null,
  message_type text not null,
  created_at timestamptz not null,
  primary key (district_id, address, message_type)
);
comment on table unsubscribes is 'Addresses that get no mails of one message type: of a link in a mail. Of all types is suppressions.';
select tocsin_secure('unsubscribes', true);
grant delete on unsubscribes to tocsin_app;

-- A report that names no attempt names an address: the districts that have it are looked for.
create index devices_for_mails on devices (address) where channel = 3;
