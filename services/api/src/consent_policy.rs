//! What a district decided about consent (decision D11): whether emergency texts go to those who opted out, which is
//! off unless it says so, which message types need an opt-in, which is none, and how often who was asked is reminded.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tocsin_domain::consent::EmergencyPolicy;
use tocsin_domain::consent::reminder::{DAYS, FLYER_URL_CHARS_MAX, ReminderPolicy, TIMES, check_flyer_url};
use tocsin_store::Tenant;
use tocsin_store::tenant::consents::ConsentPolicy;

use crate::auth::Caller;
use crate::fields::{Fault, Faults, Field, Fields};
use crate::openapi::Operation;
use crate::openapi::shapes::{HttpsAddress, MessageTypeName, Text, shape};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;
use crate::{MessageType, json};

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConsentPolicy")]
pub(crate) struct PolicyView {
    emergency_overrides_stop: bool,
    #[schemars(with = "Vec<MessageTypeName>")]
    opt_in_needed: Vec<String>,
    reminder: ReminderView,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReminderPolicy")]
pub(crate) struct ReminderView {
    times_max: u8,
    every_days: u8,
    flyer_url: Option<String>,
}

pub(crate) const SHOW: Operation =
    Operation::new("showConsentPolicy", "Show what the district decided about consents");

/// `GET /v1/consent-policy`.
pub(crate) async fn show(Caller(tenant): Caller) -> Result<Json<PolicyView>, Problem> {
    Ok(Json(PolicyView::of(tenant.consent_policy().await?)))
}

shape! {
    /// What is left out stays as it is.
    pub(crate) struct ConsentPolicyRequest {
        /// Do emergency texts go to phones that opted out, too?
        emergency_overrides_stop: Option<bool>,
        /// Message types whose texts go only to phones that opted in; neither `emergency` nor `opt_in`.
        #[schemars(extend("uniqueItems" = true))]
        opt_in_needed: Option<Vec<MessageTypeName>>,
        reminder: Option<ReminderRequest>,
        by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

shape! {
    /// Emails to the people of phones that were asked to opt in and have not answered. Whole: what is left out has its default.
    pub(crate) struct ReminderRequest {
        /// 2 unless said; 0: none.
        #[schemars(range(min = *TIMES.start(), max = *TIMES.end()))]
        times_max: Option<u32>,
        /// From the question to the first, and between two; 7 unless said.
        #[schemars(range(min = *DAYS.start(), max = *DAYS.end()))]
        every_days: Option<u32>,
        /// That they tell of.
        #[schemars(length(max = FLYER_URL_CHARS_MAX))]
        flyer_url: Option<HttpsAddress>,
    }
}

pub(crate) const CHANGE: Operation =
    Operation::new("changeConsentPolicy", "Change what the district decided about consents")
        .takes::<ConsentPolicyRequest>();

/// `PUT /v1/consent-policy`. What is left out stays as it is. Who changed it stands in the audit.
pub(crate) async fn change(
    Caller(tenant): Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<PolicyView>, Problem> {
    carry_out(&api, &tenant, json::required(&headers, body)?).await?;
    Ok(Json(PolicyView::of(tenant.consent_policy().await?)))
}

/// The one command behind every place where it is changed.
pub(crate) async fn carry_out(api: &Api, tenant: &Tenant, request: Value) -> Result<(), Problem> {
    let standing = tenant.consent_policy().await?;
    let (policy, by) = read(request, standing, tenant.acts_as())
        .map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    Ok(tenant.set_consent_policy(&policy, &by, api.clock.now()).await?)
}

fn read(body: Value, standing: ConsentPolicy, actor: &str) -> Result<(ConsentPolicy, String), Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(body).object(&mut faults).map(|mut fields| {
        let overrides = fields.take("emergency_overrides_stop").and_then(|field| field.boolean(&mut faults));
        let emergencies = match overrides {
            Some(true) => EmergencyPolicy::OverrideStop,
            Some(false) => EmergencyPolicy::HonourStop,
            None => standing.emergencies,
        };
        let named = fields.take("opt_in_needed").map(|field| read_types(field, &mut faults));
        let reminder = fields.take("reminder").and_then(|field| read_reminder(field, &mut faults));
        let by = fields.take("by").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
        fields.finish(&mut faults);
        let policy = ConsentPolicy {
            emergencies,
            opt_in_needed: named.unwrap_or(standing.opt_in_needed),
            reminder: reminder.unwrap_or(standing.reminder),
        };
        (policy, by.unwrap_or_else(|| actor.to_owned()))
    });
    faults.or(read)
}

/// Names of message types, each once, of which none asks for an opt-in or needs no consent at all.
fn read_types(field: Field, faults: &mut Faults) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut types = Vec::new();
    for entry in field.list(faults).unwrap_or_default() {
        let path = entry.path.clone();
        let Some(named) = entry.one_of(&MessageType::ALL, MessageType::as_str, faults) else { continue };
        match named.may_need_opt_in() {
            Err(reason) => faults.add(path, format!("cannot be {}: {reason}", named.as_str())),
            Ok(()) if !seen.insert(named.as_str()) => {
                faults.add(path, format!("repeats {}: name each once", named.as_str()));
            }
            Ok(()) => types.push(named.as_str().to_owned()),
        }
    }
    types
}

/// Whole: what is left out of it has its default.
fn read_reminder(field: Field, faults: &mut Faults) -> Option<ReminderPolicy> {
    let mut fields = field.object(faults)?;
    let usual = ReminderPolicy::default();
    let mut small = |fields: &mut Fields, name, range, usual| match fields.take(name) {
        Some(field) => field.integer(range, faults).and_then(|is| u8::try_from(is).ok()).unwrap_or(usual),
        None => usual,
    };
    let times_max = small(&mut fields, "times_max", TIMES, usual.times_max);
    let every_days = small(&mut fields, "every_days", DAYS, usual.every_days);
    let flyer_url = fields.take("flyer_url").and_then(|field| field.parsed(faults, check_flyer_url));
    fields.finish(faults);
    Some(ReminderPolicy { times_max, every_days, flyer_url })
}

impl PolicyView {
    fn of(policy: ConsentPolicy) -> Self {
        let ReminderPolicy { times_max, every_days, flyer_url } = policy.reminder;
        Self {
            emergency_overrides_stop: policy.emergencies == EmergencyPolicy::OverrideStop,
            opt_in_needed: policy.opt_in_needed,
            reminder: ReminderView { times_max, every_days, flyer_url },
        }
    }
}
