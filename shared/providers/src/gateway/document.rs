//! What a gateway says, as values that pointers find: answers and callbacks in JSON, forms and queries.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// A JSON pointer (RFC 6901). A form's parameter is found as if it were the member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer(String);

impl Pointer {
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        if text.is_empty() || text.starts_with('/') {
            return Ok(Self(text.to_owned()));
        }
        let fault = format!("{text:?} is no JSON pointer");
        Err((fault, "begin it with a slash, as /call/id; a parameter of a form is /name".to_owned()))
    }

    pub fn find<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        document.pointer(&self.0).filter(|value| !value.is_null())
    }

    /// The word, number or truth value there, in the gateway's own spelling; None where there is none, or an empty one.
    pub fn text<'a>(&self, document: &'a Value) -> Option<Cow<'a, str>> {
        match self.find(document)? {
            Value::String(text) => Some(text.trim()).filter(|text| !text.is_empty()).map(Cow::Borrowed),
            Value::Number(number) => Some(Cow::Owned(number.to_string())),
            Value::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// Where a callback has its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Form,
    /// The callback's address: some gateways report by GET.
    Query,
}

impl Format {
    pub const ALL: [(&'static str, Self); 3] =
        [("json", Self::Json), ("form", Self::Form), ("query", Self::Query)];

    pub fn document(self, url: &str, body: &[u8]) -> Result<Value, serde_json::Error> {
        match self {
            Self::Json => serde_json::from_slice(body),
            Self::Form => Ok(parameters(body)),
            Self::Query => {
                let query = url.split_once('?').map_or("", |(_, query)| query);
                Ok(parameters(query.split('#').next().unwrap_or_default().as_bytes()))
            }
        }
    }
}

/// Of a repeated parameter the first counts.
fn parameters(encoded: &[u8]) -> Value {
    let mut members = Map::new();
    for (name, value) in form_urlencoded::parse(encoded) {
        members.entry(name.into_owned()).or_insert_with(|| Value::String(value.into_owned()));
    }
    Value::Object(members)
}

/// How a gateway writes an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeFormat {
    Rfc3339,
    Rfc2822,
    /// Seconds since 1970, with or without a fraction.
    Unix,
    UnixMs,
}

impl TimeFormat {
    pub const ALL: [(&'static str, Self); 4] = [
        ("rfc3339", Self::Rfc3339),
        ("rfc2822", Self::Rfc2822),
        ("unix", Self::Unix),
        ("unix_ms", Self::UnixMs),
    ];

    pub fn read(self, text: &str) -> Option<DateTime<Utc>> {
        match self {
            Self::Rfc3339 => DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc()),
            Self::Rfc2822 => DateTime::parse_from_rfc2822(text).ok().map(|at| at.to_utc()),
            // A nonsense number saturates and is refused.
            Self::Unix => DateTime::from_timestamp_micros((text.parse::<f64>().ok()? * 1e6) as i64),
            Self::UnixMs => DateTime::from_timestamp_millis(text.parse().ok()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_numbers_and_truths_are_found_and_nothing_else() {
        let document =
            json!({ "a": { "b~/": [" x ", -5, 2.50, true, null, {}, []] }, "empty": " ", "": "root" });
        let at = |pointer: &str| Pointer::parse(pointer).unwrap().text(&document).map(Cow::into_owned);
        for (pointer, expected) in [
            ("/a/b~0~1/0", Some("x")),
            ("/a/b~0~1/1", Some("-5")),
            ("/a/b~0~1/2", Some("2.5")),
            ("/a/b~0~1/3", Some("true")),
            ("/a/b~0~1/4", None),
            ("/a/b~0~1/5", None),
            ("/a/b~0~1/6", None),
            ("/a/b~0~1/7", None),
            ("/empty", None),
            ("/", Some("root")),
            ("", None),
            ("/no/such", None),
        ] {
            assert_eq!(at(pointer).as_deref(), expected, "{pointer}");
        }
        assert!(Pointer::parse("call/id").is_err());
    }

    #[test]
    fn forms_and_queries_are_read_as_objects_of_their_parameters() {
        let status = Pointer::parse("/status").unwrap();
        let form = Format::Form.document("https://x/", b"status=a%20b&status=c&x=%FF").unwrap();
        assert_eq!(status.text(&form).as_deref(), Some("a b"));
        let query = Format::Query.document("https://x/?status=5&a#status=6", b"status=7").unwrap();
        assert_eq!(status.text(&query).as_deref(), Some("5"));
        assert_eq!(status.text(&Format::Query.document("https://x/", b"").unwrap()), None);
        assert!(Format::Json.document("https://x/", b"status=5").is_err());
    }

    #[test]
    fn an_instant_is_read_as_it_is_written() {
        let at = DateTime::from_timestamp_millis(1_700_000_000_500).unwrap();
        for (format, text) in [
            (TimeFormat::Rfc3339, "2023-11-14T22:13:20.5Z"),
            (TimeFormat::Rfc3339, "2023-11-14T16:13:20.5-06:00"),
            (TimeFormat::Unix, "1700000000.5"),
            (TimeFormat::UnixMs, "1700000000500"),
        ] {
            assert_eq!(format.read(text), Some(at), "{text}");
        }
        let whole = TimeFormat::Rfc2822.read("Tue, 14 Nov 2023 22:13:20 +0000");
        assert_eq!(whole, DateTime::from_timestamp(1_700_000_000, 0));
        for (_, format) in TimeFormat::ALL {
            for text in ["", "yesterday", "NaN x", "1e999", "99999999999999999999"] {
                let read = format.read(text);
                assert!(read.is_none_or(|at| at.timestamp() > 0), "{text}: {read:?}");
            }
        }
    }
}
