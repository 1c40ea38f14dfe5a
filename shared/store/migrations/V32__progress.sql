-- How far campaigns were, over time, and what accounts have left: what is drawn on a campaign's page
-- (docs/adr/0039-plots.md). The release before this one writes and reads none of it: what its planners saw has no plot.

create table progress (
  campaign_id uuid not null,
  at timestamptz not null,
  district_id uuid not null,
  channels smallint[] not null,
  contacted int[] not null,
  ended int[] not null,
  primary key (campaign_id, at)
);
comment on table progress is 'Samples of a campaign''s tallies, taken by a tick while it is open: the farther apart the older it is, and none while nothing changes.';
comment on column progress.contacted is 'By channel, in the order of channels: unique addresses that were contacted.';
comment on column progress.ended is 'By channel: devices that have their outcome.';
select tocsin_secure('progress', true);

create function headroom() returns table (channel smallint, name text, rate_per_second double precision,
  used_per_second double precision, concurrency int, holds bigint, backoff_rate double precision,
  backoff_full double precision, backoff_since timestamptz, held_until timestamptz, now timestamptz)
  language sql stable security definer set search_path = public as $$
  select a.channel, a.name, a.rate_per_second,
    coalesce((select sum(l.used_per_second) from leases l where l.account_id = a.id and l.expires_at > tocsin_now()), 0),
    a.concurrency,
    coalesce((select sum(h.attempts)::bigint from held h join provider_accounts s on s.id = h.account_id
      where s.id = a.id or s.parent_id = a.id), 0),
    a.backoff_rate, a.backoff_full, a.backoff_since, a.held_until, tocsin_now()
  from provider_accounts a
  where a.parent_id is null and a.stopped_at is null
    and (a.district_id is null or a.district_id = current_district())
  order by a.channel, a.name
$$;
comment on function headroom is 'What the accounts that serve the district send, and what they may: sums over all districts, for the share of one account is one.';
alter function headroom() owner to tocsin_engine;
revoke execute on function headroom() from public;
grant execute on function headroom() to tocsin_app, tocsin_engine;
