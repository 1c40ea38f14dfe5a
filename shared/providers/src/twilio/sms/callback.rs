//! A message's status callbacks (wire A.4).

use super::status;
use crate::twilio::form::Form;
use crate::{CallbackReport, ParseError, RawRequest};

/// An inbound text comes to another address; should one come here, it says nothing of an attempt.
const INBOUND: [&str; 2] = ["received", "receiving"];

pub(super) fn parse(raw: &RawRequest) -> Result<Vec<CallbackReport>, ParseError> {
    let form = Form::parse(&raw.body);
    let sid =
        form.get("MessageSid").or_else(|| form.get("SmsSid")).ok_or(ParseError::Missing("MessageSid"))?;
    let word = form
        .get("MessageStatus")
        .or_else(|| form.get("SmsStatus"))
        .ok_or(ParseError::Missing("MessageStatus"))?;
    if INBOUND.contains(&word) {
        return Ok(vec![]);
    }
    let error_code = form.get("ErrorCode");
    Ok(vec![CallbackReport {
        attempt: None,
        provider_id: Some(sid.to_owned()),
        outcome: status::outcome(word, error_code.and_then(|code| code.parse().ok())),
        provider_code: Some(error_code.unwrap_or(word).to_owned()),
        // `RawDlrDoneDate` has neither seconds nor a zone: no time to rely on.
        at: None,
        sequence: None,
        event_id: raw.header("I-Twilio-Idempotency-Token").map(str::to_owned),
    }])
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tocsin_domain::Outcome;

    use super::*;

    fn parse_body(body: &'static str) -> Result<Vec<CallbackReport>, ParseError> {
        let body = Bytes::from_static(body.as_bytes());
        parse(&RawRequest { method: "POST".into(), url: "https://x/".into(), headers: vec![], body })
    }

    #[test]
    fn the_error_code_is_kept_where_there_is_one() {
        let table = [
            (
                "MessageSid=SM1&MessageStatus=delivered&RawDlrDoneDate=2301021530",
                Outcome::Delivered,
                "delivered",
            ),
            ("MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30006", Outcome::Undelivered, "30006"),
            ("SmsSid=SM1&SmsStatus=sent&Extra=1", Outcome::Sent, "sent"),
            ("MessageSid=SM1&MessageStatus=odd", Outcome::Unknown, "odd"),
        ];
        for (body, outcome, code) in table {
            let report = parse_body(body).unwrap().remove(0);
            assert_eq!((report.outcome, report.provider_code.as_deref()), (outcome, Some(code)), "{body}");
            assert_eq!(report.provider_id.as_deref(), Some("SM1"));
        }
    }

    #[test]
    fn an_inbound_text_reports_nothing_and_a_missing_field_is_named() {
        assert_eq!(parse_body("MessageSid=SM1&SmsStatus=received&Body=STOP").unwrap(), []);
        assert!(matches!(parse_body("MessageSid=SM1"), Err(ParseError::Missing("MessageStatus"))));
        assert!(matches!(parse_body("%%%"), Err(ParseError::Missing("MessageSid"))));
    }
}
