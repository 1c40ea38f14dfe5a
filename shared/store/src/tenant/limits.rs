//! What a district allows of each channel.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tocsin_domain::Channel;
use tocsin_domain::limits::DistrictLimit;

use super::{Tenant, to_json};
use crate::{StoreError, row};

impl Tenant {
    /// The district's limits. A channel that is not among them has none.
    pub async fn limits(&self) -> Result<BTreeMap<Channel, DistrictLimit>, StoreError> {
        const NAME: &str = "limits";
        let rows = self
            .rows(
                NAME,
                "-- store.limits
                 select channel, rate_per_second, concurrency, spares_emergencies from district_limits
                 where district_id = $1",
                &[&self.district.0],
            )
            .await?;
        rows.iter()
            .map(|found| Ok((row::channel(NAME, found.get("channel"))?, row::district_limit(found))))
            .collect()
    }

    /// Replaces the district's limits, for whatever is released from now on.
    pub async fn put_limits(
        &self,
        limits: &BTreeMap<Channel, DistrictLimit>,
        by: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        const NAME: &str = "put_limits";
        let channels: Vec<i16> = limits.keys().map(|channel| channel.number()).collect();
        let rates: Vec<Option<f64>> = limits.values().map(|limit| limit.rate_per_second).collect();
        let signed = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let concurrencies: Vec<Option<i32>> =
            limits.values().map(|limit| limit.concurrency.map(signed)).collect();
        let spares: Vec<bool> = limits.values().map(|limit| limit.spares_emergencies).collect();
        let written = to_json(NAME, limits)?;
        self.rows(
            NAME,
            PUT_LIMITS,
            &[&self.district.0, &channels, &rates, &concurrencies, &spares, &now, &by, &written],
        )
        .await
        .map(drop)
    }
}

const PUT_LIMITS: &str = "-- store.put_limits
with gone as (
  delete from district_limits where district_id = $1 and channel <> all($2)
), kept as (
  insert into district_limits
    (district_id, channel, rate_per_second, concurrency, spares_emergencies, updated_at, updated_by)
  select $1, channel, rate, concurrency, spares, $6, $7
  from unnest($2::smallint[], $3::float8[], $4::int[], $5::bool[]) u(channel, rate, concurrency, spares)
  on conflict (district_id, channel) do update set rate_per_second = excluded.rate_per_second,
    concurrency = excluded.concurrency, spares_emergencies = excluded.spares_emergencies,
    updated_at = excluded.updated_at, updated_by = excluded.updated_by
)
insert into audit (district_id, at, actor, action, subject, details)
values ($1, $6, $7, 'limits.put', $1::text, $8)";
