//! What was sent to a webhook, and what is to be.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::CampaignId;
use tocsin_store::tenant::webhooks::Delivery;
use tocsin_webhooks::{message_id, read_message_id};
use uuid::Uuid;

use super::{endpoint_id, send_again, unknown};
use crate::auth::Caller;
use crate::openapi::Operation;
use crate::page::{PageQuery, cut, read_page};
use crate::problem::{Kind, Problem};
use crate::server::Api;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookDeliveryPage")]
pub(crate) struct ListView {
    deliveries: Vec<DeliveryView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookDelivery")]
pub(crate) struct DeliveryView {
    /// The header `webhook-id`.
    id: String,
    event: String,
    campaign_id: Option<CampaignId>,
    created_at: DateTime<Utc>,
    state: &'static str,
    /// Since it was made, or last sent again by hand.
    attempts: i16,
    last_attempt_at: Option<DateTime<Utc>>,
    /// Of the last answer.
    status: Option<i16>,
    /// Why there was none.
    fault: Option<String>,
    /// Null: it is tried no more.
    next_attempt_at: Option<DateTime<Utc>>,
    /// Of one that was asked for by itself: as it is signed and sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl DeliveryView {
    fn of(delivery: Delivery, body: Option<String>) -> Self {
        Self {
            id: message_id(delivery.id),
            event: delivery.event,
            campaign_id: delivery.campaign,
            created_at: delivery.created_at,
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            last_attempt_at: delivery.tried_at,
            status: delivery.status,
            fault: delivery.fault,
            next_attempt_at: delivery.next_at,
            body,
        }
    }
}

pub(crate) const LIST: Operation =
    Operation::new("listWebhookDeliveries", "List what was sent to a webhook, newest first")
        .asks::<PageQuery>()
        .refuses(&[Kind::UnknownWebhook]);

/// `GET /v1/webhooks/{id}/deliveries?limit=&cursor=`, the newest first.
pub(crate) async fn list(
    Caller(tenant): Caller,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let id = endpoint_id(id)?;
    tenant.webhook(id).await?.ok_or_else(unknown)?;
    let asked = read_page(query.as_deref(), read_cursor_text)?;
    // One more than is shown tells whether another page follows.
    let mut found = tenant.webhook_deliveries(id, asked.after, asked.limit + 1).await?;
    let next_cursor = cut(&mut found, asked.limit, |last| last.id.to_string());
    let deliveries = found.into_iter().map(|delivery| DeliveryView::of(delivery, None)).collect();
    Ok(Json(ListView { deliveries, next_cursor }))
}

pub(crate) const SHOW: Operation = Operation::new("showWebhookDelivery", "Show what was sent, with its body")
    .refuses(&[Kind::UnknownWebhook, Kind::UnknownDelivery]);

/// `GET /v1/webhooks/{id}/deliveries/{delivery}`.
pub(crate) async fn show(
    Caller(tenant): Caller,
    ids: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<DeliveryView>, Problem> {
    let Path((endpoint, delivery)) = ids.map_err(|_| unknown())?;
    let endpoint: Uuid = endpoint.parse().map_err(|_| unknown())?;
    tenant.webhook(endpoint).await?.ok_or_else(unknown)?;
    let delivery = read_message_id(&delivery).ok_or_else(unknown_delivery)?;
    let (found, body) = tenant.webhook_delivery(endpoint, delivery).await?.ok_or_else(unknown_delivery)?;
    Ok(Json(DeliveryView::of(found, Some(body))))
}

pub(crate) const REDELIVER: Operation =
    Operation::new("redeliverToWebhook", "Send again what was delivered or has failed")
        .telling("Under the same `webhook-id`, with all its attempts before it.")
        .answers(&[(202, "")])
        .refuses(&[
            Kind::UnknownWebhook,
            Kind::UnknownDelivery,
            Kind::DeliveryWaiting,
            Kind::WebhookDisabled,
            Kind::WebhooksOff,
        ]);

/// `POST /v1/webhooks/{id}/deliveries/{delivery}/redeliver`.
pub(crate) async fn redeliver(
    Caller(tenant): Caller,
    State(api): State<Api>,
    ids: Result<Path<(String, String)>, PathRejection>,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    let Path((endpoint, delivery)) = ids.map_err(|_| unknown())?;
    let endpoint: Uuid = endpoint.parse().map_err(|_| unknown())?;
    let again = send_again(&api, &tenant, endpoint, &delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryView::of(again, None))))
}

pub(crate) fn unknown_delivery() -> Problem {
    Problem::new(Kind::UnknownDelivery, "this webhook has no delivery of that id")
}

pub(crate) fn read_cursor_text(text: &str) -> Option<Uuid> {
    text.parse().ok()
}
