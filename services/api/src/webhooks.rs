//! A district's webhooks over REST: where its own systems are told what happens.

mod commands;
mod deliveries;
mod request;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::webhook::DisabledReason;
use tocsin_store::tenant::webhooks::Endpoint;
use uuid::Uuid;

pub(crate) use self::commands::{
    change as carry_out, make, remove as take_off, rotate, send_again, send_test,
};
use self::deliveries::unknown_delivery;
pub(crate) use self::deliveries::{
    LIST as DELIVERIES, REDELIVER, SHOW as DELIVERY, list as deliveries, read_cursor_text, redeliver,
    show as delivery,
};
pub(crate) use self::request::OVERLAP_HOURS;
use self::request::{SecretRequest, WebhookPatch, WebhookRequest};
use crate::auth::Caller;
use crate::json;
use crate::openapi::{Operation, Placed};
use crate::problem::{Kind, Problem};
use crate::server::Api;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookList")]
pub(crate) struct ListView {
    webhooks: Vec<EndpointView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Webhook")]
pub(crate) struct EndpointView {
    id: Uuid,
    url: String,
    description: String,
    events: Vec<String>,
    enabled: bool,
    disabled_reason: Option<&'static str>,
    failing_since: Option<DateTime<Utc>>,
    /// So long messages are signed with the secret before, too.
    previous_secret_until: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    created_by: String,
    changed_at: DateTime<Utc>,
    changed_by: String,
    /// In the answer to the request that made it and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl EndpointView {
    fn of(endpoint: Endpoint, secret: Option<String>) -> Self {
        Self {
            id: endpoint.id,
            url: endpoint.url,
            description: endpoint.description,
            events: endpoint.events,
            enabled: endpoint.disabled.is_none(),
            disabled_reason: endpoint.disabled.map(DisabledReason::as_str),
            failing_since: endpoint.failing_since,
            previous_secret_until: endpoint.previous_secret_until,
            created_at: endpoint.created_at,
            created_by: endpoint.created_by,
            changed_at: endpoint.changed_at,
            changed_by: endpoint.changed_by,
            secret,
        }
    }
}

/// What a test sent.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookTest")]
pub(crate) struct SentView {
    /// The header `webhook-id` that it comes with.
    id: String,
}

pub(crate) const LIST: Operation = Operation::new("listWebhooks", "List webhooks, oldest first");

/// `GET /v1/webhooks`, the oldest first.
pub(crate) async fn list(Caller(tenant): Caller) -> Result<Json<ListView>, Problem> {
    let found = tenant.webhooks().await?;
    Ok(Json(ListView { webhooks: found.into_iter().map(|it| EndpointView::of(it, None)).collect() }))
}

pub(crate) const ADD: Operation = Operation::new("addWebhook", "Add a webhook")
    .telling("The secret stands in `secret` of this answer, and nowhere else.")
    .takes::<WebhookRequest>()
    .answers(&[(201, "")])
    .refuses(&[Kind::TooManyWebhooks, Kind::WebhooksOff, Kind::Unavailable]);

/// `POST /v1/webhooks`.
pub(crate) async fn add(
    Caller(tenant): Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Placed<EndpointView>, Problem> {
    let request = json::required(&headers, body)?;
    let (made, secret) = make(&api, &tenant, request).await?;
    let location = format!("/v1/webhooks/{}", made.id);
    Ok(Placed { status: StatusCode::CREATED, location, view: EndpointView::of(made, Some(secret)) })
}

pub(crate) const SHOW: Operation =
    Operation::new("showWebhook", "Show a webhook").refuses(&[Kind::UnknownWebhook]);

/// `GET /v1/webhooks/{id}`.
pub(crate) async fn show(
    Caller(tenant): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<EndpointView>, Problem> {
    let found = tenant.webhook(endpoint_id(id)?).await?.ok_or_else(unknown)?;
    Ok(Json(EndpointView::of(found, None)))
}

pub(crate) const CHANGE: Operation = Operation::new("changeWebhook", "Change a webhook")
    .takes::<WebhookPatch>()
    .refuses(&[Kind::UnknownWebhook, Kind::WebhooksOff]);

/// `PATCH /v1/webhooks/{id}`: what is left out stays.
pub(crate) async fn change(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<EndpointView>, Problem> {
    let id = endpoint_id(id)?;
    tenant.webhook(id).await?.ok_or_else(unknown)?;
    let request = json::required(&headers, body)?;
    let changed = carry_out(&api, &tenant, id, request).await?;
    Ok(Json(EndpointView::of(changed, None)))
}

pub(crate) const REMOVE: Operation = Operation::new("removeWebhook", "Remove a webhook")
    .telling("Nothing more is sent there, and what was sent is forgotten.")
    .answers(&[(204, "")])
    .refuses(&[Kind::UnknownWebhook]);

/// `DELETE /v1/webhooks/{id}`: nothing more is sent there, and what was is forgotten.
pub(crate) async fn remove(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    take_off(&api, &tenant, endpoint_id(id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) const RENEW_SECRET: Operation =
    Operation::new("renewWebhookSecret", "Give a webhook a new secret")
        .telling(
            "The new one stands in `secret` of this answer. The present one signs beside it for a while.",
        )
        .may_take::<SecretRequest>()
        .refuses(&[Kind::UnknownWebhook, Kind::WebhooksOff, Kind::Unavailable]);

/// `POST /v1/webhooks/{id}/secret`: a new secret, and how long the present one signs beside it.
pub(crate) async fn renew_secret(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<EndpointView>, Problem> {
    let id = endpoint_id(id)?;
    tenant.webhook(id).await?.ok_or_else(unknown)?;
    let overlap = request::read_overlap(json::optional(&headers, body)?)
        .map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    let (rotated, secret) = rotate(&api, &tenant, id, overlap).await?;
    Ok(Json(EndpointView::of(rotated, Some(secret))))
}

pub(crate) const TEST: Operation = Operation::new("testWebhook", "Send a test to a webhook")
    .answers(&[(202, "")])
    .refuses(&[Kind::UnknownWebhook, Kind::WebhookDisabled, Kind::WebhooksOff]);

/// `POST /v1/webhooks/{id}/test`.
pub(crate) async fn test(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<SentView>), Problem> {
    let id = send_test(&api, &tenant, endpoint_id(id)?).await?;
    Ok((StatusCode::ACCEPTED, Json(SentView { id })))
}

pub(crate) fn unknown() -> Problem {
    Problem::new(Kind::UnknownWebhook, "this district has no webhook of that id")
}

fn endpoint_id(path: Result<Path<String>, PathRejection>) -> Result<Uuid, Problem> {
    path.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(unknown)
}
