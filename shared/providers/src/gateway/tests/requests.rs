//! Requests as profiles describe them, with values that try to be more than values.

use std::borrow::Cow;

use reqwest::Request;

use super::*;
use tocsin_domain::Outcome;

use crate::gateway::request::Unfit;
use crate::gateway::template::Field;
use crate::{Answer, LookUpQuery, Provider as _, RefusalClass, Registry};

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

fn flyer(name: &str, bytes: &'static [u8]) -> crate::File {
    crate::File { name: name.into(), media_type: "application/pdf".into(), bytes: bytes.into() }
}

const WITH_FILES: &str = r#"[send.body]
to = "{to}"
attachments = [{ filename = "{file_name}", type = "{file_type}", for = "{to_digits}", content = "{file_base64}" }]
"#;

#[test]
fn a_list_of_files_has_an_entry_for_each_and_is_left_out_without() {
    let mail = SendRequest {
        files: [flyer("Menü \"5\".pdf", b"%PDF-1"), flyer("b.pdf", b"\xff\x00")].into(),
        ..request()
    };
    let gateway = gateway(WITH_FILES);
    let template = &gateway.profile.send.request;
    let of = |mail: &SendRequest| {
        let built = gateway.endpoint.request_with(template, &gateway.endpoint.of_send(mail), &mail.files);
        serde_json::from_str::<serde_json::Value>(body(&built.unwrap().build().unwrap())).unwrap()
    };
    let entry = |name: &str, content: &str| serde_json::json!({"filename": name, "type": "application/pdf", "for": "14155550100", "content": content});
    let files = [entry("Menü \"5\".pdf", "JVBERi0x"), entry("b.pdf", "/wA=")];
    assert_eq!(of(&mail), serde_json::json!({"to": "+14155550100", "attachments": files}));
    assert_eq!(of(&request()), serde_json::json!({"to": "+14155550100"}));
}

/// Never without them.
#[tokio::test]
async fn a_mail_with_files_is_refused_where_the_profile_has_no_place_for_them() {
    let gateway = gateway("[send.body]\nto = \"{to}\"\n");
    let mail = SendRequest { files: [flyer("a.pdf", b"%PDF-1")].into(), ..request() };
    let answer = gateway.send(&mail).await;
    let Answer::Refused { outcome, provider_code, class } = answer else { panic!("{answer:?}") };
    assert_eq!((outcome, class), (Outcome::FailedToSend, RefusalClass::Permanent));
    assert_eq!(provider_code.as_deref(), Some("the gateway's profile has no place for files"));
}

#[test]
fn whether_an_account_carries_files_follows_from_its_kind_and_profile() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let profile = format!("{}{WITH_FILES}", LEAST.replace("\"sms\"", "\"email\""));
    std::io::Write::write_all(&mut file, profile.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let with = AccountSettings { channel: Channel::Email, profile: Some(path), ..account() };
    let of_kind = |kind| AccountSettings { kind, ..with.clone() };
    let table = [
        (with.clone(), true),
        (AccountSettings { channel: Channel::Voice, ..with.clone() }, false),
        (AccountSettings { profile: Some("call-codes".into()), ..with.clone() }, false),
        (AccountSettings { profile: None, ..with.clone() }, false),
        (of_kind(ProviderKind::Mailgun), true),
        (of_kind(ProviderKind::Smtp), true),
        (of_kind(ProviderKind::Twilio), false),
    ];
    for (account, carries) in table {
        assert_eq!(Registry::carries_files(&account), carries, "{:?} {:?}", account.kind, account.profile);
    }
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
