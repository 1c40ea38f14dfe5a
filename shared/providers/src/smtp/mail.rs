//! A mail that came back: whose it is, and what it reports.

use chrono::{DateTime, Utc};
use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders as _};
use sha2::{Digest as _, Sha256};

use super::fields::{self, Fields};
use super::{bounce, complaint, verp};
use crate::{CallbackReport, ParseError, RawRequest};

/// Where a mail server writes whom it delivered a mail for. `To` comes last: anybody can write it.
const RECIPIENT_HEADERS: [&str; 4] = ["Delivered-To", "X-Original-To", "Envelope-To", "To"];
/// A mail has at least one of them; whatever else is posted to us has none.
const MAIL_HEADERS: [&str; 4] = ["From", "Date", "Received", "Message-ID"];

/// What all reports of one mail share.
#[derive(Debug)]
pub(super) struct Envelope {
    /// The Message-ID of our mail, as far as it was sent back.
    pub provider_id: Option<String>,
    /// When the report was written.
    pub at: Option<DateTime<Utc>>,
    /// The same whenever the same mail is posted.
    pub event_id: String,
}

/// The reports of a mail. None where it is no report: an automatic answer, or a person's.
pub(super) fn parse(body: &[u8]) -> Result<Vec<CallbackReport>, ParseError> {
    let mail = read(body)?;
    let returned = returned(&mail);
    let envelope = Envelope {
        provider_id: returned.as_ref().and_then(|fields| bare_id(fields.get("Message-ID")?)),
        at: mail.date().and_then(|date| DateTime::from_timestamp(date.to_timestamp(), 0)),
        event_id: match mail.message_id() {
            Some(id) => id.to_owned(),
            None => hex::encode(Sha256::digest(body)),
        },
    };
    for part in &mail.parts {
        let text = || String::from_utf8_lossy(part.contents());
        match subtype(part) {
            Some("delivery-status" | "global-delivery-status") => {
                return Ok(bounce::reports(&fields::blocks(&text()), &envelope));
            }
            Some("feedback-report") => {
                return Ok(complaint::report(&fields::head(&text()), &envelope).into_iter().collect());
            }
            Some(_) | None => {}
        }
    }
    Ok(vec![])
}

/// The token of the return path that the mail was sent to, or that a complaint quotes.
pub(super) fn token(raw: &RawRequest) -> Option<String> {
    of_query(&raw.url).or_else(|| of_headers(&raw.body)).or_else(|| of_complaint(&raw.body))
}

/// `?recipient=…`, as the mail server knows it. A plus sign that nobody encoded reads as a space.
fn of_query(url: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    let (_, recipient) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "recipient")?;
    verp::token_in(&recipient.replace(' ', "+"))
}

fn of_headers(body: &[u8]) -> Option<String> {
    let mail = MessageParser::default().parse_headers(body)?;
    let of_header = |name: &&str| {
        mail.headers_raw()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .find_map(|(_, value)| verp::token_in(value))
    };
    RECIPIENT_HEADERS.iter().find_map(of_header)
}

/// Complaints are sent to one address for all; what they complain about tells its return path.
fn of_complaint(body: &[u8]) -> Option<String> {
    let mail = read(body).ok()?;
    let report = mail.parts.iter().find(|part| subtype(part) == Some("feedback-report"))?;
    let report = fields::head(&String::from_utf8_lossy(report.contents()));
    let quoted = report.get("Original-Mail-From").and_then(verp::token_in);
    quoted.or_else(|| verp::token_in(returned(&mail)?.get("Return-Path")?))
}

fn read(body: &[u8]) -> Result<Message<'_>, ParseError> {
    let mail = MessageParser::default().parse(body).ok_or(ParseError::Malformed("mail"))?;
    let is_mail = mail
        .headers_raw()
        .any(|(name, _)| MAIL_HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header)));
    if is_mail { Ok(mail) } else { Err(ParseError::Malformed("mail")) }
}

/// Of `message/…`. A mail that was forwarded whole is a part of its own, whose parts are not looked at: its
/// report is not one to us.
fn subtype<'a>(part: &'a MessagePart<'_>) -> Option<&'a str> {
    let content_type = part.content_type()?;
    content_type.ctype().eq_ignore_ascii_case("message").then(|| content_type.subtype()).flatten()
}

/// The headers of our mail, where the report brings it or them along.
fn returned(mail: &Message<'_>) -> Option<Fields> {
    let is_returned = |part: &&MessagePart<'_>| {
        part.content_type().is_some_and(|content_type| {
            matches!(
                (content_type.ctype(), content_type.subtype()),
                ("message", Some("rfc822" | "global" | "rfc822-headers" | "global-headers"))
                    | ("text", Some("rfc822-headers"))
            )
        })
    };
    let part = mail.parts.iter().find(is_returned)?;
    Some(fields::head(&String::from_utf8_lossy(part.contents())))
}

/// Without angle brackets.
fn bare_id(value: &str) -> Option<String> {
    let id = value.trim().trim_start_matches('<').trim_end_matches('>');
    (!id.is_empty()).then(|| id.to_owned())
}
