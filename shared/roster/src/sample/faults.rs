//! The broken rows of a sample, a few of each kind, as districts really send them.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::district::District;

/// One row of each kind for every so many students, and one more.
const STUDENTS_PER_FAULT: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Costs the voice device.
    InvalidPhone,
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
}

impl Fault {
    pub const ALL: [Self; 7] = [
        Self::InvalidPhone,
        Self::BadEmail,
        Self::DanglingAgent,
        Self::MissingName,
        Self::WrongFieldCount,
        Self::RepeatedId,
        Self::UnknownTimeZone,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidPhone => "invalid phone",
            Self::BadEmail => "bad email",
            Self::DanglingAgent => "dangling agent",
            Self::MissingName => "missing name",
            Self::WrongFieldCount => "wrong number of fields",
            Self::RepeatedId => "repeated id",
            Self::UnknownTimeZone => "unknown time zone",
        }
    }

    pub(crate) fn is_warning(self) -> bool {
        self == Self::UnknownTimeZone
    }

    pub(crate) fn loses_the_row(self) -> bool {
        matches!(self, Self::MissingName | Self::WrongFieldCount)
    }
}

/// Breaks rows, each in one way; a very small district has fewer rows to break than there are ways.
pub(crate) fn spread(district: &mut District, random: &mut StdRng) {
    let indices = |wanted: fn(&super::district::Planned) -> bool| -> Vec<usize> {
        (0..district.people.len()).filter(|&index| wanted(&district.people[index])).collect()
    };
    let mut guardians = indices(super::district::Planned::is_guardian);
    let mut students = indices(super::district::Planned::is_student);
    guardians.shuffle(random);
    students.shuffle(random);
    let rounds = 1 + students.len() / STUDENTS_PER_FAULT;
    for fault in Fault::ALL.into_iter().cycle().take(rounds * Fault::ALL.len()) {
        let victims = if fault == Fault::DanglingAgent { &mut students } else { &mut guardians };
        let Some(index) = victims.pop() else { continue };
        break_row(district, index, fault);
    }
}

fn break_row(district: &mut District, index: usize, fault: Fault) {
    let person = &mut district.people[index];
    person.fault = Some(fault);
    match fault {
        Fault::InvalidPhone => {
            // Without a mobile, which would take the voice device's place.
            person.mobile = None;
            person.mobile_text.clear();
            person.landlines = 0;
            person.landline_text = "603-555-01".to_owned();
        }
        Fault::BadEmail => person.email = None,
        Fault::MissingName => {
            person.given_name.clear();
            person.family_name.clear();
        }
        Fault::UnknownTimeZone => person.time_zone = "Central",
        Fault::DanglingAgent | Fault::WrongFieldCount | Fault::RepeatedId => {}
    }
}
