//! What each status word and number of requirements 77-160 stands for.

use super::Outcome::{self, *};
use Vocabulary::{CallCode, CommsLog, Delivery, SmsLog, Summary};

/// A set of status words. One word may mean different things in two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vocabulary {
    /// The 2.0 device statuses (77-90; the engine's own errors are those of decision D12).
    Delivery,
    /// The 1.0 words for inbox and email (91-93).
    Summary,
    /// The 1.0 call codes, as decimal numbers (94-144).
    CallCode,
    /// The SMS log's results (146-150).
    SmsLog,
    /// The communications log's states of emails and texts (151-160).
    CommsLog,
}

struct Entry {
    /// The requirement that names the code.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds the entries against the requirements"))]
    requirement: u8,
    vocabulary: Vocabulary,
    code: &'static str,
    outcome: Outcome,
}

/// The outcome that `code` stands for, or None where the vocabulary has no such code. Case and
/// surrounding space do not matter.
pub fn lookup(vocabulary: Vocabulary, code: &str) -> Option<Outcome> {
    let code = code.trim();
    ENTRIES
        .iter()
        .find(|entry| entry.vocabulary == vocabulary && entry.code.eq_ignore_ascii_case(code))
        .map(|entry| entry.outcome)
}

/// As [`lookup`], with [`Outcome::Unknown`] for a code nobody mapped. The caller keeps the code
/// verbatim beside the outcome and counts it in a metric, so that someone maps it (decision D8).
pub fn outcome_of(vocabulary: Vocabulary, code: &str) -> Outcome {
    lookup(vocabulary, code).unwrap_or(Unknown)
}

const fn entry(requirement: u8, vocabulary: Vocabulary, code: &'static str, outcome: Outcome) -> Entry {
    Entry { requirement, vocabulary, code, outcome }
}

/// In the order of the requirements. 145 groups the call codes and names none: the table of outcomes
/// holds its groups. A plain "Bounced" (153) is read as a soft one, because a hard bounce stops all
/// mail to the address and the word alone does not say so.
const ENTRIES: &[Entry] = &[
    entry(77, Delivery, "Sent", Sent),
    entry(78, Delivery, "Delivered", Delivered),
    entry(79, Delivery, "Completed", Completed),
    entry(80, Delivery, "Busy", Busy),
    entry(81, Delivery, "No Answer", NoAnswer),
    entry(82, Delivery, "No Device", NoDevice),
    entry(83, Delivery, "No Call Status", NoCallStatus),
    entry(84, Delivery, "No Status", NoStatus),
    entry(85, Delivery, "Opt-Out", OptOut),
    entry(86, Delivery, "Opt In", OptIn),
    entry(87, Delivery, "Failed", Failed),
    entry(88, Delivery, "Undelivered", Undelivered),
    entry(89, Delivery, "Call Not Initiated", CallNotInitiated),
    entry(89, Delivery, "Text Not Initiated", TextNotInitiated),
    entry(89, Delivery, "Provider Rejected", ProviderRejected),
    entry(89, Delivery, "Provider Unavailable", ProviderUnavailable),
    entry(89, Delivery, "Expired", Expired),
    entry(90, Delivery, "Canceled", Canceled),
    entry(91, Summary, "Process Inbox Sent", InboxDelivered),
    entry(92, Summary, "Email Sent", EmailSent),
    entry(93, Summary, "In-Progress", InProgress),
    entry(94, CallCode, "0", NoAnswer),
    entry(95, CallCode, "1", Busy),
    entry(96, CallCode, "2", Operator),
    entry(97, CallCode, "3", NotInService),
    entry(98, CallCode, "4", NoRingBack),
    entry(99, CallCode, "5", LivePerson),
    entry(100, CallCode, "6", AnsweringMachine),
    entry(101, CallCode, "7", Fax),
    entry(102, CallCode, "8", Pbx),
    entry(103, CallCode, "9", Unknown),
    entry(104, CallCode, "10", Failed),
    entry(105, CallCode, "13", PreconnectDone),
    entry(106, CallCode, "14", FastBusy),
    entry(107, CallCode, "16", OperatorIntercept),
    entry(108, CallCode, "17", TemporarilyUnavailable),
    entry(109, CallCode, "-1", UnknownError),
    entry(110, CallCode, "-2", InvalidNumber),
    entry(111, CallCode, "-3", DoNotCall),
    entry(112, CallCode, "-4", Duplicate),
    entry(113, CallCode, "-5", DialerNoResponse),
    entry(114, CallCode, "-7", LocalOperator),
    entry(115, CallCode, "-9", LocalTimeRestricted),
    entry(116, CallCode, "-10", StateRestricted),
    entry(117, CallCode, "-11", Expired),
    entry(118, CallCode, "-12", NoChannel),
    entry(119, CallCode, "-13", RouteUnavailable),
    entry(120, CallCode, "-14", CallError),
    entry(121, CallCode, "-15", Wireless),
    entry(122, CallCode, "-18", OriginationTollFree),
    entry(123, CallCode, "-19", DestinationTollFree),
    entry(124, CallCode, "-20", ProgressUnknown),
    entry(125, CallCode, "-21", LocalNoAnswer),
    entry(126, CallCode, "-22", Suppressed),
    entry(127, CallCode, "-23", LocalFax),
    entry(128, CallCode, "-24", LowResources),
    entry(129, CallCode, "-25", SubsystemError),
    entry(130, CallCode, "-26", AllRoutesUnavailable),
    entry(131, CallCode, "-27", Sent),
    entry(132, CallCode, "-28", Delivered),
    entry(133, CallCode, "-29", EmailSent),
    entry(134, CallCode, "-30", TextFailed),
    entry(135, CallCode, "-31", OriginationInternational),
    entry(136, CallCode, "-32", WebStream),
    entry(137, CallCode, "-33", OptOut),
    entry(138, CallCode, "-34", QuotaExceeded),
    entry(139, CallCode, "-35", ScriptEnded),
    entry(140, CallCode, "-36", UsRestricted),
    entry(141, CallCode, "-37", CanadaRestricted),
    entry(142, CallCode, "-38", MaxMinuteCharge),
    entry(143, CallCode, "-39", SmsQueued),
    entry(144, CallCode, "-40", Undelivered),
    entry(146, SmsLog, "Not Sent Yet", InProgress),
    entry(147, SmsLog, "Sending", Sending),
    entry(148, SmsLog, "Sent", Sent),
    entry(149, SmsLog, "Ineligible to Send", Ineligible),
    entry(150, SmsLog, "Failed to Send", FailedToSend),
    entry(151, CommsLog, "Sent", EmailSent),
    entry(152, CommsLog, "Failed", Failed),
    entry(153, CommsLog, "Bounced", SoftBounce),
    entry(153, CommsLog, "Bounced (soft)", SoftBounce),
    entry(153, CommsLog, "Bounced (hard)", HardBounce),
    entry(154, CommsLog, "Marked as spam", Complained),
    entry(155, CommsLog, "Delivered", Delivered),
    entry(156, CommsLog, "Opened", Opened),
    entry(157, CommsLog, "Clicked", Clicked),
    entry(158, CommsLog, "Dropped", Dropped),
    entry(159, CommsLog, "SMS Delivered", Delivered),
    entry(160, CommsLog, "SMS Failed", Undelivered),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_from_77_to_160_has_its_row() {
        for requirement in (77..=160).filter(|number| *number != 145) {
            assert!(ENTRIES.iter().any(|entry| entry.requirement == requirement), "{requirement}");
        }
    }

    #[test]
    fn every_code_is_found_and_stands_once_in_its_vocabulary() {
        for entry in ENTRIES {
            assert_eq!(lookup(entry.vocabulary, entry.code), Some(entry.outcome), "{}", entry.code);
            let shouted = format!(" {} ", entry.code.to_uppercase());
            assert_eq!(lookup(entry.vocabulary, &shouted), Some(entry.outcome), "{shouted}");
        }
    }

    #[test]
    fn call_codes_read_as_the_outcomes_that_are_shown_with_them() {
        let read: Vec<_> = ENTRIES.iter().filter(|entry| entry.vocabulary == CallCode).collect();
        assert_eq!(read.len(), 51);
        for entry in &read {
            assert_eq!(entry.outcome.call_code(), Some(entry.code.parse().unwrap()), "{}", entry.code);
        }
        assert_eq!(Outcome::all().filter(|outcome| outcome.call_code().is_some()).count(), read.len());
    }

    #[test]
    fn codes_that_do_not_exist_are_unknown_and_shown_as_not_stated() {
        for code in ["11", "12", "15", "-6", "-8", "-16", "-17", "18", "-41", "", "live", "0x1"] {
            assert_eq!(lookup(CallCode, code), None, "{code}");
            assert_eq!(outcome_of(CallCode, code).label(), "N/S", "{code}");
        }
    }

    #[test]
    fn one_word_may_differ_between_vocabularies() {
        assert_eq!(lookup(SmsLog, "Sent"), Some(Sent));
        assert_eq!(lookup(CommsLog, "Sent"), Some(EmailSent));
        assert_eq!(lookup(Delivery, "Bounced (hard)"), None);
    }
}
