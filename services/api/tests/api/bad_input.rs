//! What is refused, with field and reason.

use chrono::{SecondsFormat, TimeDelta};
use reqwest::Method;
use serde_json::{Value, json};
use tocsin_runtime::Clock as _;

use crate::stage::{Answer, KEY, Stage, campaign};

/// The good campaign with some members replaced.
fn with(changes: &Value) -> Value {
    let mut body = campaign();
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// Asserts that exactly these fields are at fault, each for a reason that says this.
#[track_caller]
fn assert_faults(answer: &Answer, expected: &[(&str, &str)], about: &Value) {
    let errors = answer.body["errors"].as_array().unwrap();
    let fields: Vec<_> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    let wanted: Vec<_> = expected.iter().map(|(field, _)| *field).collect();
    assert_eq!(fields, wanted, "{about}\n{:#}", answer.body);
    for (error, (_, says)) in errors.iter().zip(expected) {
        assert!(error["reason"].as_str().unwrap().contains(says), "{about}\n{error} says no {says:?}");
    }
}

#[tokio::test]
async fn a_faulty_campaign_is_refused_with_field_and_reason() {
    let stage = Stage::start().await;
    let ago = |seconds| {
        (stage.clock.now() - TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Millis, true)
    };
    let content = |content: Value| json!({"body": null, "contents": [{"body": "b"}, content]});
    let cases: Vec<(Value, &str, &str)> = vec![
        (json!({"subject": null}), "subject", "is missing: give"),
        (json!({"subject": " "}), "subject", "is empty"),
        (json!({"subject": 7}), "subject", "is a number: give a text"),
        (json!({"subject": "a\u{0}b"}), "subject", "NUL"),
        (json!({"subject": "a".repeat(256)}), "subject", "256 characters: at most 255"),
        (json!({"subject": "{{ shoe_size }}"}), "subject", "unknown merge field"),
        (json!({"subject": "{{ grade"}), "subject", "at character 1 is never closed"),
        (json!({"channels": null}), "channels", "voice, sms, email, inbox"),
        (json!({"channels": []}), "channels", "is empty: list"),
        (json!({"channels": "sms"}), "channels", "is a text: give a list"),
        (
            json!({"channels": ["sms", "fax"]}),
            "channels[1]",
            "\"fax\" is unknown: use voice, sms, email, inbox",
        ),
        (json!({"channels": ["sms", "email", "sms"]}), "channels[2]", "repeats sms"),
        (
            json!({"message_type": "urgent"}),
            "message_type",
            "\"urgent\" is unknown: use emergency, priority, general, attendance",
        ),
        (json!({"audience": null}), "audience", "is missing: say whom"),
        (json!({"audience": {}}), "audience", "selects nobody"),
        (json!({"audience": []}), "audience", "is a list: give an object"),
        (json!({"audience": {"all": "yes"}}), "audience.all", "give true or false"),
        (json!({"audience": {"all": true, "schools": ["s1"]}}), "audience.schools", "everybody"),
        (json!({"audience": {"schools": ["s1", " "]}}), "audience.schools", "empty entry"),
        (json!({"audience": {"schools": ["s1", 2]}}), "audience.schools[1]", "is a number: give a text"),
        (json!({"audience": {"people": ["p".repeat(256)]}}), "audience.people[0]", "longer than 255"),
        (
            json!({"audience": {"all": true, "roles": []}}),
            "audience.roles",
            "list guardian, student or staff",
        ),
        (
            json!({"audience": {"all": true, "roles": ["parent"]}}),
            "audience.roles[0]",
            "use guardian, student, staff",
        ),
        (json!({"audience": {"all": true, "language": ""}}), "audience.language", "empty entry"),
        (
            json!({"audience": {"all": true, "school": ["s1"]}}),
            "audience.school",
            "is unknown: use all, schools",
        ),
        (json!({"body": null}), "body", "is missing: say what"),
        (json!({"body": " \n"}), "body", "is empty"),
        (json!({"body": "a".repeat(1601)}), "body", "sms takes 1600"),
        (json!({"body": "{{ shoe_size }}"}), "body", "unknown merge field \"shoe_size\""),
        (json!({"body": "Dear {{ given_name"}), "body", "at character 6 is never closed"),
        (json!({"contents": []}), "body", "stands beside contents"),
        (json!({"body": null, "contents": []}), "contents", "has 0 entries"),
        (
            json!({"body": null, "contents": [{"language": "es", "body": "b"}], "channels": ["sms"]}),
            "contents",
            "has nothing for sms in other languages",
        ),
        (content(json!({"language": "es"})), "contents[1].body", "is missing"),
        (content(json!({"language": "es", "body": ""})), "contents[1].body", "is empty"),
        (content(json!({"language": " ", "body": "b"})), "contents[1].language", "empty"),
        (content(json!({"channel": "fax", "body": "b"})), "contents[1].channel", "is unknown"),
        (
            content(json!({"channel": "email", "subject": "{{ x }}", "body": "b"})),
            "contents[1].subject",
            "unknown merge field",
        ),
        (content(json!({"channel": "email", "subject": "", "body": "b"})), "contents[1].subject", "is empty"),
        (
            content(json!({"channel": "email", "titel": "t", "body": "b"})),
            "contents[1].titel",
            "use language, channel, subject, audio_url, body",
        ),
        (content(json!({"body": "c"})), "contents[1]", "same channel and language"),
        (
            json!({"body": null, "channels": ["sms"], "contents": [{"body": "b"}, {"channel": "email", "body": "b"}]}),
            "contents[1].channel",
            "is email, which the campaign does not use",
        ),
        (json!({"mode": "per_school"}), "mode", "use per_device, per_device_and_student"),
        (json!({"scheduled_at": "tomorrow"}), "scheduled_at", "\"tomorrow\" is no RFC 3339 time"),
        (json!({"scheduled_at": "2026-09-01T08:00:00"}), "scheduled_at", "no RFC 3339 time"),
        (json!({"scheduled_at": ago(61)}), "scheduled_at", "in the past"),
        (json!({"scheduled_at": ago(-367 * 24 * 3600)}), "scheduled_at", "more than a year"),
        (
            json!({"expires_in_seconds": 59}),
            "expires_in_seconds",
            "is 59: use a whole number from 60 to 604800",
        ),
        (json!({"expires_in_seconds": 604_801}), "expires_in_seconds", "is 604801"),
        (json!({"expires_in_seconds": 90.5}), "expires_in_seconds", "is 90.5"),
        (json!({"expires_in_seconds": "90"}), "expires_in_seconds", "is a text: give a whole number"),
        (json!({"redial": 3}), "redial", "give an object"),
        (json!({"redial": {"attempts_max": 0}}), "redial.attempts_max", "from 1 to 10"),
        (json!({"redial": {"attempts_max": 11}}), "redial.attempts_max", "from 1 to 10"),
        (json!({"redial": {"wait_seconds": 9}}), "redial.wait_seconds", "from 10 to 86400"),
        (json!({"redial": {"wait_seconds": -1}}), "redial.wait_seconds", "is -1"),
        (
            json!({"redial": {"machines": true}}),
            "redial.machines",
            "is true or false: give one of ignored, leave_message, redial",
        ),
        (json!({"redial": {"confirm": "yes"}}), "redial.confirm", "give true or false"),
        (
            json!({"redial": {"wait_minutes": 1}}),
            "redial.wait_minutes",
            "use attempts_max, wait_seconds, machines",
        ),
        (json!({"created_by": ""}), "created_by", "is empty"),
        (json!({"lane": "emergency"}), "lane", "is unknown: use subject, channels, message_type"),
    ];
    for (changes, field, says) in cases {
        let answer = stage.submit("refused", &with(&changes)).await;
        answer.assert_problem(422, "invalid-body");
        assert_faults(&answer, &[(field, says)], &changes);
    }
    assert_eq!(stage.get("/v1/campaigns").await.body["campaigns"], json!([]), "nothing was stored");
}

#[tokio::test]
async fn all_faults_are_told_at_once() {
    let stage = Stage::start().await;
    let body = json!({
        "channels": ["fax", "fax"],
        "message_type": "urgent",
        "audience": {"all": true, "roles": ["parent", "child"], "who": 1},
        "contents": [{"channel": "sms", "body": 1}, {"subject": "{{", "body": "}}"}],
        "redial": {"attempts_max": 99, "machines": "no"},
        "expires_in_seconds": 1,
        "colour": "red",
    });
    let answer = stage.submit("refused", &body).await;
    answer.assert_problem(422, "invalid-body");
    let expected = [
        ("subject", "missing"),
        ("channels[0]", "unknown"),
        ("channels[1]", "unknown"),
        ("message_type", "unknown"),
        ("audience.roles[0]", "unknown"),
        ("audience.roles[1]", "unknown"),
        ("audience.who", "unknown"),
        ("contents[0].body", "give a text"),
        ("contents[1].subject", "never closed"),
        ("contents[1].body", "closes nothing"),
        ("expires_in_seconds", "is 1"),
        ("redial.attempts_max", "is 99"),
        ("redial.machines", "use ignored, leave_message, redial"),
        ("colour", "unknown"),
    ];
    assert_faults(&answer, &expected, &body);
    assert!(answer.body["detail"].as_str().unwrap().starts_with("14 faults"), "{answer:?}");
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused_with_the_place() {
    let stage = Stage::start().await;
    let bearer = format!("Bearer {KEY}");
    let json = "application/json";
    let long = format!("\"{}\"", "a".repeat(tocsin_api::BODY_BYTES_MAX));
    for (content_type, body, status, kind, says) in [
        (json, "", 400, "not-json", "is empty"),
        (json, "{\"subject\": \"a\",\n \"channels\": [}", 400, "not-json", "at line 2 column 15"),
        (json, "{} {}", 400, "not-json", "trailing characters at line 1 column 4"),
        (json, &long, 413, "too-large", "2097152 bytes"),
        ("application/x-www-form-urlencoded", "{}", 415, "media-type", "Content-Type: application/json"),
        ("text/json", "{}", 415, "media-type", "Content-Type: application/json"),
        ("application/json; charset=utf-8", "[]", 422, "invalid-body", "is a list: give an object"),
    ] {
        let headers =
            [("authorization", bearer.as_str()), ("idempotency-key", "k"), ("content-type", content_type)];
        let answer = stage.ask(Method::POST, "/v1/campaigns", &headers, body).await;
        answer.assert_problem(status, kind);
        assert!(answer.body["detail"].as_str().unwrap().contains(says), "{answer:?}");
    }
}

#[tokio::test]
async fn a_campaign_needs_a_usable_key_of_its_own() {
    let stage = Stage::start().await;
    let bearer = format!("Bearer {KEY}");
    let long = "k".repeat(256);
    for (key, says) in [
        (None, "is missing"),
        (Some(""), "1 to 255 characters"),
        (Some(long.as_str()), "1 to 255 characters"),
        (Some("schlüssel"), "visible ASCII"),
    ] {
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        let answer = stage.ask(Method::POST, "/v1/campaigns", &headers, &campaign().to_string()).await;
        answer.assert_problem(400, "invalid-header");
        assert_faults(&answer, &[("Idempotency-Key", says)], &json!(key));
    }
}

#[tokio::test]
async fn a_faulty_query_is_refused_with_field_and_reason() {
    let stage = Stage::start().await;
    let id = stage.campaign("listed").await;
    let campaigns = "/v1/campaigns".to_owned();
    let recipients = format!("/v1/campaigns/{id}/recipients");
    let foreign = stage.get("/v1/campaigns?limit=1").await;
    assert_eq!(foreign.body["next_cursor"], Value::Null);
    for (path, query, field, says) in [
        (&campaigns, "limit=0", "limit", "from 1 to 5000"),
        (&campaigns, "limit=5001", "limit", "from 1 to 5000"),
        (&campaigns, "limit=all", "limit", "\"all\""),
        (&campaigns, "state=sent,lost", "state", "\"lost\" is unknown: use scheduled"),
        (&campaigns, "state=discarded", "state", "is unknown"),
        (&campaigns, "cursor=x", "cursor", "is no cursor of this list"),
        (&campaigns, "cursor=MS8x", "cursor", "is no cursor of this list"),
        (&campaigns, "page=2", "page", "is unknown: use limit, state, group"),
        (&campaigns, "limit=1&limit=2", "limit", "given twice"),
        (&recipients, "limit=-1", "limit", "from 1 to 5000"),
        (&recipients, "cursor=!", "cursor", "is no cursor of this list"),
        (&recipients, "state=sent", "state", "is unknown: use limit, cursor"),
    ] {
        let answer = stage.get(&format!("{path}?{query}")).await;
        answer.assert_problem(400, "invalid-query");
        assert_faults(&answer, &[(field, says)], &json!(query));
    }
}

#[tokio::test]
async fn a_faulty_cancel_cancels_nothing() {
    let stage = Stage::start().await;
    let id = stage.campaign("kept").await;
    for (body, status, field, says) in [
        (json!({"reason": 1}), 422, "reason", "give a text"),
        (json!({"reason": "r".repeat(1001)}), 422, "reason", "at most 1000"),
        (json!({"by": " "}), 422, "by", "is empty"),
        (json!({"why": "r"}), 422, "why", "is unknown: use by, reason"),
        (json!("stop"), 422, "$", "is a text: give an object"),
    ] {
        let answer = stage.post(&format!("/v1/campaigns/{id}/cancel"), &body.to_string()).await;
        answer.assert_problem(status, "invalid-body");
        assert_faults(&answer, &[(field, says)], &body);
    }
    assert_eq!(stage.get(&format!("/v1/campaigns/{id}")).await.body["state"], "processing");
}
