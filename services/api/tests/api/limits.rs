//! What a district and a campaign's author allow of a channel: shown, replaced, refused.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Answer, KEY, OTHER_KEY, Stage, campaign};

async fn put(stage: &Stage, body: &Value) -> Answer {
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    stage.ask(Method::PUT, "/v1/limits", &headers, &body.to_string()).await
}

fn faults(answer: &Answer) -> Vec<String> {
    let named = |fault: &Value| fault["field"].as_str().unwrap_or_default().to_owned();
    answer.body["errors"].as_array().into_iter().flatten().map(named).collect()
}

#[tokio::test]
async fn a_district_sets_its_limits_and_nobody_elses() {
    let stage = Stage::start().await;
    assert_eq!(stage.get("/v1/limits").await.body, json!({"channels": {}}));
    let wanted = json!({
        "voice": {"rate_per_second": 2.5, "concurrency": 20, "spares_emergencies": true},
        "sms": {"rate_per_second": 10.0, "concurrency": null, "spares_emergencies": false},
    });
    let answer = put(&stage, &json!({"channels": wanted, "updated_by": "ana"})).await;
    assert_eq!((answer.status, &answer.body["channels"]), (200, &wanted), "{answer:?}");
    assert_eq!(stage.get("/v1/limits").await.body["channels"], wanted);
    assert_eq!(stage.get_as(OTHER_KEY, "/v1/limits").await.body, json!({"channels": {}}));
    put(&stage, &json!({"channels": {"sms": {"concurrency": 5}}})).await;
    let left = stage.get("/v1/limits").await.body;
    assert_eq!(
        left["channels"],
        json!({"sms": {"rate_per_second": null, "concurrency": 5, "spares_emergencies": false}})
    );
}

#[tokio::test]
async fn impossible_limits_are_refused_with_field_fault_and_remedy() {
    let stage = Stage::start().await;
    let table = [
        (json!({}), "channels"),
        (json!({"channels": {"voice": {}}}), "channels.voice"),
        (json!({"channels": {"voice": {"rate_per_second": 0}}}), "channels.voice.rate_per_second"),
        (json!({"channels": {"voice": {"rate_per_second": -1.5}}}), "channels.voice.rate_per_second"),
        (json!({"channels": {"voice": {"rate_per_second": "fast"}}}), "channels.voice.rate_per_second"),
        (json!({"channels": {"sms": {"concurrency": 0}}}), "channels.sms.concurrency"),
        (json!({"channels": {"sms": {"concurrency": 2001}}}), "channels.sms.concurrency"),
        (json!({"channels": {"fax": {"concurrency": 1}}}), "channels.fax"),
    ];
    for (body, field) in table {
        let answer = put(&stage, &body).await;
        assert_eq!((answer.status, faults(&answer)), (422, vec![field.to_owned()]), "{body}: {answer:?}");
        let reason = answer.body["errors"][0]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(':'), "{body}: no remedy in {reason:?}");
    }
    let mut of_campaign = campaign();
    for (limits, field) in [
        (json!({"sms": {"rate_per_second": 0}}), "limits.sms.rate_per_second"),
        (json!({"sms": {}}), "limits.sms.rate_per_second"),
        (json!({"fax": {"rate_per_second": 1}}), "limits.fax"),
    ] {
        of_campaign["channels"] = json!(["sms"]);
        of_campaign["limits"] = limits;
        let answer = stage.submit("limited", &of_campaign).await;
        assert_eq!(faults(&answer), [field], "{answer:?}");
    }
    of_campaign["limits"] = json!({"voice": {"rate_per_second": 1}});
    let answer = stage.submit("limited", &of_campaign).await;
    assert_eq!(faults(&answer), ["limits.voice"], "not a channel of it: {answer:?}");
    of_campaign["limits"] = json!({"sms": {"rate_per_second": 0.5}});
    let answer = stage.submit("limited", &of_campaign).await;
    let id = answer.body["id"].as_str().unwrap();
    let shown = stage.get(&format!("/v1/campaigns/{id}")).await;
    assert_eq!(shown.body["limits"], json!({"sms": {"rate_per_second": 0.5}}), "{answer:?}");
}
