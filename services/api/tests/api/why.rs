//! Every attempt is explainable: a row leads to an answer in words and to one trace (promise 12).

use serde_json::Value;

use crate::stage::Stage;

/// Two people with a phone each, one of them tried twice.
async fn tried(stage: &Stage) -> String {
    stage.staff("ana", &[(1, "+15551230001"), (3, "ana@example.org")]).await;
    stage.staff("ben", &[(1, "+15551230002")]).await;
    stage.staff("cem", &[]).await;
    let id = stage.campaign("why").await;
    stage.expand_all().await;
    for change in [
        "insert into provider_accounts (name, channel, updated_at) select 'main-voice', 1, now() where $1::uuid is not null",
        "insert into attempts (campaign_id, district_id, worker_id, claimed_at, send_by, settled_at, job_id, account_id,
           generation, version, number, state, outcome, result, provider_code)
         select campaign_id, district_id, gen_random_uuid(), now(), now() + interval '2 s', now() + interval '30 s', id,
           (select max(id) from provider_accounts), 1, 2, 1, 3, 60, 1, 'busy' from jobs where campaign_id = $1 and id = 1",
        "insert into events (campaign_id, id, district_id, received_at, job_id, number, ordinal, outcome, account, provider_code)
         select campaign_id, gen_random_uuid(), district_id, now() + interval '29 s', id, 1, 0, 60, 'main-voice', 'busy'
         from jobs where campaign_id = $1 and id = 1",
        "update jobs set attempt = 1, tries = 1, outcome = 60, generation = 1, wait_reason = 2,
           due_at = timestamptz '2100-01-02 03:04:05Z' where campaign_id = $1 and id = 1",
    ] {
        stage.change(change, &id).await;
    }
    id
}

fn answers(body: &Value) -> Vec<(i64, &str)> {
    let devices = body["devices"].as_array().unwrap();
    devices
        .iter()
        .map(|device| (device["device_id"].as_i64().unwrap(), device["answer"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn every_attempt_is_explainable() {
    let stage = Stage::start().await;
    let id = tried(&stage).await;
    let path = format!("/v1/campaigns/{id}/why");
    let body = stage.get(&format!("{path}?recipient=1")).await.body;
    let redial = "redial: attempt 2 of 3 at 2100-01-02 03:04:05 UTC";
    assert_eq!(answers(&body), [(1, redial), (2, "not tried yet: waits for its turn")]);
    let device = &body["devices"][0];
    let steps: Vec<&str> =
        device["steps"].as_array().unwrap().iter().map(|step| step["what"].as_str().unwrap()).collect();
    assert_eq!(
        steps,
        [
            "the message was made",
            "all recipients and devices were known",
            "attempt 1: claimed for main-voice, from release 1",
            "the provider told of attempt 1: Busy (busy)",
            "attempt 1 ended: Busy",
        ]
    );
    let traces: Vec<Option<&str>> =
        device["steps"].as_array().unwrap().iter().map(|step| step["trace_id"].as_str()).collect();
    assert_eq!(traces[2], traces[4]);
    assert!(traces[2].is_some_and(|trace| trace.len() == 32), "{traces:?}");
    assert_ne!(device["trace_id"].as_str(), traces[2], "the next attempt is in another trace");

    assert_eq!(answers(&stage.get(&format!("{path}?device=1")).await.body), [(1, redial)]);
    assert_eq!(answers(&stage.get(&format!("{path}?address=%2B15551230001")).await.body), [(1, redial)]);
    assert_eq!(answers(&stage.get(&format!("{path}?address=ana%40example.org")).await.body)[0].0, 2);
}

#[tokio::test]
async fn a_device_that_was_left_out_names_the_message_that_told() {
    let stage = Stage::start().await;
    stage.staff("ana", &[(1, "+15551230001")]).await;
    let (sent, left_out) = (stage.campaign("morning").await, stage.campaign("noon").await);
    stage.expand_all().await;
    let change = "update recipients set told_by = (select min(id::text)::uuid from campaigns where id <> $1) where campaign_id = $1";
    stage.change(change, &left_out).await;
    let end =
        "update jobs set state = 4, outcome = 52, due_at = null, ended_at = now() where campaign_id = $1";
    stage.change(end, &left_out).await;
    let number = stage.get(&format!("/v1/campaigns/{sent}")).await.body["number"].clone();
    let body = stage.get(&format!("/v1/campaigns/{left_out}/why?recipient=1")).await.body;
    let answer = format!(
        "Already Told: message {number} of the same day told this person about the student, or was about to"
    );
    assert_eq!(answers(&body), [(1, answer.as_str())]);
    assert_eq!(body["devices"][0]["status_code"], "already_told");
}

#[tokio::test]
async fn exactly_one_device_recipient_or_address_is_asked_for() {
    let stage = Stage::start().await;
    let id = tried(&stage).await;
    let path = format!("/v1/campaigns/{id}/why");
    for query in [
        "",
        "?recipient=1&device=1",
        "?recipient=0",
        "?recipient=2147483647",
        "?device=ana",
        "?address=",
        "?who=1",
    ] {
        let answer = stage.get(&format!("{path}{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
        assert_eq!(answer.body["errors"].as_array().map(Vec::is_empty), Some(false), "{query}");
    }
    for query in ["?recipient=99", "?device=99", "?address=nobody%40example.org", "?recipient=3"] {
        assert_eq!(stage.get(&format!("{path}{query}")).await.status, 404, "{query}");
    }
}
