//! Consents to texts: one phone with its history, the list with its totals, and a change by hand (requirements 161 to
//! 164). A phone number in a path or a cursor is never logged: the server logs routes.

use std::collections::BTreeMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tocsin_domain::address::Phone;
use tocsin_domain::consent::{ConsentChange, ConsentState};
use tocsin_domain::window::Zone;
use tocsin_reports::Format;
use tocsin_store::Tenant;
use tocsin_store::tenant::consents::{Change, Consent};
use uuid::Uuid;

use crate::auth::Caller;
use crate::fields::{Fault, Faults, Field, Fields};
use crate::json;
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, shape};
use crate::page::{PageQuery, encode, read_cursor, read_limit};
use crate::problem::{Kind, Problem};
use crate::report::{self, Renders};
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;

/// Who says so where nobody of the district does: not to be had by hand.
const RESERVED_SOURCES: [&str; 2] = ["text", "provider"];

/// Where one phone stands, and how it came there.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PhoneConsent")]
pub(crate) struct PhoneView {
    phone: String,
    /// Null: nobody has asked, and nobody has said anything.
    state: Option<ConsentState>,
    changed_at: Option<DateTime<Utc>>,
    /// `text`: the person's own; `provider`: it refuses the phone; else a name of the district's.
    source: Option<String>,
    /// Newest first.
    history: Vec<ChangeView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConsentChange")]
struct ChangeView {
    from: Option<ConsentState>,
    to: ConsentState,
    at: DateTime<Utc>,
    source: String,
    /// The text or report that changed it.
    event: Option<Uuid>,
}

/// A page in the order of phones, and the totals over all pages.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConsentPage")]
pub(crate) struct ListView {
    /// Phones by state.
    totals: BTreeMap<ConsentState, i64>,
    consents: Vec<ConsentView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Consent")]
struct ConsentView {
    phone: String,
    state: ConsentState,
    changed_at: DateTime<Utc>,
    source: String,
}

pub(crate) const SHOW: Operation =
    Operation::new("showConsent", "Show where a phone stands, and how it came there")
        .refuses(&[Kind::InvalidPath]);

/// `GET /v1/consents/{phone}`, the phone in E.164.
pub(crate) async fn show(
    Caller(tenant): Caller,
    phone: Result<Path<String>, PathRejection>,
) -> Result<Json<PhoneView>, Problem> {
    Ok(Json(view(&tenant, &read_phone(phone)?).await?))
}

shape! {
    pub(crate) struct ConsentRequest {
        state: ConsentState,
        /// How it is known, such as the form it was signed on; not `text` or `provider`.
        source: Text<ACTOR_CHARS_MAX>,
    }
}

pub(crate) const CHANGE: Operation = Operation::new("changeConsent", "Change the consent of a phone")
    .telling("Only a phone without any consent can become pending.")
    .takes::<ConsentRequest>()
    .example(r#"{"state": "opted_in", "source": "registration form"}"#)
    .refuses(&[Kind::InvalidPath, Kind::ConsentRefused]);

/// `PUT /v1/consents/{phone}` with the wanted state and who says so.
pub(crate) async fn change(
    Caller(tenant): Caller,
    State(api): State<Api>,
    phone: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<PhoneView>, Problem> {
    let phone = read_phone(phone)?;
    let body = json::optional(&headers, body)?.unwrap_or(Value::Null);
    let (state, source) = read_change(body).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    let change = match state {
        ConsentState::Pending => ConsentChange::Ask,
        ConsentState::OptedIn => ConsentChange::Start,
        ConsentState::OptedOut => ConsentChange::Stop,
    };
    let moved = tenant.change_consent(phone.as_str(), change, &source, api.clock.now()).await?;
    let now = view(&tenant, &phone).await?;
    if moved {
        tracing::info!(to = %state, "consent changed by hand");
    }
    if now.state != Some(state) {
        let remedy = "only a phone without any consent can become pending: whoever opted in need not be asked, \
                      whoever opted out may not";
        return Err(Problem::new(Kind::ConsentRefused, remedy));
    }
    Ok(Json(now))
}

shape! {
    pub(crate) struct ConsentQuery {
        #[schemars(flatten)]
        page: PageQuery,
        state: Option<ConsentState>,
    }
}

pub(crate) const LIST: Operation =
    Operation::new("listConsents", "List consents by phone, with their totals").asks::<ConsentQuery>();

/// `GET /v1/consents?state=&limit=&cursor=`.
pub(crate) async fn list(
    Caller(tenant): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let query = read_query(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    // One more than is shown tells whether another page follows.
    let after = query.after.as_ref().map_or("", Phone::as_str);
    let mut found = tenant.consents(query.state, after, query.limit + 1).await?;
    let more = found.len() > query.limit as usize;
    found.truncate(query.limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| encode(&last.phone));
    let totals = tenant.consent_totals().await?;
    Ok(Json(ListView {
        totals: totals.into_iter().collect(),
        consents: found.into_iter().map(ConsentView::of).collect(),
        next_cursor,
    }))
}

pub(crate) const FILE: Operation =
    Operation::new("getConsentsFile", "Get all consents as a file").gives_file(&["text/csv"]);

/// `GET /v1/consents.csv`: the SMS status report (164).
pub(crate) async fn file(
    Caller(tenant): Caller,
    State(api): State<Api>,
    Extension(renders): Extension<Renders>,
    method: Method,
) -> Result<Response, Problem> {
    make(&api, &renders, &tenant, &method).await
}

/// The one command behind both places where the list is downloaded.
pub(crate) async fn make(
    api: &Api,
    renders: &Renders,
    tenant: &Tenant,
    method: &Method,
) -> Result<Response, Problem> {
    let file = report::File { name: "text-consents.csv".to_owned(), media_type: Format::Csv.media_type() };
    if method == Method::HEAD {
        return Ok(report::respond(&file, None));
    }
    let place = renders.place().await?;
    let zone = tenant.time_zone().await?.unwrap_or(Zone::UTC);
    Ok(report::respond(&file, Some(report::consents(api, place, tenant.clone(), zone))))
}

struct Query {
    state: Option<ConsentState>,
    after: Option<Phone>,
    limit: u32,
}

fn read_query(query: Option<&str>) -> Result<Query, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let state = fields
        .take("state")
        .and_then(|field| field.one_of(ConsentState::ALL, ConsentState::as_str, &mut faults));
    let limit = read_limit(&mut fields, &mut faults);
    let after = read_cursor(&mut fields, &mut faults, |text| text.parse().ok());
    fields.finish(&mut faults);
    faults.or(limit.map(|limit| Query { state, after, limit }))
}

fn read_change(body: Value) -> Result<(ConsentState, String), Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(body).object(&mut faults).and_then(|mut fields| {
        let state = fields
            .required("state", "use pending, opted_in or opted_out", &mut faults)
            .and_then(|field| field.one_of(ConsentState::ALL, ConsentState::as_str, &mut faults));
        let source = fields
            .required("source", "say how it is known, such as the form it was signed on", &mut faults)
            .and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
        if source.as_deref().is_some_and(|source| RESERVED_SOURCES.contains(&source)) {
            faults.add("source", "is kept for what people text and providers report: use another name");
        }
        fields.finish(&mut faults);
        Some((state?, source?))
    });
    faults.or(read)
}

/// The fault does not repeat the number.
fn read_phone(path: Result<Path<String>, PathRejection>) -> Result<Phone, Problem> {
    let refused = |why: String| Problem::new(Kind::InvalidPath, format!("{why}: write it as +15550100123"));
    let Path(text) = path.map_err(|_| refused("the path holds no phone number".to_owned()))?;
    Phone::parse(&text).map_err(|fault| refused(fault.to_string()))
}

async fn view(tenant: &Tenant, phone: &Phone) -> Result<PhoneView, Problem> {
    let consent = tenant.consent(phone.as_str()).await?;
    let history = tenant.consent_history(phone.as_str()).await?;
    Ok(PhoneView {
        phone: phone.as_str().to_owned(),
        state: consent.as_ref().map(|consent| consent.state),
        changed_at: consent.as_ref().map(|consent| consent.changed_at),
        source: consent.map(|consent| consent.source),
        history: history.into_iter().map(ChangeView::of).collect(),
    })
}

impl ChangeView {
    fn of(change: Change) -> Self {
        let Change { from, to, at, source, event } = change;
        Self { from, to, at, source, event }
    }
}

impl ConsentView {
    fn of(consent: Consent) -> Self {
        let Consent { phone, state, changed_at, source } = consent;
        Self { phone, state, changed_at, source }
    }
}
