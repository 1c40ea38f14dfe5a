//! A district's suppressed addresses: the list, and what its office adds and takes off.

use chrono::{DateTime, Utc};
use tocsin_domain::suppression::SuppressionReason;
use tocsin_domain::{Channel, Outcome};

use super::Tenant;
use crate::{StoreError, row};

/// An address that is not tried.
#[derive(Debug, Clone)]
pub struct Suppression {
    pub channel: Channel,
    pub address: String,
    /// What a job to it ends with.
    pub outcome: Outcome,
    pub reason: String,
    pub source: String,
    pub created_at: DateTime<Utc>,
}

impl Tenant {
    /// A page in the order of channel and address, after this one.
    pub async fn suppressions(
        &self,
        after: Option<(Channel, &str)>,
        suppressions_max: u32,
    ) -> Result<Vec<Suppression>, StoreError> {
        const NAME: &str = "suppressions";
        let (channel, address) = after.map_or((0, ""), |(channel, address)| (channel.number(), address));
        self.page(NAME, SUPPRESSIONS, [&channel, &address], suppressions_max, |found| {
            Ok(Suppression {
                channel: row::channel(NAME, found.get("channel"))?,
                address: found.get("address"),
                outcome: row::outcome(NAME, found.get("outcome"))?,
                reason: found.get("reason"),
                source: found.get("source"),
                created_at: found.get("created_at"),
            })
        })
        .await
    }

    /// False: it was suppressed before, and stays so with its first reason.
    pub async fn suppress(
        &self,
        channel: Channel,
        address: &str,
        reason: SuppressionReason,
        source: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let rows = self
            .rows(
                "suppress_by_hand",
                SUPPRESS_BY_HAND,
                &[
                    &self.district.0,
                    &channel.number(),
                    &address,
                    &reason.outcome().number(),
                    &reason.as_str(),
                    &source,
                    &now,
                ],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// False: it was not suppressed.
    pub async fn lift_suppression(
        &self,
        channel: Channel,
        address: &str,
        source: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let rows = self
            .rows(
                "lift_suppression",
                LIFT_SUPPRESSION,
                &[&self.district.0, &channel.number(), &address, &source, &now],
            )
            .await?;
        Ok(!rows.is_empty())
    }
}

pub(crate) const SUPPRESSIONS: &str = "-- store.suppressions
select channel, address, outcome, reason, source, created_at from suppressions
where district_id = $1 and (channel, address) > ($2::smallint, $3::text)
order by channel, address limit $4";

const SUPPRESS_BY_HAND: &str = "-- store.suppress_by_hand
with added as (
  insert into suppressions (district_id, channel, address, outcome, reason, source, created_at)
  values ($1, $2, $3, $4, $5, $6, $7)
  on conflict (district_id, channel, address) do nothing
  returning district_id, channel, address, reason
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select district_id, $7, $6, 'suppression.add', address, jsonb_build_object('channel', channel, 'reason', reason)
  from added
)
select from added";

const LIFT_SUPPRESSION: &str = "-- store.lift_suppression
with lifted as (
  delete from suppressions where district_id = $1 and channel = $2 and address = $3
  returning district_id, channel, address, reason
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select district_id, $5, $4, 'suppression.lift', address, jsonb_build_object('channel', channel, 'reason', reason)
  from lifted
)
select from lifted";
