//! Requests as profiles describe them, with values that try to be more than values.

use std::borrow::Cow;

use reqwest::Request;

use super::*;
use crate::LookUpQuery;
use crate::gateway::request::Unfit;
use crate::gateway::template::Field;

fn sent(more: &str, request: &SendRequest) -> Request {
    let gateway = gateway(more);
    let template = &gateway.profile.send.request;
    gateway.endpoint.request(template, &gateway.endpoint.of_send(request)).unwrap().build().unwrap()
}

fn body(request: &Request) -> &str {
    std::str::from_utf8(request.body().unwrap().as_bytes().unwrap()).unwrap()
}

#[test]
fn a_json_body_holds_values_as_values() {
    let sent = sent(
        r#"[send.body]
to = "{to}"
who = "{from_digits} for {to_digits}{subject}"
extension = "{extension}"
valid = "{valid_for_seconds}"
deep = { texts = ["{body}", 1, true, 2.5, "{subject}"] }
"#,
        &request(),
    );
    assert_eq!(sent.method(), "POST");
    assert_eq!(sent.url().as_str(), "https://api.example.org/v1/calls");
    assert_eq!(sent.headers()["content-type"], "application/json");
    assert_eq!(sent.headers()["authorization"], "Basic dXMgZXI6aHVzaA==");
    let said: serde_json::Value = serde_json::from_str(body(&sent)).unwrap();
    let expected = serde_json::json!({
        "to": "+14155550100",
        "who": "15005550006 for 14155550100",
        "valid": 3600,
        "deep": { "texts": ["No \"school\" & {to} today\n", 1, true, 2.5] },
    });
    assert_eq!(said, expected);
}

#[test]
fn a_form_is_encoded_and_a_list_repeats_its_name() {
    let more = r#"encoding = "form"
[send.body]
to = "{to}"
text = "{body}"
event = ["ringing", "{language}", "{subject}", 3]
extension = "{extension}"
"#;
    let sent = sent(more, &request());
    assert_eq!(sent.headers()["content-type"], "application/x-www-form-urlencoded");
    let pairs: Vec<_> = form_urlencoded::parse(body(&sent).as_bytes()).into_owned().collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [
        pair("event", "ringing"),
        pair("event", "en"),
        pair("event", "3"),
        pair("text", "No \"school\" & {to} today\n"),
        pair("to", "+14155550100"),
    ];
    assert_eq!(pairs, expected);
}

#[test]
fn headers_hold_what_is_the_accounts_and_the_attempts_own() {
    let sent = sent(
        "[send.headers]\nX-Api-Key = \"k={secret};{user}\"\nIdempotency-Key = \"{attempt}\"\nX-Token = \"{token}\"\n",
        &request(),
    );
    assert_eq!(sent.headers()["x-api-key"], "k=hush;us er");
    assert!(sent.headers()["x-api-key"].is_sensitive() && sent.headers()["authorization"].is_sensitive());
    let attempt = "01900000-0000-7000-8000-000000000001-70001-2";
    assert_eq!(sent.headers()["idempotency-key"], attempt);
    assert_eq!(sent.headers()["x-token"], token());
    assert!(sent.body().is_none());
}

#[test]
fn an_id_that_would_lead_elsewhere_is_not_asked_for() {
    let gateway = gateway("[recall]\nmethod = \"DELETE\"\npath = \"/calls/{id}?again={id}\"\n");
    let template = &gateway.profile.recall.as_ref().unwrap().request;
    let url = |id: &str| {
        let values = |field| (field == Field::Id).then_some(Cow::Borrowed(id));
        let request = gateway.endpoint.request(template, &values)?;
        Ok::<_, Unfit>(request.build().unwrap().url().to_string())
    };
    for id in ["", ".", ".."] {
        assert_eq!(url(id), Err(Unfit::Path), "{id:?}");
    }
    let id = "a/../b?c#d%2e é";
    let encoded = "a%2F..%2Fb%3Fc%23d%252e%20%C3%A9";
    assert_eq!(url(id).unwrap(), format!("https://api.example.org/v1/calls/{encoded}?again={encoded}"));
}

#[test]
fn a_sender_of_its_own_and_a_look_up_name_the_same_attempt() {
    let more = "[look_up]\nmethod = \"GET\"\npath = \"/calls?r={token}&f={from}&i={id}\"\n[look_up.report]\nstatus = \"/s\"\n";
    let gateway = gateway(more);
    let asked = request();
    let query = LookUpQuery {
        attempt: attempt(),
        provider_id: None,
        from: Some("+1500".into()),
        to: asked.to.clone(),
        body: None,
        callback_url: asked.callback_url.clone(),
        others: vec![],
        rival_without_id: false,
        asked_at: chrono::DateTime::UNIX_EPOCH,
        deadline: Duration::from_secs(1),
    };
    let template = &gateway.profile.look_up.as_ref().unwrap().request;
    let request = gateway.endpoint.request(template, &gateway.endpoint.of_look_up(&query)).unwrap();
    let request = request.build().unwrap();
    assert_eq!(request.method(), "GET");
    assert_eq!(request.url().query(), Some(&*format!("r={}&f=%2B1500&i=", token())));
}
