//! `/people/{person}`: who it is, how they are reached, and what they prefer.

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::json;
use tocsin_domain::Channel;
use tocsin_domain::audience::Role;
use tocsin_domain::rights::Right;
use tocsin_store::tenant::directory::person::{Enrolment, Membership, Person, Related};
use tocsin_store::tenant::directory::preferences::{DevicePreference, Preferences};

use super::access::Visitor;
use super::form::{Complaints, Form};
use super::page::{Refused, Shell, answer};
use super::sign_in::field;
use super::words;
use crate::MessageType;
use crate::directory::changes::{carry_out, encoded, language, put_device, take_device, zone};
use crate::server::Api;

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    shell: Shell,
    who: Heading,
    /// May whoever looks change it?
    editable: bool,
    saved: bool,
    is_student: bool,
    /// Devices that were added here, and can be removed.
    own_devices: Vec<OwnDeviceRow>,
    new_device: NewDevice,
    typed: Typed,
    faults: Vec<Complaint>,
    roster_language: Option<String>,
    /// Message types that a device can be chosen for: all but emergencies, which use every device.
    types: Vec<String>,
    enrolments: Vec<Enrolment>,
    classes: Vec<Membership>,
    students: Vec<Other>,
    contacts: Vec<Other>,
}

/// What every page of a person begins with.
pub(super) struct Heading {
    pub path: String,
    pub name: String,
    pub source_id: String,
    pub role: &'static str,
    pub active: bool,
    pub by_roster: bool,
    pub language: Option<String>,
    pub zone: Option<String>,
}

/// A device that the district added.
struct OwnDeviceRow {
    channel: Channel,
    channel_name: &'static str,
    address: String,
}

/// The form that adds one.
#[derive(Default)]
struct NewDevice {
    channel: String,
    address: String,
    fault: Option<String>,
}

impl NewDevice {
    /// Every channel, by value and name, and whether it is chosen.
    fn channels(&self) -> Vec<(&'static str, &'static str, bool)> {
        let of =
            |channel: Channel| (channel.as_str(), words::channel(channel), channel.as_str() == self.channel);
        Channel::ALL.map(of).into()
    }
}

/// A fault of what was typed.
struct Complaint {
    field: &'static str,
    text: String,
}

/// What the form holds.
struct Typed {
    language: String,
    zone: String,
    devices: Vec<DeviceRow>,
}

struct DeviceRow {
    channel: Channel,
    channel_name: &'static str,
    address: String,
    extension: Option<String>,
    origin: &'static str,
    boxes: Vec<Choice>,
}

struct Choice {
    /// Of the form's field.
    name: String,
    label: String,
    checked: bool,
}

struct Other {
    path: String,
    name: String,
    relationship: String,
    active: bool,
    ended: bool,
    by_hand: bool,
}

impl Heading {
    pub fn of(person: &Person) -> Self {
        Self {
            path: encoded(&person.source_id),
            name: format!("{} {}", person.given_name, person.family_name).trim().to_owned(),
            source_id: person.source_id.clone(),
            role: words::role(person.role),
            active: person.active,
            by_roster: person.by_roster,
            language: person.language.as_deref().map(|tag| words::language(tag).to_owned()),
            zone: person.time_zone.clone(),
        }
    }
}

fn choosable() -> impl Iterator<Item = MessageType> {
    MessageType::ALL.into_iter().filter(|kind| *kind != MessageType::Emergency)
}

impl Typed {
    fn of_person(person: &Person) -> Self {
        let is_wanted =
            |device: usize, kind: &str| !person.devices[device].declined.iter().any(|it| it == kind);
        Self {
            language: person.own_language.clone().unwrap_or_default(),
            zone: person.own_time_zone.clone().unwrap_or_default(),
            devices: rows(person, is_wanted),
        }
    }

    /// A device that came since the form was shown was not asked about, and stays as it is.
    fn of_form(form: &[u8], person: &Person) -> Self {
        let text = |name: &str| field(form, name).unwrap_or_default();
        let is_wanted = |at: usize, kind: &str| {
            let device = &person.devices[at];
            let place = (0..person.devices.len()).find(|nth| {
                field(form, &format!("device.{nth}"))
                    == Some(format!("{} {}", device.channel, device.address))
            });
            match place {
                Some(nth) => field(form, &format!("use.{nth}.{kind}")).is_some(),
                None => !device.declined.iter().any(|it| it == kind),
            }
        };
        Self { language: text("language"), zone: text("time_zone"), devices: rows(person, is_wanted) }
    }

    /// What is to be preferred, or what is wrong with it.
    fn preferences(&self) -> Result<Preferences, Vec<Complaint>> {
        let mut faults = Vec::new();
        let mut read =
            |field: &'static str, name: &str, text: &str, read: fn(&str) -> Result<String, String>| {
                let text = text.trim();
                if text.is_empty() {
                    return None;
                }
                let fault = |reason| faults.push(Complaint { field, text: format!("{name}: {reason}.") });
                read(text).map_err(fault).ok()
            };
        let own_language = read("language", "The language", &self.language, language);
        let own_zone = read("time_zone", "The time zone", &self.zone, zone);
        if !faults.is_empty() {
            return Err(faults);
        }
        let devices = self.devices.iter().map(|device| DevicePreference {
            channel: device.channel,
            address: device.address.clone(),
            declined: choosable()
                .zip(&device.boxes)
                .filter(|(_, choice)| !choice.checked)
                .map(|(kind, _)| kind.as_str().to_owned())
                .collect(),
        });
        Ok(Preferences {
            language: Some(own_language),
            time_zone: Some(own_zone),
            devices: devices.collect(),
        })
    }
}

fn rows(person: &Person, is_wanted: impl Fn(usize, &str) -> bool) -> Vec<DeviceRow> {
    let row = |(at, device): (usize, &tocsin_store::tenant::directory::person::OwnDevice)| DeviceRow {
        channel: device.channel,
        channel_name: words::channel(device.channel),
        address: device.address.clone(),
        extension: device.extension.clone(),
        origin: if device.by_roster { "roster" } else { "added here" },
        boxes: choosable()
            .map(|kind| Choice {
                name: format!("use.{at}.{}", kind.as_str()),
                label: words::message_type(kind.as_str()),
                checked: is_wanted(at, kind.as_str()),
            })
            .collect(),
    };
    person.devices.iter().enumerate().map(row).collect()
}

impl Other {
    fn of(related: Related) -> Self {
        Self {
            path: encoded(&related.source_id),
            name: related.name,
            relationship: related.relationship,
            active: related.active,
            ended: related.ended_at.is_some(),
            by_hand: related.by_hand,
        }
    }
}

impl PersonPage {
    fn new(visitor: &Visitor, person: Person, typed: Typed) -> Self {
        let who = Heading::of(&person);
        Self {
            shell: Shell::new(&who.name, &visitor.who, "people"),
            roster_language: person.own_language.is_none().then(|| person.language.clone()).flatten(),
            who,
            editable: visitor.tenant.may(Right::EditDirectory),
            saved: false,
            is_student: person.role == Role::Student,
            own_devices: person
                .devices
                .iter()
                .filter(|device| !device.by_roster)
                .map(|device| OwnDeviceRow {
                    channel: device.channel,
                    channel_name: words::channel(device.channel),
                    address: device.address.clone(),
                })
                .collect(),
            new_device: NewDevice::default(),
            typed,
            faults: Vec::new(),
            types: choosable().map(|kind| words::message_type(kind.as_str())).collect(),
            enrolments: person.enrolments,
            classes: person.classes,
            students: person.students.into_iter().map(Other::of).collect(),
            contacts: person.contacts.into_iter().map(Other::of).collect(),
        }
    }

    /// The fault of a field, if it has one.
    fn fault_of(&self, field: &str) -> Option<&str> {
        self.faults.iter().find(|fault| fault.field == field).map(|fault| fault.text.as_str())
    }
}

/// `GET /people/{person}`.
pub(crate) async fn show(
    visitor: Visitor,
    Path(source_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let person = existing(&visitor, &source_id).await?;
    let typed = Typed::of_person(&person);
    let saved = query.as_deref() == Some("saved");
    Ok(answer(StatusCode::OK, &PersonPage { saved, ..PersonPage::new(&visitor, person, typed) }))
}

/// `POST /people/{person}/preferences`.
pub(crate) async fn prefer(
    visitor: Visitor,
    State(api): State<Api>,
    Path(source_id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let person = existing(&visitor, &source_id).await?;
    let typed = Typed::of_form(&body, &person);
    match typed.preferences() {
        Ok(preferences) => {
            visitor.tenant.prefer(&source_id, &preferences, &visitor.actor, api.clock.now()).await?;
            Ok(changed(&source_id))
        }
        Err(faults) => {
            let page = PersonPage { faults, ..PersonPage::new(&visitor, person, typed) };
            Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
    }
}

/// `POST /people/{person}/device` with `channel` and `address`.
pub(crate) async fn add_device(
    visitor: Visitor,
    State(api): State<Api>,
    Path(source_id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let person = existing(&visitor, &source_id).await?;
    let form = Form::of(&body);
    let (channel, address) = (form.text("channel"), form.text("address"));
    let request = json!({ "channel": channel, "address": address.trim() });
    let Err(problem) = put_device(&api, &visitor.tenant, &source_id, request).await else {
        return Ok(changed(&source_id));
    };
    let faults = Complaints::of(problem)?;
    let fault = faults.about("address", "The address").or_else(|| faults.about("channel", "The channel"));
    let typed = Typed::of_person(&person);
    let new_device = NewDevice { channel, address, fault };
    let page = PersonPage { new_device, ..PersonPage::new(&visitor, person, typed) };
    Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, &page))
}

/// `POST /people/{person}/remove-device` with `device`, its channel and address.
pub(crate) async fn remove_device(
    visitor: Visitor,
    State(api): State<Api>,
    Path(source_id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    existing(&visitor, &source_id).await?;
    let device = Form::of(&body).text("device");
    let device = device.split_once(' ').unwrap_or_default();
    take_device(&api, &visitor.tenant, &source_id, device).await?;
    Ok(changed(&source_id))
}

/// `POST /people/{person}/active` with `active`, or without.
pub(crate) async fn set_active(
    visitor: Visitor,
    State(api): State<Api>,
    Path(source_id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    existing(&visitor, &source_id).await?;
    let request = json!({ "active": Form::of(&body).holds("active") });
    carry_out(&api, &visitor.tenant, &source_id, request).await?;
    Ok(changed(&source_id))
}

fn changed(source_id: &str) -> Response {
    Redirect::to(&format!("/people/{}?saved", encoded(source_id))).into_response()
}

/// The district's person, or the page that says that there is none.
pub(super) async fn existing(visitor: &Visitor, source_id: &str) -> Result<Person, Refused> {
    if source_id.contains('\0') {
        return Err(Refused::from(crate::directory::unknown_person()));
    }
    Ok(crate::directory::existing(&visitor.tenant, source_id).await?)
}
