-- What a receipt's lists are told apart by (docs/adr/0015-receipts.md).

alter table attempts add column taken boolean not null default false;
comment on column attempts.taken is 'It was accepted or unknown at some time: a provider had it, or may have had it. Never cleared.';
