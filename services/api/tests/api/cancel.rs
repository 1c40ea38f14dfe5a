//! The cancel: idempotent, told to the workers each time, and answered with a receipt.

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_proto::v1::control::Command;

use crate::stage::{KEY, Stage};

#[tokio::test]
async fn pressing_cancel_again_returns_the_same_cancel_and_tells_the_workers_again() {
    let stage = Stage::start().await;
    let id = stage.campaign("stop").await;
    let mut control = stage.control().await;
    let path = format!("/v1/campaigns/{id}/cancel");
    let first = stage.post(&path, r#"{"by": "ana", "reason": "wrong school"}"#).await;
    assert_eq!((first.status, &first.body["state"]), (202, &json!("canceling")), "{first:?}");
    let canceled = &first.body["canceled"];
    assert_eq!((&canceled["by"], &canceled["reason"]), (&json!("ana"), &json!("wrong school")));
    let epoch = canceled["epoch"].as_i64().unwrap();
    let again = stage.post(&path, r#"{"by": "ben"}"#).await;
    assert_eq!((again.status, &again.body["canceled"]), (202, canceled));
    for _ in 0..2 {
        let Command::Cancel(cancel) = control.next().await else { panic!("no cancel") };
        assert_eq!((cancel.campaign_id.len(), cancel.cancel_epoch), (16, epoch));
    }
    assert_eq!(stage.get(&format!("/v1/campaigns/{id}/receipt")).await.body["canceled"], *canceled);
    let shown = stage.get(&format!("/v1/campaigns/{id}")).await.body;
    assert_eq!(shown["cancel"], json!({"at": canceled["at"], "by": "ana", "reason": "wrong school"}));
}

#[tokio::test]
async fn a_cancel_needs_no_body_and_no_broker() {
    let stage = Stage::start().await;
    let id = stage.campaign("stop").await;
    stage.broker.stop();
    let bearer = format!("Bearer {KEY}");
    let path = format!("/v1/campaigns/{id}/cancel");
    let answer = stage.ask(Method::POST, &path, &[("authorization", &bearer)], "").await;
    assert_eq!((answer.status, &answer.body["canceled"]["by"]), (202, &json!("test")), "{answer:?}");
}

#[tokio::test]
async fn nothing_is_left_to_stop_at_the_end() {
    let stage = Stage::start().await;
    for (key, state, name) in [("a", 5, "sent"), ("b", 8, "no_recipients"), ("c", 9, "failed")] {
        let id = stage.campaign(key).await;
        stage.change(&format!("update campaigns set state = {state} where id = $1"), &id).await;
        let answer = stage.post(&format!("/v1/campaigns/{id}/cancel"), "{}").await;
        assert_eq!((answer.status, &answer.body["state"]), (200, &json!(name)), "{answer:?}");
        assert_eq!(answer.body["canceled"], Value::Null, "{answer:?}");
    }
    let id = stage.campaign("d").await;
    let path = format!("/v1/campaigns/{id}/cancel");
    let first = stage.post(&path, "{}").await;
    stage.change("update campaigns set state = 7, ended_at = now() where id = $1", &id).await;
    let again = stage.post(&path, "{}").await;
    assert_eq!((again.status, &again.body["state"]), (200, &json!("canceled")));
    assert_eq!(again.body["canceled"], first.body["canceled"]);
}

#[tokio::test]
async fn the_receipt_partitions_the_devices() {
    let stage = Stage::start().await;
    for (name, phone) in
        [("a", "+15551230001"), ("b", "+15551230002"), ("c", "+15551230003"), ("d", "+15551230004")]
    {
        stage.staff(name, &[(2, phone)]).await;
    }
    let id = stage.campaign("stop").await;
    stage.expand_all().await;
    // Jobs 1 to 3: delivered; asked and not answered for; recalled in time. Job 4 was never tried.
    for (job, state, outcome, recall) in [(1, 3, "107", 0), (2, 4, "null", 0), (3, 3, "36", 2)] {
        let sql = format!(
            "insert into attempts (campaign_id, district_id, worker_id, claimed_at, send_by, job_id, account_id,
               generation, version, number, state, outcome, recall)
             select campaign_id, district_id, gen_random_uuid(), now(), now(), id, 1, 1, 1, 1, {state}, {outcome}, {recall}
             from jobs where campaign_id = $1 and id = {job}"
        );
        stage.change(&sql, &id).await;
    }
    let answer = stage.post(&format!("/v1/campaigns/{id}/cancel"), "{}").await;
    for part in ["contacted", "in_flight_or_unknown", "recalled", "never_tried"] {
        assert_eq!(answer.body[part], 1, "{part}: {answer:?}");
    }
}

/// Whoever stops a million messages waits for the commit and for no count.
#[tokio::test]
async fn the_answer_to_the_cancel_of_a_large_campaign_counts_nothing() {
    let stage = Stage::start().await;
    stage.staff("a", &[(2, "+15551230001")]).await;
    let id = stage.campaign("stop").await;
    stage.expand_all().await;
    stage.change("update campaigns set jobs_made = 1001 where id = $1", &id).await;
    let answer = stage.post(&format!("/v1/campaigns/{id}/cancel"), "{}").await;
    let receipt = stage.get(&format!("/v1/campaigns/{id}/receipt")).await;
    assert_eq!((answer.status, receipt.status), (202, 200), "{answer:?}");
    assert_eq!(answer.body["canceled"], receipt.body["canceled"]);
    for (part, counted) in
        [("contacted", 0), ("in_flight_or_unknown", 0), ("recalled", 0), ("never_tried", 1)]
    {
        assert!(answer.body[part].is_null(), "{part}: {answer:?}");
        assert_eq!(receipt.body[part], counted, "{part}: {receipt:?}");
    }
}
