//! Webhooks, for the planner: what is to be told, and the deliveries that are due (docs/adr/0037-webhooks.md).

mod campaigns;
mod deliver;
mod devices;

use chrono::{DateTime, Utc};
use deadpool_postgres::Transaction;
use tocsin_domain::CampaignId;
use uuid::Uuid;

pub use self::campaigns::CLOSED_OVERLAP;
pub use self::deliver::{DueDelivery, Record, Recorded, Served, Turn};
pub use self::devices::{DevicePage, Passed};
use crate::{Store, StoreError};

pub(crate) use self::devices::ENDED_DEVICES;

/// An event for every endpoint of the district that is enabled and asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// UUIDv7.
    pub id: Uuid,
    pub district: Uuid,
    pub campaign: CampaignId,
    pub event: &'static str,
    pub body: String,
}

/// Rows that one statement removes.
const PRUNED_MAX: i64 = 5_000;

impl Store {
    /// Removes deliveries made before `before`, whatever became of them, and what is known of campaigns that closed before
    /// it. A part at a time; returns how many rows it removed.
    pub async fn prune_webhooks(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let deliveries = self.count("prune_deliveries", PRUNE_DELIVERIES, &[&before, &PRUNED_MAX]).await?;
        let devices = self.count("prune_devices", PRUNE_DEVICES, &[&before, &PRUNED_MAX]).await?;
        let campaigns = self.count("prune_campaigns", PRUNE_CAMPAIGNS, &[&before, &PRUNED_MAX]).await?;
        Ok(deliveries + devices + campaigns)
    }
}

/// Puts events on their way, in the transaction that marks them as told.
async fn spread(
    transaction: &Transaction<'_>,
    events: &[NewEvent],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    const NAME: &str = "spread_webhooks";
    if events.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
    let districts: Vec<Uuid> = events.iter().map(|event| event.district).collect();
    let campaigns: Vec<Uuid> = events.iter().map(|event| event.campaign.0).collect();
    let types: Vec<&str> = events.iter().map(|event| event.event).collect();
    let bodies: Vec<&str> = events.iter().map(|event| event.body.as_str()).collect();
    let statement = transaction.prepare_cached(SPREAD).await.map_err(StoreError::statement(NAME))?;
    transaction
        .execute(&statement, &[&ids, &districts, &campaigns, &types, &bodies, &now])
        .await
        .map_err(StoreError::statement(NAME))?;
    Ok(())
}

const SPREAD: &str = "-- store.spread_webhooks
insert into webhook_deliveries (district_id, endpoint_id, id, event_type, campaign_id, body, created_at, next_at)
select e.district_id, e.id, u.id, u.event_type, u.campaign_id, u.body, $6::timestamptz, $6::timestamptz
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[])
  u(id, district_id, campaign_id, event_type, body)
cross join lateral (
  select district_id, id from webhook_endpoints
  where district_id = u.district_id and enabled and u.event_type = any(events) offset 0) e
order by e.district_id, e.id, u.id";

const PRUNE_DELIVERIES: &str = "-- store.prune_deliveries
delete from webhook_deliveries where ctid = any(array(
  select ctid from webhook_deliveries where created_at < $1 order by created_at limit $2 for update skip locked))";

/// Of a campaign that is gone nothing is kept either.
const PRUNE_DEVICES: &str = "-- store.prune_devices
delete from webhook_devices where ctid = any(array(
  select d.ctid from webhook_campaigns w
  cross join lateral (select closed_at from campaigns where id = w.campaign_id offset 0) c
  cross join lateral (select ctid from webhook_devices where campaign_id = w.campaign_id offset 0) d
  where w.told >= 16 and c.closed_at < $1 limit $2))";

const PRUNE_CAMPAIGNS: &str = "-- store.prune_campaigns
delete from webhook_campaigns where campaign_id = any(array(
  select w.campaign_id from webhook_campaigns w
  cross join lateral (select closed_at from campaigns where id = w.campaign_id offset 0) c
  where w.told >= 16 and c.closed_at < $1
    and not exists (select from webhook_devices where campaign_id = w.campaign_id offset 0)
  order by w.campaign_id limit $2))";
