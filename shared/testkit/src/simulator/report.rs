//! The reports' contents, signed as each vendor signs (wire A.3, A.4, A.5, B.2, B.3).

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tocsin_domain::Channel;
use tocsin_providers::twilio::form::Form;
use tocsin_providers::{mailgun, twilio};

use super::callbacks::{Due, Post};
use super::fate::{Fate, Step};
use super::record::Snapshot;
use super::scenario::Scenario;

pub(super) struct Report {
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// What the vendor makes of the receiver's HTTP status.
    pub verdict: fn(u16) -> Post,
}

/// None when there is nothing to sign with.
pub(super) fn of(scenario: &Scenario, message: &Snapshot, due: &Due, now: DateTime<Utc>) -> Option<Report> {
    match message.channel {
        Channel::Voice if due.step == Step::Pressed => {
            // Where the call's document wants its keys.
            let url = message.body.replace(TOKEN, &message.token);
            twilio_report(scenario, message, due, url, key_parameters(scenario, message))
        }
        Channel::Voice => {
            let url = address(&message.callback, &message.token);
            twilio_report(scenario, message, due, url, call_parameters(scenario, message, due, now))
        }
        Channel::Sms | Channel::Inbox => {
            let url = address(&message.callback, &message.token);
            twilio_report(scenario, message, due, url, text_parameters(scenario, message, due))
        }
        Channel::Email => mailgun_report(scenario, message, due, now),
    }
}

/// Stands for the token in an address that is kept once for many messages.
pub(super) const TOKEN: &str = "{token}";

type Parameters = Vec<(&'static str, String)>;

fn call_parameters(scenario: &Scenario, call: &Snapshot, due: &Due, now: DateTime<Utc>) -> Parameters {
    let answered_by = call.detection.answered_by(call.fate, due.step).map(|by| ("AnsweredBy", by.to_owned()));
    if due.step == Step::Detected {
        let mut parameters = vec![
            ("CallSid", call.provider_id.clone()),
            ("AccountSid", scenario.credentials.twilio_account.clone()),
            ("MachineDetectionDuration", "2500".to_owned()),
        ];
        parameters.extend(answered_by);
        return parameters;
    }
    let mut parameters = vec![
        ("CallSid", call.provider_id.clone()),
        ("AccountSid", scenario.credentials.twilio_account.clone()),
        ("From", call.origin.to_string()),
        ("To", call.to.to_string()),
        ("CallStatus", twilio_word(due.step).to_owned()),
        ("ApiVersion", "2010-04-01".to_owned()),
        ("Direction", "outbound-api".to_owned()),
        ("CallbackSource", "call-progress-events".to_owned()),
        ("Timestamp", now.to_rfc2822()),
        ("SequenceNumber", due.sequence.to_string()),
    ];
    if due.step.is_final() {
        let seconds = if due.step == Step::Completed { "20" } else { "0" };
        parameters.push(("CallDuration", seconds.to_owned()));
        parameters.push(("Duration", if seconds == "0" { "0" } else { "1" }.to_owned()));
        parameters.push(("SipResponseCode", sip_code(due.step).to_owned()));
    }
    parameters.extend(answered_by);
    parameters
}

fn key_parameters(scenario: &Scenario, call: &Snapshot) -> Parameters {
    vec![
        ("CallSid", call.provider_id.clone()),
        ("AccountSid", scenario.credentials.twilio_account.clone()),
        ("From", call.origin.to_string()),
        ("To", call.to.to_string()),
        ("CallStatus", "in-progress".to_owned()),
        ("ApiVersion", "2010-04-01".to_owned()),
        ("Direction", "outbound-api".to_owned()),
        ("Digits", "0".to_owned()),
        ("FinishedOnKey", String::new()),
        ("msg", "Gather End".to_owned()),
    ]
}

fn text_parameters(scenario: &Scenario, text: &Snapshot, due: &Due) -> Parameters {
    let word = twilio_word(due.step);
    let mut parameters = vec![
        ("MessageSid", text.provider_id.clone()),
        ("SmsSid", text.provider_id.clone()),
        ("MessageStatus", word.to_owned()),
        ("SmsStatus", word.to_owned()),
        ("AccountSid", scenario.credentials.twilio_account.clone()),
        ("From", text.origin.to_string()),
        ("To", text.to.to_string()),
        ("ApiVersion", "2010-04-01".to_owned()),
    ];
    parameters.extend(text_error(text.fate, due.step).map(|code| ("ErrorCode", code.to_string())));
    parameters
}

fn twilio_report(
    scenario: &Scenario,
    message: &Snapshot,
    due: &Due,
    url: String,
    parameters: Parameters,
) -> Option<Report> {
    let pairs: Vec<(&str, &str)> = parameters.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let keys =
        twilio::signature::SignatureKeys::new(std::slice::from_ref(&scenario.credentials.twilio_token));
    let signature = keys.sign(&url, &Form::from_pairs(&pairs))?;
    let body = form_urlencoded::Serializer::new(String::with_capacity(512)).extend_pairs(&pairs).finish();
    let headers = vec![
        ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8".to_owned()),
        (twilio::signature::HEADER, signature),
        ("I-Twilio-Idempotency-Token", event_id(message, due.step)),
    ];
    let verdict = |status| match status {
        200..=299 => Post::Taken,
        500.. => Post::Again,
        _ => Post::Refused,
    };
    Some(Report { url, headers, body, verdict })
}

fn mailgun_report(scenario: &Scenario, mail: &Snapshot, due: &Due, now: DateTime<Utc>) -> Option<Report> {
    let keys = mailgun::signature::SignatureKeys::new(std::slice::from_ref(
        &scenario.credentials.mailgun_signing_key,
    ));
    let timestamp = now.timestamp().to_string();
    let token = format!("{:0>50}", event_id(mail, due.step).replace('-', ""));
    let signature = keys.sign(&timestamp, &token)?;
    let body = json!({
        "signature": { "timestamp": timestamp, "token": token, "signature": signature },
        "event-data": mail_event(mail, due.step, now)?,
    });
    let verdict = |status| match status {
        200 => Post::Taken,
        406 => Post::Refused,
        _ => Post::Again,
    };
    let headers = vec![("Content-Type", "application/json".to_owned())];
    Some(Report { url: mail.callback.replace(TOKEN, &mail.token), headers, body: body.to_string(), verdict })
}

/// The event of a mail's step, as webhooks and the log have it. None for steps that mails don't take.
pub(super) fn mail_event(mail: &Snapshot, step: Step, at: DateTime<Utc>) -> Option<Value> {
    let (event, more) = match step {
        Step::Queued => ("accepted", json!({ "method": "HTTP" })),
        Step::Delivered => ("delivered", json!({ "delivery-status": { "code": 250, "message": "OK" } })),
        Step::SoftBounced => ("failed", failure("temporary", "generic", 451)),
        Step::Bounced => ("failed", failure("permanent", "bounce", 550)),
        Step::Dropped => ("failed", failure("permanent", "suppress-bounce", 605)),
        Step::Rejected => ("rejected", json!({ "reject": { "reason": "refused", "description": "" } })),
        Step::Opened => ("opened", json!({ "client-info": { "bot": "" } })),
        Step::Complained => ("complained", json!({})),
        Step::Initiated
        | Step::Ringing
        | Step::Answered
        | Step::Detected
        | Step::Pressed
        | Step::Sent
        | Step::Completed
        | Step::Busy
        | Step::NoAnswer
        | Step::Canceled
        | Step::Failed
        | Step::Undelivered => return None,
    };
    let mut data = json!({
        "event": event,
        "id": event_id(mail, step),
        "timestamp": at.timestamp_micros() as f64 / 1e6,
        "log-level": "info",
        "recipient": &*mail.to,
        "recipient-domain": mail.to.split_once('@').map_or("", |(_, domain)| domain),
        "message": { "headers": { "message-id": mail.provider_id, "to": &*mail.to } },
        "flags": { "is-test-mode": false, "is-delayed-bounce": mail.fate == Fate::DelayedBounce },
        "user-variables": { mailgun::TOKEN_VARIABLE: &*mail.token },
        "tags": [],
    });
    if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
        data.extend(more);
    }
    Some(data)
}

fn failure(severity: &str, reason: &str, code: u16) -> Value {
    json!({
        "severity": severity,
        "reason": reason,
        "delivery-status": { "code": code, "message": "", "description": "", "attempt-no": 1 },
    })
}

/// The same for every post of the same report.
fn event_id(message: &Snapshot, step: Step) -> String {
    format!("{:08x}-{:02x}-{}", message.id.0, step as u8, message.arrived_at.timestamp_micros())
}

pub(super) fn twilio_word(step: Step) -> &'static str {
    match step {
        Step::Queued => "queued",
        Step::Initiated => "initiated",
        Step::Ringing => "ringing",
        Step::Answered | Step::Detected | Step::Pressed => "in-progress",
        Step::Completed => "completed",
        Step::Busy => "busy",
        Step::NoAnswer => "no-answer",
        Step::Canceled => "canceled",
        Step::Failed | Step::Rejected | Step::Dropped => "failed",
        Step::Sent | Step::SoftBounced => "sent",
        Step::Undelivered | Step::Bounced => "undelivered",
        Step::Delivered | Step::Opened | Step::Complained => "delivered",
    }
}

/// A landline, which takes no texts; a phone that is unknown; a text that was filtered (wire A.6).
pub(super) fn text_error(fate: Fate, step: Step) -> Option<u32> {
    match step {
        Step::Undelivered if fate == Fate::Landline => Some(30006),
        Step::Undelivered => Some(30005),
        Step::Failed => Some(30007),
        _ => None,
    }
}

fn sip_code(step: Step) -> &'static str {
    match step {
        Step::Busy => "486",
        Step::NoAnswer | Step::Canceled => "487",
        Step::Failed => "503",
        _ => "200",
    }
}

/// A callback address that ended with its token is kept without it.
fn address(callback: &str, token: &str) -> String {
    let (path, query) = callback.split_at(callback.find('?').unwrap_or(callback.len()));
    if path.ends_with('/') { format!("{path}{token}{query}") } else { callback.to_owned() }
}
