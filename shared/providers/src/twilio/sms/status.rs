//! Twilio's words for a message, in ours (wire A.4, A.6).

use tocsin_domain::Outcome;
use tocsin_domain::suppression::{AddressFact, SuppressionReason};

use crate::CallbackReport;
use crate::twilio::resource::Resource;

/// `error_code` says why a message failed or was not delivered, where Twilio knows it.
pub(super) fn outcome(status: &str, error_code: Option<u32>) -> Outcome {
    match status {
        "accepted" | "scheduled" | "queued" => Outcome::SmsQueued,
        "sending" => Outcome::Sending,
        "sent" | "partially_delivered" => Outcome::Sent,
        // `read` exists on other kinds of message; for a text it proves the delivery.
        "delivered" | "read" => Outcome::Delivered,
        "undelivered" => error_code.and_then(reason).unwrap_or(Outcome::Undelivered),
        "failed" => error_code.and_then(reason).unwrap_or(Outcome::FailedToSend),
        "canceled" => Outcome::Canceled,
        _ => Outcome::Unknown,
    }
}

/// Delivery errors that say more than the status does.
fn reason(code: u32) -> Option<Outcome> {
    match code {
        // Queue overflow, handset off or out of reach, unknown, congestion, rate, provider timeout.
        30001 | 30003 | 30008 | 30017 | 30022 | 30410 => Some(Outcome::TemporarilyUnavailable),
        // The day's cap: trying again within minutes cannot help.
        30023 | 30027 => Some(Outcome::QuotaExceeded),
        // Account suspended, sender not provisioned, registered or verified.
        30002 | 30024 | 30032 | 30033 | 30034 | 30035 => Some(Outcome::ProviderRejected),
        // Unknown handset, landline or unreachable carrier.
        30005 | 30006 => Some(Outcome::Undelivered),
        // Blocked, filtered, too dear.
        30004 | 30007 | 30010 | 30450 => Some(Outcome::FailedToSend),
        21610 => Some(Outcome::OptOut),
        _ => None,
    }
}

/// Codes that are about the number and not about this message, from refusals and reports alike: replied STOP, no
/// mobile number, landline or a carrier out of reach.
pub(super) fn address_fact(code: &str) -> Option<AddressFact> {
    match code {
        "21610" => Some(AddressFact::OptedOut),
        "21614" | "30006" => Some(AddressFact::Suppress(SuppressionReason::NotTextCapable)),
        _ => None,
    }
}

/// What a message fetched by a look-up says.
pub(super) fn report(message: &Resource) -> CallbackReport {
    let word = message.status.as_deref().unwrap_or_default();
    CallbackReport {
        attempt: None,
        provider_id: message.sid.clone(),
        outcome: outcome(word, message.error_code),
        provider_code: Some(message.error_code.map_or_else(|| word.to_owned(), |code| code.to_string())),
        at: None,
        sequence: None,
        event_id: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opt_out_and_a_phone_without_texts_are_known_by_their_codes() {
        let not_text_capable = AddressFact::Suppress(SuppressionReason::NotTextCapable);
        let table = [
            ("21610", Some(AddressFact::OptedOut)),
            ("21614", Some(not_text_capable)),
            ("30006", Some(not_text_capable)),
            ("30003", None),
            ("delivered", None),
        ];
        for (code, fact) in table {
            assert_eq!(address_fact(code), fact, "{code}");
        }
    }

    #[test]
    fn every_delivery_error_has_its_outcome() {
        use Outcome::{
            FailedToSend, OptOut, ProviderRejected, QuotaExceeded, TemporarilyUnavailable, Undelivered,
        };
        let table: [(Outcome, &[u32]); 6] = [
            (TemporarilyUnavailable, &[30001, 30003, 30008, 30017, 30022, 30410]),
            (QuotaExceeded, &[30023, 30027]),
            (ProviderRejected, &[30002, 30024, 30032, 30033, 30034, 30035]),
            (Undelivered, &[30005, 30006]),
            (FailedToSend, &[30004, 30007, 30010, 30450]),
            (OptOut, &[21610]),
        ];
        for (expected, codes) in table {
            for &code in codes {
                for status in ["undelivered", "failed"] {
                    assert_eq!(outcome(status, Some(code)), expected, "{status} {code}");
                }
            }
        }
    }

    #[test]
    fn every_status_of_a_message_has_its_outcome() {
        let table = [
            ("accepted", None, Outcome::SmsQueued),
            ("scheduled", None, Outcome::SmsQueued),
            ("queued", None, Outcome::SmsQueued),
            ("sending", None, Outcome::Sending),
            ("sent", None, Outcome::Sent),
            ("delivered", None, Outcome::Delivered),
            ("read", None, Outcome::Delivered),
            ("undelivered", None, Outcome::Undelivered),
            ("undelivered", Some(30003), Outcome::TemporarilyUnavailable),
            ("undelivered", Some(30006), Outcome::Undelivered),
            ("undelivered", Some(30007), Outcome::FailedToSend),
            ("undelivered", Some(39999), Outcome::Undelivered),
            ("failed", None, Outcome::FailedToSend),
            ("failed", Some(30001), Outcome::TemporarilyUnavailable),
            ("failed", Some(30002), Outcome::ProviderRejected),
            ("failed", Some(30023), Outcome::QuotaExceeded),
            ("failed", Some(21610), Outcome::OptOut),
            ("delivered", Some(30003), Outcome::Delivered),
            ("canceled", None, Outcome::Canceled),
            ("something-new", None, Outcome::Unknown),
        ];
        for (status, code, expected) in table {
            assert_eq!(outcome(status, code), expected, "{status} {code:?}");
        }
    }
}
