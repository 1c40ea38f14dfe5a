//! Webhooks over REST: made, changed, rotated, tested and removed, by administrators of their own district.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Answer, KEY, OTHER_KEY, Stage};

const URL: &str = "https://hooks.example.org/tocsin";

async fn send(stage: &Stage, method: Method, path: &str, body: Value) -> Answer {
    stage.send_as(KEY, method, path, &body).await
}

async fn made(stage: &Stage) -> Answer {
    let body = json!({"url": URL, "events": ["device.outcome", "campaign.completed"], "description": "SIS"});
    let made = send(stage, Method::POST, "/v1/webhooks", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    made
}

fn fields(answer: &Answer) -> Vec<&str> {
    answer.body["errors"].as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap()).collect()
}

async fn actions(stage: &Stage) -> Vec<String> {
    let entries = stage.get("/v1/audit").await.body["entries"].as_array().unwrap().clone();
    let ours = entries.iter().filter(|entry| entry["action"].as_str().unwrap().starts_with("webhook."));
    ours.map(|entry| entry["action"].as_str().unwrap().to_owned()).rev().collect()
}

#[tokio::test]
async fn a_webhooks_secret_is_shown_when_it_is_made_and_never_again() {
    let stage = Stage::start().await;
    let made = made(&stage).await;
    let path = format!("/v1/webhooks/{}", made.id());
    assert_eq!(made.headers["location"], path.as_str());
    let secret = made.body["secret"].as_str().unwrap();
    let bytes = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    assert!((24..=64).contains(&bytes.len()), "{secret}");
    let shown = stage.get(&path).await.body;
    assert_eq!((&shown["url"], &shown["enabled"]), (&json!(URL), &json!(true)));
    assert_eq!(shown["events"], json!(["campaign.completed", "device.outcome"]));
    let listed = stage.get("/v1/webhooks").await.body;
    assert_eq!(listed["webhooks"][0], shown);
    // Nor is it anywhere in the store.
    let kept: String = stage
        .sql
        .query_one("select string_agg(e::text, '') || coalesce((select string_agg(a::text, '') from audit a), '') from webhook_endpoints e", &[])
        .await
        .unwrap()
        .get(0);
    assert!(shown.get("secret").is_none() && !kept.contains(&secret[6..]) && !kept.contains("whsec_"));

    let rotated = send(&stage, Method::POST, &format!("{path}/secret"), json!({"overlap_hours": 2})).await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    assert_ne!(rotated.body["secret"], made.body["secret"]);
    assert!(rotated.body["previous_secret_until"].is_string(), "{rotated:?}");
    let again = send(&stage, Method::POST, &format!("{path}/secret"), Value::Null).await;
    assert!(again.status == 200 && again.body["secret"] != rotated.body["secret"], "{again:?}");
    let odd = send(&stage, Method::POST, &format!("{path}/secret"), json!({"overlap_hours": 200})).await;
    odd.assert_problem(422, "invalid-body");
    assert_eq!(actions(&stage).await, ["webhook.add", "webhook.rotate", "webhook.rotate"]);
}

#[tokio::test]
async fn a_webhook_is_changed_disabled_and_removed() {
    let stage = Stage::start().await;
    let path = format!("/v1/webhooks/{}", made(&stage).await.id());
    let off =
        send(&stage, Method::PATCH, &path, json!({"enabled": false, "events": ["campaign.closed"]})).await;
    assert_eq!((off.status, &off.body["disabled_reason"]), (200, &json!("by_hand")), "{off:?}");
    assert_eq!((&off.body["url"], &off.body["events"]), (&json!(URL), &json!(["campaign.closed"])));
    let test = format!("{path}/test");
    send(&stage, Method::POST, &test, Value::Null).await.assert_problem(409, "webhook-disabled");
    let on = send(&stage, Method::PATCH, &path, json!({"enabled": true})).await;
    assert_eq!((&on.body["enabled"], &on.body["disabled_reason"]), (&json!(true), &Value::Null));

    for _ in 0..3 {
        assert_eq!(send(&stage, Method::POST, &test, Value::Null).await.status, 202);
    }
    let first = stage.get(&format!("{path}/deliveries?limit=2")).await.body;
    let found = first["deliveries"].as_array().unwrap();
    assert_eq!((found.len(), &found[0]["state"], &found[0]["attempts"]), (2, &json!("waiting"), &json!(0)));
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = stage.get(&format!("{path}/deliveries?limit=2&cursor={cursor}")).await.body;
    assert_eq!((rest["deliveries"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
    let id = found[0]["id"].as_str().unwrap();
    let one = stage.get(&format!("{path}/deliveries/{id}")).await.body;
    let body: Value = serde_json::from_str(one["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["type"], found[0].get("body")), (&json!("webhook.test"), None));
    stage.get(&format!("{path}/deliveries/msg_1")).await.assert_problem(404, "unknown-delivery");

    assert_eq!(send(&stage, Method::DELETE, &path, Value::Null).await.status, 204);
    stage.get(&path).await.assert_problem(404, "unknown-webhook");
    assert!(actions(&stage).await.ends_with(&["webhook.test".to_owned(), "webhook.remove".to_owned()]));
}

#[tokio::test]
async fn a_delivery_is_sent_again_by_hand_once_it_is_over_and_its_webhook_enabled() {
    let stage = Stage::start().await;
    let path = format!("/v1/webhooks/{}", made(&stage).await.id());
    let sent = send(&stage, Method::POST, &format!("{path}/test"), Value::Null).await.id();
    let (one, again) = (format!("{path}/deliveries/{sent}"), format!("{path}/deliveries/{sent}/redeliver"));
    send(&stage, Method::POST, &again, Value::Null).await.assert_problem(409, "delivery-waiting");
    for (state, ended) in [(3, "failed"), (2, "delivered")] {
        let over = format!(
            "update webhook_deliveries set state = {state}, attempts = 10, next_at = null, status = 500, tried_at = now()"
        );
        stage.sql.batch_execute(&over).await.unwrap();
        let before = stage.get(&one).await.body;
        assert_eq!((&before["state"], &before["next_attempt_at"]), (&json!(ended), &Value::Null));
        send(&stage, Method::PATCH, &path, json!({"enabled": false})).await;
        send(&stage, Method::POST, &again, Value::Null).await.assert_problem(409, "webhook-disabled");
        send(&stage, Method::PATCH, &path, json!({"enabled": true})).await;
        let foreign = stage.send_as(OTHER_KEY, Method::POST, &again, &Value::Null).await;
        foreign.assert_problem(404, "unknown-webhook");
        assert_eq!(stage.get(&one).await.body, before, "nothing moved it");

        let answer = send(&stage, Method::POST, &again, Value::Null).await;
        assert_eq!((answer.status, &answer.body["id"]), (202, &json!(sent)), "{answer:?}");
        let after = stage.get(&one).await.body;
        assert_eq!((&after["state"], &after["attempts"]), (&json!("waiting"), &json!(0)), "{after}");
        assert_eq!((&after["body"], &after["created_at"]), (&before["body"], &before["created_at"]));
        assert!(after["next_attempt_at"].is_string() && after["status"] == 500, "{after}");
        send(&stage, Method::POST, &again, Value::Null).await.assert_problem(409, "delivery-waiting");
    }
    let unknown = format!("{path}/deliveries/msg_00000000000000000000000000000001/redeliver");
    send(&stage, Method::POST, &unknown, Value::Null).await.assert_problem(404, "unknown-delivery");
    let audit = stage.get("/v1/audit").await.body["entries"].as_array().unwrap().clone();
    let ours: Vec<_> = audit.iter().filter(|entry| entry["action"] == "webhook.redeliver").collect();
    assert_eq!(ours.len(), 2, "{audit:?}");
    assert_eq!(ours[0]["details"]["event"], "webhook.test");
}

#[tokio::test]
async fn every_fault_of_a_webhook_is_told_at_once() {
    let stage = Stage::start().await;
    let body = json!({"url": "http://10.0.0.1/", "events": ["campaign.*"], "description": 1, "enabled": "yes", "x": 1});
    let answer = send(&stage, Method::POST, "/v1/webhooks", body).await;
    answer.assert_problem(422, "invalid-body");
    assert_eq!(fields(&answer), ["url", "events[0]", "description", "enabled", "x"]);
    let none = send(&stage, Method::POST, "/v1/webhooks", json!({"events": []})).await;
    assert_eq!(fields(&none), ["url", "events"]);
    for url in [
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/",
        "ftp://x.example/",
        "https://a@b.example/",
    ] {
        let answer =
            send(&stage, Method::POST, "/v1/webhooks", json!({"url": url, "events": ["campaign.closed"]}))
                .await;
        answer.assert_problem(422, "invalid-body");
        assert_eq!(fields(&answer), ["url"], "{url}");
    }
}

#[tokio::test]
async fn another_districts_webhook_is_unknown_and_each_has_its_own_number_of_them() {
    let stage = Stage::start().await;
    let path = format!("/v1/webhooks/{}", made(&stage).await.id());
    for (method, rest, body) in [
        (Method::GET, "", Value::Null),
        (Method::PATCH, "", json!({"enabled": false})),
        (Method::DELETE, "", Value::Null),
        (Method::POST, "/secret", Value::Null),
        (Method::POST, "/test", Value::Null),
        (Method::GET, "/deliveries", Value::Null),
        (Method::GET, "/deliveries/msg_00000000000000000000000000000001", Value::Null),
        (Method::POST, "/deliveries/msg_00000000000000000000000000000001/redeliver", Value::Null),
    ] {
        let answer = stage.send_as(OTHER_KEY, method, &format!("{path}{rest}"), &body).await;
        answer.assert_problem(404, "unknown-webhook");
    }
    assert_eq!(stage.get(&path).await.body["enabled"], true);
    let body = json!({"url": URL, "events": ["campaign.closed"]});
    for _ in 1..20 {
        assert_eq!(send(&stage, Method::POST, "/v1/webhooks", body.clone()).await.status, 201);
    }
    send(&stage, Method::POST, "/v1/webhooks", body.clone()).await.assert_problem(409, "too-many-webhooks");
    assert_eq!(stage.send_as(OTHER_KEY, Method::POST, "/v1/webhooks", &body).await.status, 201);
}
