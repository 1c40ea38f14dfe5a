//! What a district decided about redials and calling windows, by message type (decision D6): shown, replaced, and
//! read where a campaign overrides it.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tocsin_domain::policy::{ATTEMPTS, Machines, MessagePolicy, RedialPolicy, WAIT_SECONDS};
use tocsin_domain::window::{CallingWindow, PolicyFault, WrittenHours, WrittenWindow};
use tocsin_domain::{Lane, Outcome, OutcomeSet};
use tocsin_store::Tenant;
use tocsin_store::tenant::policies::KeptPolicy;

use crate::auth::Caller;
use crate::fields::{Fault, Faults, Field, Fields, all_of, below};
use crate::openapi::Operation;
use crate::openapi::shapes::{
    Clock, ClockOrMidnight, Day, MachinesName, MessageTypeName, Text, shape, shapes, words,
};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;
use crate::{MessageType, json};

/// The policy in force for one message type.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Policy")]
pub(crate) struct PolicyView {
    #[schemars(with = "MessageTypeName")]
    message_type: &'static str,
    redial: RedialView,
    /// Null: at any hour.
    calling_window: Option<CallingWindow>,
    /// Null, as who did: nobody decided anything yet, these are the defaults.
    updated_at: Option<DateTime<Utc>>,
    updated_by: Option<String>,
}

/// A redial policy with the outcomes that it tries again, whether they are the usual ones or not.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RedialPolicy")]
pub(crate) struct RedialView {
    attempts_max: u8,
    wait_seconds: u32,
    #[schemars(with = "MachinesName")]
    machines: &'static str,
    pub confirm: bool,
    outcomes: OutcomeSet,
}

shape! {
    /// When a job is tried again, and how often.
    pub(crate) struct RedialRequest {
        /// Attempts at most, the first one included.
        #[schemars(range(min = *ATTEMPTS.start(), max = *ATTEMPTS.end()))]
        attempts_max: Option<u32>,
        /// Between an attempt's outcome and the next attempt.
        #[schemars(range(min = *WAIT_SECONDS.start(), max = *WAIT_SECONDS.end()))]
        wait_seconds: Option<u32>,
        /// What becomes of a call that a machine answers.
        machines: Option<MachinesName>,
        /// Are people who answer a call asked to press 0 to confirm?
        confirm: Option<bool>,
        /// What is tried again: status codes. Not each may be.
        outcomes: Option<Vec<Outcome>>,
    }
}

shape! {
    /// The hours in which a recipient may be contacted, in the recipient's time zone.
    pub(crate) struct WindowRequest {
        hours: Option<Vec<HoursRequest>>,
        /// Dates without any hours.
        holidays: Option<Vec<Day>>,
    }
}

shape! {
    /// The same hours on each of some days.
    pub(crate) struct HoursRequest {
        days: Vec<DayName>,
        opens: Clock,
        closes: ClockOrMidnight,
    }
}

shapes! {
    DayName = words(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]);
}

shape! {
    /// A policy. What is left out gets its default.
    pub(crate) struct PolicyRequest {
        redial: Option<RedialRequest>,
        /// Emergencies have none.
        calling_window: Option<WindowRequest>,
        updated_by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

impl From<RedialPolicy> for RedialView {
    fn from(policy: RedialPolicy) -> Self {
        let RedialPolicy { attempts_max, wait_seconds, machines, confirm, outcomes } = policy;
        Self { attempts_max, wait_seconds, machines: machines.as_str(), confirm, outcomes }
    }
}

impl PolicyView {
    fn of(message_type: MessageType, kept: Option<KeptPolicy>) -> Self {
        let (policy, updated_at, updated_by) = match kept {
            Some(kept) => (kept.policy, Some(kept.updated_at), Some(kept.updated_by)),
            None => (MessagePolicy::default_for(message_type.lane()), None, None),
        };
        Self {
            message_type: message_type.as_str(),
            redial: policy.redial.into(),
            calling_window: policy.calling_window,
            updated_at,
            updated_by,
        }
    }
}

pub(crate) const SHOW: Operation =
    Operation::new("showPolicy", "Show redials and calling window of a message type")
        .refuses(&[Kind::UnknownMessageType]);

/// `GET /v1/policies/{message_type}`.
pub(crate) async fn show(
    Caller(tenant): Caller,
    message_type: Result<Path<String>, PathRejection>,
) -> Result<Json<PolicyView>, Problem> {
    let message_type = named(message_type)?;
    let kept = tenant.policies().await?.remove(message_type.as_str());
    Ok(Json(PolicyView::of(message_type, kept)))
}

pub(crate) const PUT: Operation =
    Operation::new("putPolicy", "Replace redials and calling window of a message type")
        .telling("For campaigns that are made from now on.")
        .takes::<PolicyRequest>()
        .example(r#"{"redial": {"attempts_max": 3, "wait_seconds": 600}}"#)
        .refuses(&[Kind::UnknownMessageType]);

/// `PUT /v1/policies/{message_type}`: for campaigns that are made from now on. What is left out gets its default.
pub(crate) async fn put(
    Caller(tenant): Caller,
    State(api): State<Api>,
    message_type: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<PolicyView>, Problem> {
    let message_type = named(message_type)?;
    let request = json::required(&headers, body)?;
    let kept = replace(&api, &tenant, message_type, request).await?;
    Ok(Json(PolicyView::of(message_type, Some(kept))))
}

/// The one command behind every place where a policy is replaced.
pub(crate) async fn replace(
    api: &Api,
    tenant: &Tenant,
    message_type: MessageType,
    request: Value,
) -> Result<KeptPolicy, Problem> {
    let (policy, updated_by) = read(request, message_type.lane(), tenant.acts_as())
        .map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    let kept = KeptPolicy { policy, updated_at: api.clock.now(), updated_by };
    tenant.put_policy(message_type.as_str(), &kept).await?;
    tracing::info!(message_type = message_type.as_str(), "policy replaced");
    Ok(kept)
}

pub(crate) fn named(path: Result<Path<String>, PathRejection>) -> Result<MessageType, Problem> {
    path.ok().and_then(|Path(name)| MessageType::named(&name)).ok_or_else(|| {
        let names = MessageType::ALL.map(MessageType::as_str).join(", ");
        Problem::new(Kind::UnknownMessageType, format!("no message type of that name: use {names}"))
    })
}

fn read(request: Value, lane: Lane, actor: &str) -> Result<(MessagePolicy, String), Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(request).object(&mut faults).map(|mut fields| {
        let default = MessagePolicy::default_for(lane);
        let redial = read_redial(&mut fields, default.redial, &mut faults);
        let calling_window = read_window(&mut fields, default.calling_window, lane, &mut faults);
        let updated_by = fields.take("updated_by").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
        fields.finish(&mut faults);
        let updated_by = updated_by.unwrap_or_else(|| actor.to_owned());
        (MessagePolicy { redial, calling_window }, updated_by)
    });
    faults.or(read)
}

/// The member `redial`. Each setting that is left out is that of `policy`.
pub(crate) fn read_redial(fields: &mut Fields, policy: RedialPolicy, faults: &mut Faults) -> RedialPolicy {
    let mut policy = policy;
    let Some(field) = fields.take("redial") else { return policy };
    let path = field.path.clone();
    let Some(mut fields) = field.object(faults) else { return policy };
    let attempts_max = fields.take("attempts_max").and_then(|field| field.integer(ATTEMPTS, faults));
    if let Some(attempts_max) = attempts_max.and_then(|is| u8::try_from(is).ok()) {
        policy.attempts_max = attempts_max;
    }
    let wait = fields.take("wait_seconds").and_then(|field| field.integer(WAIT_SECONDS, faults));
    policy.wait_seconds = wait.unwrap_or(policy.wait_seconds);
    let machines =
        fields.take("machines").and_then(|field| field.one_of(&Machines::ALL, Machines::as_str, faults));
    policy.machines = machines.unwrap_or(policy.machines);
    let confirm = fields.take("confirm").and_then(|field| field.boolean(faults));
    policy.confirm = confirm.unwrap_or(policy.confirm);
    let outcomes = fields.take("outcomes").and_then(|field| read_strings(field, faults));
    if let Some(names) = outcomes {
        policy.outcomes = told(RedialPolicy::read_outcomes(&names), &path, faults).unwrap_or(policy.outcomes);
    }
    fields.finish(faults);
    policy
}

/// The member `calling_window`. Hours or holidays that are left out are those of `window`; without the member
/// it stays as it is.
pub(crate) fn read_window(
    fields: &mut Fields,
    window: Option<CallingWindow>,
    lane: Lane,
    faults: &mut Faults,
) -> Option<CallingWindow> {
    let Some(field) = fields.take("calling_window") else { return window };
    let path = field.path.clone();
    if lane == Lane::Emergency {
        faults.add(path, "is no matter of emergencies, which go out at any hour: leave it out");
        return None;
    }
    let mut fields = field.object(faults)?;
    let known = window.map(|window| window.written());
    let hours = match (fields.take("hours"), &known) {
        (Some(field), _) => read_hours(field, faults),
        (None, Some(known)) => Some(known.hours.clone()),
        (None, None) => {
            faults.add(below(&path, "hours"), "is missing: give days, opens and closes");
            None
        }
    };
    let holidays = match fields.take("holidays") {
        Some(field) => read_strings(field, faults),
        None => Some(known.map(|known| known.holidays).unwrap_or_default()),
    };
    fields.finish(faults);
    let written = WrittenWindow { hours: hours?, holidays: holidays? };
    told(CallingWindow::read(&written), &path, faults)
}

fn read_hours(field: Field, faults: &mut Faults) -> Option<Vec<WrittenHours>> {
    const REMEDY: &str = "give days, opens and closes";
    let entries = field.list(faults)?;
    all_of(entries, |entry| {
        let mut fields = entry.object(faults)?;
        let days = fields.required("days", REMEDY, faults).and_then(|field| read_strings(field, faults));
        let mut text = |name| fields.required(name, REMEDY, faults).and_then(|field| field.string(faults));
        let (opens, closes) = (text("opens"), text("closes"));
        fields.finish(faults);
        Some(WrittenHours { days: days?, opens: opens?, closes: closes? })
    })
}

fn read_strings(field: Field, faults: &mut Faults) -> Option<Vec<String>> {
    let entries = field.list(faults)?;
    all_of(entries, |entry| entry.string(faults))
}

/// What the domain read, or its faults with the path at which it was written.
fn told<T>(read: Result<T, Vec<PolicyFault>>, path: &str, faults: &mut Faults) -> Option<T> {
    read.map_err(|found| {
        found.into_iter().for_each(|fault| faults.add(below(path, &fault.field), fault.reason))
    })
    .ok()
}
