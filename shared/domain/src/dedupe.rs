//! Which of several equal devices is sent to, and which are marked as duplicates (decision D2,
//! requirements 63 and 184).
//!
//! The store does this in SQL, with a unique index behind it. What stands here is the rule in a form
//! that can be run and compared with it.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::Channel;

/// How many messages one device may get of one campaign.
// The numbers are those stored in the database.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum DedupeMode {
    /// One, however many people share the device.
    #[default]
    PerDevice = 1,
    /// One for each student it is reached on behalf of: "message for each student".
    PerDeviceAndStudent = 2,
}

impl DedupeMode {
    pub const ALL: [Self; 2] = [Self::PerDevice, Self::PerDeviceAndStudent];

    /// The number this mode is stored as.
    pub fn number(self) -> i16 {
        self as i16
    }

    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.number() == number)
    }
}

/// A device as expanded within one campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    pub channel: Channel,
    /// Normalised (see [`crate::address`]).
    pub address: &'a str,
    /// The student on whose behalf the person is reached, by the store's number.
    pub student: Option<i64>,
}

/// Two devices of one campaign with the same key get one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DedupeKey<'a> {
    pub channel: Channel,
    pub address: &'a str,
    /// None in the mode of one message per device, and where there is no student.
    pub student: Option<i64>,
}

pub fn dedupe_key<'a>(mode: DedupeMode, candidate: &Candidate<'a>) -> DedupeKey<'a> {
    let student = match mode {
        DedupeMode::PerDevice => None,
        DedupeMode::PerDeviceAndStudent => candidate.student,
    };
    DedupeKey { channel: candidate.channel, address: candidate.address, student }
}

/// For each of `candidates`, in their stable order (that of expansion): is it a duplicate of an earlier
/// one? The first of a key is sent; every later one keeps its row with outcome Duplicate.
pub fn mark_duplicates<'a>(
    mode: DedupeMode,
    candidates: impl IntoIterator<Item = Candidate<'a>>,
) -> Vec<bool> {
    let mut seen = HashSet::new();
    candidates.into_iter().map(|candidate| !seen.insert(dedupe_key(mode, &candidate))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(channel: Channel, address: &str, student: Option<i64>) -> Candidate<'_> {
        Candidate { channel, address, student }
    }

    #[test]
    fn the_first_of_equal_devices_is_sent() {
        let devices = [
            candidate(Channel::Voice, "+15551230142", Some(1)),
            candidate(Channel::Sms, "+15551230142", Some(1)),
            candidate(Channel::Voice, "+15551230142", Some(2)),
            candidate(Channel::Voice, "+15551230142", Some(1)),
            candidate(Channel::Voice, "+15551230142", None),
            candidate(Channel::Voice, "+15551230142", None),
            candidate(Channel::Voice, "+15551230199", Some(1)),
        ];
        let cases = [
            (DedupeMode::PerDevice, [false, false, true, true, true, true, false]),
            (DedupeMode::PerDeviceAndStudent, [false, false, false, true, false, true, false]),
        ];
        for (mode, expected) in cases {
            assert_eq!(mark_duplicates(mode, devices), expected, "{mode:?}");
        }
    }

    #[test]
    fn modes_keep_their_numbers_and_names() {
        for (mode, number, name) in [
            (DedupeMode::PerDevice, 1, "per_device"),
            (DedupeMode::PerDeviceAndStudent, 2, "per_device_and_student"),
        ] {
            assert_eq!(mode.number(), number);
            assert_eq!(DedupeMode::from_number(number), Some(mode));
            assert_eq!(serde_json::to_value(mode).unwrap(), name);
        }
        assert_eq!(DedupeMode::from_number(3), None);
    }

    proptest! {
        #[test]
        fn each_key_is_sent_exactly_once(
            devices in prop::collection::vec((0usize..4, "[ab]", prop::option::of(0i64..3)), 0..40),
            mode in prop::sample::select(&DedupeMode::ALL[..]),
        ) {
            let devices: Vec<_> =
                devices.iter().map(|(at, address, student)| candidate(Channel::ALL[*at], address, *student)).collect();
            let marks = mark_duplicates(mode, devices.iter().copied());
            let sent: Vec<_> = devices
                .iter()
                .zip(&marks)
                .filter(|(_, duplicate)| !**duplicate)
                .map(|(device, _)| dedupe_key(mode, device))
                .collect();
            let all: HashSet<_> = devices.iter().map(|device| dedupe_key(mode, device)).collect();
            prop_assert_eq!(sent.len(), all.len());
            prop_assert_eq!(sent.into_iter().collect::<HashSet<_>>(), all);
        }
    }
}
