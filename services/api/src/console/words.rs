//! What users read in place of our names (requirements 9, 63, 76, 188; decision D1).

use tocsin_domain::audience::{Audience, Role};
use tocsin_domain::receipt::Part;
use tocsin_domain::{AttemptResult, CampaignState, Channel, Outcome, WaitReason};
use tocsin_store::tenant::accounts::AccountState;
use tocsin_store::tenant::receipt::Recall;

/// How something is coloured. The class of the same name is in the style sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Quiet,
    Active,
    Good,
    Bad,
    Stopped,
}

impl Tone {
    pub fn class(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Active => "active",
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Stopped => "stopped",
        }
    }
}

pub(crate) fn channel(channel: Channel) -> &'static str {
    match channel {
        Channel::Voice => "Voice",
        Channel::Sms => "Text",
        Channel::Email => "Email",
        Channel::Inbox => "Inbox",
    }
}

pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::Guardian => "Contact",
        Role::Student => "Student",
        Role::Staff => "Staff",
    }
}

pub(crate) use crate::message_types::label as message_type;

/// How a provider account does; None: it sends.
pub(crate) fn account(state: AccountState) -> Option<&'static str> {
    match state {
        AccountState::Sends => None,
        AccountState::Held => Some("was asked by its provider to pause, and waits"),
        AccountState::Fails => Some("fails, and stays in use, for no other account is better"),
        AccountState::GivesWay => Some("fails, and other accounts do its work"),
        AccountState::OnTrial => Some("failed, is on trial, and comes back by steps"),
        AccountState::Stopped => Some("is stopped: nothing is sent by it"),
    }
}

pub(crate) fn state(state: CampaignState) -> (&'static str, Tone) {
    match state {
        CampaignState::Scheduled => ("Scheduled", Tone::Quiet),
        CampaignState::Processing => ("Processing", Tone::Active),
        CampaignState::Sending => ("Sending", Tone::Active),
        CampaignState::Canceling => ("Canceling", Tone::Stopped),
        CampaignState::Sent => ("Sent", Tone::Good),
        CampaignState::Errored => ("Errored", Tone::Bad),
        CampaignState::Canceled => ("Canceled", Tone::Stopped),
        CampaignState::NoRecipients => ("No recipients", Tone::Quiet),
        CampaignState::Failed => ("Failed", Tone::Bad),
        CampaignState::Discarded => ("Canceled before sending", Tone::Stopped),
    }
}

/// Whom an audience means, beside its schools.
pub(crate) fn audience(audience: &Audience) -> String {
    if audience.receipt.is_some() {
        return "those whom a canceled message reached".to_owned();
    }
    let role = |role: &Role| match role {
        Role::Guardian => "guardians",
        Role::Student => "students",
        Role::Staff => "staff",
    };
    let mut words = audience.roles.iter().map(role).collect::<Vec<_>>().join(", ");
    if !audience.grades.is_empty() {
        words.push_str(&format!(" of grades {}", audience.grades.join(", ")));
    }
    for (list, one, several) in
        [(&audience.classes, "class", "classes"), (&audience.students, "student", "students")]
    {
        match list.len() {
            0 => {}
            1 => words.push_str(&format!(", of 1 named {one}")),
            count => words.push_str(&format!(", of {count} named {several}")),
        }
    }
    if !audience.people.is_empty() {
        words.push_str(&format!(", {} named", audience.people.len()));
    }
    if let Some(tag) = &audience.language {
        words.push_str(&format!(", only in {}", language(tag)));
    }
    if audience.include_inactive {
        words.push_str(", inactive ones too");
    }
    words
}

/// A part of the receipt, and what it means.
pub(crate) fn receipt_part(part: Part) -> (&'static str, &'static str) {
    match part {
        Part::Contacted => ("Contacted", "reached before the cancel, or tried with an error"),
        Part::InFlightOrUnknown => ("In flight or unknown", "may have been contacted"),
        Part::Recalled => ("Recalled", "stopped on its way, nobody was contacted"),
        Part::NeverTried => ("Never tried", "not contacted by this message"),
    }
}

/// Why devices are not tried yet.
pub(crate) fn waiting(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::Turn => "wait for their turn",
        WaitReason::Redial => "wait to be called again",
        WaitReason::ProviderBusy => "wait for the provider, which is busy or down",
        WaitReason::Limiter => "wait at the provider's limit",
        WaitReason::NotAsked => "are taken up again, for the last try came too late to be sent",
        WaitReason::Republish => "are put on the queue again, where their message was lost",
        WaitReason::Doubt => "wait to be tried again: nobody knows what became of the last try",
        WaitReason::Window => "wait for their calling hours",
        WaitReason::NoAccount => "wait, for no provider account serves the channel",
        WaitReason::ZoneUnknown => {
            "wait for a time zone: the recipients' is unknown, and so is the district's"
        }
        WaitReason::Stopped => "wait until sending goes on, which was stopped",
    }
}

/// What a provider did when it was asked to stop.
pub(crate) fn recall(recall: Recall) -> &'static str {
    match recall {
        Recall::None => "",
        Recall::Ordered => "ordered, no answer",
        Recall::Stopped => "stopped",
        Recall::TooLate => "too late",
    }
}

/// The first axis of decision D1.
pub(crate) fn result(result: AttemptResult) -> (&'static str, Tone) {
    match result {
        AttemptResult::Open => ("under way", Tone::Active),
        AttemptResult::Successful => ("successful", Tone::Good),
        AttemptResult::Error => ("error", Tone::Bad),
        AttemptResult::Canceled => ("canceled", Tone::Stopped),
        AttemptResult::NotDispatched => ("not sent", Tone::Quiet),
    }
}

/// Why a device has this status, as one sentence for people who never saw a code.
pub(crate) fn reason(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unknown => "The provider used a word that is not known here; it stands beside the status.",
        Outcome::NoCallStatus => "The provider took it and never said what became of it.",
        Outcome::NoStatus => "Handed over; nothing was ever heard of it.",
        Outcome::ProgressUnknown | Outcome::DialerNoResponse => "May have been dialed; nobody can say.",
        Outcome::UnknownError => "The provider reported an error without saying which.",
        Outcome::NotAsked => "The provider was not asked: the attempt came too late.",
        Outcome::Throttled => "The provider asked to slow down.",
        Outcome::ProviderUnavailable => "The provider could not be reached.",
        Outcome::InProgress => "Not finished yet.",
        Outcome::FaxAnswered | Outcome::CallAnswered => "Answered; the call is still going on.",
        Outcome::MachineAnswered => "A machine answered; the call is still going on.",
        Outcome::PersonAnswered => "A person answered; the call is still going on.",
        Outcome::PressedToConfirm => "Somebody pressed 0 to confirm; the call is still going on.",
        Outcome::CallEnded => "Connected and ended; the provider has still to say who answered.",
        Outcome::SmsQueued | Outcome::Sending => "With the provider, on its way.",
        Outcome::Sent => "The carrier accepted the text. That is no guarantee that it was read.",
        Outcome::EmailSent => "Handed to the mail relay.",
        Outcome::SoftBounce => "The mailbox could not take it for now.",
        Outcome::NoDevice => "No device on file for the channels of this message.",
        Outcome::OptOut => "Replied STOP: no texts are sent to this number.",
        Outcome::Suppressed => "On the list of addresses that are not to be contacted.",
        Outcome::Duplicate => "The same device is already in this message; it was contacted once.",
        Outcome::DoNotCall => "On a do-not-call list.",
        Outcome::Expired => "The message expired before its turn came.",
        Outcome::Canceled => "The message was canceled before this device was contacted.",
        Outcome::LocalTimeRestricted => "Outside the hours in which this recipient may be contacted.",
        Outcome::StateRestricted
        | Outcome::OriginationTollFree
        | Outcome::DestinationTollFree
        | Outcome::OriginationInternational
        | Outcome::UsRestricted
        | Outcome::CanadaRestricted
        | Outcome::MaxMinuteCharge => "Calls to this number are not allowed on this route.",
        Outcome::Wireless => "A wireless number, and wireless numbers were left out.",
        Outcome::QuotaExceeded => "This number has had its number of calls.",
        Outcome::ScriptEnded => "The sending ended before this number was dialed.",
        Outcome::Ineligible => "Not opted in, blocked, or no number that takes texts.",
        Outcome::AlreadyTold => {
            "An attendance message of the same day told this person about the student, or was about to."
        }
        Outcome::Dropped => "Not sent, because of an earlier bounce of this address.",
        Outcome::Busy => "The line was busy.",
        Outcome::NoAnswer => "Nobody answered.",
        Outcome::FastBusy => "All circuits were busy.",
        Outcome::Operator => "The network answered in the recipient's place.",
        Outcome::OperatorIntercept | Outcome::NotInService | Outcome::LocalOperator => {
            "The number is not in service."
        }
        Outcome::NoRingBack | Outcome::LocalNoAnswer => "The call did not connect.",
        Outcome::Fax | Outcome::LocalFax => "A fax machine answered.",
        Outcome::TemporarilyUnavailable => "The number cannot be reached for now.",
        Outcome::InvalidNumber => "This is no phone number.",
        Outcome::NoChannel | Outcome::LowResources => "The provider had no line free.",
        Outcome::RouteUnavailable | Outcome::AllRoutesUnavailable => "No route to this number.",
        Outcome::SubsystemError | Outcome::CallError => "The provider failed while calling.",
        Outcome::Failed => "The call never connected.",
        Outcome::TextFailed | Outcome::FailedToSend => "The text could not be sent.",
        Outcome::Undelivered => "Sent, and refused by the carrier; landlines do not take texts.",
        Outcome::CallNotInitiated | Outcome::TextNotInitiated | Outcome::ProviderRejected => {
            "The provider refused the request."
        }
        Outcome::InvalidAddress => "This is no email address.",
        Outcome::PreconnectDone | Outcome::Pbx => "Connected; the extension was dialed.",
        Outcome::WebStream => "Connected to a web stream.",
        Outcome::Completed => "Connected, heard and ended.",
        Outcome::AnsweringMachine => "Left on an answering machine.",
        Outcome::LivePerson => "A person answered.",
        Outcome::Confirmed => "A person answered and confirmed.",
        Outcome::Delivered => "Arrived at the device.",
        Outcome::InboxDelivered => "In the portal inbox.",
        Outcome::Opened => "Arrived and was opened.",
        Outcome::Clicked => "Arrived, and a link in it was followed.",
        Outcome::OptIn => "Texted START to opt in.",
        Outcome::HardBounce => "The address does not exist or refuses mail.",
        Outcome::Complained => "Arrived, and was marked as spam.",
    }
}

/// Of somebody whose device was refused: what is left.
pub(crate) fn others_left(devices: i64) -> String {
    match devices {
        0 => "No other device of this person is in this message.".to_owned(),
        1 => "1 other device of this person is in this message.".to_owned(),
        more => format!("{more} other devices of this person are in this message."),
    }
}

/// The languages that forms offer.
pub(crate) const LANGUAGES: [&str; 12] =
    ["ar", "en", "es", "fr", "ko", "pt", "ru", "so", "tl", "uk", "vi", "zh"];

/// A BCP 47 tag as a name; tags without one here are shown as they are.
pub(crate) fn language(tag: &str) -> &str {
    match tag {
        "ar" => "Arabic",
        "en" => "English",
        "es" => "Spanish",
        "fr" => "French",
        "ko" => "Korean",
        "pt" => "Portuguese",
        "ru" => "Russian",
        "so" => "Somali",
        "tl" => "Tagalog",
        "uk" => "Ukrainian",
        "vi" => "Vietnamese",
        "zh" => "Chinese",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_an_audience_lists_is_counted() {
        let named = |count: usize| (0..count).map(|nth| nth.to_string()).collect();
        let words = |classes, students, people| {
            let (classes, students, people) = (named(classes), named(students), named(people));
            audience(&Audience { classes, students, people, ..Audience::default() })
        };
        assert_eq!(words(1, 0, 0), "guardians, of 1 named class");
        assert_eq!(words(2, 1, 3), "guardians, of 2 named classes, of 1 named student, 3 named");
        assert_eq!(words(0, 2, 0), "guardians, of 2 named students");
    }
}
