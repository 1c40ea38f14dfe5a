-- What a forecast may know of other districts' work (docs/adr/0022-forecast.md).

create function work_ahead() returns table (
  channel smallint, lane smallint, own boolean, weight int, campaigns int, jobs bigint
) language sql stable security definer set search_path = public as $$
  with open_work as (
    select c.district_id, c.id, c.lane, t.channel, sum(t.untried) as jobs
    from campaigns c join tallies t on t.campaign_id = c.id
    where c.closed_at is null and c.cancel_epoch is null and t.channel <> 0
    group by 1, 2, 3, 4 having sum(t.untried) > 0
  ), apart as (
    -- A district with accounts of its own uses no others', and nobody uses its.
    select distinct district_id, channel from provider_accounts
    where district_id is not null and parent_id is null and stopped_at is null
  )
  select w.channel, w.lane, w.district_id = current_district(), d.weight, count(*)::int, sum(w.jobs)::bigint
  from open_work w join districts d on d.id = w.district_id
  where w.district_id = current_district()
    or not exists (
      select from apart a
      where a.channel = w.channel and a.district_id in (w.district_id, current_district()))
  group by w.district_id, w.channel, w.lane, d.weight
$$;
comment on function work_ahead is 'Jobs still to be tried for the first time, a row for each district, channel and lane: numbers without a name. What competes with the district that is set.';
alter function work_ahead() owner to tocsin_engine;
revoke execute on function work_ahead() from public;
grant execute on function work_ahead() to tocsin_app, tocsin_engine;
