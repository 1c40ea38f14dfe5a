//! A call's progress callbacks (wire A.3).

use super::detection;
use super::keys;
use super::status::{self, Said};
use crate::twilio::form::Form;
use crate::twilio::resource::parse_rfc2822;
use crate::{CallbackReport, ParseError, RawRequest};

pub(super) fn parse(raw: &RawRequest) -> Result<Vec<CallbackReport>, ParseError> {
    let form = Form::parse(&raw.body);
    let sid = form.get("CallSid").ok_or(ParseError::Missing("CallSid"))?;
    if let Some(key) = keys::pressed(&form) {
        return Ok(vec![CallbackReport {
            attempt: None,
            provider_id: Some(sid.to_owned()),
            outcome: keys::outcome(key),
            provider_code: Some(format!("pressed {key}")),
            at: None,
            sequence: None,
            event_id: raw.header("I-Twilio-Idempotency-Token").map(str::to_owned),
        }]);
    }
    let (sip, answered_by) = (form.get("SipResponseCode"), form.get("AnsweredBy"));
    let (outcome, provider_code) = match (form.get("CallStatus"), answered_by) {
        (Some(word), _) => {
            let awaits_detection = detection::was_asked(&raw.url);
            let outcome = status::outcome(Said { status: word, answered_by, sip, awaits_detection });
            (outcome, word_of(word, sip))
        }
        // The result of a detection beside the call tells no status.
        (None, Some(by)) => (detection::answered(by), by.to_owned()),
        (None, None) => return Err(ParseError::Missing("CallStatus")),
    };
    Ok(vec![CallbackReport {
        attempt: None,
        provider_id: Some(sid.to_owned()),
        outcome,
        provider_code: Some(provider_code),
        at: form.get("Timestamp").and_then(parse_rfc2822),
        sequence: form.get("SequenceNumber").and_then(|text| text.parse().ok()),
        event_id: raw.header("I-Twilio-Idempotency-Token").map(str::to_owned),
    }])
}

fn word_of(status: &str, sip: Option<&str>) -> String {
    match sip {
        // The reason of a failure is only in the SIP code.
        Some(sip) if status == "failed" => format!("failed {sip}"),
        _ => status.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tocsin_domain::Outcome;

    use super::*;

    fn callback(body: &'static str) -> RawRequest {
        let headers = vec![("i-twilio-idempotency-token".to_owned(), "e-1".to_owned())];
        RawRequest {
            method: "POST".into(),
            url: "https://x/".into(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn a_final_callback_is_read_with_its_time_order_and_reason() {
        let raw = callback(
            "CallSid=CA1&CallStatus=failed&SipResponseCode=404&SequenceNumber=2&Unknown=1\
             &Timestamp=Thu%2C+24+Aug+2023+05%3A01%3A45+%2B0000",
        );
        let report = parse(&raw).unwrap().remove(0);
        assert_eq!(report.outcome, Outcome::NotInService);
        assert_eq!(report.provider_id.as_deref(), Some("CA1"));
        assert_eq!(report.provider_code.as_deref(), Some("failed 404"));
        assert_eq!(report.at.unwrap().to_rfc3339(), "2023-08-24T05:01:45+00:00");
        assert_eq!((report.sequence, report.event_id.as_deref()), (Some(2), Some("e-1")));
    }

    #[test]
    fn the_result_of_a_detection_is_read_with_its_word_and_ends_no_call() {
        let raw =
            callback("CallSid=CA1&AccountSid=AC1&AnsweredBy=machine_start&MachineDetectionDuration=4000");
        let report = parse(&raw).unwrap().remove(0);
        assert_eq!((report.outcome, report.sequence), (Outcome::MachineAnswered, None));
        assert_eq!(report.provider_code.as_deref(), Some("machine_start"));
    }

    #[test]
    fn an_end_waits_for_the_detection_that_its_address_tells_of() {
        let mut raw = callback("CallSid=CA1&CallStatus=completed&SequenceNumber=2");
        assert_eq!(parse(&raw).unwrap()[0].outcome, Outcome::Completed);
        raw.url = detection::marked(&raw.url);
        assert_eq!(parse(&raw).unwrap()[0].outcome, Outcome::CallEnded);
    }

    #[test]
    fn a_key_is_told_with_the_call_under_way_and_only_0_confirms() {
        for (digits, outcome) in [
            ("0", Outcome::PressedToConfirm),
            ("%2A", Outcome::InProgress),
            ("9", Outcome::InProgress),
            ("00", Outcome::InProgress),
        ] {
            let body = format!("CallSid=CA1&CallStatus=in-progress&Digits={digits}&msg=Gather+End");
            let raw = RawRequest { body: Bytes::from(body), ..callback("") };
            let report = parse(&raw).unwrap().remove(0);
            assert_eq!((report.outcome, report.sequence), (outcome, None), "{digits}");
            assert!(report.provider_code.unwrap().starts_with("pressed "), "{digits}");
        }
        // A progress report that repeats what was pressed tells of progress.
        let progress = callback(
            "CallSid=CA1&CallStatus=completed&SequenceNumber=2&Digits=0&CallbackSource=call-progress-events",
        );
        assert_eq!(parse(&progress).unwrap()[0].outcome, Outcome::Completed);
    }

    #[test]
    fn an_unknown_word_is_kept_and_an_absent_one_named() {
        let report =
            parse(&callback("CallSid=CA1&CallStatus=teleported&SequenceNumber=x")).unwrap().remove(0);
        assert_eq!((report.outcome, report.sequence), (Outcome::Unknown, None));
        assert_eq!(report.provider_code.as_deref(), Some("teleported"));
        assert!(matches!(parse(&callback("CallSid=CA1")), Err(ParseError::Missing("CallStatus"))));
        assert!(matches!(parse(&callback("")), Err(ParseError::Missing("CallSid"))));
    }
}
