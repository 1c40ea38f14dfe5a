//! People whom the district adds, renames, stops and takes back, and their devices. What the roster says it goes on
//! saying: names and roles of its people are changed there.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tocsin_domain::Channel;
use tocsin_domain::audience::Role;
use tocsin_store::Tenant;
use tocsin_store::tenant::directory::Change;
use tocsin_store::tenant::directory::changes::{Naming, NewDevice, NewPerson};
use uuid::Uuid;

use super::view::PersonView;
use super::{NAME_CHARS_MAX, PersonPath, existing, normalised, person_of, settled, unknown_person};
use crate::auth::Caller;
use crate::fields::{Fault, Faults, Field, Fields, quoted};
use crate::json;
use crate::openapi::shapes::{Text, shape, shapes};
use crate::openapi::{Operation, Placed};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;
use crate::submission::audience::role_name;

const NAMED_BY_ROSTER: &str = "the roster has this person and says names and role: change them in the student information \
     system; what is preferred, added or stopped here stays so, whatever is imported";
const DEVICE_OF_ROSTER: &str = "the roster has this device: change it in the student information system, switch it off \
     by PUT /v1/people/{person}/preferences, or keep everybody from it by POST /v1/suppressions";

shapes! {
    /// A BCP 47 tag.
    Language = json!({ "type": "string", "minLength": 2, "examples": ["es", "zh-Hant"] });
    /// An IANA name.
    ZoneName = json!({ "type": "string", "minLength": 1, "examples": ["America/Chicago"] });
}

shape! {
    /// Somebody whom the roster does not have.
    pub(crate) struct PersonRequest {
        /// One is made unless it is given.
        source_id: Option<Text<NAME_CHARS_MAX>>,
        given_name: Text<NAME_CHARS_MAX>,
        family_name: Text<NAME_CHARS_MAX>,
        role: Role,
        language: Option<Language>,
        time_zone: Option<ZoneName>,
        updated_by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

shape! {
    /// What is to be another of a person. What is left out stays.
    pub(crate) struct PersonPatch {
        given_name: Option<Text<NAME_CHARS_MAX>>,
        family_name: Option<Text<NAME_CHARS_MAX>>,
        role: Option<Role>,
        active: Option<bool>,
        updated_by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

shape! {
    /// Where a person is reached.
    pub(crate) struct DeviceRequest {
        channel: Channel,
        /// A phone as it is written in the district's region, or with + and country code; an email address; a portal account.
        address: Text<NAME_CHARS_MAX>,
        updated_by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

pub(crate) const CREATE: Operation =
    Operation::new("createPerson", "Add somebody whom the roster does not have")
        .telling("A roster that delivers the source id later takes the person over.")
        .takes::<PersonRequest>()
        .answers(&[(201, "")])
        .refuses(&[Kind::PersonExists]);

/// `POST /v1/people`: 201 with the person.
pub(crate) async fn create(
    Caller(tenant): Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Placed<PersonView>, Problem> {
    let source_id = make(&api, &tenant, json::required(&headers, body)?).await?;
    let view = PersonView::of(existing(&tenant, &source_id).await?);
    let location = format!("/v1/people/{}", encoded(&source_id));
    Ok(Placed { status: StatusCode::CREATED, location, view })
}

/// The one command behind every place where somebody is added. Returns the source id.
pub(crate) async fn make(api: &Api, tenant: &Tenant, request: Value) -> Result<String, Problem> {
    let new =
        read_new(request, tenant.acts_as()).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    let person = NewPerson {
        source_id: &new.source_id,
        given_name: &new.given_name,
        family_name: &new.family_name,
        role: new.role,
        language: new.language.as_deref(),
        time_zone: new.time_zone.as_deref(),
    };
    if !tenant.add_person(&person, &new.by, api.clock.now()).await? {
        let detail =
            "the district has somebody of this source_id: use another, or leave it out to be given one";
        return Err(Problem::new(Kind::PersonExists, detail));
    }
    tracing::info!("person added by hand");
    Ok(new.source_id)
}

pub(crate) const CHANGE: Operation = Operation::new("changePerson", "Change a person")
    .telling("Names and roles of people whom the roster has are changed there.")
    .takes::<PersonPatch>()
    .refuses(&[Kind::UnknownPerson, Kind::OfRoster]);

/// `PUT /v1/people/{person}`: what is left out stays.
pub(crate) async fn change(
    Caller(tenant): Caller,
    State(api): State<Api>,
    person: PersonPath,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<PersonView>, Problem> {
    let person = person_of(person)?;
    // Whatever is asked: somebody of another district is nobody here.
    existing(&tenant, &person).await?;
    carry_out(&api, &tenant, &person, json::required(&headers, body)?).await?;
    Ok(Json(PersonView::of(existing(&tenant, &person).await?)))
}

/// The one command behind every place where somebody is changed.
pub(crate) async fn carry_out(
    api: &Api,
    tenant: &Tenant,
    person: &str,
    request: Value,
) -> Result<(), Problem> {
    let wanted = read_change(request, tenant.acts_as())
        .map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    existing(tenant, person).await?;
    let now = api.clock.now();
    if wanted.given_name.is_some() || wanted.family_name.is_some() || wanted.role.is_some() {
        let naming = Naming {
            given_name: wanted.given_name.as_deref(),
            family_name: wanted.family_name.as_deref(),
            role: wanted.role,
        };
        let change = tenant.rename_person(person, &naming, &wanted.by, now).await?;
        settled(change, unknown_person, NAMED_BY_ROSTER)?;
    }
    if let Some(active) = wanted.active {
        settled(tenant.set_active(person, active, &wanted.by, now).await?, unknown_person, NAMED_BY_ROSTER)?;
    }
    Ok(())
}

pub(crate) const DEACTIVATE: Operation = Operation::new("deactivatePerson", "Make a person inactive")
    .telling("Nobody is deleted: what they were sent stays known.")
    .refuses(&[Kind::UnknownPerson, Kind::OfRoster]);

/// `DELETE /v1/people/{person}`: makes inactive; whoever was sent something stays known.
pub(crate) async fn deactivate(
    Caller(tenant): Caller,
    State(api): State<Api>,
    person: PersonPath,
) -> Result<Json<PersonView>, Problem> {
    let person = person_of(person)?;
    let change = tenant.set_active(&person, false, tenant.acts_as(), api.clock.now()).await?;
    settled(change, unknown_person, NAMED_BY_ROSTER)?;
    Ok(Json(PersonView::of(existing(&tenant, &person).await?)))
}

pub(crate) const ADD_DEVICE: Operation = Operation::new("addDevice", "Add a device to a person")
    .takes::<DeviceRequest>()
    .refuses(&[Kind::UnknownPerson, Kind::OfRoster]);

/// `POST /v1/people/{person}/devices`.
pub(crate) async fn add_device(
    Caller(tenant): Caller,
    State(api): State<Api>,
    person: PersonPath,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<PersonView>, Problem> {
    let person = person_of(person)?;
    existing(&tenant, &person).await?;
    put_device(&api, &tenant, &person, json::required(&headers, body)?).await?;
    Ok(Json(PersonView::of(existing(&tenant, &person).await?)))
}

/// The one command behind every place where a device is added.
pub(crate) async fn put_device(
    api: &Api,
    tenant: &Tenant,
    person: &str,
    request: Value,
) -> Result<(), Problem> {
    let wanted = read_device(request, tenant.acts_as())
        .map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    let read = normalised(tenant, wanted.channel, &wanted.address).await?;
    let (address, extension) = read.map_err(|reason| {
        let fault = Fault { field: "address".to_owned(), reason };
        Problem::faulty(Kind::InvalidBody, vec![fault])
    })?;
    let device = NewDevice { channel: wanted.channel, address: &address, extension: extension.as_deref() };
    let change = tenant.add_device(person, &device, &wanted.by, api.clock.now()).await?;
    settled(change, unknown_person, DEVICE_OF_ROSTER)
}

pub(crate) const REMOVE_DEVICE: Operation =
    Operation::new("removeDevice", "Remove a device that was added here").refuses(&[
        Kind::UnknownPerson,
        Kind::UnknownDevice,
        Kind::OfRoster,
    ]);

/// `DELETE /v1/people/{person}/devices/{channel}/{address}`, the address as the person's devices show it.
pub(crate) async fn remove_device(
    Caller(tenant): Caller,
    State(api): State<Api>,
    path: Result<Path<(String, String, String)>, PathRejection>,
) -> Result<Json<PersonView>, Problem> {
    let Path((person, channel, address)) = path.map_err(|_| unknown_device())?;
    let person = person_of(Ok(Path(person)))?;
    take_device(&api, &tenant, &person, (&channel, &address)).await?;
    Ok(Json(PersonView::of(existing(&tenant, &person).await?)))
}

/// The one command behind every place where a device is removed.
pub(crate) async fn take_device(
    api: &Api,
    tenant: &Tenant,
    person: &str,
    (channel, address): (&str, &str),
) -> Result<(), Problem> {
    existing(tenant, person).await?;
    let channel =
        Channel::ALL.into_iter().find(|known| known.as_str() == channel).ok_or_else(unknown_device)?;
    if address.contains('\0') {
        return Err(unknown_device());
    }
    let change = tenant.remove_device(person, channel, address, tenant.acts_as(), api.clock.now()).await?;
    if change == Change::Unknown {
        return Err(unknown_device());
    }
    settled(change, unknown_device, DEVICE_OF_ROSTER)
}

fn unknown_device() -> Problem {
    Problem::new(Kind::UnknownDevice, "this person has no device of that channel and address")
}

struct NewBody {
    source_id: String,
    given_name: String,
    family_name: String,
    role: Role,
    language: Option<String>,
    time_zone: Option<String>,
    by: String,
}

fn read_new(body: Value, actor: &str) -> Result<NewBody, Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(body).object(&mut faults).and_then(|mut fields| {
        let source_id = fields.take("source_id").map(|field| field.text(NAME_CHARS_MAX, &mut faults));
        let remedy = "give the person's name, so that people recognise it";
        let given_name = fields
            .required("given_name", remedy, &mut faults)
            .and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
        let family_name = fields
            .required("family_name", remedy, &mut faults)
            .and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
        let role = fields
            .required("role", "use guardian, student or staff", &mut faults)
            .and_then(|field| field.one_of(&Role::ALL, role_name, &mut faults));
        let language = read_language(&mut fields, &mut faults);
        let time_zone = read_zone(&mut fields, &mut faults);
        let by = read_by(&mut fields, actor, &mut faults);
        fields.finish(&mut faults);
        let source_id = match source_id {
            None => format!("tocsin-{}", Uuid::new_v4()),
            Some(read) => read?,
        };
        Some(NewBody {
            source_id,
            given_name: given_name?,
            family_name: family_name?,
            role: role?,
            language: language.flatten(),
            time_zone: time_zone.flatten(),
            by,
        })
    });
    faults.or(read)
}

struct ChangeBody {
    given_name: Option<String>,
    family_name: Option<String>,
    role: Option<Role>,
    active: Option<bool>,
    by: String,
}

fn read_change(body: Value, actor: &str) -> Result<ChangeBody, Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(body).object(&mut faults).map(|mut fields| {
        let given_name = fields.take("given_name").and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
        let family_name =
            fields.take("family_name").and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
        let role = fields.take("role").and_then(|field| field.one_of(&Role::ALL, role_name, &mut faults));
        let active = fields.take("active").and_then(|field| field.boolean(&mut faults));
        let by = read_by(&mut fields, actor, &mut faults);
        fields.finish(&mut faults);
        ChangeBody { given_name, family_name, role, active, by }
    });
    faults.or(read)
}

struct DeviceBody {
    channel: Channel,
    address: String,
    by: String,
}

fn read_device(body: Value, actor: &str) -> Result<DeviceBody, Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(body).object(&mut faults).and_then(|mut fields| {
        let channel = fields
            .required("channel", "use voice, sms, email or inbox", &mut faults)
            .and_then(|field| field.one_of(&Channel::ALL, Channel::as_str, &mut faults));
        let address = fields
            .required("address", "give the number, the email address or the portal account", &mut faults)
            .and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
        let by = read_by(&mut fields, actor, &mut faults);
        fields.finish(&mut faults);
        Some(DeviceBody { channel: channel?, address: address?, by })
    });
    faults.or(read)
}

/// Who changes it, as the audit tells: `actor` unless said.
pub(super) fn read_by(fields: &mut Fields, actor: &str, faults: &mut Faults) -> String {
    let by = fields.take("updated_by").and_then(|field| field.text(ACTOR_CHARS_MAX, faults));
    by.unwrap_or_else(|| actor.to_owned())
}

/// None: left out. Some(None): given as faulty, or as null where that is taken.
pub(super) fn read_language(fields: &mut Fields, faults: &mut Faults) -> Option<Option<String>> {
    fields.take("language").map(|field| field.parsed(faults, language))
}

pub(super) fn read_zone(fields: &mut Fields, faults: &mut Faults) -> Option<Option<String>> {
    fields.take("time_zone").map(|field| field.parsed(faults, zone))
}

pub(crate) fn language(text: &str) -> Result<String, String> {
    let remedy = || format!("{} is no language tag: write one such as es or zh-Hant", quoted(text));
    tocsin_roster::language(text.trim()).ok_or_else(remedy)
}

pub(crate) fn zone(text: &str) -> Result<String, String> {
    let remedy = || format!("{} is no time zone: write its IANA name, such as America/Chicago", quoted(text));
    tocsin_roster::time_zone(text.trim()).ok_or_else(remedy)
}

/// As a part of a path.
pub(crate) fn encoded(part: &str) -> String {
    // A form writes a space as a plus, which a path takes for itself.
    form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>().replace('+', "%20")
}
