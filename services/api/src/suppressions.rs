//! Addresses that are not tried any more (requirement 167): the list, and what the district's office adds and lifts.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tocsin_domain::address::{Email, Phone};
use tocsin_domain::suppression::SuppressionReason;
use tocsin_domain::{Channel, Outcome};
use tocsin_store::tenant::suppressions::Suppression;

use crate::auth::Caller;
use crate::fields::{Fault, Faults, Field, Fields};
use crate::json;
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, shape};
use crate::page::{Asked, PageQuery, cut, read_page};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;

const PORTAL_ACCOUNT_CHARS_MAX: usize = 255;

/// A page in the order of channels and addresses.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SuppressionPage")]
pub(crate) struct ListView {
    suppressions: Vec<SuppressionView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Suppression")]
struct SuppressionView {
    channel: Channel,
    address: String,
    #[schemars(with = "SuppressionReason")]
    reason: String,
    /// What a user reads under Status of such a device.
    status: &'static str,
    #[schemars(with = "Outcome")]
    status_code: &'static str,
    /// `provider`, or a name of the district's.
    source: String,
    created_at: DateTime<Utc>,
}

pub(crate) const LIST: Operation =
    Operation::new("listSuppressions", "List addresses that are not tried").asks::<PageQuery>();

/// `GET /v1/suppressions?limit=&cursor=`.
pub(crate) async fn list(
    Caller(tenant): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let Asked { after, limit } = read_page(query.as_deref(), |text| {
        let (channel, address) = text.split_once('/')?;
        (!address.contains('\0')).then_some((channel.parse().ok()?, address.to_owned()))
    })?;
    let after: Option<(Channel, &str)> =
        after.as_ref().map(|(channel, address)| (*channel, address.as_str()));
    let mut found = tenant.suppressions(after, limit + 1).await?;
    let next_cursor = cut(&mut found, limit, |last| format!("{}/{}", last.channel, last.address));
    Ok(Json(ListView { suppressions: found.into_iter().map(SuppressionView::of).collect(), next_cursor }))
}

shape! {
    pub(crate) struct SuppressionRequest {
        channel: Channel,
        /// A phone in E.164, an email address or a portal account.
        #[schemars(length(min = 1))]
        address: String,
        /// `requested` unless said. Each belongs to some channels.
        reason: Option<SuppressionReason>,
        by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

shape! {
    /// Who does it.
    pub(crate) struct ByQuery {
        /// The key's name unless said.
        by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

pub(crate) const ADD: Operation = Operation::new("addSuppression", "Keep everybody from an address")
    .takes::<SuppressionRequest>()
    .answers(&[(201, "It is new."), (200, "The address was suppressed before.")]);

/// `POST /v1/suppressions`: 201 when it is new, 200 when the address was suppressed before.
pub(crate) async fn add(
    Caller(tenant): Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<StatusCode, Problem> {
    let body = json::optional(&headers, body)?.unwrap_or(Value::Null);
    let order =
        read_order(body, tenant.acts_as()).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    let Order { channel, address, reason, by } = order;
    let added = tenant.suppress(channel, &address, reason, &by, api.clock.now()).await?;
    Ok(if added { StatusCode::CREATED } else { StatusCode::OK })
}

pub(crate) const LIFT: Operation = Operation::new("liftSuppression", "Lift a suppression")
    .asks::<ByQuery>()
    .answers(&[(204, "It is lifted.")])
    .refuses(&[Kind::UnknownSuppression]);

/// `DELETE /v1/suppressions/{channel}/{address}?by=`.
pub(crate) async fn lift(
    Caller(tenant): Caller,
    State(api): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Problem> {
    let by = read_by(query.as_deref(), tenant.acts_as())
        .map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let unknown = || Problem::new(Kind::UnknownSuppression, "this district does not suppress that address");
    // What is no address is none that is suppressed.
    let Path((channel, address)) = path.map_err(|_| unknown())?;
    let channel: Channel = channel.parse().map_err(|_| unknown())?;
    let address = normalised(channel, &address).map_err(|_| unknown())?;
    let lifted = tenant.lift_suppression(channel, &address, &by, api.clock.now()).await?;
    if lifted { Ok(StatusCode::NO_CONTENT) } else { Err(unknown()) }
}

struct Order {
    channel: Channel,
    address: String,
    reason: SuppressionReason,
    by: String,
}

fn read_order(body: Value, actor: &str) -> Result<Order, Vec<Fault>> {
    let mut faults = Faults::default();
    let read =
        Field::root(body).object(&mut faults).and_then(|fields| read_fields(fields, actor, &mut faults));
    faults.or(read)
}

fn read_fields(mut fields: Fields, actor: &str, faults: &mut Faults) -> Option<Order> {
    let channel = fields
        .required("channel", "use voice, sms, email or inbox", faults)
        .and_then(|field| field.one_of(&Channel::ALL, Channel::as_str, faults));
    let address = fields.required("address", "say which phone or address is not to be tried", faults);
    let reason = match fields.take("reason") {
        None => Some(SuppressionReason::Requested),
        Some(field) => field.one_of(SuppressionReason::ALL, SuppressionReason::as_str, faults),
    };
    let by = fields.take("by").and_then(|field| field.text(ACTOR_CHARS_MAX, faults));
    fields.finish(faults);
    let (channel, reason) = (channel?, reason?);
    if !reason.channels().contains(&channel) {
        let channels: Vec<&str> = reason.channels().iter().map(|channel| channel.as_str()).collect();
        faults.add("reason", format!("{reason} is none of {channel}: it belongs to {}", channels.join(", ")));
    }
    let address = address?.parsed(faults, |text| normalised(channel, text))?;
    Some(Order { channel, address, reason, by: by.unwrap_or_else(|| actor.to_owned()) })
}

/// As devices keep it. The fault does not repeat the address.
fn normalised(channel: Channel, text: &str) -> Result<String, String> {
    match channel {
        Channel::Voice | Channel::Sms => Phone::parse(text)
            .map(String::from)
            .map_err(|fault| format!("is no phone number: {fault}, such as +15550100123")),
        Channel::Email => {
            Email::parse(text).map(String::from).map_err(|fault| format!("is no email address: {fault}"))
        }
        Channel::Inbox
            if text.is_empty() || text.contains('\0') || text.chars().count() > PORTAL_ACCOUNT_CHARS_MAX =>
        {
            Err(format!("is empty or too long: use 1 to {PORTAL_ACCOUNT_CHARS_MAX} characters"))
        }
        Channel::Inbox => Ok(text.to_owned()),
    }
}

pub(crate) fn read_by(query: Option<&str>, actor: &str) -> Result<String, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let by = fields.take("by").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
    fields.finish(&mut faults);
    faults.or(Some(by.unwrap_or_else(|| actor.to_owned())))
}

impl SuppressionView {
    fn of(suppression: Suppression) -> Self {
        let Suppression { channel, address, outcome, reason, source, created_at } = suppression;
        Self {
            channel,
            address,
            reason,
            status: outcome.label(),
            status_code: outcome.code(),
            source,
            created_at,
        }
    }
}
