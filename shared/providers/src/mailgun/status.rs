//! Mailgun's events in our words (wire B.3).

use tocsin_domain::Outcome;

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

#[cfg(test)]
mod tests {
    use super::*;

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
