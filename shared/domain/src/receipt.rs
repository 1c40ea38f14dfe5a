//! What a cancel reached (promise 3): in which part of the receipt a device stands, by what is known of its attempts.
//!
//! The store does this in SQL; what stands here is the rule in a form that can be run and compared with it.

use serde::{Deserialize, Serialize};

use crate::state::numbered;
use crate::{AttemptState, CampaignId, Outcome};

numbered! {
    /// The four parts. Together they hold everybody of the audience, and nobody twice.
    Part {
        /// Tried to an end: reached, or met by an answer that says why not.
        Contacted = 1 => "contacted",
        /// May have been contacted, or may be yet: nobody can say.
        InFlightOrUnknown = 2 => "in_flight_or_unknown",
        /// Taken up, and stopped before anybody was contacted.
        Recalled = 3 => "recalled",
        /// No provider had it, and none will: canceled before its turn, barred, a duplicate, without a device.
        NeverTried = 4 => "never_tried",
    }
}

/// What is known of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    pub state: AttemptState,
    pub outcome: Option<Outcome>,
    /// Was it accepted or unknown at any time?
    pub taken: bool,
}

impl Part {
    /// The part of a device: of its attempts the one that tells most decides.
    ///
    /// An attempt that was ever accepted or unknown never leads to [`Part::NeverTried`], whatever is learned
    /// later. As no attempt is asking any more when `canceled` is answered, that part is fixed from then on.
    pub fn of(attempts: impl IntoIterator<Item = Tried>) -> Self {
        attempts.into_iter().map(Self::of_one).min().unwrap_or(Self::NeverTried)
    }

    fn of_one(attempt: Tried) -> Self {
        match attempt.outcome {
            Some(outcome) if outcome.is_answer() => Self::Contacted,
            outcome if attempt.state != AttemptState::Settled || outcome.is_none_or(Outcome::leaves_open) => {
                Self::InFlightOrUnknown
            }
            Some(Outcome::Canceled) => Self::Recalled,
            _ if attempt.taken => Self::Recalled,
            _ => Self::NeverTried,
        }
    }
}

/// The people of a receipt that another campaign is for.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addressed {
    /// The canceled campaign.
    pub campaign: CampaignId,
    #[serde(default)]
    pub part: AddressedPart,
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressedPart {
    /// The contacted, and those in flight or unknown.
    #[default]
    ContactedOrUnknown,
}

impl AddressedPart {
    pub const ALL: [Self; 1] = [Self::ContactedOrUnknown];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContactedOrUnknown => "contacted_or_unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(state: AttemptState, outcome: Option<Outcome>, taken: bool) -> Tried {
        Tried { state, outcome, taken }
    }

    #[test]
    fn an_attempt_leads_to_the_part_that_its_facts_tell() {
        use AttemptState::{Accepted, Asking, Settled, Unknown};
        let cases = [
            (Asking, None, false, Part::InFlightOrUnknown),
            (Unknown, None, true, Part::InFlightOrUnknown),
            (Accepted, None, true, Part::InFlightOrUnknown),
            (Accepted, Some(Outcome::InProgress), true, Part::InFlightOrUnknown),
            (Accepted, Some(Outcome::Unknown), true, Part::InFlightOrUnknown),
            (Accepted, Some(Outcome::PersonAnswered), true, Part::InFlightOrUnknown),
            (Accepted, Some(Outcome::CallEnded), true, Part::InFlightOrUnknown),
            (Settled, Some(Outcome::CallEnded), true, Part::InFlightOrUnknown),
            (Accepted, Some(Outcome::Sent), true, Part::Contacted),
            (Settled, Some(Outcome::Delivered), true, Part::Contacted),
            (Settled, Some(Outcome::Busy), true, Part::Contacted),
            (Settled, Some(Outcome::ProviderRejected), false, Part::Contacted),
            (Settled, Some(Outcome::NoCallStatus), true, Part::InFlightOrUnknown),
            (Settled, Some(Outcome::UnknownError), true, Part::InFlightOrUnknown),
            (Settled, Some(Outcome::Canceled), true, Part::Recalled),
            (Settled, Some(Outcome::Dropped), true, Part::Recalled),
            (Settled, Some(Outcome::NotAsked), true, Part::Recalled),
            (Settled, Some(Outcome::NotAsked), false, Part::NeverTried),
            (Settled, Some(Outcome::Throttled), false, Part::NeverTried),
            (Settled, Some(Outcome::OptOut), false, Part::NeverTried),
        ];
        for (state, outcome, taken, part) in cases {
            assert_eq!(Part::of([tried(state, outcome, taken)]), part, "{state} {outcome:?} {taken}");
        }
    }

    #[test]
    fn of_several_attempts_the_one_that_tells_most_decides() {
        let settled = |outcome| tried(AttemptState::Settled, Some(outcome), true);
        assert_eq!(Part::of([]), Part::NeverTried);
        assert_eq!(Part::of([settled(Outcome::Busy), settled(Outcome::Canceled)]), Part::Contacted);
        let unknown = tried(AttemptState::Unknown, None, true);
        assert_eq!(Part::of([settled(Outcome::Canceled), unknown]), Part::InFlightOrUnknown);
    }

    /// Whatever is learned of it later, an attempt that was taken, or is open, is none that was never tried.
    #[test]
    fn what_a_provider_had_or_may_have_had_is_never_among_the_never_tried() {
        for outcome in Outcome::all().map(Some).chain([None]) {
            for state in AttemptState::ALL {
                assert_ne!(Part::of([tried(*state, outcome, true)]), Part::NeverTried, "{state} {outcome:?}");
                if *state != AttemptState::Settled {
                    assert_ne!(Part::of([tried(*state, outcome, false)]), Part::NeverTried);
                }
            }
        }
    }

    #[test]
    fn parts_are_read_back_by_number_and_name() {
        for part in Part::ALL.iter().copied() {
            assert_eq!(Part::from_number(part.number()), Some(part));
            assert_eq!(serde_json::to_value(part).unwrap(), part.as_str());
        }
        let read: Addressed =
            serde_json::from_str(r#"{"campaign":"01900000-0000-7000-8000-000000000001"}"#).unwrap();
        assert_eq!(read.part.as_str(), serde_json::to_value(read.part).unwrap());
        assert!(serde_json::from_str::<Addressed>(r#"{"campaign":"1"}"#).is_err());
    }
}
