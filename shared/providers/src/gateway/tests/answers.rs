//! What answers mean.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use tocsin_domain::Outcome;

use super::*;
use crate::gateway::answer::answer;
use crate::http::{Body, NoReply, Reply};
use crate::{Answer, RefusalClass, Whose};

const ANSWERS: &str = r#"
[send.answer]
id = "/call/id"
status = "/call/status"
code = "/error/code"
[send.http]
"404" = "invalid_number"
"402" = "account"
"503" = "unavailable"
"5xx" = "throttled"
[send.errors]
"21" = "do_not_call"
"Quota" = "throttled"
"22" = "sender_throttled"
"23" = "sender"
"24" = "opt_out"
"25" = "lost"
"26" = "account"
"0" = "accepted"
"#;

fn reply(status: u16, body: Body) -> Reply {
    let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("7"))]);
    Reply { status: StatusCode::from_u16(status).unwrap(), headers, body }
}

fn said(more: &str, status: u16, body: &str) -> Answer {
    answer(&profile(more), Ok(reply(status, Body::Whole(body.as_bytes().to_vec()))))
}

fn accepted(id: Option<&str>, outcome: Option<Outcome>) -> Answer {
    Answer::Accepted { provider_id: id.map(str::to_owned), outcome }
}

fn refused(class: RefusalClass, outcome: Outcome, code: &str) -> Answer {
    Answer::Refused { outcome, provider_code: Some(code.into()), class }
}

fn throttled(whose: Whose, code: &str) -> Answer {
    let retry_after = Some(Duration::from_secs(7));
    Answer::Throttled { provider_code: Some(code.into()), retry_after, whose }
}

fn lost(why: &str) -> Answer {
    Answer::Lost { why: why.into() }
}

#[test]
fn a_code_decides_before_the_http_status_and_both_by_the_profile() {
    use RefusalClass::{Configuration, OptOut, Permanent, Sender};
    let coded = |code: &str| format!(r#"{{"error":{{"code":{code}}}}}"#);
    let rejected = Outcome::ProviderRejected;
    let table = [
        (
            201,
            r#"{"call":{"id":"c-1","status":"Ringing"}}"#.into(),
            accepted(Some("c-1"), Some(Outcome::InProgress)),
        ),
        (200, r#"{"call":{"id":77}}"#.into(), accepted(Some("77"), None)),
        (200, r#"{"call":{"id":"c-1","status":"teleported"}}"#.into(), accepted(Some("c-1"), None)),
        (200, r#"{"call":{"id":"c-1","status":5}}"#.into(), accepted(Some("c-1"), Some(Outcome::LivePerson))),
        // A success that is none.
        (200, r#"{"call":{"id":"c-1","status":"busy"}}"#.into(), refused(Permanent, Outcome::Busy, "busy")),
        (200, coded("21"), refused(Permanent, Outcome::DoNotCall, "21")),
        (400, coded("\" quota \""), throttled(Whose::Account, "quota")),
        (400, coded("22"), throttled(Whose::Sender, "22")),
        (400, coded("23"), refused(Sender, rejected, "23")),
        (400, coded("24"), refused(OptOut, Outcome::OptOut, "24")),
        (400, coded("25"), lost("HTTP 400")),
        (400, coded("26"), refused(Configuration, rejected, "26")),
        (400, coded("0"), accepted(None, None)),
        // A refusal in the words of reports.
        (400, coded("\"busy\""), refused(Permanent, Outcome::Busy, "busy")),
        (400, coded("99"), refused(Permanent, rejected, "99")),
        (401, coded("99"), refused(Configuration, rejected, "99")),
        (404, "{}".into(), refused(Permanent, Outcome::InvalidNumber, "HTTP 404")),
        (402, "".into(), refused(Configuration, rejected, "HTTP 402")),
        (403, "<html>".into(), refused(Configuration, rejected, "HTTP 403")),
        (302, "".into(), refused(Configuration, rejected, "HTTP 302")),
        (429, "".into(), throttled(Whose::Account, "HTTP 429")),
        (500, "".into(), throttled(Whose::Account, "HTTP 500")),
        (503, "".into(), Answer::NotSent { why: "HTTP 503".into() }),
        (408, "".into(), lost("HTTP 408")),
        (200, "<html>".into(), lost("an answer that is not the gateway's")),
        (200, "".into(), lost("an answer that is not the gateway's")),
    ];
    for (status, body, expected) in table {
        assert_eq!(said(ANSWERS, status, &body), expected, "{status} {body}");
    }
}

#[test]
fn where_a_profile_says_nothing_statuses_mean_what_they_mean_everywhere() {
    use RefusalClass::{Configuration, Permanent};
    let rejected = Outcome::ProviderRejected;
    let table = [
        (204, accepted(None, None)),
        (302, refused(Configuration, rejected, "HTTP 302")),
        (400, refused(Permanent, rejected, "HTTP 400")),
        (401, refused(Configuration, rejected, "HTTP 401")),
        (404, refused(Permanent, rejected, "HTTP 404")),
        (408, lost("HTTP 408")),
        (429, throttled(Whose::Account, "HTTP 429")),
        (500, lost("HTTP 500")),
        (503, lost("HTTP 503")),
    ];
    for (status, expected) in table {
        assert_eq!(said("", status, "OK"), expected, "{status}");
    }
}

#[test]
fn what_broke_off_or_never_came_is_told_apart() {
    assert_eq!(answer(&profile(ANSWERS), Ok(reply(201, Body::Broken))), accepted(None, None));
    let not_sent = answer(&profile(""), Err(NoReply::NotSent("refused".into())));
    assert_eq!(not_sent, Answer::NotSent { why: "refused".into() });
    assert_eq!(answer(&profile(""), Err(NoReply::Lost("gone".into()))), lost("gone"));
}
