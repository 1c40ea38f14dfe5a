//! What is done with webhooks, for the API and for the pages alike.

use chrono::TimeDelta;
use serde_json::Value;
use tocsin_domain::webhook::{DisabledReason, ENDPOINTS_MAX, EventType};
use tocsin_store::Tenant;
use tocsin_store::tenant::webhooks::{Delivery, Enabled, Endpoint, NewDelivery, NewEndpoint};
use tocsin_webhooks::{Settings, message_id, read_message_id, test_body};
use uuid::{NoContext, Timestamp, Uuid};

use super::request::{read_change, read_new};
use super::{unknown, unknown_delivery};
use crate::problem::{Kind, Problem};
use crate::server::Api;

/// Makes an endpoint, and its first secret.
pub(crate) async fn make(api: &Api, tenant: &Tenant, request: Value) -> Result<(Endpoint, String), Problem> {
    let settings = settings(api)?;
    let new =
        read_new(request, &settings.reach).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    let id = Uuid::new_v4();
    let row = NewEndpoint {
        id,
        url: &new.url,
        description: &new.description,
        events: &new.events,
        disabled: (new.enabled == Enabled::No).then_some(DisabledReason::ByHand),
        secret_key: settings.keys.current(),
    };
    if !tenant.add_webhook(&row, api.clock.now()).await? {
        let remedy = format!("the district has {ENDPOINTS_MAX} webhooks, as many as it may: remove one");
        return Err(Problem::new(Kind::TooManyWebhooks, remedy));
    }
    tracing::info!(webhook.id = %id, "webhook added");
    let made = tenant.webhook(id).await?.ok_or_else(unknown)?;
    let secret = shown_secret(settings, &made)?;
    Ok((made, secret))
}

pub(crate) async fn change(
    api: &Api,
    tenant: &Tenant,
    id: Uuid,
    request: Value,
) -> Result<Endpoint, Problem> {
    let settings = settings(api)?;
    let change =
        read_change(request, &settings.reach).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    if !tenant.change_webhook(id, &change, api.clock.now()).await? {
        return Err(unknown());
    }
    tenant.webhook(id).await?.ok_or_else(unknown)
}

/// Makes the next secret; the present one signs beside it for `overlap`.
pub(crate) async fn rotate(
    api: &Api,
    tenant: &Tenant,
    id: Uuid,
    overlap: TimeDelta,
) -> Result<(Endpoint, String), Problem> {
    let settings = settings(api)?;
    let now = api.clock.now();
    if !tenant.rotate_webhook(id, settings.keys.current(), now + overlap, now).await? {
        return Err(unknown());
    }
    tracing::info!(webhook.id = %id, "webhook's secret rotated");
    let rotated = tenant.webhook(id).await?.ok_or_else(unknown)?;
    let secret = shown_secret(settings, &rotated)?;
    Ok((rotated, secret))
}

pub(crate) async fn remove(api: &Api, tenant: &Tenant, id: Uuid) -> Result<(), Problem> {
    if !tenant.remove_webhook(id, api.clock.now()).await? {
        return Err(unknown());
    }
    tracing::info!(webhook.id = %id, "webhook removed");
    Ok(())
}

/// Puts a test on its way, whatever events the endpoint asks for. Returns its `webhook-id`.
pub(crate) async fn send_test(api: &Api, tenant: &Tenant, id: Uuid) -> Result<String, Problem> {
    settings(api)?;
    let endpoint = tenant.webhook(id).await?.ok_or_else(unknown)?;
    let now = api.clock.now();
    let body = test_body(id, now).map_err(|error| {
        tracing::error!(%error, "a test cannot be written");
        Problem::new(Kind::Internal, "the request failed by a fault of ours, which was logged")
    })?;
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    let event = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()));
    let new = NewDelivery { id: event, event: EventType::WebhookTest.as_str(), body: &body };
    if endpoint.disabled.is_some() || !tenant.deliver_to_webhook(id, new, now).await? {
        return Err(disabled());
    }
    Ok(message_id(event))
}

/// Puts one on its way again that was delivered or has failed, under the `webhook-id` that it had.
pub(crate) async fn send_again(
    api: &Api,
    tenant: &Tenant,
    id: Uuid,
    webhook_id: &str,
) -> Result<Delivery, Problem> {
    settings(api)?;
    let endpoint = tenant.webhook(id).await?.ok_or_else(unknown)?;
    let delivery = read_message_id(webhook_id).ok_or_else(unknown_delivery)?;
    let is_due = tenant.redeliver_to_webhook(id, delivery, api.clock.now()).await?;
    let (found, _) = tenant.webhook_delivery(id, delivery).await?.ok_or_else(unknown_delivery)?;
    if is_due {
        tracing::info!(webhook.id = %id, "delivery sent again by hand");
        return Ok(found);
    }
    Err(if endpoint.disabled.is_some() {
        disabled()
    } else {
        let remedy =
            "the delivery waits for its next attempt: it is sent again once it is delivered or has failed";
        Problem::new(Kind::DeliveryWaiting, remedy)
    })
}

fn disabled() -> Problem {
    let remedy = "the webhook is disabled, and nothing is sent there: enable it first";
    Problem::new(Kind::WebhookDisabled, remedy)
}

pub(crate) fn settings(api: &Api) -> Result<&Settings, Problem> {
    api.webhooks.as_ref().ok_or_else(|| {
        let remedy = "this installation sends no webhooks: its operator sets webhooks.secret";
        Problem::new(Kind::WebhooksOff, remedy)
    })
}

fn shown_secret(settings: &Settings, endpoint: &Endpoint) -> Result<String, Problem> {
    let secret = settings.keys.secret(endpoint.id, &endpoint.secret).ok_or_else(|| {
        // Another process of the api has another key, or rotated at the same moment.
        Problem::new(Kind::Unavailable, "the secret was changed meanwhile: rotate it again")
    })?;
    Ok(secret.shown())
}
