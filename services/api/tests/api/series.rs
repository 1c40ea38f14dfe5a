//! Series and edits of what is scheduled, over HTTP.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use tocsin_runtime::Clock as _;

use crate::stage::{Answer, KEY, OTHER_KEY, Stage, campaign};

pub async fn with_zone(stage: &Stage) {
    stage.sql.execute("update districts set time_zone = 'America/Chicago'", &[]).await.unwrap();
}

fn series(stage: &Stage) -> Value {
    let mut body = campaign();
    let start = stage.clock.now() + TimeDelta::days(2);
    body["recurrence"] =
        json!({"frequency": "daily", "starts_on": start.format("%Y-%m-%d").to_string(), "at": "08:00"});
    body
}

pub async fn send(stage: &Stage, method: Method, key: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers =
        [("authorization", bearer.as_str()), ("idempotency-key", "k"), ("content-type", "application/json")];
    stage.ask(method, path, &headers, &body.to_string()).await
}

fn fields(answer: &Answer) -> Vec<String> {
    let errors = answer.body["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_series_is_made_once_shown_and_listed() {
    let stage = Stage::start().await;
    with_zone(&stage).await;
    let body = series(&stage);
    let made = send(&stage, Method::POST, KEY, "/v1/series", &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let again = send(&stage, Method::POST, KEY, "/v1/series", &body).await;
    assert_eq!((again.status, again.id()), (200, made.id()));
    let mut other = body.clone();
    other["subject"] = json!("Another");
    send(&stage, Method::POST, KEY, "/v1/series", &other).await.assert_problem(409, "key-reused");
    assert_eq!(made.body["state"], "active");
    assert_eq!((&made.body["version"], &made.body["time_zone"]), (&json!(1), &json!("America/Chicago")));
    assert_eq!(made.body["next_on"], body["recurrence"]["starts_on"]);
    assert_eq!(made.body["redial"], Value::Null, "the district's policy of each day");
    let path = format!("/v1/series/{}", made.id());
    assert_eq!(stage.get(&path).await.body, made.body);
    let listed = stage.get("/v1/series?state=active&mine=true").await.body;
    assert_eq!(listed["series"][0]["id"], made.body["id"]);
    let coming = stage.get(&format!("{path}/occurrences?limit=3")).await.body;
    assert_eq!(
        (coming["coming"].as_array().unwrap().len(), coming["past"].as_array().unwrap().len()),
        (3, 0)
    );
    for path in [path.clone(), format!("{path}/occurrences")] {
        stage.get_as(OTHER_KEY, &path).await.assert_problem(404, "unknown-series");
    }
    send(&stage, Method::PATCH, OTHER_KEY, &path, &json!({"version": 1}))
        .await
        .assert_problem(404, "unknown-series");
    send(&stage, Method::POST, OTHER_KEY, &format!("{path}/cancel"), &json!({}))
        .await
        .assert_problem(404, "unknown-series");
    assert_eq!(stage.get_as(OTHER_KEY, "/v1/series").await.body["series"], json!([]));
}

#[tokio::test]
async fn a_faulty_series_is_refused_with_all_its_faults() {
    let stage = Stage::start().await;
    let without_zone = send(&stage, Method::POST, KEY, "/v1/series", &series(&stage)).await;
    without_zone.assert_problem(422, "invalid-body");
    assert_eq!(fields(&without_zone), ["recurrence"]);
    with_zone(&stage).await;
    let mut body = series(&stage);
    body["recurrence"] =
        json!({"frequency": "weekly", "weekdays": [], "starts_on": "2026-13-01", "at": "8", "often": 1});
    body["scheduled_at"] = json!("2026-09-01T08:00:00Z");
    body["late_seconds_max"] = json!(99_999);
    body["subject"] = json!("");
    let refused = send(&stage, Method::POST, KEY, "/v1/series", &body).await;
    refused.assert_problem(422, "invalid-body");
    let fields = fields(&refused);
    for field in [
        "scheduled_at",
        "recurrence.often",
        "recurrence.weekdays",
        "recurrence.starts_on",
        "recurrence.at",
        "late_seconds_max",
        "subject",
    ] {
        assert!(fields.iter().any(|is| is == field), "{field} is not among {fields:?}");
    }
    for (body, field) in [(json!([]), "$"), (json!({}), "recurrence")] {
        let refused = send(&stage, Method::POST, KEY, "/v1/series", &body).await;
        assert!(self::fields(&refused).iter().any(|is| is == field), "{refused:?}");
    }
}

#[tokio::test]
async fn an_edit_of_a_series_changes_what_comes_and_says_what_it_removed() {
    let stage = Stage::start().await;
    with_zone(&stage).await;
    let made = send(&stage, Method::POST, KEY, "/v1/series", &series(&stage)).await;
    let path = format!("/v1/series/{}", made.id());
    let later = (stage.clock.now() + TimeDelta::days(7)).format("%Y-%m-%d").to_string();
    let mut recurrence = made.body["recurrence"].clone();
    recurrence["starts_on"] = json!(later);
    let change = json!({"version": 1, "by": "bob", "recurrence": recurrence, "subject": "Other"});
    let edited = send(&stage, Method::PATCH, KEY, &path, &change).await;
    assert_eq!(edited.status, 200, "{edited:?}");
    assert_eq!((&edited.body["version"], &edited.body["subject"]), (&json!(2), &json!("Other")));
    assert_eq!((&edited.body["next_on"], &edited.body["modified_by"]), (&json!(later), &json!("bob")));
    assert_eq!(edited.body["removed_occurrences"], 5);
    assert_eq!(
        edited.body["contents"][0]["subject"], "Other",
        "a content without its own has the campaign's"
    );
    send(&stage, Method::PATCH, KEY, &path, &change).await.assert_problem(409, "edited-meanwhile");
    let refused = send(&stage, Method::PATCH, KEY, &path, &json!({"subject": "x"})).await;
    assert_eq!(fields(&refused), ["version"]);
    let canceled = send(&stage, Method::POST, KEY, &format!("{path}/cancel"), &json!({"by": "bob"})).await;
    assert_eq!((canceled.status, &canceled.body["state"]), (200, &json!("canceled")));
    assert_eq!(canceled.body["next_at"], Value::Null);
    let again = send(&stage, Method::POST, KEY, &format!("{path}/cancel"), &json!({"by": "eve"})).await;
    assert_eq!(again.body, canceled.body);
    send(&stage, Method::PATCH, KEY, &path, &json!({"version": 2})).await.assert_problem(409, "not-active");
}

async fn scheduled(stage: &Stage) -> (String, String, DateTime<Utc>) {
    let at = stage.clock.now() + TimeDelta::hours(3);
    let mut body = campaign();
    body["scheduled_at"] = json!(at.to_rfc3339());
    body["contents"] = json!([{"body": "One."}, {"body": "Uno.", "language": "es"}]);
    body.as_object_mut().unwrap().remove("body");
    let id = stage.submit("scheduled", &body).await.id();
    (format!("/v1/campaigns/{id}"), id, at)
}

#[tokio::test]
async fn a_scheduled_campaign_is_edited_by_its_version_until_it_begins() {
    let stage = Stage::start().await;
    let (path, id, at) = scheduled(&stage).await;
    let change = json!({
        "version": 1, "by": "bob", "subject": "Late start", "body": "Two hours.", "channels": ["sms"],
        "scheduled_at": (at + TimeDelta::hours(1)).to_rfc3339(),
    });
    let edited = send(&stage, Method::PATCH, KEY, &path, &change).await;
    assert_eq!(edited.status, 200, "{edited:?}");
    for (name, value) in [
        ("subject", json!("Late start")),
        ("channels", json!(["sms"])),
        ("version", json!(2)),
        ("modified_by", json!("bob")),
        ("created_by", json!("test")),
        ("state", json!("scheduled")),
    ] {
        assert_eq!(edited.body[name], value, "{name}");
    }
    // Of two texts one is left.
    assert_eq!(edited.body["contents"].as_array().unwrap().len(), 1);
    assert_eq!(edited.body["contents"][0]["body"], "Two hours.");
    let kept = "select count(*) from contents where campaign_id = $1";
    let id = uuid::Uuid::parse_str(&id).unwrap();
    assert_eq!(stage.sql.query_one(kept, &[&id]).await.unwrap().get::<_, i64>(0), 1);
    let audit =
        "select count(*) from audit where action = 'campaign.edit' and actor = 'bob' and subject = $1";
    assert_eq!(stage.sql.query_one(audit, &[&id.to_string()]).await.unwrap().get::<_, i64>(0), 1);
    // What is left out stays.
    let instant = |name: &str| -> DateTime<Utc> { edited.body[name].as_str().unwrap().parse().unwrap() };
    assert_eq!(instant("expires_at") - instant("scheduled_at"), TimeDelta::hours(24));

    send(&stage, Method::PATCH, KEY, &path, &change).await.assert_problem(409, "edited-meanwhile");
    send(&stage, Method::PATCH, OTHER_KEY, &path, &change).await.assert_problem(404, "unknown-campaign");
    let refused =
        send(&stage, Method::PATCH, KEY, &path, &json!({"version": 2, "subject": "", "odd": 1})).await;
    assert_eq!(fields(&refused), ["subject", "odd"]);
    let renamed = send(&stage, Method::PATCH, KEY, &path, &json!({"version": 2, "created_by": "eve"})).await;
    assert_eq!(fields(&renamed), ["created_by"]);
    stage.clock.advance(TimeDelta::hours(5));
    stage.expand_all().await;
    let late = send(&stage, Method::PATCH, KEY, &path, &json!({"version": 2, "subject": "x"})).await;
    late.assert_problem(409, "not-scheduled");
    assert!(late.body["detail"].as_str().unwrap().contains("cancel it"), "{late:?}");
}

#[tokio::test]
async fn message_types_and_templates_are_the_districts() {
    let stage = Stage::start().await;
    let kinds = stage.get("/v1/message-types").await.body;
    assert_eq!(kinds["message_types"].as_array().unwrap().len(), 10);
    assert_eq!(kinds["message_types"][6]["label"], "Special Ed");
    let body = json!({"name": "Late bus", "subject": "Bus", "channels": ["sms"], "body": "{{ student_name | Your child }} is late."});
    let made = send(&stage, Method::POST, KEY, "/v1/templates", &body).await;
    assert_eq!((made.status, &made.body["audience"]), (201, &Value::Null), "{made:?}");
    let mut twice = body.clone();
    twice["name"] = json!("LATE BUS");
    send(&stage, Method::POST, KEY, "/v1/templates", &twice).await.assert_problem(409, "name-taken");
    let path = format!("/v1/templates/{}", made.id());
    assert_eq!(stage.get(&path).await.body, made.body);
    let mut change = body.clone();
    change["version"] = json!(1);
    change["body"] = json!("Late.");
    change["by"] = json!("bob");
    let replaced = send(&stage, Method::PUT, KEY, &path, &change).await;
    assert_eq!(
        (&replaced.body["version"], &replaced.body["modified_by"]),
        (&json!(2), &json!("bob")),
        "{replaced:?}"
    );
    send(&stage, Method::PUT, KEY, &path, &change).await.assert_problem(409, "edited-meanwhile");
    for faulty in [
        json!({"name": " ", "subject": "s", "channels": ["sms"], "body": "b"}),
        json!({"name": "n", "subject": "s", "channels": ["sms"], "body": "{{ odd }}"}),
        json!({"name": "n", "subject": "s", "channels": ["sms"], "body": "b", "scheduled_at": "now"}),
    ] {
        send(&stage, Method::POST, KEY, "/v1/templates", &faulty).await.assert_problem(422, "invalid-body");
    }
    stage.get_as(OTHER_KEY, &path).await.assert_problem(404, "unknown-template");
    assert_eq!(stage.get_as(OTHER_KEY, "/v1/templates").await.body["templates"], json!([]));
    let foreign = send(&stage, Method::DELETE, OTHER_KEY, &path, &json!(null)).await;
    foreign.assert_problem(404, "unknown-template");
    assert_eq!(stage.get("/v1/templates").await.body["templates"][0]["name"], "Late bus");
    assert_eq!(send(&stage, Method::DELETE, KEY, &path, &json!(null)).await.status, 204);
    stage.get(&path).await.assert_problem(404, "unknown-template");
}
