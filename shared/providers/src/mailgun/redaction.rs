//! A Mailgun webhook for logs and support: everything about the person left out.

use serde_json::{Map, Value};

const REDACTED: &str = "[redacted]";
/// Fields of an event that say nothing about a person. A list of what may be shown, not of what must
/// not: Mailgun adds fields at any time. `message` and `description` quote mail servers, which quote
/// addresses.
const SHOWN: [&str; 17] = [
    "attempt-no",
    "bounce-code",
    "code",
    "delivery-status",
    "enhanced-code",
    "event",
    "event-data",
    "flags",
    "id",
    "is-delayed-bounce",
    "is-test-mode",
    "log-level",
    "reason",
    "retry-seconds",
    "session-seconds",
    "severity",
    "timestamp",
];

pub(super) fn redact(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(fields)) => Value::Object(redact_fields(fields)).to_string(),
        Ok(_) | Err(_) => REDACTED.to_owned(),
    }
}

fn redact_fields(fields: Map<String, Value>) -> Map<String, Value> {
    let redact_one = |(key, value): (String, Value)| {
        let shown = match value {
            Value::Object(inner) if SHOWN.contains(&key.as_str()) => Value::Object(redact_fields(inner)),
            Value::Array(_) | Value::Object(_) => REDACTED.into(),
            plain if SHOWN.contains(&key.as_str()) => plain,
            _ => REDACTED.into(),
        };
        (key, shown)
    };
    fields.into_iter().map(redact_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_subjects_tokens_and_unknown_fields_are_redacted() {
        let body = br#"{"signature":{"token":"s3"},"event-data":{"event":"failed","severity":"permanent",
            "recipient":"ann@example.org","envelope":{"targets":"ann@example.org"},"new":"ann",
            "delivery-status":{"code":550,"message":"ann@example.org unknown"},
            "message":{"headers":{"subject":"Ann's grades"}},"user-variables":{"tocsin-token":"tok"},"tags":["ann"]}}"#;
        let shown = redact(body);
        for kept in [r#""code":550"#, r#""event":"failed""#, r#""severity":"permanent""#] {
            assert!(shown.contains(kept), "{shown}");
        }
        for hidden in ["ann", "Ann", "tok\"", "s3"] {
            assert!(!shown.contains(hidden), "{hidden}: {shown}");
        }
        assert_eq!(redact(b"ann@example.org"), REDACTED);
    }
}
