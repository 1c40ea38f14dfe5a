//! Whether a phone may be sent texts: its state in one district, what moves it, and which messages it bars
//! (requirements 161-163, decision D11). What a person texts is read by [`keyword`].

pub mod keyword;
pub mod reminder;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::state::numbered;

numbered! {
    /// Consent of one phone to the texts of one district (requirement 162). A phone without any was never asked.
    ConsentState {
        /// Asked, and not answered yet.
        Pending = 1 => "pending",
        OptedIn = 2 => "opted_in",
        OptedOut = 3 => "opted_out",
    }
}

numbered! {
    /// The consent that a message needs (decision D11). A STOP is honoured in each.
    ConsentClass {
        /// None, by law.
        Emergency = 1 => "emergency",
        /// That the number was given to the school.
        SchoolMission = 2 => "school_mission",
        /// That its owner opted in.
        OptIn = 3 => "opt_in",
        /// As the school's mission does: it asks for the opt-in, and makes a phone pending.
        AsksOptIn = 4 => "asks_opt_in",
    }
}

/// What the district decided about emergency texts to those who opted out (decision D11). Carriers block them all
/// the same where the opt-out is known to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmergencyPolicy {
    #[default]
    HonourStop,
    OverrideStop,
}

impl ConsentClass {
    /// The outcome of a text that may not be sent to a phone in this state; None: it may.
    pub fn bars(self, state: Option<ConsentState>, emergencies: EmergencyPolicy) -> Option<Outcome> {
        match (self, state) {
            (Self::Emergency, Some(ConsentState::OptedOut)) => match emergencies {
                EmergencyPolicy::HonourStop => Some(Outcome::OptOut),
                EmergencyPolicy::OverrideStop => None,
            },
            (Self::SchoolMission | Self::OptIn | Self::AsksOptIn, Some(ConsentState::OptedOut)) => {
                Some(Outcome::OptOut)
            }
            (Self::OptIn, None | Some(ConsentState::Pending)) => Some(Outcome::Ineligible),
            (Self::Emergency | Self::SchoolMission | Self::AsksOptIn, None | Some(ConsentState::Pending))
            | (_, Some(ConsentState::OptedIn)) => None,
        }
    }
}

/// What moves a phone's consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsentChange {
    /// The district asks for consent.
    Ask,
    /// The person wants texts: told to the district's own number, or to its office.
    Start,
    /// The same told to a number that several districts share: it answers those who asked, and lifts opt-outs; it is
    /// no consent to a district that the person may never have heard of.
    StartShared,
    /// The person wants no more texts, whoever passes it on.
    Stop,
}

/// A STOP counts although the consent was changed so much later, by a clock that may be ahead of the one that timed
/// the STOP: of two wrong answers, silence is the better one.
const STOP_SKEW: TimeDelta = TimeDelta::seconds(2);
const INSTANT: TimeDelta = TimeDelta::microseconds(1);

impl ConsentChange {
    pub const ALL: [Self; 4] = [Self::Ask, Self::Start, Self::StartShared, Self::Stop];

    pub fn to(self) -> ConsentState {
        match self {
            Self::Ask => ConsentState::Pending,
            Self::Start | Self::StartShared => ConsentState::OptedIn,
            Self::Stop => ConsentState::OptedOut,
        }
    }

    /// The states that it leads out of; None is a phone that was never asked.
    pub fn from(self) -> &'static [Option<ConsentState>] {
        use ConsentState::{OptedIn, OptedOut, Pending};
        match self {
            // Who said yes need not be asked, who said no may not.
            Self::Ask => &[None],
            Self::Start => &[None, Some(Pending), Some(OptedOut)],
            Self::StartShared => &[Some(Pending), Some(OptedOut)],
            Self::Stop => &[None, Some(Pending), Some(OptedIn)],
        }
    }

    /// A change of time `at` counts unless the consent was changed after this instant: what is delivered late or
    /// again does not undo what was said since.
    pub fn counts_until(self, at: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Stop => at + STOP_SKEW,
            Self::Ask | Self::Start | Self::StartShared => at - INSTANT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConsentState::{OptedIn, OptedOut, Pending};

    /// The diagram in docs/STATES.md, line by line.
    #[test]
    fn these_are_all_the_transitions() {
        let listed = [
            (None, ConsentChange::Ask, Pending),
            (None, ConsentChange::Start, OptedIn),
            (Some(Pending), ConsentChange::Start, OptedIn),
            (Some(OptedOut), ConsentChange::Start, OptedIn),
            (Some(Pending), ConsentChange::StartShared, OptedIn),
            (Some(OptedOut), ConsentChange::StartShared, OptedIn),
            (None, ConsentChange::Stop, OptedOut),
            (Some(Pending), ConsentChange::Stop, OptedOut),
            (Some(OptedIn), ConsentChange::Stop, OptedOut),
        ];
        let found: Vec<_> = ConsentChange::ALL
            .into_iter()
            .flat_map(|change| change.from().iter().map(move |from| (*from, change, change.to())))
            .collect();
        assert_eq!(found, listed);
    }

    #[test]
    fn a_stop_is_honoured_in_every_class_and_no_other_change_leads_past_it() {
        for class in ConsentClass::ALL {
            assert_eq!(class.bars(Some(OptedOut), EmergencyPolicy::HonourStop), Some(Outcome::OptOut));
        }
        assert!(!ConsentChange::Ask.from().contains(&Some(OptedOut)));
    }

    #[test]
    fn each_class_sends_to_the_states_that_it_may() {
        let table = [
            (ConsentClass::Emergency, [None, None, None, None]),
            (ConsentClass::SchoolMission, [None, None, None, Some(Outcome::OptOut)]),
            (ConsentClass::AsksOptIn, [None, None, None, Some(Outcome::OptOut)]),
            (
                ConsentClass::OptIn,
                [Some(Outcome::Ineligible), Some(Outcome::Ineligible), None, Some(Outcome::OptOut)],
            ),
        ];
        for (class, expected) in table {
            let states = [None, Some(Pending), Some(OptedIn), Some(OptedOut)];
            let bars = states.map(|state| class.bars(state, EmergencyPolicy::OverrideStop));
            assert_eq!(bars, expected, "{class}");
        }
    }

    #[test]
    fn a_stop_outlives_a_clock_that_is_ahead_and_a_start_does_not() {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert!(ConsentChange::Stop.counts_until(at) > at + TimeDelta::milliseconds(1_999));
        assert!(ConsentChange::Start.counts_until(at) < at);
    }
}
