//! People as the API shows them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::Channel;
use tocsin_domain::audience::Role;
use tocsin_store::tenant::directory::people::PersonSummary;
use tocsin_store::tenant::directory::person::{Enrolment, Membership, OwnDevice, Person, Related};

use crate::submission::audience::role_name;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PersonSummary")]
pub(crate) struct SummaryView {
    source_id: String,
    given_name: String,
    family_name: String,
    #[schemars(with = "Role")]
    role: &'static str,
    language: Option<String>,
    active: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Person")]
pub(crate) struct PersonView {
    source_id: String,
    given_name: String,
    family_name: String,
    #[schemars(with = "Role")]
    role: &'static str,
    /// What is used: the preference, else what the roster says.
    language: Option<String>,
    time_zone: Option<String>,
    active: bool,
    /// The roster has the person, and says the names and the role.
    by_roster: bool,
    by_hand: bool,
    preferences: PreferencesView,
    devices: Vec<DeviceView>,
    enrolments: Vec<EnrolmentView>,
    students: Vec<RelatedView>,
    contacts: Vec<RelatedView>,
    classes: Vec<ClassView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Preferences")]
struct PreferencesView {
    language: Option<String>,
    time_zone: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Device")]
struct DeviceView {
    channel: Channel,
    address: String,
    extension: Option<String>,
    by_roster: bool,
    by_hand: bool,
    /// Message types that do not use it.
    declined: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Enrolment")]
struct EnrolmentView {
    school: String,
    school_name: Option<String>,
    grade: Option<String>,
    active: bool,
    by_hand: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Related")]
struct RelatedView {
    source_id: String,
    name: String,
    relationship: String,
    active: bool,
    by_roster: bool,
    by_hand: bool,
    /// The district ended it: no message, and no delivery names it again.
    ended_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ClassMembership")]
struct ClassView {
    source_id: String,
    title: Option<String>,
    school_year: Option<i16>,
    #[schemars(with = "Role")]
    role: &'static str,
}

impl SummaryView {
    pub fn of(person: PersonSummary) -> Self {
        let PersonSummary { source_id, given_name, family_name, role, language, active, place: _ } = person;
        Self { source_id, given_name, family_name, role: role_name(role), language, active }
    }
}

impl PersonView {
    pub fn of(person: Person) -> Self {
        Self {
            source_id: person.source_id,
            given_name: person.given_name,
            family_name: person.family_name,
            role: role_name(person.role),
            language: person.language,
            time_zone: person.time_zone,
            active: person.active,
            by_roster: person.by_roster,
            by_hand: person.by_hand,
            preferences: PreferencesView { language: person.own_language, time_zone: person.own_time_zone },
            devices: person.devices.into_iter().map(DeviceView::of).collect(),
            enrolments: person.enrolments.into_iter().map(EnrolmentView::of).collect(),
            students: person.students.into_iter().map(RelatedView::of).collect(),
            contacts: person.contacts.into_iter().map(RelatedView::of).collect(),
            classes: person.classes.into_iter().map(ClassView::of).collect(),
        }
    }
}

impl DeviceView {
    fn of(device: OwnDevice) -> Self {
        let OwnDevice { channel, address, extension, by_roster, by_hand, declined } = device;
        Self { channel, address, extension, by_roster, by_hand, declined }
    }
}

impl EnrolmentView {
    fn of(enrolment: Enrolment) -> Self {
        let Enrolment { school, school_name, grade, active, by_hand } = enrolment;
        Self { school, school_name, grade, active, by_hand }
    }
}

impl RelatedView {
    fn of(related: Related) -> Self {
        let Related { source_id, name, relationship, active, by_roster, by_hand, ended_at } = related;
        Self { source_id, name, relationship, active, by_roster, by_hand, ended_at }
    }
}

impl ClassView {
    fn of(membership: Membership) -> Self {
        let Membership { class, title, school_year, role } = membership;
        Self { source_id: class, title, school_year, role: role_name(role) }
    }
}
