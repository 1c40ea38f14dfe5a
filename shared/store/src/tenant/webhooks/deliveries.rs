//! What was sent to an endpoint, and what is to be.

use chrono::{DateTime, Utc};
use tocsin_domain::CampaignId;
use tocsin_domain::webhook::DeliveryState;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::Tenant;
use crate::{StoreError, row};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: Uuid,
    pub event: String,
    pub campaign: Option<CampaignId>,
    pub created_at: DateTime<Utc>,
    pub state: DeliveryState,
    /// Since it was made, or last sent again by hand.
    pub attempts: i16,
    pub tried_at: Option<DateTime<Utc>>,
    /// Of the last answer.
    pub status: Option<i16>,
    /// Why there was none.
    pub fault: Option<String>,
    /// None: it is tried no more.
    pub next_at: Option<DateTime<Utc>>,
}

/// An event that somebody asked for.
#[derive(Debug, Clone, Copy)]
pub struct NewDelivery<'a> {
    /// UUIDv7.
    pub id: Uuid,
    pub event: &'a str,
    pub body: &'a str,
}

impl Tenant {
    /// A page, the newest first, before this one.
    pub async fn webhook_deliveries(
        &self,
        endpoint: Uuid,
        before: Option<Uuid>,
        rows_max: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let before = before.unwrap_or(Uuid::max());
        let rows_max = i64::from(rows_max);
        let rows = self
            .rows("webhook_deliveries", DELIVERIES, &[&self.district.0, &endpoint, &before, &rows_max])
            .await?;
        rows.iter().map(read).collect()
    }

    /// One, with its body.
    pub async fn webhook_delivery(
        &self,
        endpoint: Uuid,
        id: Uuid,
    ) -> Result<Option<(Delivery, String)>, StoreError> {
        let sql = "-- store.webhook_delivery
                   select * from webhook_deliveries where district_id = $1 and endpoint_id = $2 and id = $3";
        let rows = self.rows("webhook_delivery", sql, &[&self.district.0, &endpoint, &id]).await?;
        rows.first().map(|found| Ok((read(found)?, found.get("body")))).transpose()
    }

    /// An event for one endpoint, due at once. False: there is no such endpoint, or it is disabled.
    pub async fn deliver_to_webhook(
        &self,
        endpoint: Uuid,
        new: NewDelivery<'_>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let rows = self
            .rows(
                "deliver_to_webhook",
                DELIVER_TO_WEBHOOK,
                &[&self.district.0, &endpoint, &new.id, &new.event, &new.body, &now, &self.acts_as()],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// Sends one again that was delivered or has failed: due at once, with all its attempts before it. False: it still
    /// waits, its endpoint is disabled, or there is no such delivery.
    pub async fn redeliver_to_webhook(
        &self,
        endpoint: Uuid,
        id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let rows = self
            .rows(
                "redeliver_to_webhook",
                REDELIVER,
                &[&self.district.0, &endpoint, &id, &now, &self.acts_as()],
            )
            .await?;
        Ok(!rows.is_empty())
    }
}

fn read(found: &Row) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        id: found.get("id"),
        event: found.get("event_type"),
        campaign: found.get::<_, Option<Uuid>>("campaign_id").map(CampaignId),
        created_at: found.get("created_at"),
        state: row::delivery_state("webhook_deliveries", found.get("state"))?,
        attempts: found.get("attempts"),
        tried_at: found.get("tried_at"),
        status: found.get("status"),
        fault: found.get("fault"),
        next_at: found.get("next_at"),
    })
}

pub(crate) const DELIVERIES: &str = "-- store.webhook_deliveries
select id, event_type, campaign_id, created_at, state, attempts, tried_at, status, fault, next_at
from webhook_deliveries where district_id = $1 and endpoint_id = $2 and id < $3
order by id desc limit $4";

const DELIVER_TO_WEBHOOK: &str = "-- store.deliver_to_webhook
with made as (
  insert into webhook_deliveries (district_id, endpoint_id, id, event_type, body, created_at, next_at)
  select district_id, id, $3::uuid, $4::text, $5::text, $6::timestamptz, $6::timestamptz from webhook_endpoints
  where district_id = $1 and id = $2 and enabled
  returning endpoint_id
), audited as (
  insert into audit (district_id, at, actor, action, subject)
  select $1, $6, $7, 'webhook.test', endpoint_id::text from made
)
select endpoint_id from made";

/// Id and body stay, so that receivers know it again.
const REDELIVER: &str = "-- store.redeliver_to_webhook
with again as (
  update webhook_deliveries d set state = 1, attempts = 0, next_at = $4
  where d.district_id = $1 and d.endpoint_id = $2 and d.id = $3 and d.state <> 1
    and exists (select from webhook_endpoints where district_id = $1 and id = $2 and enabled)
  returning d.endpoint_id, d.event_type
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $1, $4, $5, 'webhook.redeliver', endpoint_id::text,
    jsonb_build_object('delivery', $3::uuid, 'event', event_type) from again
)
select endpoint_id from again";
