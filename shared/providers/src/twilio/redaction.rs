//! A Twilio callback for logs and support: everything about the person left out.

use super::form::Form;

const REDACTED: &str = "[redacted]";
/// Parameters that say nothing about a person. A list of what may be shown, not of what must not:
/// Twilio adds parameters at any time.
const SHOWN: [&str; 23] = [
    "AccountSid",
    "AnsweredBy",
    "ApiVersion",
    "CallDuration",
    "CallSid",
    "CallStatus",
    "CallbackSource",
    "Direction",
    "Duration",
    "ErrorCode",
    "MachineDetectionDuration",
    "MessageSid",
    "MessageStatus",
    "MessagingServiceSid",
    "NumMedia",
    "NumSegments",
    "OptOutType",
    "RawDlrDoneDate",
    "SequenceNumber",
    "SipResponseCode",
    "SmsSid",
    "SmsStatus",
    "Timestamp",
];

pub(super) fn redact(body: &[u8]) -> String {
    let form = Form::parse(body);
    let mut shown = form_urlencoded::Serializer::new(String::with_capacity(body.len()));
    for (key, value) in form.pairs() {
        shown.append_pair(key, if SHOWN.contains(&&**key) { value } else { REDACTED });
    }
    shown.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_texts_and_unknown_parameters_are_redacted() {
        let body = b"CallSid=CA1&To=%2B14155550100&From=%2B15005550006&Body=hi&FromCity=X&New=secret&CallStatus=busy";
        let shown = redact(body);
        for kept in ["CallSid=CA1", "CallStatus=busy"] {
            assert!(shown.contains(kept), "{shown}");
        }
        for hidden in ["4155550100", "5005550006", "hi", "secret", "=X"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
