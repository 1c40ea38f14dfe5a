//! What callbacks say: one report or several, in JSON, a form or the address.

use tocsin_domain::Outcome;
use tocsin_domain::suppression::{AddressFact, SuppressionReason};

use super::*;
use crate::{ParseError, Provider as _};

const BASIC: &str = "[callback.verify]\nscheme = \"basic\"\n";

fn one(format: &str) -> Gateway {
    gateway(&format!(
        r#"[callback]
format = "{format}"
[callback.report]
token = "/ref"
id = "/id"
status = "/status"
code = "/code"
at = "/at"
at_format = "unix"
sequence = "/n"
event_id = "/event"
{BASIC}"#
    ))
}

fn several() -> Gateway {
    gateway(&format!(
        "[callback]\nreports = \"/all\"\n[callback.report]\ntoken = \"/ref\"\nid = \"/id\"\nstatus = \"/status\"\n{BASIC}"
    ))
}

const URL: &str = "https://bell.example/callbacks/gateway/tok";

#[test]
fn a_report_is_read_from_json_a_form_and_the_address() {
    let json = r#"{"ref":"tok","id":9,"status":5,"at":1700000000,"n":3,"event":"e-1","more":{}}"#;
    let form = "ref=tok&id=9&status=5&at=1700000000&n=3&event=e-1&more";
    for (format, url, body) in [
        ("json", URL.to_owned(), json),
        ("form", URL.to_owned(), form),
        ("query", format!("{URL}?{form}"), ""),
    ] {
        let (gateway, raw) = (one(format), posted(&url, &[], body));
        let report = gateway.parse(&raw).unwrap().remove(0);
        assert_eq!(
            (report.outcome, report.provider_code.as_deref()),
            (Outcome::LivePerson, Some("5")),
            "{format}"
        );
        assert_eq!((report.provider_id.as_deref(), report.event_id.as_deref()), (Some("9"), Some("e-1")));
        assert_eq!((report.at.unwrap().timestamp(), report.sequence), (1_700_000_000, Some(3)));
        assert_eq!((gateway.token(&raw).as_deref(), gateway.tokens(&raw).len()), (Some("tok"), 0));
    }
}

#[test]
fn the_code_decides_where_it_is_known_and_the_word_is_kept_verbatim() {
    let gateway = one("json");
    let table = [
        (r#"{"status":"Busy"}"#, Outcome::Busy, "Busy"),
        (r#"{"status":"busy","code":" 5 "}"#, Outcome::LivePerson, "5"),
        (r#"{"status":"busy","code":77}"#, Outcome::Busy, "busy"),
        (r#"{"status":"Teleported","code":77}"#, Outcome::Unknown, "Teleported"),
        (r#"{"code":77}"#, Outcome::Unknown, "77"),
        (r#"{"status":5.0}"#, Outcome::Unknown, "5.0"),
    ];
    for (body, outcome, code) in table {
        let report = gateway.parse(&posted(URL, &[], body)).unwrap().remove(0);
        assert_eq!((report.outcome, report.provider_code.as_deref()), (outcome, Some(code)), "{body}");
    }
}

#[test]
fn several_reports_in_one_body_keep_their_order_and_their_tokens() {
    let gateway = several();
    let body = r#"{"all":[{"ref":"a","status":"busy"},{"id":"g-2","status":"new"},{"ref":"c"}]}"#;
    let raw = posted(URL, &[], body);
    let outcomes: Vec<_> = gateway.parse(&raw).unwrap().iter().map(|report| report.outcome).collect();
    assert_eq!(outcomes, [Outcome::Busy, Outcome::Unknown, Outcome::Unknown]);
    assert_eq!(gateway.tokens(&raw), [Some("a".to_owned()), None, Some("c".to_owned())]);
    assert_eq!(gateway.token(&raw), None);
    assert_eq!(gateway.parse(&posted(URL, &[], r#"{"all":[]}"#)).unwrap(), []);
}

#[test]
fn what_is_no_report_is_named() {
    let missing = |gateway: &Gateway, body: &str| match gateway.parse(&posted(URL, &[], body)) {
        Err(ParseError::Missing(what)) => format!("no {what}"),
        Err(ParseError::Malformed(what)) => format!("bad {what}"),
        Err(ParseError::Json(_)) => "json".to_owned(),
        other => format!("{other:?}"),
    };
    for (body, expected) in [("", "json"), ("[", "json"), ("{}", "no status"), ("7", "no status")] {
        assert_eq!(missing(&one("json"), body), expected, "{body}");
    }
    for (body, expected) in [
        ("{}", "no list of reports"),
        (r#"{"all":{}}"#, "bad list of reports"),
        (r#"{"all":[{},{"id":"g-1"}]}"#, "no status"),
    ] {
        assert_eq!(missing(&several(), body), expected, "{body}");
    }
    assert_eq!(missing(&one("form"), ""), "no status");
    assert_eq!(missing(&gateway(""), "{}"), "no description in the profile");
}

#[test]
fn an_address_is_learned_of_by_the_words_that_the_profile_names() {
    let gateway = gateway("[addresses]\nSTOP = \"opted_out\"\n9 = \"do_not_call\"\n");
    assert_eq!(gateway.address_fact("stop"), Some(AddressFact::OptedOut));
    let suppressed = AddressFact::Suppress(SuppressionReason::DoNotCall);
    assert_eq!(gateway.address_fact("9"), Some(suppressed));
    assert_eq!(gateway.address_fact("busy"), None);
}

#[test]
fn a_shown_report_names_nobody() {
    let raw = posted(URL, &[], r#"{"ref":"tok","id":"g","status":"busy","to":"+14155550100","text":"Ann"}"#);
    assert_eq!(one("json").redact(&raw), format!("[redacted: {} bytes, busy]", raw.body.len()));
    let odd = posted(URL, &[], r#"{"status":"+14155550100"}"#);
    assert_eq!(one("json").redact(&odd), "[redacted: 25 bytes, unknown]");
    assert_eq!(one("json").redact(&posted(URL, &[], "Ann")), "[redacted: 3 bytes, not understood]");
}

#[test]
fn a_text_is_read_and_its_keyword_answered_where_the_answer_is_texted() {
    let texts = |answer: &str| {
        gateway(&format!(
            "[callback]\n[callback.report]\nstatus = \"/status\"\n{BASIC}[inbound]\nformat = \"form\"\nid = \"/id\"\nfrom = \"/from\"\ntext = \"/text\"\n{answer}"
        ))
    };
    let raw = posted("https://bell.example/inbound/gateway", &[], "id=7&from=14155550100&text=Stop");
    let text = texts("").inbound(&raw).unwrap();
    assert_eq!((text.id.as_str(), text.from.as_str(), text.body.as_str()), ("7", "+14155550100", "Stop"));
    assert_eq!(texts("").reply(&raw).unwrap().body, "");
    let reply = texts("answer = \"texted\"\n").reply(&raw).unwrap();
    assert!(reply.body.contains("opted out"), "{}", reply.body);
    for (body, named) in [("from=1&text=x", "id"), ("id=7&text=x", "sender"), ("id=7&from=SCHOOL", "sender")]
    {
        let fault = texts("").inbound(&posted("https://x/", &[], body)).unwrap_err();
        assert!(fault.to_string().contains(named), "{body}: {fault}");
    }
    assert!(matches!(gateway("").inbound(&raw), Err(ParseError::NotForTexts)));
    assert!(gateway("").reply(&raw).is_none());
}
