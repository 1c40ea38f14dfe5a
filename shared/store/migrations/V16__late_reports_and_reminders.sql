-- Late reports without a token, and reminders of the question whether to opt in (docs/adr/0012-consent.md).

alter table events add column sought smallint not null default 0;
comment on column events.sought is 'How often a report without a token was sought among the attempts by its provider''s id: twice at most.';
create index events_unsought on events_default (id)
  where district_id is null and token_campaign_id is null and provider_id is not null and sought < 2;

-- What an attempt's record writes must touch no index (docs/adr/0003-schema.md). A summary of each block range is none of
-- that kind from PostgreSQL 16 on; before, it would move every attempt to a new place, and the search reads instead.
create function tocsin_summarise_provider_ids() returns void language sql as $$
  create index if not exists attempts_by_provider_id on attempts
    using brin (provider_id text_bloom_ops(n_distinct_per_range = 2000, false_positive_rate = 0.01))
    with (pages_per_range = 64)
$$;
comment on function tocsin_summarise_provider_ids is 'Makes the index by which late reports find settled attempts. To be called once after a change to PostgreSQL 16.';
revoke execute on function tocsin_summarise_provider_ids() from public;
do $$ begin
  if current_setting('server_version_num')::int >= 160000 then perform tocsin_summarise_provider_ids(); end if;
end $$;

alter table consents
  add column reminders smallint not null default 0,
  add column reminded_at timestamptz;
comment on column consents.reminders is 'How often its people were reminded by email of the question whether to opt in.';
create index consents_pending on consents (district_id, (coalesce(reminded_at, changed_at))) where state = 1;

alter table districts
  add column opt_in_reminders smallint not null default 2 check (opt_in_reminders between 0 and 5),
  add column opt_in_reminder_days smallint not null default 7 check (opt_in_reminder_days between 1 and 60),
  add column opt_in_flyer_url text;
comment on column districts.opt_in_reminders is 'Emails at most to the people of a pending phone (requirement 165). 0: none.';
comment on column districts.opt_in_reminder_days is 'From the question to the first, and between two.';
comment on column districts.opt_in_flyer_url is 'Where the flyer is that they tell of.';
grant update (opt_in_reminders, opt_in_reminder_days, opt_in_flyer_url) on districts to tocsin_app;
