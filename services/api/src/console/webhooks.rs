//! `/webhooks`: where the district's own systems are told what happens.

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tocsin_domain::webhook::{DeliveryState, DisabledReason, EventType};
use tocsin_store::tenant::webhooks::{Delivery, Endpoint};
use tocsin_webhooks::message_id;
use uuid::Uuid;

use super::access::Visitor;
use super::form::{Choice, Complaints, Form};
use super::page::{Refused, Shell, answer};
use super::when::Stamp;
use crate::fields::{Fault, Faults, Fields};
use crate::page::{cut, read_cursor};
use crate::server::Api;
use crate::webhooks::{
    OVERLAP_HOURS, carry_out, make, read_cursor_text, rotate, send_again, send_test, take_off, unknown,
};

const DELIVERIES_MAX: u32 = 50;

#[derive(Template)]
#[template(path = "webhooks.html")]
struct ListPage {
    shell: Shell,
    /// False: the installation has no key to make secrets with.
    is_on: bool,
    rows: Vec<Row>,
    typed: Typed,
    faults: Complaints,
    /// The secret that was just made, shown this once.
    secret: Option<String>,
}

struct Row {
    id: Uuid,
    url: String,
    description: String,
    events: String,
    state: Standing,
}

/// How an endpoint stands, in words.
struct Standing {
    words: &'static str,
    badge: &'static str,
}

impl Standing {
    fn of(endpoint: &Endpoint) -> Self {
        let (words, badge) = match endpoint.disabled {
            Some(DisabledReason::ByHand) => ("Disabled", ""),
            Some(DisabledReason::Gone) => ("Disabled: the endpoint answered that it is gone", "bad"),
            Some(DisabledReason::Failing) => ("Disabled: it took nothing for days", "bad"),
            None if endpoint.failing_since.is_some() => ("Failing", "bad"),
            None => ("Enabled", "good"),
        };
        Self { words, badge }
    }
}

struct Typed {
    url: String,
    description: String,
    events: Vec<Choice>,
}

impl Typed {
    fn new(url: String, description: String, ticked: &[String]) -> Self {
        let choice = |event: EventType| Choice {
            value: event.as_str().to_owned(),
            name: event.as_str().to_owned(),
            hint: event.tells(),
            ticked: ticked.iter().any(|name| name == event.as_str()),
        };
        Self { url, description, events: EventType::asked_for().into_iter().map(choice).collect() }
    }

    fn of_form(form: &Form) -> Self {
        Self::new(form.text("url"), form.text("description"), &form.all("event"))
    }
}

#[derive(Template)]
#[template(path = "webhook.html")]
struct EndpointPage {
    shell: Shell,
    id: Uuid,
    typed: Typed,
    enabled: bool,
    state: Standing,
    faults: Complaints,
    secret: Option<String>,
    overlap_hours: u32,
    previous_until: Option<Stamp>,
    rows: Vec<Sent>,
    further: bool,
    next: Option<String>,
}

struct Sent {
    id: String,
    event: String,
    made: Stamp,
    state: &'static str,
    badge: &'static str,
    attempts: i16,
    answer: String,
    next: Option<Stamp>,
    /// It was delivered or has failed.
    is_over: bool,
}

/// `GET /webhooks`.
pub(crate) async fn list(visitor: Visitor, State(api): State<Api>) -> Result<Response, Refused> {
    Ok(answer(StatusCode::OK, &list_page(&visitor, &api).await?))
}

/// `POST /webhooks` with `url`, `description` and `event`s: shows the secret, and the list below it.
pub(crate) async fn add(visitor: Visitor, State(api): State<Api>, body: Bytes) -> Result<Response, Refused> {
    let form = Form::of(&body);
    match make(&api, &visitor.tenant, request(&form)).await {
        Ok((_, secret)) => {
            let page = ListPage { secret: Some(secret), ..list_page(&visitor, &api).await? };
            Ok(answer(StatusCode::CREATED, &page))
        }
        Err(problem) => {
            let status = problem.status();
            let faults = Complaints::of(problem)?;
            let page = ListPage { typed: Typed::of_form(&form), faults, ..list_page(&visitor, &api).await? };
            Ok(answer(status, &page))
        }
    }
}

/// `GET /webhooks/{id}?cursor=`.
pub(crate) async fn ask(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let before = read_query(query.as_deref()).map_err(Refused::faulty)?;
    let endpoint = own(&visitor, &id).await?;
    Ok(answer(StatusCode::OK, &endpoint_page(&visitor, &api, endpoint, before).await?))
}

/// `POST /webhooks/{id}` with the same and, if it is enabled, `enabled`.
pub(crate) async fn change(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let endpoint = own(&visitor, &id).await?;
    let form = Form::of(&body);
    let mut request = request(&form);
    request["enabled"] = Value::Bool(form.holds("enabled"));
    match carry_out(&api, &visitor.tenant, endpoint.id, request).await {
        Ok(changed) => Ok(Redirect::to(&format!("/webhooks/{}", changed.id)).into_response()),
        Err(problem) => {
            let status = problem.status();
            let faults = Complaints::of(problem)?;
            let page = endpoint_page(&visitor, &api, endpoint, None).await?;
            let (typed, enabled) = (Typed::of_form(&form), form.holds("enabled"));
            Ok(answer(status, &EndpointPage { typed, enabled, faults, ..page }))
        }
    }
}

/// `POST /webhooks/{id}/secret`: shows the new one.
pub(crate) async fn renew_secret(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let id = own(&visitor, &id).await?.id;
    let overlap = TimeDelta::hours(OVERLAP_HOURS.into());
    let (endpoint, secret) = rotate(&api, &visitor.tenant, id, overlap).await?;
    let page = EndpointPage { secret: Some(secret), ..endpoint_page(&visitor, &api, endpoint, None).await? };
    Ok(answer(StatusCode::OK, &page))
}

/// `POST /webhooks/{id}/test`.
pub(crate) async fn test(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let id = own(&visitor, &id).await?.id;
    send_test(&api, &visitor.tenant, id).await?;
    Ok(Redirect::to(&format!("/webhooks/{id}")).into_response())
}

/// `POST /webhooks/{id}/deliveries/{delivery}/redeliver`.
pub(crate) async fn redeliver(
    visitor: Visitor,
    State(api): State<Api>,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let id = own(&visitor, &id).await?.id;
    send_again(&api, &visitor.tenant, id, &delivery).await?;
    Ok(Redirect::to(&format!("/webhooks/{id}")).into_response())
}

/// `POST /webhooks/{id}/remove`.
pub(crate) async fn remove(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let id = own(&visitor, &id).await?.id;
    take_off(&api, &visitor.tenant, id).await?;
    Ok(Redirect::to("/webhooks").into_response())
}

fn request(form: &Form) -> Value {
    json!({ "url": form.text("url"), "description": form.text("description"), "events": form.all("event") })
}

async fn list_page(visitor: &Visitor, api: &Api) -> Result<ListPage, Refused> {
    let row = |endpoint: Endpoint| Row {
        state: Standing::of(&endpoint),
        id: endpoint.id,
        url: endpoint.url,
        description: endpoint.description,
        events: endpoint.events.join(", "),
    };
    Ok(ListPage {
        shell: Shell::new("Webhooks", &visitor.who, "webhooks"),
        is_on: api.webhooks.is_some(),
        rows: visitor.tenant.webhooks().await?.into_iter().map(row).collect(),
        typed: Typed::new(String::new(), String::new(), &[]),
        faults: Complaints::default(),
        secret: None,
    })
}

async fn endpoint_page(
    visitor: &Visitor,
    api: &Api,
    endpoint: Endpoint,
    before: Option<Uuid>,
) -> Result<EndpointPage, Refused> {
    let mut found = visitor.tenant.webhook_deliveries(endpoint.id, before, DELIVERIES_MAX + 1).await?;
    let next = cut(&mut found, DELIVERIES_MAX, |last| last.id.to_string());
    let now = api.clock.now();
    let stamp = |at: DateTime<Utc>| visitor.zone.stamp(at, now);
    let title = if endpoint.description.is_empty() { &endpoint.url } else { &endpoint.description }.clone();
    Ok(EndpointPage {
        shell: Shell::new(title, &visitor.who, "webhooks"),
        id: endpoint.id,
        state: Standing::of(&endpoint),
        enabled: endpoint.disabled.is_none(),
        typed: Typed::new(endpoint.url, endpoint.description, &endpoint.events),
        faults: Complaints::default(),
        secret: None,
        overlap_hours: OVERLAP_HOURS,
        previous_until: endpoint.previous_secret_until.filter(|until| *until > now).map(stamp),
        rows: found.into_iter().map(|delivery| sent(delivery, stamp)).collect(),
        further: before.is_some(),
        next,
    })
}

fn sent(delivery: Delivery, stamp: impl Fn(DateTime<Utc>) -> Stamp) -> Sent {
    let (state, badge) = match delivery.state {
        DeliveryState::Waiting if delivery.attempts > 0 => ("Tried again", ""),
        DeliveryState::Waiting => ("Waiting", ""),
        DeliveryState::Delivered => ("Delivered", "good"),
        DeliveryState::Failed => ("Failed", "bad"),
    };
    let answer = match (delivery.status, &delivery.fault) {
        (Some(status), _) => status.to_string(),
        (None, Some(fault)) => fault.replace('_', " "),
        (None, None) => String::new(),
    };
    Sent {
        id: message_id(delivery.id),
        event: delivery.event,
        made: stamp(delivery.created_at),
        state,
        badge,
        attempts: delivery.attempts,
        answer,
        next: delivery.next_at.map(stamp),
        is_over: delivery.state != DeliveryState::Waiting,
    }
}

async fn own(visitor: &Visitor, id: &str) -> Result<Endpoint, Refused> {
    let id: Uuid = id.parse().map_err(|_| Refused::from(unknown()))?;
    Ok(visitor.tenant.webhook(id).await?.ok_or_else(unknown)?)
}

fn read_query(query: Option<&str>) -> Result<Option<Uuid>, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let before = read_cursor(&mut fields, &mut faults, read_cursor_text);
    fields.finish(&mut faults);
    faults.or(Some(before))
}
