//! Delivery status notifications (RFC 3464): one report for each recipient that they tell of.

use chrono::{DateTime, Utc};
use tocsin_domain::Outcome;

use super::fields::Fields;
use super::mail::Envelope;
use super::status::{Enhanced, Meaning, meaning};
use crate::CallbackReport;

/// A block about a recipient has at least one of them; the first block, about the mail, has none.
const RECIPIENT_FIELDS: [&str; 4] = ["Final-Recipient", "Original-Recipient", "Action", "Status"];

/// What became of the mail, in the server's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Failed,
    Delayed,
    Delivered,
    /// Passed on to a server, or to a list, that reports no more. `deliverable`, which is no standard, says as
    /// little.
    PassedOn,
    Unknown,
}

pub(super) fn reports(blocks: &[Fields], envelope: &Envelope) -> Vec<CallbackReport> {
    let about_recipient = |block: &&Fields| RECIPIENT_FIELDS.iter().any(|name| block.get(name).is_some());
    blocks
        .iter()
        .filter(about_recipient)
        .zip(1..)
        .map(|(block, ordinal)| report(block, ordinal, envelope))
        .collect()
}

fn report(block: &Fields, ordinal: u32, envelope: &Envelope) -> CallbackReport {
    let diagnostic = block.get("Diagnostic-Code").and_then(smtp_diagnostic);
    let (code, said) = diagnostic.map_or((None, None), |text| (code(text), enhanced_in(text)));
    let status = block.get("Status").and_then(Enhanced::at_start);
    // A server that has no better word of its own may quote one.
    let enhanced = status.filter(|status| !status.is_vague()).or(said).or(status);
    let action = block.get("Action").map_or_else(|| by_class(enhanced), action);
    CallbackReport {
        attempt: None,
        provider_id: envelope.provider_id.clone(),
        outcome: outcome(action, enhanced, code),
        provider_code: Some(word(action, enhanced, code)),
        at: block.get("Last-Attempt-Date").and_then(instant).or(envelope.at),
        sequence: None,
        event_id: Some(format!("{}/{ordinal}", envelope.event_id)),
    }
}

fn action(word: &str) -> Action {
    let word = word.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    match word.to_ascii_lowercase().as_str() {
        "failed" => Action::Failed,
        "delayed" => Action::Delayed,
        "delivered" => Action::Delivered,
        "relayed" | "expanded" | "deliverable" => Action::PassedOn,
        _ => Action::Unknown,
    }
}

/// Some servers leave the action out.
fn by_class(enhanced: Option<Enhanced>) -> Action {
    match enhanced.map(|enhanced| enhanced.class) {
        Some(2) => Action::Delivered,
        Some(4) => Action::Delayed,
        Some(5) => Action::Failed,
        Some(_) | None => Action::Unknown,
    }
}

/// A mail that failed for the moment's sake, after days of trying, is a soft bounce like one that is still tried.
fn outcome(action: Action, enhanced: Option<Enhanced>, code: Option<u16>) -> Outcome {
    match action {
        Action::Failed => match meaning(enhanced, code, true) {
            Meaning::NoMailbox => Outcome::HardBounce,
            Meaning::NotNow => Outcome::SoftBounce,
            Meaning::NotThis => Outcome::Failed,
        },
        Action::Delayed => Outcome::SoftBounce,
        Action::Delivered => Outcome::Delivered,
        Action::PassedOn => Outcome::EmailSent,
        Action::Unknown => Outcome::Unknown,
    }
}

/// `failed 5.1.1 550`: from closed sets, so that it names nobody.
fn word(action: Action, enhanced: Option<Enhanced>, code: Option<u16>) -> String {
    let mut words = match action {
        Action::Failed => "failed",
        Action::Delayed => "delayed",
        Action::Delivered => "delivered",
        Action::PassedOn => "relayed",
        Action::Unknown => "unknown",
    }
    .to_owned();
    if let Some(enhanced) = enhanced {
        words.push_str(&format!(" {enhanced}"));
    }
    if let Some(code) = code {
        words.push_str(&format!(" {code}"));
    }
    words
}

/// `smtp; 550 5.1.1 …`; other types, as `x-unix`, have codes of their own.
fn smtp_diagnostic(value: &str) -> Option<&str> {
    let (kind, text) = value.split_once(';')?;
    kind.trim().eq_ignore_ascii_case("smtp").then(|| text.trim())
}

fn code(text: &str) -> Option<u16> {
    let digits = text.get(..3)?;
    let ends = text[3..].chars().next().is_none_or(|c| !c.is_ascii_digit());
    digits.parse().ok().filter(|code| ends && (200..600).contains(code))
}

/// Behind the three digits, after a space or a hyphen.
fn enhanced_in(text: &str) -> Option<Enhanced> {
    code(text)?;
    Enhanced::at_start(text[3..].trim_start_matches([' ', '-', '#']))
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text).ok().map(|at| at.to_utc())
}
