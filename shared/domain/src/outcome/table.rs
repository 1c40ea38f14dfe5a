//! One row for each outcome: its names, its call code and what it counts as.

use super::AttemptResult::{self, Canceled, Error, NotDispatched, Open, Successful};
use super::Outcome;

/// Outcomes that behave alike. What a family decides stands here once: rank, terminal, redial, answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// The provider used a word that we don't know, or said itself that it does not know.
    Unmapped,
    /// The request was not started, or the provider did not take it.
    NotTaken,
    /// The provider holds it and says no more than that.
    Progress,
    /// Nothing more is expected, and nobody can say whether the person was reached.
    Doubt,
    /// Passed on by the provider; what became of it may follow.
    Handed,
    /// Over at the provider, which has still to say who was reached.
    Over,
    /// Ended before any try, or stopped.
    NeverTried,
    /// Tried, not reached, worth another try.
    Transient,
    /// Tried, not reached, and another try would not help.
    Lasting,
    Reached,
    /// The person did something with a delivered message.
    Engaged,
    /// Came back, be it after a delivery.
    Bounced,
    Complaint,
}

impl Family {
    /// Decision D9: a bounce outranks a delivery, an unknown word is lowest.
    ///
    /// Doubt outranks mere progress, so that an attempt that fell silent while it was ringing ends as
    /// No Call Status and not as In-Progress; any fact outranks doubt. Lasting outranks transient, so
    /// that the best outcome of a job's tries tells whether another one can help.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Unmapped => 0,
            Self::NotTaken => 10,
            Self::Progress => 20,
            Self::Doubt => 25,
            Self::Handed => 30,
            Self::Over => 35,
            Self::NeverTried => 40,
            Self::Transient => 50,
            Self::Lasting => 55,
            Self::Reached => 60,
            Self::Engaged => 65,
            Self::Bounced => 70,
            Self::Complaint => 80,
        }
    }

    /// An unmapped word is not terminal: the next report may be one that we know, and the deadline
    /// for silence ends the attempt if none comes.
    pub(super) fn terminal(self) -> bool {
        !matches!(self, Self::Unmapped | Self::Progress | Self::Handed | Self::Over)
    }

    pub(super) fn is_answer(self) -> bool {
        match self {
            Self::Unmapped
            | Self::NotTaken
            | Self::Progress
            | Self::Doubt
            | Self::Over
            | Self::NeverTried => false,
            Self::Handed
            | Self::Transient
            | Self::Lasting
            | Self::Reached
            | Self::Engaged
            | Self::Bounced
            | Self::Complaint => true,
        }
    }
}

#[derive(Debug)]
pub(super) struct Row {
    pub outcome: Outcome,
    pub code: &'static str,
    pub label: &'static str,
    pub call_code: Option<i16>,
    pub result: AttemptResult,
    pub family: Family,
    pub contacted: bool,
}

/// The row of `outcome`, by its number.
pub(super) fn row_of(outcome: Outcome) -> &'static Row {
    &TABLE[usize::from(INDEX[outcome as usize])]
}

const NUMBERS: usize = 128;

/// Where in [`TABLE`] the outcome of each number stands.
const INDEX: [u8; NUMBERS] = {
    let mut index = [0; NUMBERS];
    let mut position = 0;
    while position < TABLE.len() {
        index[TABLE[position].outcome as usize] = position as u8;
        position += 1;
    }
    index
};

/// In the order of the outcomes' numbers. Expired is an error although nothing was tried: decision
/// D12 counts it among the engine's own. PBX is the connected end of extension dialing, which rule 75
/// counts as a contact. OptIn is a consent shown in place of a status (86), so it replaces no delivery.
#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    row(Outcome::Unknown, "unknown", "N/S", Some(9), NotDispatched, Family::Unmapped, Contact::No),
    row(Outcome::NoCallStatus, "no_call_status", "No Call Status", None, NotDispatched, Family::Doubt, Contact::No),
    row(Outcome::NoStatus, "no_status", "No Status", None, NotDispatched, Family::Doubt, Contact::No),
    row(Outcome::ProgressUnknown, "progress_unknown", "Progress Unknown", Some(-20), NotDispatched, Family::Doubt, Contact::No),
    row(Outcome::DialerNoResponse, "dialer_no_response", "No Response From Dialer", Some(-5), NotDispatched, Family::Doubt, Contact::No),
    row(Outcome::UnknownError, "unknown_error", "Unknown Error", Some(-1), Error, Family::Doubt, Contact::No),
    row(Outcome::NotAsked, "not_asked", "Not Asked", None, NotDispatched, Family::NotTaken, Contact::No),
    row(Outcome::Throttled, "throttled", "Throttled", None, NotDispatched, Family::NotTaken, Contact::No),
    row(Outcome::ProviderUnavailable, "provider_unavailable", "Provider Unavailable", None, NotDispatched, Family::NotTaken, Contact::No),
    row(Outcome::InProgress, "in_progress", "In-Progress", None, Open, Family::Progress, Contact::No),
    row(Outcome::SmsQueued, "sms_queued", "SMS Queued", Some(-39), Open, Family::Progress, Contact::No),
    row(Outcome::Sending, "sending", "Sending", None, Open, Family::Progress, Contact::No),
    row(Outcome::Sent, "sent", "Sent", Some(-27), Successful, Family::Handed, Contact::Yes),
    row(Outcome::EmailSent, "email_sent", "Email Sent", Some(-29), Successful, Family::Handed, Contact::No),
    row(Outcome::SoftBounce, "soft_bounce", "Bounced (soft)", None, Error, Family::Handed, Contact::No),
    row(Outcome::FaxAnswered, "fax_answered", "Answered by a Fax", None, Open, Family::Progress, Contact::No),
    row(Outcome::CallAnswered, "call_answered", "Answered", None, Open, Family::Progress, Contact::No),
    row(Outcome::MachineAnswered, "machine_answered", "Answered by a Machine", None, Open, Family::Progress, Contact::No),
    row(Outcome::PersonAnswered, "person_answered", "Answered by a Person", None, Open, Family::Progress, Contact::No),
    row(Outcome::NoDevice, "no_device", "No Device", None, NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::OptOut, "opt_out", "Opt-Out", Some(-33), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::Suppressed, "suppressed", "Suppressed", Some(-22), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::Duplicate, "duplicate", "Duplicate", Some(-4), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::DoNotCall, "do_not_call", "Do Not Call", Some(-3), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::Expired, "expired", "Expired", Some(-11), Error, Family::NeverTried, Contact::No),
    row(Outcome::Canceled, "canceled", "Canceled", None, Canceled, Family::NeverTried, Contact::No),
    row(Outcome::LocalTimeRestricted, "local_time_restricted", "Local Time Restricted", Some(-9), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::StateRestricted, "state_restricted", "State Restricted", Some(-10), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::Wireless, "wireless", "Wireless", Some(-15), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::OriginationTollFree, "origination_toll_free", "Origination Toll-Free Restricted", Some(-18), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::DestinationTollFree, "destination_toll_free", "Destination Toll-Free Restricted", Some(-19), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::OriginationInternational, "origination_international", "Origination International Restricted", Some(-31), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::UsRestricted, "us_restricted", "Origination US Restricted", Some(-36), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::CanadaRestricted, "canada_restricted", "Canada Intra Restricted", Some(-37), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::MaxMinuteCharge, "max_minute_charge", "Maximum Minute Charge", Some(-38), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::QuotaExceeded, "quota_exceeded", "Phone Quota Exceeded", Some(-34), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::ScriptEnded, "script_ended", "Script Ended Before Dialing", Some(-35), NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::Ineligible, "ineligible", "Ineligible to Send", None, NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::Dropped, "dropped", "Dropped", None, NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::CallEnded, "call_ended", "Call Ended", None, Open, Family::Over, Contact::No),
    row(Outcome::PressedToConfirm, "pressed_to_confirm", "Pressed 0 to Confirm", None, Open, Family::Progress, Contact::No),
    row(Outcome::AlreadyTold, "already_told", "Already Told", None, NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::Busy, "busy", "Busy", Some(1), Successful, Family::Transient, Contact::No),
    row(Outcome::NoAnswer, "no_answer", "No Answer", Some(0), Successful, Family::Transient, Contact::No),
    row(Outcome::FastBusy, "fast_busy", "Fast Busy", Some(14), Error, Family::Transient, Contact::No),
    row(Outcome::Operator, "operator", "Operator", Some(2), Error, Family::Transient, Contact::No),
    row(Outcome::OperatorIntercept, "operator_intercept", "Operator (out of service)", Some(16), Error, Family::Lasting, Contact::No),
    row(Outcome::NotInService, "not_in_service", "Not In Service", Some(3), Error, Family::Lasting, Contact::No),
    row(Outcome::NoRingBack, "no_ring_back", "No Ring Back", Some(4), Error, Family::Transient, Contact::No),
    row(Outcome::Fax, "fax", "Fax", Some(7), Error, Family::Lasting, Contact::No),
    row(Outcome::TemporarilyUnavailable, "temporarily_unavailable", "Temporarily Unavailable", Some(17), Error, Family::Transient, Contact::No),
    row(Outcome::InvalidNumber, "invalid_number", "Invalid Phone #", Some(-2), Error, Family::Lasting, Contact::No),
    row(Outcome::LocalOperator, "local_operator", "Local Operator", Some(-7), Error, Family::Lasting, Contact::No),
    row(Outcome::LocalNoAnswer, "local_no_answer", "Local No Answer", Some(-21), Error, Family::Lasting, Contact::No),
    row(Outcome::LocalFax, "local_fax", "Local Fax", Some(-23), Error, Family::Lasting, Contact::No),
    row(Outcome::NoChannel, "no_channel", "No Channel", Some(-12), Error, Family::Lasting, Contact::No),
    row(Outcome::RouteUnavailable, "route_unavailable", "Route Unavailable", Some(-13), Error, Family::Lasting, Contact::No),
    row(Outcome::AllRoutesUnavailable, "all_routes_unavailable", "All Routes Unavailable", Some(-26), Error, Family::Transient, Contact::No),
    row(Outcome::LowResources, "low_resources", "Low Resources", Some(-24), Error, Family::Transient, Contact::No),
    row(Outcome::SubsystemError, "subsystem_error", "Sub-system Error", Some(-25), Error, Family::Transient, Contact::No),
    row(Outcome::CallError, "call_error", "Call Error", Some(-14), Error, Family::Lasting, Contact::No),
    row(Outcome::Failed, "failed", "Failed", Some(10), Error, Family::Lasting, Contact::No),
    row(Outcome::TextFailed, "text_failed", "Text Failed", Some(-30), Error, Family::Lasting, Contact::No),
    row(Outcome::Undelivered, "undelivered", "Undelivered", Some(-40), Error, Family::Lasting, Contact::No),
    row(Outcome::FailedToSend, "failed_to_send", "Failed to Send", None, Error, Family::Lasting, Contact::No),
    row(Outcome::CallNotInitiated, "call_not_initiated", "Call Not Initiated", None, Error, Family::Lasting, Contact::No),
    row(Outcome::TextNotInitiated, "text_not_initiated", "Text Not Initiated", None, Error, Family::Lasting, Contact::No),
    row(Outcome::ProviderRejected, "provider_rejected", "Provider Rejected", None, Error, Family::Lasting, Contact::No),
    row(Outcome::InvalidAddress, "invalid_address", "Invalid Address", None, Error, Family::Lasting, Contact::No),
    row(Outcome::PreconnectDone, "preconnect_done", "Preconnect Done", Some(13), Successful, Family::Reached, Contact::Yes),
    row(Outcome::Pbx, "pbx", "PBX", Some(8), Successful, Family::Reached, Contact::Yes),
    row(Outcome::WebStream, "web_stream", "Web Stream Connected", Some(-32), Successful, Family::Reached, Contact::No),
    row(Outcome::Completed, "completed", "Completed", None, Successful, Family::Reached, Contact::Yes),
    row(Outcome::AnsweringMachine, "answering_machine", "Answering Machine", Some(6), Successful, Family::Reached, Contact::Yes),
    row(Outcome::LivePerson, "live_person", "Live Person", Some(5), Successful, Family::Reached, Contact::Yes),
    row(Outcome::Confirmed, "confirmed", "Confirmed", None, Successful, Family::Reached, Contact::Yes),
    row(Outcome::Delivered, "delivered", "Delivered", Some(-28), Successful, Family::Reached, Contact::Yes),
    row(Outcome::InboxDelivered, "inbox_delivered", "Inbox Delivered", None, Successful, Family::Reached, Contact::Yes),
    row(Outcome::Opened, "opened", "Opened", None, Successful, Family::Engaged, Contact::Yes),
    row(Outcome::Clicked, "clicked", "Clicked", None, Successful, Family::Engaged, Contact::Yes),
    row(Outcome::OptIn, "opt_in", "Opt In", None, NotDispatched, Family::NeverTried, Contact::No),
    row(Outcome::HardBounce, "hard_bounce", "Bounced (hard)", None, Error, Family::Bounced, Contact::No),
    row(Outcome::Complained, "complained", "Marked as Spam", None, Successful, Family::Complaint, Contact::Yes),
];

#[derive(Clone, Copy)]
enum Contact {
    Yes,
    No,
}

/// A constructor with a place for each column keeps a row on one line.
const fn row(
    outcome: Outcome,
    code: &'static str,
    label: &'static str,
    call_code: Option<i16>,
    result: AttemptResult,
    family: Family,
    contact: Contact,
) -> Row {
    Row { outcome, code, label, call_code, result, family, contacted: matches!(contact, Contact::Yes) }
}
