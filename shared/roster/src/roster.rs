//! What a delivery comes to: plain rows, ready to be turned into arrays for the store.

use chrono::NaiveDate;
use serde::Serialize;
use tocsin_domain::Channel;

use crate::problem::Problem;
use crate::vocabulary::{FileMode, OneRosterVersion, OrgKind, Relationship, Role};

/// A delivery, read. References between the rows are by source id and, within bulk files, hold: what
/// pointed nowhere was left out and reported. In a delta they may name rows of earlier deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    pub version: OneRosterVersion,
    /// One entry per file Tocsin uses, in the order they were read; `mode` says whether rows that are
    /// missing from the file are gone (bulk) or unchanged (delta, absent).
    pub files: Vec<FileRead>,
    pub schools: Vec<School>,
    /// Those without any device are among them: a campaign has a row for each (requirement 189).
    pub people: Vec<Person>,
    pub students: Vec<Student>,
    pub contacts: Vec<ContactOf>,
    /// What rows name of which no contact could be made yet: no sign that an earlier one is over.
    pub mentions: Vec<Mention>,
    pub devices: Vec<Device>,
    pub sessions: Vec<Session>,
    pub classes: Vec<Class>,
    pub class_members: Vec<ClassMember>,
    /// By file and line, at most `MAX_PROBLEMS` (100,000) of them; `counts` has them all.
    pub problems: Vec<Problem>,
    pub counts: Counts,
}

impl Roster {
    /// How the named file (`users.csv`) was delivered; a file that was not there is absent.
    pub fn mode(&self, file: &str) -> FileMode {
        self.files.iter().find(|read| read.file == file).map_or(FileMode::Absent, |read| read.mode)
    }
}

impl Roster {
    /// A complete users.csv without anybody in it would make the whole district inactive.
    pub fn empties_the_district(&self) -> bool {
        self.mode("users.csv") == FileMode::Bulk && self.people.is_empty()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FileRead {
    pub file: &'static str,
    pub mode: FileMode,
    /// Rows after the header, blank lines not counted.
    pub rows: u64,
    /// Rows of which nothing was taken.
    pub rows_left_out: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub errors: u64,
    pub warnings: u64,
}

/// An organisation: a school, or what schools belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct School {
    pub source_id: String,
    pub name: String,
    pub identifier: Option<String>,
    pub parent_source_id: Option<String>,
    pub kind: OrgKind,
    /// The row says `tobedeleted`; its other fields may be empty.
    pub deleted: bool,
}

/// A person of the district. Debug output leaves the name out: it ends up in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    pub source_id: String,
    /// One of the two names may be empty, not both, unless `deleted`.
    pub given_name: String,
    pub family_name: String,
    /// `None` where the delivery does not say: a role word that was refused, or a change of users
    /// without one of roles. A role already stored then stands.
    pub role: Option<Role>,
    /// A BCP 47 tag in its usual case (`es`, `zh-Hant`), by which delivery can be limited to those who
    /// speak it (requirement 185).
    pub language: Option<String>,
    /// An IANA zone.
    pub time_zone: Option<String>,
    /// The record is current and the person may sign in (`enabledUser`). Whoever is not active has
    /// no inbox, but is still a contact: a guardian without a portal account can be called.
    pub active: bool,
    /// The row's `agentSourcedIds` were read: whom it does not name it names no more. False where the file
    /// has no such column, which says nothing.
    pub lists_contacts: bool,
    /// The row says `tobedeleted`; such a person has no students, contacts or devices here.
    pub deleted: bool,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person")
            .field("source_id", &self.source_id)
            .field("role", &self.role)
            .field("language", &self.language)
            .field("time_zone", &self.time_zone)
            .field("active", &self.active)
            .field("lists_contacts", &self.lists_contacts)
            .field("deleted", &self.deleted)
            .finish_non_exhaustive()
    }
}

/// A person enrolled at a school; one row for each of the person's schools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Student {
    pub person_source_id: String,
    pub school_source_id: String,
    /// The first of the row's grades, as written (CEDS: `KG`, `01`…`13`).
    pub grade: Option<String>,
    /// The enrolment is current; what "Active only" filters on (requirement 185).
    pub active: bool,
}

/// A person is a contact of a student, whichever of their two rows said so. A guardian of two children
/// has two rows, as a message for each student needs them (requirement 184).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContactOf {
    pub student_source_id: String,
    pub person_source_id: String,
    pub relationship: Relationship,
    /// The student's row names the person.
    pub by_student: bool,
    /// The person's row names the student.
    pub by_person: bool,
}

/// A row names somebody, and this delivery does not tell which of the two is the student, or could not take
/// what it tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mention {
    /// Whose row it is.
    pub owner_source_id: String,
    pub named_source_id: String,
}

/// Where a person is reached. Debug output leaves the address out: it ends up in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Device {
    pub person_source_id: String,
    pub channel: Channel,
    /// Voice and text: E.164. Email: trimmed, its domain in lower case. Inbox: the person's source id.
    pub address: String,
    /// Digits to dial once a voice call is answered.
    pub extension: Option<String>,
    /// From 1 within the person and channel, in the order the row names them.
    pub position: i16,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("person_source_id", &self.person_source_id)
            .field("channel", &self.channel)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// A term, or what terms are parts of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    pub source_id: String,
    pub title: String,
    /// OneRoster's word: `schoolYear`, `semester`, `term`, `gradingPeriod`.
    pub kind: String,
    pub starts_on: Option<NaiveDate>,
    pub ends_on: Option<NaiveDate>,
    /// The year in which the school year ends.
    pub school_year: Option<i16>,
    pub parent_source_id: Option<String>,
    pub deleted: bool,
}

/// What is taught at a school in some terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Class {
    pub source_id: String,
    pub title: String,
    pub code: Option<String>,
    pub school_source_id: String,
    pub session_source_ids: Vec<String>,
    pub deleted: bool,
}

/// Somebody is taught in a class, or teaches there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassMember {
    /// The enrolment's own.
    pub source_id: String,
    pub class_source_id: String,
    pub person_source_id: String,
    pub role: Role,
    pub active: bool,
    /// Then only the source id counts.
    pub deleted: bool,
}
