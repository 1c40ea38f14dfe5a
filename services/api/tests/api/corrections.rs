//! Corrections: whom they are for, what they take over, and when they are refused.

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_runtime::Clock as _;

use crate::receipts::canceled;
use crate::stage::{Answer, KEY, OTHER_KEY, Stage};

async fn correct_as(stage: &Stage, key: &str, client_key: &str, id: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("idempotency-key", client_key),
        ("content-type", "application/json"),
    ];
    let path = format!("/v1/campaigns/{id}/correction");
    stage.ask(Method::POST, &path, &headers, &body.to_string()).await
}

async fn correct(stage: &Stage, client_key: &str, id: &str, body: &Value) -> Answer {
    correct_as(stage, KEY, client_key, id, body).await
}

async fn addresses(stage: &Stage, id: &str) -> Vec<String> {
    let page = stage.get(&format!("/v1/campaigns/{id}/recipients")).await.body;
    let rows = page["recipients"].as_array().unwrap();
    rows.iter().map(|row| row["address"].as_str().unwrap_or("-").to_owned()).collect()
}

const TEXT: &str = "It was the wrong day.";

#[tokio::test]
async fn a_correction_goes_to_those_contacted_or_unknown_and_takes_over_what_is_not_said() {
    let stage = Stage::start().await;
    let id = canceled(&stage).await;
    stage
        .change("update campaigns set lane = 2, message_type = 'priority', mode = 2 where id = $1", &id)
        .await;
    let made = correct(&stage, "c1", &id, &json!({ "body": TEXT })).await;
    assert_eq!(made.status, 201, "{made:?}");
    for (name, value) in [
        ("subject", json!("Correction: Early dismissal")),
        ("message_type", json!("priority")),
        ("lane", json!("priority")),
        ("channels", json!(["voice", "sms", "email", "inbox"])),
        ("corrects", json!(id)),
    ] {
        assert_eq!(made.body[name], value, "{name}: {made:?}");
    }
    let again = correct(&stage, "c1", &id, &json!({ "body": TEXT })).await;
    assert_eq!((again.status, again.id()), (200, made.id()), "posting twice makes one");
    let audience = json!({ "receipt": { "campaign": id, "part": "contacted_or_unknown" } });
    let said = json!({ "subject": "Sorry", "message_type": "emergency", "channels": ["sms"],
        "mode": "per_device", "body": TEXT, "audience": audience });
    let other = stage.submit("c2", &said).await;
    assert_eq!((other.status, &other.body["lane"]), (201, &json!("emergency")), "{other:?}");
    stage.expand_all().await;
    for correction in [made.id(), other.id()] {
        assert_eq!(addresses(&stage, &correction).await, ["+15551230000", "+15551230001", "+15551230002"]);
    }
    assert_eq!(stage.get(&format!("/v1/campaigns/{id}")).await.body["corrects"], Value::Null);
}

#[tokio::test]
async fn a_correction_is_refused_with_field_and_reason() {
    let stage = Stage::start().await;
    let id = canceled(&stage).await;
    let receipt = json!({ "campaign": id });
    let cases = [
        (json!({ "receipt": receipt, "all": true }), "audience.all", "beside receipt"),
        (json!({ "receipt": receipt, "schools": ["s1"] }), "audience.schools", "beside receipt"),
        (json!({ "receipt": receipt, "roles": ["guardian"] }), "audience.roles", "beside receipt"),
        (json!({ "receipt": receipt, "lang": "es" }), "audience.lang", "is unknown"),
        (json!({ "receipt": id }), "audience.receipt", "give an object"),
        (json!({ "receipt": {} }), "audience.receipt.campaign", "is missing"),
        (json!({ "receipt": { "campaign": "17" } }), "audience.receipt.campaign", "no campaign's id"),
        (
            json!({ "receipt": { "campaign": id, "part": "recalled" } }),
            "audience.receipt.part",
            "use contacted_or_unknown",
        ),
        (json!({ "receipt": { "campaign": id, "of": 1 } }), "audience.receipt.of", "is unknown"),
    ];
    for (number, (audience, field, says)) in cases.into_iter().enumerate() {
        let request = json!({ "subject": "s", "channels": ["sms"], "body": TEXT, "audience": audience });
        let answer = stage.submit(&format!("faulty {number}"), &request).await;
        answer.assert_problem(422, "invalid-body");
        let fault = &answer.body["errors"][0];
        assert_eq!((&fault["field"], answer.body["errors"].as_array().unwrap().len()), (&json!(field), 1));
        assert!(fault["reason"].as_str().unwrap().contains(says), "{fault}");
    }
    for (body, field) in [
        (json!({ "body": TEXT, "audience": { "all": true } }), "audience"),
        (json!({}), "body"),
        (json!([]), "$"),
    ] {
        let answer = correct(&stage, "faulty", &id, &body).await;
        answer.assert_problem(422, "invalid-body");
        assert_eq!(answer.body["errors"][0]["field"], field, "{answer:?}");
    }
    stage.change("update campaigns set channels = array[2::smallint] where id = $1", &id).await;
    let answer = correct(&stage, "faulty", &id, &json!({ "body": TEXT, "channels": ["sms", "voice"] })).await;
    assert_eq!(answer.body["errors"][0]["field"], "channels[1]", "{answer:?}");
}

#[tokio::test]
async fn only_a_canceled_campaign_that_reached_somebody_is_corrected() {
    let stage = Stage::start().await;
    let id = canceled(&stage).await;
    let body = json!({ "body": TEXT });
    for (key, campaign) in
        [(OTHER_KEY, id.as_str()), (KEY, "0198c5a0-0000-7000-8000-000000000000"), (KEY, "x")]
    {
        correct_as(&stage, key, "c", campaign, &body).await.assert_problem(404, "unknown-campaign");
    }
    let audience = json!({ "receipt": { "campaign": id } });
    let said = json!({ "subject": "s", "channels": ["sms"], "body": TEXT, "audience": audience });
    stage.submit_as(OTHER_KEY, "c", &said).await.assert_problem(404, "unknown-campaign");

    stage.change("update campaigns set state = 4 where id = $1", &id).await;
    let early = correct(&stage, "c", &id, &body).await;
    early.assert_problem(409, "not-canceled");
    assert!(early.body["detail"].as_str().unwrap().contains("wait until its state is canceled"), "{early:?}");

    let running = stage.campaign("running").await;
    correct(&stage, "c", &running, &body).await.assert_problem(409, "not-canceled");
    stage.post(&format!("/v1/campaigns/{running}/cancel"), "{}").await;
    stage.change("update campaigns set state = 10, ended_at = now() where id = $1", &running).await;
    correct(&stage, "c", &running, &body).await.assert_problem(409, "nobody-contacted");

    stage.change("update campaigns set state = 7 where id = $1", &id).await;
    let made = correct(&stage, "c", &id, &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert!(stage.engine.expansions_due(stage.clock.now(), 10).await.unwrap().len() == 1);
}
