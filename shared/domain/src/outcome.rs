//! What an attempt came to: every status the product knows, and what each one means.
//!
//! Two axes are never mixed (decision D1): the *result* of an attempt, which feeds the totals of
//! requirement 51, and whether the person was *contacted*, which only rule 75 decides. Busy and no
//! answer are successful results and no contact.
//!
//! `table` holds one row for each outcome; `vocabulary` says which outcome each status word and
//! number of requirements 77-160 stands for.

mod set;
mod table;
pub mod vocabulary;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Channel;
use table::{Family, Row};

pub use set::OutcomeSet;

/// What an attempt came to.
// The numbers are those stored in the database; they are never reused. The serde name is `Outcome::code`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum Outcome {
    // Known only as doubt.
    Unknown = 1,
    NoCallStatus = 2,
    NoStatus = 3,
    ProgressUnknown = 4,
    DialerNoResponse = 5,
    UnknownError = 6,
    // The provider was not asked, or did not take it.
    NotAsked = 10,
    Throttled = 11,
    ProviderUnavailable = 12,
    // On its way.
    InProgress = 20,
    SmsQueued = 21,
    Sending = 22,
    Sent = 23,
    EmailSent = 24,
    SoftBounce = 25,
    // Who answered a call that still goes on, in the order in which one outranks another.
    FaxAnswered = 26,
    CallAnswered = 27,
    MachineAnswered = 28,
    PersonAnswered = 29,
    // Never tried.
    NoDevice = 30,
    OptOut = 31,
    Suppressed = 32,
    Duplicate = 33,
    DoNotCall = 34,
    Expired = 35,
    Canceled = 36,
    LocalTimeRestricted = 37,
    StateRestricted = 38,
    Wireless = 39,
    OriginationTollFree = 40,
    DestinationTollFree = 41,
    OriginationInternational = 42,
    UsRestricted = 43,
    CanadaRestricted = 44,
    MaxMinuteCharge = 45,
    QuotaExceeded = 46,
    ScriptEnded = 47,
    Ineligible = 48,
    Dropped = 49,
    // Over, and who answered is still to be told.
    CallEnded = 50,
    // Who answered a call has confirmed it; it still goes on.
    PressedToConfirm = 51,
    // Never tried, as those from 30 on.
    AlreadyTold = 52,
    // Tried, the person was not reached.
    Busy = 60,
    NoAnswer = 61,
    FastBusy = 62,
    Operator = 63,
    OperatorIntercept = 64,
    NotInService = 65,
    NoRingBack = 66,
    Fax = 67,
    TemporarilyUnavailable = 68,
    InvalidNumber = 69,
    LocalOperator = 70,
    LocalNoAnswer = 71,
    LocalFax = 72,
    NoChannel = 73,
    RouteUnavailable = 74,
    AllRoutesUnavailable = 75,
    LowResources = 76,
    SubsystemError = 77,
    CallError = 78,
    Failed = 79,
    TextFailed = 80,
    Undelivered = 81,
    FailedToSend = 82,
    CallNotInitiated = 83,
    TextNotInitiated = 84,
    ProviderRejected = 85,
    InvalidAddress = 86,
    // Reached.
    PreconnectDone = 100,
    Pbx = 101,
    WebStream = 102,
    Completed = 103,
    AnsweringMachine = 104,
    LivePerson = 105,
    Confirmed = 106,
    Delivered = 107,
    InboxDelivered = 108,
    Opened = 109,
    Clicked = 110,
    OptIn = 111,
    // Facts that outrank a delivery.
    HardBounce = 120,
    Complained = 121,
}

/// What an attempt counts as in Total Successful, Error and Canceled (requirement 51, the first axis
/// of decision D1). The numbers are those stored in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum AttemptResult {
    /// Nothing to count yet: on its way.
    Open = 0,
    /// The provider did its part; busy and no answer are among them (requirements 77-81).
    Successful = 1,
    Error = 2,
    Canceled = 3,
    /// Nobody was contacted, or no status ever came back (requirements 82-86).
    NotDispatched = 4,
}

impl AttemptResult {
    pub const ALL: [Self; 5] =
        [Self::Open, Self::Successful, Self::Error, Self::Canceled, Self::NotDispatched];

    /// The number this result is stored as.
    pub fn number(self) -> i16 {
        self as i16
    }

    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.number() == number)
    }
}

impl Outcome {
    /// Every outcome, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        table::TABLE.iter().map(|row| row.outcome)
    }

    fn row(self) -> &'static Row {
        table::row_of(self)
    }

    /// The number this outcome is stored as.
    pub fn number(self) -> i16 {
        self as i16
    }

    pub fn from_number(number: i16) -> Option<Self> {
        Self::all().find(|outcome| outcome.number() == number)
    }

    /// The stable name in the API, in exports and in metrics.
    pub fn code(self) -> &'static str {
        self.row().code
    }

    /// What the user sees under Status. A status that nobody mapped reads `N/S`; the provider's own
    /// word stands beside it (decision D8).
    pub fn label(self) -> &'static str {
        self.row().label
    }

    /// The 1.0 call code (requirements 94-144), which such a status is also shown as (188).
    pub fn call_code(self) -> Option<i16> {
        self.row().call_code
    }

    /// The first axis of decision D1.
    pub fn result(self) -> AttemptResult {
        self.row().result
    }

    /// Was the person reached by this device (rule 75, the second axis of decision D1)? A text that
    /// was sent counts, though nobody knows whether it was read (76).
    ///
    /// Emails and inbox messages that arrived are contacts of their device, too. "Contacted by phone"
    /// (72, 73 and the asterisk of 62) counts voice and sms only: the counters look at the channel.
    pub fn contacted(self) -> bool {
        self.row().contacted
    }

    /// How much this outcome says about the attempt; see [`Outcome::outranks`].
    pub fn rank(self) -> u8 {
        self.row().family.rank()
    }

    /// Does this outcome replace `other` where both were reported of one attempt (decision D9)?
    /// A total order: by rank, then by number.
    pub fn outranks(self, other: Self) -> bool {
        (self.rank(), self.number()) > (other.rank(), other.number())
    }

    /// Is this outcome tried again where the redial policy does not say otherwise (decision D6 and
    /// the transient ones of 145)? Doubtful outcomes never are: the person may have been reached.
    pub fn redialable(self) -> bool {
        self.row().family == Family::Transient
    }

    /// May a redial policy name this outcome: was the person tried and not reached?
    pub fn may_redial(self) -> bool {
        matches!(self.row().family, Family::Transient | Family::Lasting)
    }

    /// Is the next try worth most by another route: another account, with another sender (requirement 182)?
    pub fn wants_another_route(self) -> bool {
        matches!(self, Self::TemporarilyUnavailable | Self::AllRoutesUnavailable)
    }

    /// Will the provider say nothing more that decides the attempt? A late bounce, or an opened
    /// email, may still raise a terminal outcome.
    pub fn terminal(self) -> bool {
        self.row().family.terminal()
    }

    /// Is this a fact that a provider told about the device? Not so: doubt, mere progress, a request
    /// that nobody took, and whatever was never tried.
    pub fn is_answer(self) -> bool {
        self.row().family.is_answer()
    }

    /// Can nobody say, by this outcome, whether the device was contacted?
    pub fn leaves_open(self) -> bool {
        matches!(self.row().family, Family::Unmapped | Family::Progress | Family::Doubt | Family::Over)
    }

    /// May the person have been told by a device that came to this? An email that went to the relay counts, whose arrival
    /// nobody reports.
    pub fn may_have_told(self) -> bool {
        self.contacted() || self.leaves_open() || self == Self::EmailSent
    }

    /// Did the request of such an attempt never reach, or never enter, the provider? No try is used up.
    pub fn is_not_taken(self) -> bool {
        self.row().family == Family::NotTaken
    }

    /// What a call came to when it is over, if this is who answered it; None: this tells nobody.
    pub fn once_over(self) -> Option<Self> {
        match self {
            Self::FaxAnswered => Some(Self::Fax),
            Self::CallAnswered => Some(Self::Completed),
            Self::MachineAnswered => Some(Self::AnsweringMachine),
            Self::PersonAnswered => Some(Self::LivePerson),
            Self::PressedToConfirm => Some(Self::Confirmed),
            _ => None,
        }
    }

    /// The outcome of an attempt of which nothing was ever heard (requirements 83, 84).
    pub fn silent(channel: Channel) -> Self {
        match channel {
            Channel::Voice | Channel::Sms => Self::NoCallStatus,
            Channel::Email | Channel::Inbox => Self::NoStatus,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests;
