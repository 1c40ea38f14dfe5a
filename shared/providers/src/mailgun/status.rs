//! Mailgun's events in our words (wire B.3).

use tocsin_domain::Outcome;
use tocsin_domain::suppression::{AddressFact, SuppressionReason};

pub(super) fn outcome(event: &str, severity: Option<&str>, reason: Option<&str>) -> Outcome {
    match event {
        "accepted" => Outcome::EmailSent,
        "delivered" => Outcome::Delivered,
        "rejected" => Outcome::Failed,
        "failed" => failure(severity, reason),
        "opened" => Outcome::Opened,
        "clicked" => Outcome::Clicked,
        "complained" => Outcome::Complained,
        // Who unsubscribes has got the mail; that the address is to be suppressed is read from the
        // vendor's word, which the report keeps.
        "unsubscribed" => Outcome::Delivered,
        _ => Outcome::Unknown,
    }
}

/// A temporary failure is Mailgun still trying: no attempt of ours has ended.
fn failure(severity: Option<&str>, reason: Option<&str>) -> Outcome {
    match severity {
        Some("temporary") => Outcome::SoftBounce,
        Some("permanent") if reason.is_some_and(|reason| reason.starts_with("suppress-")) => Outcome::Dropped,
        Some("permanent") => Outcome::HardBounce,
        Some(_) | None => Outcome::Failed,
    }
}

/// A mailbox that is not there. Not so: a full one, a refused content, a sender with a bad name.
const NO_MAILBOX: [&str; 3] = ["550", "551", "553"];

/// What an event tells of the address, by the words that a report keeps: the event's name and, for a failure,
/// severity, reason and code (see `event`). A failure that is not about the mailbox (given up after hours, blocked,
/// greylisted) suppresses nothing.
pub(super) fn address_fact(provider_code: &str) -> Option<AddressFact> {
    use SuppressionReason::{Complaint, HardBounce, Unsubscribe};
    let mut words = provider_code.split(' ');
    let reason = match (words.next()?, words.next(), words.next(), words.next()) {
        ("complained", ..) => Complaint,
        ("unsubscribed", ..) => Unsubscribe,
        ("failed", Some("permanent"), Some("bounce" | "hardfail" | "suppress-bounce"), _) => HardBounce,
        ("failed", Some("permanent"), Some("suppress-complaint"), _) => Complaint,
        ("failed", Some("permanent"), Some("suppress-unsubscribe"), _) => Unsubscribe,
        ("failed", Some("permanent"), Some("generic"), Some(code)) if NO_MAILBOX.contains(&code) => {
            HardBounce
        }
        ("failed", Some("permanent"), Some(code), None) if NO_MAILBOX.contains(&code) => HardBounce,
        _ => return None,
    };
    Some(AddressFact::Suppress(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_the_address_suppresses_it() {
        use SuppressionReason::{Complaint, HardBounce, Unsubscribe};
        let table = [
            ("complained", Some(Complaint)),
            ("unsubscribed", Some(Unsubscribe)),
            ("failed permanent bounce 550", Some(HardBounce)),
            ("failed permanent bounce", Some(HardBounce)),
            ("failed permanent suppress-bounce 605", Some(HardBounce)),
            ("failed permanent suppress-complaint 607", Some(Complaint)),
            ("failed permanent suppress-unsubscribe 606", Some(Unsubscribe)),
            ("failed permanent generic 550", Some(HardBounce)),
            ("failed permanent 550", Some(HardBounce)),
            ("failed permanent generic 552", None),
            ("failed permanent generic", None),
            ("failed permanent old 499", None),
            ("failed permanent espblock 554", None),
            ("failed temporary bounce 550", None),
            ("delivered", None),
            ("opened", None),
            ("", None),
        ];
        for (words, reason) in table {
            assert_eq!(address_fact(words), reason.map(AddressFact::Suppress), "{words:?}");
        }
    }

    #[test]
    fn every_event_has_its_outcome() {
        let table = [
            ("accepted", None, None, Outcome::EmailSent),
            ("rejected", None, None, Outcome::Failed),
            ("delivered", None, None, Outcome::Delivered),
            ("failed", Some("temporary"), Some("generic"), Outcome::SoftBounce),
            ("failed", Some("permanent"), Some("bounce"), Outcome::HardBounce),
            ("failed", Some("permanent"), Some("old"), Outcome::HardBounce),
            ("failed", Some("permanent"), None, Outcome::HardBounce),
            ("failed", Some("permanent"), Some("suppress-bounce"), Outcome::Dropped),
            ("failed", Some("permanent"), Some("suppress-complaint"), Outcome::Dropped),
            ("failed", Some("permanent"), Some("suppress-unsubscribe"), Outcome::Dropped),
            ("failed", None, None, Outcome::Failed),
            ("opened", None, None, Outcome::Opened),
            ("clicked", None, None, Outcome::Clicked),
            ("unsubscribed", None, None, Outcome::Delivered),
            ("complained", None, None, Outcome::Complained),
            ("something-new", None, None, Outcome::Unknown),
        ];
        for (event, severity, reason, expected) in table {
            assert_eq!(outcome(event, severity, reason), expected, "{event} {severity:?} {reason:?}");
        }
    }
}
