//! What the plot on a campaign's page is drawn of: how far it was over time, what waits, and what its accounts have left.
//! Each is bounded, however large the campaign is (docs/adr/0039-plots.md).

use chrono::{DateTime, Utc};
use tocsin_domain::{CampaignId, Channel, WaitReason, backoff};

use super::Tenant;
use crate::leases::backoff_of;
use crate::{StoreError, row};

/// How far a campaign was at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub at: DateTime<Utc>,
    /// By channel: unique addresses that were contacted.
    pub contacted: Vec<(Channel, i64)>,
}

/// Jobs of a channel that wait for one reason, of the first so many in their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub channel: Channel,
    pub reason: WaitReason,
    pub jobs: i64,
    /// When the first of those that are not due yet is.
    pub next_at: Option<DateTime<Utc>>,
}

/// What an account may send, and sends, over all districts that it serves.
#[derive(Debug, Clone, PartialEq)]
pub struct Headroom {
    pub account: String,
    pub channel: Channel,
    /// With what its provider slowed it to. None: no limit.
    pub rate_per_second: Option<f64>,
    pub used_per_second: f64,
    pub concurrency: Option<i32>,
    pub holds: i64,
    /// Its provider asked to be left alone.
    pub held: bool,
}

/// Jobs of each channel that [`Tenant::waiting`] looks at.
pub const WAITING_MAX: i64 = 2_000;

impl Tenant {
    /// The campaign's samples, thinned to about `max` of them; the last is always among them.
    pub async fn samples(&self, campaign: CampaignId, max: i64) -> Result<Vec<Sample>, StoreError> {
        const NAME: &str = "samples";
        let rows = self.rows(NAME, SAMPLES, &[&campaign.0, &max]).await?;
        rows.iter()
            .map(|found| {
                let (channels, contacted): (Vec<i16>, Vec<i32>) =
                    (found.get("channels"), found.get("contacted"));
                let of = |(channel, count): (i16, i32)| {
                    row::channel(NAME, channel).map(|channel| (channel, i64::from(count)))
                };
                let contacted: Result<Vec<_>, StoreError> =
                    channels.into_iter().zip(contacted).map(of).collect();
                Ok(Sample { at: found.get("at"), contacted: contacted? })
            })
            .collect()
    }

    /// What waits, and why: of the first [`WAITING_MAX`] jobs of each channel, in the order in which they are due.
    pub async fn waiting(
        &self,
        campaign: CampaignId,
        now: DateTime<Utc>,
    ) -> Result<Vec<Waiting>, StoreError> {
        const NAME: &str = "waiting";
        let channels = Channel::ALL.map(Channel::number).to_vec();
        let rows = self.rows(NAME, WAITING, &[&campaign.0, &channels, &WAITING_MAX, &now]).await?;
        rows.iter()
            .map(|found| {
                let reason: Option<i16> = found.get("wait_reason");
                Ok(Waiting {
                    channel: row::channel(NAME, found.get("channel"))?,
                    reason: reason.and_then(WaitReason::from_number).unwrap_or(WaitReason::Turn),
                    jobs: found.get("jobs"),
                    next_at: found.get("next_at"),
                })
            })
            .collect()
    }

    pub async fn headroom(&self) -> Result<Vec<Headroom>, StoreError> {
        const NAME: &str = "headroom";
        let rows = self.rows(NAME, HEADROOM, &[]).await?;
        rows.iter()
            .map(|found| {
                let now: DateTime<Utc> = found.get("now");
                let held_until: Option<DateTime<Utc>> = found.get("held_until");
                let own = found.get("rate_per_second");
                Ok(Headroom {
                    account: found.get("name"),
                    channel: row::channel(NAME, found.get("channel"))?,
                    rate_per_second: backoff::effective_rate(own, backoff_of(found).as_ref(), now),
                    used_per_second: found.get("used_per_second"),
                    concurrency: found.get("concurrency"),
                    holds: found.get("holds"),
                    held: held_until.is_some_and(|until| now < until),
                })
            })
            .collect()
    }
}

const SAMPLES: &str = "-- store.samples
select at, channels, contacted
from (
  select at, channels, contacted, row_number() over (order by at) as nth, count(*) over () as many
  from progress where campaign_id = $1) p
where nth = many or nth % greatest(1, (many + $2::bigint - 1) / $2::bigint) = 0
order by at";

/// Along the index of what is due, whose order is the limit's.
pub(crate) const WAITING: &str = "-- store.waiting
select c.channel, w.wait_reason, count(*) as jobs, min(w.due_at) filter (where w.due_at > $4) as next_at
from unnest($2::smallint[]) c(channel)
cross join lateral (
  select wait_reason, due_at from jobs
  where campaign_id = $1 and channel = c.channel and due_at is not null
  order by due_at, id limit $3) w
group by 1, 2 order by 1, 3 desc, 2";

const HEADROOM: &str = "-- store.headroom
select * from headroom()";
