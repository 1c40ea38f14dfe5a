//! The broken rows of a sample, a few of each kind, as districts really send them.

use std::collections::VecDeque;

use rand::Rng;

use super::Random;
use super::person::{Household, Planned};
use crate::problem::ProblemKind;
use crate::vocabulary::USERS;

/// One row of each kind for every so many students, or part of them.
const STUDENTS_PER_ROUND: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Costs the voice device.
    InvalidPhone,
    /// An extension, which no text reaches: costs the text device.
    TextExtension,
    /// Costs the email device.
    BadEmail,
    /// A student names a contact that no row describes.
    DanglingAgent,
    /// Neither given nor family name: costs the row.
    MissingName,
    /// One field too many: costs the row.
    WrongFieldCount,
    /// The same row again: costs the second.
    RepeatedId,
    /// Costs the zone; a warning.
    UnknownTimeZone,
    /// Costs the language; a warning.
    UnknownLanguage,
}

impl Fault {
    pub const ALL: [Self; 9] = [
        Self::InvalidPhone,
        Self::TextExtension,
        Self::BadEmail,
        Self::DanglingAgent,
        Self::MissingName,
        Self::WrongFieldCount,
        Self::RepeatedId,
        Self::UnknownTimeZone,
        Self::UnknownLanguage,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidPhone => "invalid phone",
            Self::TextExtension => "text number with an extension",
            Self::BadEmail => "bad email",
            Self::DanglingAgent => "dangling agent",
            Self::MissingName => "missing name",
            Self::WrongFieldCount => "wrong number of fields",
            Self::RepeatedId => "repeated id",
            Self::UnknownTimeZone => "unknown time zone",
            Self::UnknownLanguage => "unknown language",
        }
    }

    /// Where reading reports it: file, column and kind.
    pub fn reported_at(self) -> (&'static str, Option<&'static str>, ProblemKind) {
        let column = match self {
            Self::InvalidPhone => Some("phone"),
            Self::TextExtension => Some("sms"),
            Self::BadEmail => Some("email"),
            Self::DanglingAgent => Some("agentSourcedIds"),
            Self::MissingName => Some("givenName"),
            Self::WrongFieldCount => None,
            Self::RepeatedId => Some("sourcedId"),
            Self::UnknownTimeZone => Some("metadata.timeZone"),
            Self::UnknownLanguage => Some("metadata.language"),
        };
        let kind = if self.is_warning() { ProblemKind::Warning } else { ProblemKind::Error };
        (USERS, column, kind)
    }

    pub(crate) fn is_warning(self) -> bool {
        matches!(self, Self::UnknownTimeZone | Self::UnknownLanguage)
    }

    pub(crate) fn loses_the_row(self) -> bool {
        matches!(self, Self::MissingName | Self::WrongFieldCount)
    }

    fn can_break(self, person: &Planned) -> bool {
        let right_person =
            if self == Self::DanglingAgent { person.is_student() } else { person.is_guardian() };
        right_person && person.fault.is_none()
    }
}

/// Spreads the broken rows over a district while it is made, each broken in one way. A very small district
/// has fewer rows to break than there are ways.
pub(crate) struct Breakages {
    students: usize,
    /// Students whose round is drawn.
    drawn: usize,
    /// After how many students each is due; the next one last.
    ahead: Vec<(usize, Fault)>,
    /// Those whose time has come and that found no row to break yet.
    due: VecDeque<Fault>,
}

impl Breakages {
    pub(crate) fn of(students: usize) -> Self {
        Self { students, drawn: 0, ahead: Vec::new(), due: VecDeque::new() }
    }

    /// Breaks rows of the family that brought the district to so many students.
    pub(crate) fn break_rows(&mut self, family: &mut Household, students: usize, random: &mut Random) {
        while self.drawn < students {
            self.draw_round(random);
        }
        while let Some((_, fault)) = self.ahead.pop_if(|(after, _)| *after < students) {
            self.due.push_back(fault);
        }
        self.due.retain(|fault| match family.people.iter_mut().find(|person| fault.can_break(person)) {
            Some(person) => {
                break_row(person, *fault);
                false
            }
            None => true,
        });
    }

    /// Not in a round's last quarter, so that what finds no row at once has time to find one.
    fn draw_round(&mut self, random: &mut Random) {
        let size = STUDENTS_PER_ROUND.min(self.students - self.drawn);
        for fault in Fault::ALL {
            self.ahead.push((self.drawn + random.random_range(0..size.div_ceil(4) * 3), fault));
        }
        self.ahead.sort_by(|(one, _), (other, _)| other.cmp(one));
        self.drawn += size;
    }
}

fn break_row(person: &mut Planned, fault: Fault) {
    person.fault = Some(fault);
    match fault {
        Fault::InvalidPhone => {
            // Without a mobile, which would take the voice device's place.
            person.mobile = None;
            person.mobile_text.clear();
            person.landlines = 0;
            person.landline_text = "603-555-01".to_owned();
        }
        Fault::TextExtension => {
            person.mobile = None;
            person.mobile_text = "202-555-0143 x12".to_owned();
            // It can be called all the same, where there is no other.
            person.landlines = person.landlines.max(1);
        }
        Fault::BadEmail => person.email = None,
        Fault::MissingName => {
            person.given_name.clear();
            person.family_name.clear();
        }
        Fault::UnknownTimeZone => person.time_zone = "Central",
        Fault::UnknownLanguage => person.language = "Spanish",
        Fault::DanglingAgent | Fault::WrongFieldCount | Fault::RepeatedId => {}
    }
}
