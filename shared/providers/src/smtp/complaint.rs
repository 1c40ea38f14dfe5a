//! Abuse reports (RFC 5965): somebody marked our mail as spam.

use tocsin_domain::Outcome;

use super::fields::Fields;
use super::mail::Envelope;
use crate::CallbackReport;

/// None for a kind that says nothing of the person: that a mail is no spam after all, or that its signature failed.
pub(super) fn report(fields: &Fields, envelope: &Envelope) -> Option<CallbackReport> {
    let kind = fields.get("Feedback-Type")?.to_ascii_lowercase();
    let (outcome, word) = match kind.as_str() {
        "abuse" => (Outcome::Complained, "complaint abuse"),
        "fraud" => (Outcome::Complained, "complaint fraud"),
        // Who unsubscribes has got the mail; the word tells what to do about the address.
        "opt-out" | "opt-out-list" => (Outcome::Delivered, "opt-out"),
        _ => return None,
    };
    Some(CallbackReport {
        attempt: None,
        provider_id: envelope.provider_id.clone(),
        outcome,
        provider_code: Some(word.to_owned()),
        at: envelope.at,
        sequence: None,
        event_id: Some(envelope.event_id.clone()),
    })
}
