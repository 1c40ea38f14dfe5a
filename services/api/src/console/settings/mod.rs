//! `/settings`: what the district decides. Redials and calling hours by message type are a page each (`policy.rs`); limits,
//! what is decided of sending and consent are forms of the first page, each decision one of its own. Each form is checked by the code of the REST API, and comes back with
//! all that was typed.

mod consent;
mod limits;
pub(crate) mod policy;
mod sending;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tocsin_domain::MessageType;
use tocsin_domain::policy::MessagePolicy;
use tocsin_store::tenant::accounts::{AccountState, ServingAccount};
use tocsin_store::tenant::policies::KeptPolicy;

use self::consent::ConsentForm;
use self::limits::LimitsForm;
use self::sending::{Part, SendingForm};
use super::access::Visitor;
use super::form::{Complaints, Form};
use super::page::{Refused, Shell, answer};
use super::when::{Length, Stamp, Zone};
use super::words::{self, Tone};
use crate::fields::{Fault, quoted};
use crate::problem::Problem;
use crate::sending_policy::Extent;
use crate::server::Api;
use crate::{consent_policy, sending_policy};

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    shell: Shell,
    kinds: Vec<Kind>,
    sending: SendingForm,
    limits: LimitsForm,
    consent: ConsentForm,
    accounts: Vec<Account>,
    /// The form that was saved just now.
    saved: &'static str,
}

/// What is decided about one message type.
struct Kind {
    name: &'static str,
    title: String,
    redials: String,
    hours: &'static str,
    changed: Option<(String, Stamp)>,
}

struct Account {
    name: String,
    channel: &'static str,
    state: (&'static str, Tone),
    since: Option<Stamp>,
    reason: Option<String>,
}

/// The forms of the page, by the fragment that leads to each.
const FORMS: [&str; 5] = ["undo", "second-person", "tests", "limits", "consent"];

/// `GET /settings`.
pub(crate) async fn show(
    visitor: Visitor,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let saved = query.as_deref().and_then(|query| query.strip_prefix("saved="));
    let saved = FORMS.into_iter().find(|form| Some(*form) == saved).unwrap_or_default();
    let page = SettingsPage { saved, ..page(&visitor, api.clock.now()).await? };
    Ok(answer(StatusCode::OK, &page))
}

/// Everything as it is kept.
async fn page(visitor: &Visitor, now: DateTime<Utc>) -> Result<SettingsPage, Refused> {
    let tenant = &visitor.tenant;
    let policies = tenant.policies().await?;
    let kind = |kind: MessageType| Kind::of(kind, policies.get(kind.as_str()), visitor.zone, now);
    let accounts = tenant.accounts().await?;
    Ok(SettingsPage {
        shell: Shell::new("Settings", &visitor.who, "settings"),
        kinds: MessageType::ALL.map(kind).into(),
        sending: SendingForm::of(&tenant.sending_policy().await?),
        limits: LimitsForm::of(&tenant.limits().await?),
        consent: ConsentForm::of(&tenant.consent_policy().await?),
        accounts: accounts.into_iter().map(|account| Account::of(account, visitor.zone, now)).collect(),
        saved: "",
    })
}

impl Kind {
    fn of(kind: MessageType, kept: Option<&KeptPolicy>, zone: Zone, now: DateTime<Utc>) -> Self {
        let usual = MessagePolicy::default_for(kind.lane());
        let policy = kept.map_or(&usual, |kept| &kept.policy);
        let redial = &policy.redial;
        let redials = match redial.attempts_max {
            1 => "never".to_owned(),
            2 => format!("once, after {}", Length(redial.wait_seconds.into())),
            more => format!("{} times, {} apart", more - 1, Length(redial.wait_seconds.into())),
        };
        Self {
            name: kind.as_str(),
            title: words::message_type(kind.as_str()),
            redials,
            hours: if policy.calling_window.is_some() { "in its hours" } else { "at any hour" },
            changed: kept.map(|kept| (kept.updated_by.clone(), zone.stamp(kept.updated_at, now))),
        }
    }
}

impl Account {
    fn of(account: ServingAccount, zone: Zone, now: DateTime<Utc>) -> Self {
        let state = match account.state {
            AccountState::Sends => ("Sends", Tone::Good),
            AccountState::Held => ("Paused by its provider", Tone::Stopped),
            AccountState::Fails => ("Fails, and stays in use", Tone::Bad),
            AccountState::GivesWay => ("Fails, others do its work", Tone::Bad),
            AccountState::OnTrial => ("On trial", Tone::Stopped),
            AccountState::Stopped => ("Stopped", Tone::Bad),
        };
        Self {
            name: account.name,
            channel: words::channel(account.channel),
            state,
            since: account.since.map(|at| zone.stamp(at, now)),
            reason: account.reason,
        }
    }
}

/// `POST /settings/undo` with `undo_seconds`.
pub(crate) async fn put_undo(visitor: Visitor, state: State<Api>, body: Bytes) -> Result<Response, Refused> {
    put_sending(Part::Undo, visitor, state, body).await
}

/// `POST /settings/second-person` with `second_person`, or without.
pub(crate) async fn put_second_person(
    visitor: Visitor,
    state: State<Api>,
    body: Bytes,
) -> Result<Response, Refused> {
    put_sending(Part::SecondPerson, visitor, state, body).await
}

/// `POST /settings/tests` with `test_people`.
pub(crate) async fn put_tests(visitor: Visitor, state: State<Api>, body: Bytes) -> Result<Response, Refused> {
    put_sending(Part::Tests, visitor, state, body).await
}

async fn put_sending(
    part: Part,
    visitor: Visitor,
    State(api): State<Api>,
    body: Bytes,
) -> Result<Response, Refused> {
    let form = Form::of(&body);
    let faults = match SendingForm::request(part, &form) {
        Ok(request) => {
            complained(sending_policy::replace(&api, &visitor.tenant, request, Extent::Part).await)?
        }
        Err(faults) => Complaints::all(faults),
    };
    if faults.is_empty() {
        return Ok(saved(part.as_str()));
    }
    let page = page(&visitor, api.clock.now()).await?;
    Ok(refused(&SettingsPage { sending: page.sending.typed(part, &form, faults), ..page }))
}

/// `POST /settings/limits` with `rate_…`, `concurrency_…` and `spares_…` of each channel.
pub(crate) async fn put_limits(
    visitor: Visitor,
    State(api): State<Api>,
    body: Bytes,
) -> Result<Response, Refused> {
    let form = Form::of(&body);
    let faults = match LimitsForm::request(&form) {
        Ok(request) => complained(crate::limits::replace(&api, &visitor.tenant, request).await)?,
        Err(faults) => Complaints::all(faults),
    };
    if faults.is_empty() {
        return Ok(saved("limits"));
    }
    let page = page(&visitor, api.clock.now()).await?;
    Ok(refused(&SettingsPage { limits: LimitsForm::typed(&form, faults), ..page }))
}

/// `POST /settings/consent`.
pub(crate) async fn put_consent(
    visitor: Visitor,
    State(api): State<Api>,
    body: Bytes,
) -> Result<Response, Refused> {
    let form = Form::of(&body);
    let faults = match ConsentForm::request(&form) {
        Ok(request) => complained(consent_policy::carry_out(&api, &visitor.tenant, request).await)?,
        Err(faults) => Complaints::all(faults),
    };
    if faults.is_empty() {
        return Ok(saved("consent"));
    }
    let page = page(&visitor, api.clock.now()).await?;
    Ok(refused(&SettingsPage { consent: ConsentForm::typed(&form, faults), ..page }))
}

/// What is wrong with a request; nothing: it is done.
fn complained<T>(done: Result<T, Problem>) -> Result<Complaints, Refused> {
    match done {
        Ok(_) => Ok(Complaints::default()),
        Err(problem) => Complaints::of(problem),
    }
}

/// Leads back to the form.
fn saved(form: &'static str) -> Response {
    Redirect::to(&format!("/settings?saved={form}#{form}")).into_response()
}

/// The page with what was typed into one of its forms.
fn refused(page: &SettingsPage) -> Response {
    answer(StatusCode::UNPROCESSABLE_ENTITY, page)
}

/// The number that was typed, as JSON; what is none is a fault of the member at `path`.
fn number(form: &Form, name: &str, path: &str, faults: &mut Vec<Fault>) -> Value {
    let text = form.text(name);
    let text = text.trim();
    let whole = text.parse::<i64>().ok().map(|number| json!(number));
    let found = whole.or_else(|| text.parse::<f64>().ok().filter(|it| it.is_finite()).map(|it| json!(it)));
    found.unwrap_or_else(|| {
        let is = if text.is_empty() { "empty".to_owned() } else { quoted(text) };
        faults.push(Fault { field: path.to_owned(), reason: format!("is {is}: write a number") });
        Value::Null
    })
}
