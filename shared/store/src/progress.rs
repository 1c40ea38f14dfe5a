//! Samples of how far each open campaign is: what a plot of it is drawn of (docs/adr/0039-plots.md).

use chrono::{DateTime, Utc};

use crate::{Store, StoreError};

impl Store {
    /// Takes a sample of each open campaign that is due for one and has changed since the last. Returns how many.
    pub async fn sample_progress(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let rows = self.rows("sample_progress", SAMPLE_PROGRESS, &[&now]).await?;
        Ok(rows.len() as u64)
    }
}

/// It reads tallies, of which a campaign has few, and never a job. Samples lie a hundredth of the campaign's age apart, a
/// second at least: 100 of its first two minutes, and not 800 of its first day.
pub(crate) const SAMPLE_PROGRESS: &str = "-- store.sample_progress
insert into progress (campaign_id, at, district_id, channels, contacted, ended)
select c.id, $1::timestamptz, c.district_id, t.channels, t.contacted, t.ended
from campaigns c
left join lateral (
  select p.at, p.contacted, p.ended from progress p where p.campaign_id = c.id order by p.at desc limit 1) last on true
cross join lateral (
  select array_agg(s.channel order by s.channel) as channels, array_agg(s.contacted order by s.channel) as contacted,
    array_agg(s.ended order by s.channel) as ended
  from (
    select channel, sum(addresses_contacted)::int as contacted, sum(devices - open)::int as ended
    from tallies where campaign_id = c.id and channel > 0 group by channel) s) t
where c.closed_at is null and c.started_at <= $1 and t.channels is not null
  and (last.at is null or (last.at <= $1 - greatest(interval '1 s', ($1 - c.started_at) / 100)
    and (last.contacted, last.ended) is distinct from (t.contacted, t.ended)))
on conflict do nothing
returning campaign_id";
