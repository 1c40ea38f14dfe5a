//! What an import is given: a roster's rows, borrowed, and what they say about rows that are not there.

use std::fmt;

use chrono::NaiveDate;
use tocsin_domain::Channel;
use tocsin_domain::audience::Role;

/// A delivery. Rows refer to each other, and to rows of earlier deliveries, by source id.
#[derive(Debug)]
pub struct Directory<'a> {
    pub coverage: Coverage,
    /// Source ids are unique.
    pub schools: Vec<SchoolRow<'a>>,
    /// Source ids are unique.
    pub people: Vec<PersonRow<'a>>,
    /// Unique by person and school.
    pub students: Vec<StudentRow<'a>>,
    /// Unique by student and person.
    pub contacts: Vec<ContactRow<'a>>,
    /// Whom people's rows name besides. Unique.
    pub mentions: Vec<MentionRow<'a>>,
    /// All devices of the people above. Of one address that a person has twice on a channel, the first by
    /// position is kept.
    pub devices: Vec<DeviceRow<'a>>,
    /// Source ids are unique, here and below.
    pub sessions: Vec<SessionRow<'a>>,
    pub classes: Vec<ClassRow<'a>>,
    pub class_members: Vec<ClassMemberRow<'a>>,
}

/// What each part of a delivery says about rows that are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    pub schools: Extent,
    pub people: Extent,
    pub enrolments: Enrolments,
    pub sessions: Extent,
    pub classes: Extent,
    pub class_members: Extent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The complete set: what is missing is gone.
    Complete,
    /// What is missing is as it was. A part that was not delivered is this, without rows.
    Changes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrolments {
    /// Those that are missing are over.
    Complete,
    /// All that the delivered people have, where their role was told; other people's are as they were.
    OfPeople,
    /// Those that are missing are as they were.
    Changes,
}

#[derive(Debug, Clone, Copy)]
pub struct SchoolRow<'a> {
    pub source_id: &'a str,
    pub name: &'a str,
    /// OneRoster's word: `school`, `district`.
    pub kind: &'a str,
    pub identifier: Option<&'a str>,
    pub parent_source_id: Option<&'a str>,
    /// Then only the source id counts.
    pub deleted: bool,
}

/// Debug output leaves the name out: it ends up in logs.
#[derive(Clone, Copy)]
pub struct PersonRow<'a> {
    pub source_id: &'a str,
    pub given_name: &'a str,
    pub family_name: &'a str,
    /// None: the role stored before stands. A new person is then what the contacts of the delivery say, a
    /// student or a guardian, and staff where they say nothing.
    pub role: Option<Role>,
    pub language: Option<&'a str>,
    /// IANA name.
    pub time_zone: Option<&'a str>,
    /// Whom the row does not name, among contacts and mentions, it names no more. False: it says nothing.
    pub lists_contacts: bool,
    /// Then only the source id counts.
    pub deleted: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct StudentRow<'a> {
    pub person_source_id: &'a str,
    pub school_source_id: &'a str,
    /// Where the person's own row is not in the delivery, None says nothing and the grade stored stands.
    pub grade: Option<&'a str>,
    pub active: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct ContactRow<'a> {
    pub student_source_id: &'a str,
    pub person_source_id: &'a str,
    pub relationship: &'a str,
    /// The student's row names the person.
    pub by_student: bool,
    /// The person's row names the student. One of the two does.
    pub by_person: bool,
}

/// A row names somebody without its becoming a contact. One that is stored stays named.
#[derive(Debug, Clone, Copy)]
pub struct MentionRow<'a> {
    pub owner_source_id: &'a str,
    pub named_source_id: &'a str,
}

/// Debug output leaves the address out: it ends up in logs.
#[derive(Clone, Copy)]
pub struct DeviceRow<'a> {
    pub person_source_id: &'a str,
    pub channel: Channel,
    /// E.164, normalised email address, or the portal account.
    pub address: &'a str,
    pub extension: Option<&'a str>,
    /// From 1 within the person and channel.
    pub position: i16,
}

#[derive(Debug, Clone, Copy)]
pub struct SessionRow<'a> {
    pub source_id: &'a str,
    pub title: &'a str,
    /// OneRoster's word: `schoolYear`, `term`.
    pub kind: &'a str,
    pub starts_on: Option<NaiveDate>,
    pub ends_on: Option<NaiveDate>,
    pub school_year: Option<i16>,
    pub parent_source_id: Option<&'a str>,
    /// Then only the source id counts.
    pub deleted: bool,
}

#[derive(Debug, Clone)]
pub struct ClassRow<'a> {
    pub source_id: &'a str,
    pub title: &'a str,
    pub code: Option<&'a str>,
    pub school_source_id: &'a str,
    pub session_source_ids: &'a [String],
    /// Then only the source id counts.
    pub deleted: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct ClassMemberRow<'a> {
    pub source_id: &'a str,
    pub class_source_id: &'a str,
    pub person_source_id: &'a str,
    pub role: Role,
    pub active: bool,
    /// Then only the source id counts.
    pub deleted: bool,
}

impl fmt::Debug for PersonRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonRow")
            .field("source_id", &self.source_id)
            .field("role", &self.role)
            .field("deleted", &self.deleted)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DeviceRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceRow")
            .field("person_source_id", &self.person_source_id)
            .field("channel", &self.channel)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
