//! Tests: messages that reach the district's test people and nobody else, whatever is done with them later.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use tocsin_runtime::Clock as _;

use crate::console::Visitor;
use crate::receipts::canceled;
use crate::second_person::{decided, emergency};
use crate::series::{send, with_zone};
use crate::stage::{Answer, KEY, Stage, campaign};

async fn put(stage: &Stage, people: &[&str]) -> Answer {
    let body = json!({"undo_seconds": 0, "test_people": people});
    stage.send_as(KEY, Method::PUT, "/v1/sending-policy", &body).await
}

/// Five of the staff, of whom two are test people.
pub async fn staffed(stage: &Stage) {
    for (number, name) in ["ana", "ben", "cem", "dia", "eva"].into_iter().enumerate() {
        stage.staff(name, &[(2, &format!("+1555123000{number}"))]).await;
    }
    let kept = put(stage, &["ana", "cem"]).await;
    assert_eq!((kept.status, &kept.body["test_people"]), (200, &json!(["ana", "cem"])), "{kept:?}");
}

fn test_of(mut body: Value) -> Value {
    body["test"] = json!(true);
    body
}

async fn reached(stage: &Stage, id: &str) -> Vec<String> {
    stage.expand_all().await;
    let page = stage.get(&format!("/v1/campaigns/{id}/recipients")).await.body;
    let rows = page["recipients"].as_array().unwrap();
    rows.iter().filter_map(|row| row["address"].as_str().map(str::to_owned)).collect()
}

const TEST_PHONES: [&str; 2] = ["+15551230000", "+15551230002"];

#[tokio::test]
async fn a_test_reaches_the_test_people_and_is_marked_wherever_it_is_listed() {
    let stage = Stage::start().await;
    staffed(&stage).await;
    let real = stage.campaign("real").await;
    for (key, audience) in [
        ("all", json!({"all": true, "roles": ["staff"]})),
        ("people", json!({"people": ["eva"], "roles": ["staff"]})),
        ("none", Value::Null),
    ] {
        let mut body = test_of(campaign());
        body["audience"] = audience;
        let made = stage.submit(key, &body).await;
        assert_eq!((made.status, &made.body["test"]), (201, &json!(true)), "{key}: {made:?}");
        assert_eq!(made.body["audience"]["people"], json!(["ana", "cem"]), "{key}");
        assert_eq!(made.body["audience"]["all"], false, "{key}");
        assert_eq!(reached(&stage, &made.id()).await, TEST_PHONES, "{key}");
    }
    assert_eq!(reached(&stage, &real).await.len(), 5);
    let forecast = stage.send_as(KEY, Method::POST, "/v1/campaigns/forecast", &test_of(campaign())).await;
    assert_eq!(forecast.body["recipients"], 2, "{forecast:?}");

    let list = stage.get("/v1/campaigns").await.body;
    let marks = |list: &Value| -> Vec<bool> {
        list.as_array().unwrap().iter().map(|it| it["test"].as_bool().unwrap()).collect()
    };
    // The clock stands still, so that their order is by chance.
    let mut listed = marks(&list["campaigns"]);
    listed.sort_unstable();
    assert_eq!(listed, [false, true, true, true]);
    let told = stage.get("/v1/people/ana/communications").await.body;
    assert_eq!(marks(&told["communications"]).iter().filter(|test| **test).count(), 3, "{told}");
    assert_eq!(told["communications"].as_array().unwrap().len(), 4, "it is left out of nothing");
    let mut scheduled = test_of(campaign());
    scheduled["scheduled_at"] = json!(stage.clock.now() + TimeDelta::hours(1));
    stage.submit("later", &scheduled).await.id();

    let visitor = Visitor::sign_in(&stage).await;
    let mark = "people only\">Test</span>";
    for (page, tests) in [
        ("/campaigns", 4),
        ("/upcoming?show=all", 1),
        ("/upcoming?show=all&tab=in-progress", 3),
        ("/people/ana/communications", 3),
    ] {
        assert_eq!(visitor.page(page).await.matches(mark).count(), tests, "{page}");
    }
    let mut listed = list["campaigns"].as_array().unwrap().iter();
    let id = listed.find(|it| it["test"] == true).unwrap()["id"].as_str().unwrap();
    assert!(visitor.page(&format!("/campaigns/{id}")).await.contains(mark));
    assert!(!visitor.page(&format!("/campaigns/{real}")).await.contains(mark));
    let ended = "update campaigns set state = 5, started_at = now(), ended_at = now(), closed_at = now() where id = $1";
    stage.change(ended, id).await;
    assert_eq!(visitor.page("/log?show=all").await.matches(mark).count(), 1);
    for (id, titled) in [(id, true), (real.as_str(), false)] {
        let file = stage.get(&format!("/v1/campaigns/{id}/report?format=csv")).await;
        let text = file.body.as_str().unwrap();
        assert!(text.contains("Sent Message Report"), "{text}");
        assert_eq!(text.contains("Sent Message Report of a Test"), titled, "{text}");
    }
    let audit = stage.get("/v1/audit?action=campaign.create&limit=50").await.body.to_string();
    assert_eq!(audit.matches(r#"{"test":true}"#).count(), 4, "{audit}");
}

#[tokio::test]
async fn test_people_are_named_by_the_district_and_no_others_are_taken() {
    let stage = Stage::start().await;
    stage.staff("ana", &[(2, "+15551230000")]).await;
    let refused = stage.submit("k", &test_of(campaign())).await;
    refused.assert_problem(422, "invalid-body");
    assert_eq!(refused.body["errors"][0]["field"], "test");
    assert!(refused.body["detail"].as_str().unwrap().contains("PUT /v1/sending-policy"), "{refused:?}");
    let many: Vec<String> = (0..51).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (people, field) in [
        (&["ana", "nobody"][..], "test_people[1]"),
        (&["ana", "ana"], "test_people[1]"),
        (&[" "], "test_people[0]"),
        (&many, "test_people"),
    ] {
        let answer = put(&stage, people).await;
        answer.assert_problem(422, "invalid-body");
        assert_eq!(answer.body["errors"][0]["field"], field, "{answer:?}");
    }
    assert_eq!(put(&stage, &["ana"]).await.status, 200);
    let kept = stage.send_as(KEY, Method::PUT, "/v1/sending-policy", &json!({"undo_seconds": 5})).await;
    assert_eq!(kept.body["test_people"], json!(["ana"]), "what is left out stays");
    let bad =
        stage.submit("bad", &json!({"test": "yes", "subject": "s", "channels": ["sms"], "body": "b"})).await;
    bad.assert_problem(422, "invalid-body");
    assert_eq!(put(&stage, &[]).await.body["test_people"], json!([]));
    stage.submit("k", &test_of(campaign())).await.assert_problem(422, "invalid-body");
}

/// Edit, correction, series: none of them leads from a test to the audience, or from the audience to a test.
#[tokio::test]
async fn nothing_that_is_done_with_a_test_later_finds_the_live_audience() {
    let stage = Stage::start().await;
    with_zone(&stage).await;
    staffed(&stage).await;
    let mut body = campaign();
    body["scheduled_at"] = json!(stage.clock.now() + TimeDelta::hours(1));
    let test = stage.submit("test", &test_of(body.clone())).await.id();
    let real = stage.submit("real", &body).await.id();
    let edit = async |id: &str, changes: Value| {
        stage.send_as(KEY, Method::PATCH, &format!("/v1/campaigns/{id}"), &changes).await
    };
    for changes in [json!({"audience": {"all": true}}), json!({"test": false}), json!({"body": "x"})] {
        let mut changes = changes;
        changes["version"] = json!(1);
        edit(&test, changes).await.assert_problem(409, "is-a-test");
    }
    let to_test = edit(&real, json!({"version": 1, "test": true})).await;
    to_test.assert_problem(422, "invalid-body");
    assert_eq!(to_test.body["errors"][0]["field"], "test");
    let mut series = test_of(campaign());
    let start = (stage.clock.now() + TimeDelta::days(2)).format("%Y-%m-%d").to_string();
    series["recurrence"] = json!({"frequency": "daily", "starts_on": start, "at": "08:00"});
    let refused = send(&stage, Method::POST, KEY, "/v1/series", &series).await;
    refused.assert_problem(422, "invalid-body");
    assert_eq!(refused.body["errors"][0]["field"], "test");
    // Not even a program that knows no tests, such as the release before, makes one of it that reaches others.
    let id: uuid::Uuid = test.parse().unwrap();
    for audience in [r#"{"all": true}"#, r#"{"schools": ["a"]}"#, r#"{"people": []}"#, r#"{"any_of": []}"#] {
        let sql = "update campaigns set audience = audience || $2::text::jsonb where id = $1";
        let error = stage.sql.execute(sql, &[&id, &audience]).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "23514", "{audience}");
    }
    stage.clock.advance(TimeDelta::hours(2));
    assert_eq!(reached(&stage, &test).await, TEST_PHONES);
}

#[tokio::test]
async fn a_correction_of_a_test_is_a_test_and_one_may_be_tested() {
    let stage = Stage::start().await;
    let id = canceled(&stage).await;
    assert_eq!(put(&stage, &["dia"]).await.status, 200);
    let correct = async |key: &str, id: &str, body: &Value| {
        let bearer = format!("Bearer {KEY}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("idempotency-key", key),
            ("content-type", "application/json"),
        ];
        let path = format!("/v1/campaigns/{id}/correction");
        stage.ask(Method::POST, &path, &headers, &body.to_string()).await
    };
    let tested = correct("tested", &id, &json!({"body": "x", "test": true})).await;
    assert_eq!((tested.status, &tested.body["test"]), (201, &json!(true)), "{tested:?}");
    assert_eq!(reached(&stage, &tested.id()).await, ["+15551230003"], "dia was not even reached");
    // What that campaign was, it was as a test.
    let as_a_test = "update campaigns set test = true, audience = audience || '{\"all\": false, \"people\": [\"ana\"]}' where id = $1";
    stage.change(as_a_test, &id).await;
    let made = correct("of a test", &id, &json!({"body": "x"})).await;
    assert_eq!((made.status, &made.body["test"]), (201, &json!(true)), "{made:?}");
    assert_eq!(made.body["audience"]["receipt"]["campaign"], json!(id));
}

#[tokio::test]
async fn a_test_of_an_emergency_travels_as_one_and_waits_for_no_second_person() {
    let stage = Stage::start().await;
    staffed(&stage).await;
    decided(&stage).await;
    let made = stage.submit("drill", &test_of(emergency())).await;
    assert_eq!((made.status, &made.body["lane"]), (201, &json!("emergency")), "{made:?}");
    assert_eq!(reached(&stage, &made.id()).await, TEST_PHONES);
    // Who may not send the type may not test it either.
    let (secretary, _) = stage.key(stage.north, "sec", &["secretary"]).await;
    let refused = stage.submit_as(&secretary, "drill 2", &test_of(emergency())).await;
    refused.assert_problem(403, "forbidden");
    assert_eq!(refused.body["right"], "send.emergency");
}
