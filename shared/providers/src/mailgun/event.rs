//! Mailgun's events, from webhooks and from its log (wire B.3). Every field may be missing, new ones
//! appear, and `delivery-status` may be null.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tocsin_domain::address::Email;
use tocsin_domain::suppression::{AddressFact, SuppressionReason};

use super::{TOKEN_VARIABLE, status};
use crate::{CallbackReport, ParseError};

#[derive(Debug, Deserialize)]
struct Webhook {
    #[serde(rename = "event-data")]
    event: Option<Event>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Event {
    #[serde(default)]
    pub event: Option<String>,
    #[serde(default)]
    pub id: Option<String>,
    /// Seconds since the epoch, with a fraction.
    #[serde(default)]
    pub timestamp: Option<f64>,
    #[serde(default)]
    pub recipient: Option<String>,
    #[serde(default)]
    pub severity: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub delivery_status: Option<DeliveryStatus>,
    #[serde(default)]
    pub message: Option<Message>,
    #[serde(default)]
    pub user_variables: Option<HashMap<String, Value>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct DeliveryStatus {
    #[serde(default)]
    pub code: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    headers: Option<Headers>,
}

#[derive(Debug, Deserialize)]
struct Headers {
    #[serde(default, rename = "message-id")]
    message_id: Option<String>,
}

impl Event {
    pub(super) fn token(&self) -> Option<&str> {
        self.user_variables.as_ref()?.get(TOKEN_VARIABLE)?.as_str()
    }

    /// None for an event without a name.
    pub(super) fn report(&self) -> Option<CallbackReport> {
        let name = self.event.as_deref()?;
        let message_id =
            self.message.as_ref().and_then(|message| message.headers.as_ref()?.message_id.clone());
        Some(CallbackReport {
            attempt: None,
            provider_id: message_id.map(|id| mail_id(&id, self.recipient.as_deref())),
            outcome: status::outcome(name, self.severity.as_deref(), self.reason.as_deref()),
            provider_code: Some(self.provider_code(name)),
            at: self.timestamp.and_then(instant),
            sequence: None,
            event_id: self.id.clone(),
        })
    }

    /// The event's name, and for a failure why: `failed permanent suppress-bounce 605`.
    fn provider_code(&self, name: &str) -> String {
        let mut words = name.to_owned();
        if name == "failed" {
            for word in [&self.severity, &self.reason].into_iter().flatten() {
                words.push(' ');
                words.push_str(word);
            }
            if let Some(code) = self.delivery_status.as_ref().and_then(|status| status.code) {
                words.push_str(&format!(" {code}"));
            }
        }
        words
    }
}

pub(super) fn parse(body: &[u8]) -> Result<Vec<CallbackReport>, ParseError> {
    let webhook: Webhook = serde_json::from_slice(body).map_err(ParseError::Json)?;
    let event = webhook.event.ok_or(ParseError::Missing("event-data"))?;
    let report = event.report().ok_or(ParseError::Missing("event"))?;
    // An inbound mail that Mailgun stored is nothing about an attempt.
    Ok(if event.event.as_deref() == Some("stored") { vec![] } else { vec![report] })
}

pub(super) fn token(body: &[u8]) -> Option<String> {
    let webhook: Webhook = serde_json::from_slice(body).ok()?;
    webhook.event?.token().map(str::to_owned)
}

/// What an event without our token tells of the address that it names: a complaint long after, or of a mail that others
/// sent over this domain. Mailgun itself suppresses such an address for the whole domain.
pub(super) fn fact_of_address(body: &[u8]) -> Option<(Email, SuppressionReason)> {
    let event = serde_json::from_slice::<Webhook>(body).ok()?.event?;
    let fact = status::address_fact(&event.provider_code(event.event.as_deref()?))?;
    let AddressFact::Suppress(reason) = fact else { return None };
    Some((Email::parse(event.recipient.as_deref()?).ok()?, reason))
}

/// One request has one id, and may be for many. With the recipient's part of it each mail has its own, by which reports
/// without our token find it. The address itself is in none.
pub(super) fn mail_id(message_id: &str, recipient: Option<&str>) -> String {
    const PART_BYTES: usize = 6;
    match recipient {
        Some(recipient) => {
            let digest = Sha256::digest(recipient.to_lowercase());
            format!("{message_id}#{}", hex::encode(&digest[..PART_BYTES]))
        }
        None => message_id.to_owned(),
    }
}

fn instant(seconds: f64) -> Option<DateTime<Utc>> {
    // Microseconds of any year a mail can have fit; a nonsense number saturates and is refused.
    DateTime::from_timestamp_micros((seconds * 1e6) as i64)
}

#[cfg(test)]
mod tests {
    use tocsin_domain::Outcome;

    use super::*;

    fn one(event: &str) -> CallbackReport {
        parse(format!(r#"{{"signature":{{}},"event-data":{event}}}"#).as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn a_failure_is_read_with_its_reason_time_and_message() {
        let report = one(
            r#"{"event":"failed","id":"e1","timestamp":1529701969.818328,"severity":"permanent",
            "reason":"suppress-bounce","delivery-status":{"code":605,"attempt-no":1},"recipient":"x@example.org",
            "message":{"headers":{"message-id":"2018.1@example.org"}},"user-variables":{}}"#,
        );
        assert_eq!(report.outcome, Outcome::Dropped);
        assert_eq!(report.provider_code.as_deref(), Some("failed permanent suppress-bounce 605"));
        assert_eq!(report.provider_id, Some(mail_id("2018.1@example.org", Some("X@example.org"))));
        assert_eq!(report.event_id.as_deref(), Some("e1"));
        assert_eq!(report.at.unwrap().timestamp_micros(), 1_529_701_969_818_328);
    }

    #[test]
    fn an_event_with_hardly_a_field_is_read() {
        let report =
            one(r#"{"event":"delivered","delivery-status":null,"message":{},"user-variables":null}"#);
        assert_eq!((report.outcome, report.provider_id, report.at), (Outcome::Delivered, None, None));
        assert_eq!(one(r#"{"event":"teleported"}"#).outcome, Outcome::Unknown);
    }

    #[test]
    fn mails_of_one_request_have_ids_of_their_own_that_hold_no_address() {
        let [ann, bob] = ["ann@example.org", "bob@example.org"].map(|to| mail_id("1.2@m.example", Some(to)));
        assert!(ann != bob && ann.starts_with("1.2@m.example#") && !ann.contains("ann"), "{ann}");
        assert_eq!(mail_id("1.2@m.example", None), "1.2@m.example");
    }

    #[test]
    fn the_token_is_the_user_variable() {
        let body = br#"{"event-data":{"event":"opened","user-variables":{"tocsin-token":"tok","n":1}}}"#;
        assert_eq!(token(body).as_deref(), Some("tok"));
        for body in
            ["{}", "x", r#"{"event-data":{}}"#, r#"{"event-data":{"user-variables":{"tocsin-token":7}}}"#]
        {
            assert_eq!(token(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn an_event_without_our_token_tells_of_the_address_that_it_names() {
        let of = |event: &str| fact_of_address(format!(r#"{{"event-data":{event}}}"#).as_bytes());
        let ann = || Email::parse("Ann@example.org").unwrap();
        let table = [
            (r#"{"event":"complained","recipient":"Ann@EXAMPLE.org"}"#, Some(SuppressionReason::Complaint)),
            (
                r#"{"event":"unsubscribed","recipient":"Ann@example.org"}"#,
                Some(SuppressionReason::Unsubscribe),
            ),
            (
                r#"{"event":"failed","severity":"permanent","reason":"bounce","recipient":"Ann@example.org",
                    "delivery-status":{"code":550}}"#,
                Some(SuppressionReason::HardBounce),
            ),
            (r#"{"event":"delivered","recipient":"Ann@example.org"}"#, None),
            (r#"{"event":"complained","recipient":"nobody"}"#, None),
            (r#"{"event":"complained"}"#, None),
            (r#"{}"#, None),
        ];
        for (event, reason) in table {
            assert_eq!(of(event), reason.map(|reason| (ann(), reason)), "{event}");
        }
    }

    #[test]
    fn what_is_no_event_is_named_and_an_inbound_mail_reports_nothing() {
        assert!(matches!(parse(b"nonsense"), Err(ParseError::Json(_))));
        assert!(matches!(parse(b"{}"), Err(ParseError::Missing("event-data"))));
        assert!(matches!(parse(br#"{"event-data":{}}"#), Err(ParseError::Missing("event"))));
        assert_eq!(parse(br#"{"event-data":{"event":"stored"}}"#).unwrap(), []);
    }
}
