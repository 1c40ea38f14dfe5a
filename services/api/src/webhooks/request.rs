//! What is asked of a webhook, checked whole.

use chrono::TimeDelta;
use serde_json::{Value, json};
use tocsin_domain::webhook::EventType;
use tocsin_store::tenant::webhooks::{Enabled, EndpointChange};
use tocsin_webhooks::Reach;

use crate::fields::{Fault, Faults, Field, all_of, quoted};
use crate::openapi::shapes::{shape, shapes, words};

const DESCRIPTION_CHARS_MAX: usize = 200;
/// How long the secret before a rotation signs beside the new one, unless said.
pub(crate) const OVERLAP_HOURS: u32 = 24;
const OVERLAP_HOURS_MAX: u32 = 168;

shapes! {
    /// An address that may be reached, in any script; http:// only where the installation allows it.
    WebhookAddress = json!({ "type": "string", "pattern": "^https?://", "maxLength": 2000 });
    EventName = words(EventType::asked_for().iter().map(|event| event.as_str()));
    Description = json!({ "type": "string", "maxLength": DESCRIPTION_CHARS_MAX });
    OverlapHours = json!({ "type": "integer", "minimum": 0, "maximum": OVERLAP_HOURS_MAX });
}

shape! {
    pub(crate) struct WebhookRequest {
        url: WebhookAddress,
        /// What is to be told.
        #[schemars(length(min = 1))]
        events: Vec<EventName>,
        description: Option<Description>,
        /// True unless said.
        enabled: Option<bool>,
    }
}

shape! {
    /// What is to be another of a webhook. What is left out stays.
    pub(crate) struct WebhookPatch {
        url: Option<WebhookAddress>,
        #[schemars(length(min = 1))]
        events: Option<Vec<EventName>>,
        description: Option<Description>,
        enabled: Option<bool>,
    }
}

shape! {
    pub(crate) struct SecretRequest {
        /// How long the present secret signs beside the new one; 24 unless said.
        overlap_hours: Option<OverlapHours>,
    }
}

/// A new endpoint.
#[derive(Debug)]
pub(crate) struct New {
    pub url: String,
    pub description: String,
    pub events: Vec<String>,
    pub enabled: Enabled,
}

pub(crate) fn read_new(request: Value, reach: &Reach) -> Result<New, Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(request).object(&mut faults).and_then(|mut fields| {
        let url = fields
            .required("url", "give the https:// address that is posted to", &mut faults)
            .and_then(|field| read_url(field, reach, &mut faults));
        let events = fields
            .required("events", "list what is to be told", &mut faults)
            .and_then(|field| read_events(field, &mut faults));
        let description = match fields.take("description") {
            None => Some(String::new()),
            Some(field) => read_description(field, &mut faults),
        };
        let enabled = match fields.take("enabled") {
            None => Some(Enabled::Yes),
            Some(field) => read_enabled(field, &mut faults),
        };
        fields.finish(&mut faults);
        Some(New { url: url?, description: description?, events: events?, enabled: enabled? })
    });
    faults.or(read)
}

pub(crate) fn read_change(request: Value, reach: &Reach) -> Result<EndpointChange, Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(request).object(&mut faults).map(|mut fields| {
        let url = fields.take("url").and_then(|field| read_url(field, reach, &mut faults));
        let events = fields.take("events").and_then(|field| read_events(field, &mut faults));
        let description = fields.take("description").and_then(|field| read_description(field, &mut faults));
        let enabled = fields.take("enabled").and_then(|field| read_enabled(field, &mut faults));
        fields.finish(&mut faults);
        EndpointChange { url, description, events, enabled }
    });
    faults.or(read)
}

pub(super) fn read_overlap(request: Option<Value>) -> Result<TimeDelta, Vec<Fault>> {
    let hours = |hours: u32| TimeDelta::hours(hours.into());
    let Some(request) = request else { return Ok(hours(OVERLAP_HOURS)) };
    let mut faults = Faults::default();
    let read = Field::root(request).object(&mut faults).and_then(|mut fields| {
        let overlap = match fields.take("overlap_hours") {
            None => Some(OVERLAP_HOURS),
            Some(field) => field.integer(0..=OVERLAP_HOURS_MAX, &mut faults),
        };
        fields.finish(&mut faults);
        overlap.map(hours)
    });
    faults.or(read)
}

/// As it will be sent to: the host in lower case, addresses in one notation.
fn read_url(field: Field, reach: &Reach, faults: &mut Faults) -> Option<String> {
    field.parsed(faults, |text| {
        reach.check(text.trim()).map(|url| url.to_string()).map_err(|fault| fault.to_string())
    })
}

fn read_events(field: Field, faults: &mut Faults) -> Option<Vec<String>> {
    let path = field.path.clone();
    let known = EventType::asked_for();
    let mut events = all_of(field.list(faults)?, |entry| entry.one_of(&known, EventType::as_str, faults))?;
    events.sort_unstable();
    events.dedup();
    if events.is_empty() {
        faults.add(path, "is empty: list what is to be told");
        return None;
    }
    Some(events.into_iter().map(|event| event.as_str().to_owned()).collect())
}

fn read_description(field: Field, faults: &mut Faults) -> Option<String> {
    field.parsed(faults, |text| {
        let is = text.chars().count();
        if is > DESCRIPTION_CHARS_MAX {
            return Err(format!("has {is} characters: at most {DESCRIPTION_CHARS_MAX} are taken"));
        }
        if text.chars().any(char::is_control) {
            return Err(format!("{} holds a control character: remove it", quoted(text)));
        }
        Ok(text.trim().to_owned())
    })
}

fn read_enabled(field: Field, faults: &mut Faults) -> Option<Enabled> {
    field.boolean(faults).map(|enabled| if enabled { Enabled::Yes } else { Enabled::No })
}
