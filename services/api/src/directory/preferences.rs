//! `PUT /v1/people/{person}/preferences`: language, time zone, and which devices for which messages. No delivery changes
//! them; emergencies use every device.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::Value;
use tocsin_domain::Channel;
use tocsin_store::tenant::directory::person::Person;
use tocsin_store::tenant::directory::preferences::{DevicePreference, Preferences};

use super::changes::{Language, ZoneName, language, read_by, zone};
use super::view::PersonView;
use super::{NAME_CHARS_MAX, PersonPath, existing, person_of, settled, unknown_person};
use crate::MessageType;
use crate::auth::Caller;
use crate::fields::{Fault, Faults, Field, Fields, all_of, below};
use crate::json;
use crate::openapi::Operation;
use crate::openapi::shapes::{MessageTypeName, Text, shape};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;

shape! {
    /// What a person wishes. What is left out stays.
    pub(crate) struct PreferencesRequest {
        /// Null: what the roster says.
        language: Option<Language>,
        /// Null: what the roster says.
        time_zone: Option<ZoneName>,
        devices: Option<Vec<DevicePreferenceRequest>>,
        updated_by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

shape! {
    /// Which messages use a device of the person: all but `declined`, or `accepted` alone. Emergencies use each.
    pub(crate) struct DevicePreferenceRequest {
        channel: Channel,
        /// As the person's devices show it.
        address: Text<NAME_CHARS_MAX>,
        declined: Option<Vec<MessageTypeName>>,
        accepted: Option<Vec<MessageTypeName>>,
    }
}

pub(crate) const PUT: Operation =
    Operation::new("putPreferences", "Say in which language and by which devices a person is reached")
        .takes::<PreferencesRequest>()
        .example(r#"{"language": "es"}"#)
        .refuses(&[Kind::UnknownPerson]);

pub(crate) async fn put(
    Caller(tenant): Caller,
    State(api): State<Api>,
    person: PersonPath,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<PersonView>, Problem> {
    let person = person_of(person)?;
    let known = existing(&tenant, &person).await?;
    let request = json::required(&headers, body)?;
    let (preferences, by) = read(request, &known, tenant.acts_as())
        .map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    let change = tenant.prefer(&person, &preferences, &by, api.clock.now()).await?;
    settled(change, unknown_person, "")?;
    tracing::info!("preferences changed");
    Ok(Json(PersonView::of(existing(&tenant, &person).await?)))
}

fn read(request: Value, person: &Person, actor: &str) -> Result<(Preferences, String), Vec<Fault>> {
    let mut faults = Faults::default();
    // Null is a wish of its own here: what the roster says.
    let nulled = |name: &str| request.get(name).is_some_and(Value::is_null);
    let (no_language, no_zone) = (nulled("language"), nulled("time_zone"));
    let read = Field::root(request).object(&mut faults).and_then(|mut fields| {
        let own_language = fields.take("language").map(|field| field.parsed(&mut faults, language));
        let own_zone = fields.take("time_zone").map(|field| field.parsed(&mut faults, zone));
        let devices = match fields.take("devices") {
            None => Some(Vec::new()),
            Some(field) => field
                .list(&mut faults)
                .and_then(|entries| all_of(entries, |entry| read_device(entry, person, &mut faults))),
        };
        let by = read_by(&mut fields, actor, &mut faults);
        fields.finish(&mut faults);
        let preferences = Preferences {
            language: own_language.or(no_language.then_some(None)),
            time_zone: own_zone.or(no_zone.then_some(None)),
            devices: devices?,
        };
        Some((preferences, by))
    });
    faults.or(read)
}

fn read_device(entry: Field, person: &Person, faults: &mut Faults) -> Option<DevicePreference> {
    let path = entry.path.clone();
    let mut fields = entry.object(faults)?;
    let channel = fields
        .required("channel", "use voice, sms, email or inbox", faults)
        .and_then(|field| field.one_of(&Channel::ALL, Channel::as_str, faults));
    let address = fields
        .required("address", "give it as the person's devices show it", faults)
        .and_then(|field| field.text(NAME_CHARS_MAX, faults));
    let declined = read_declined(&mut fields, faults);
    fields.finish(faults);
    let (channel, address) = (channel?, address?);
    if !person.devices.iter().any(|device| device.channel == channel && device.address == address) {
        faults.add(below(&path, "address"), "is none of the person's devices on this channel: add it first");
        return None;
    }
    Some(DevicePreference { channel, address, declined: declined? })
}

/// Those that are not to use the device, each once; or, said the other way round, all but those in `accepted`.
fn read_declined(fields: &mut Fields, faults: &mut Faults) -> Option<Vec<String>> {
    let (declined, accepted) = (fields.take("declined"), fields.take("accepted"));
    let read = |field: Field, faults: &mut Faults| {
        let entries = field.list(faults)?;
        all_of(entries, |entry| entry.one_of(&MessageType::ALL, MessageType::as_str, faults))
    };
    let named = |types: Vec<MessageType>| {
        let all = MessageType::ALL.into_iter().filter(|kind| types.contains(kind));
        all.map(|kind| kind.as_str().to_owned()).collect()
    };
    match (declined, accepted) {
        (Some(declined), None) => {
            let path = declined.path.clone();
            let types = read(declined, faults)?;
            if types.contains(&MessageType::Emergency) {
                faults.add(path, "has emergency, which uses every device: leave it out");
                return None;
            }
            Some(named(types))
        }
        (None, Some(accepted)) => {
            let types = read(accepted, faults)?;
            let others = MessageType::ALL.into_iter();
            Some(named(
                others.filter(|kind| *kind != MessageType::Emergency && !types.contains(kind)).collect(),
            ))
        }
        (Some(beside), Some(_)) => {
            faults.add(beside.path, "stands beside accepted: give one of the two");
            None
        }
        (None, None) => {
            faults.add(
                below(fields.path(), "declined"),
                "is missing: list the message types that are not to use it",
            );
            None
        }
    }
}
