//! The receipt's parts as lists, and what is answered where there is none.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tocsin_runtime::Clock as _;

use crate::stage::{OTHER_KEY, Stage};

pub const PARTS: [&str; 4] = ["contacted", "in_flight_or_unknown", "recalled", "never_tried"];

/// A canceled campaign of seven texts: jobs 1 and 2 delivered and busy, 3 unknown, 4 recalled, 5 not taken up; a
/// duplicate and an opted-out one; and two people without a device.
pub async fn canceled(stage: &Stage) -> String {
    let id = tried(stage).await;
    let answer = stage.post(&format!("/v1/campaigns/{id}/cancel"), r#"{"by": "ana"}"#).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    stage.change("update campaigns set state = 7, ended_at = now() where id = $1", &id).await;
    id
}

async fn tried(stage: &Stage) -> String {
    for (number, name) in ["ana", "ben", "cem", "dia", "eva"].into_iter().enumerate() {
        stage.staff(name, &[(2, &format!("+1555123000{number}"))]).await;
    }
    stage.staff("fay", &[(2, "+15551230004")]).await;
    stage.staff("gil", &[(2, "+15551230006")]).await;
    stage.staff("hal", &[]).await;
    stage.staff("ida", &[]).await;
    stage.engine.opt_out(stage.north, "+15551230006", "test", stage.clock.now()).await.unwrap();
    let id = stage.campaign("stop").await;
    stage.expand_all().await;
    stage.change("update campaigns set state = 3, started_at = now() where id = $1", &id).await;
    for (job, state, outcome, result, recall) in
        [(1, 3, "107", 1, 0), (2, 3, "60", 1, 0), (3, 4, "null", 0, 3), (4, 3, "36", 3, 2)]
    {
        let sql = format!(
            "with tried as (
               update jobs set state = case {state} when 3 then 4 else 3 end, attempt = 1, tries = 1, due_at = null,
                 wait_reason = null, outcome = {outcome}
               where campaign_id = $1 and id = {job} returning *)
             insert into attempts (campaign_id, district_id, worker_id, claimed_at, send_by, job_id, account_id,
               generation, version, number, state, outcome, result, recall, taken)
             select campaign_id, district_id, gen_random_uuid(), timestamptz '2026-01-02 03:04:05Z', now(), id, 1, 1, 1, 1,
               {state}, {outcome}, {result}, {recall}, true from tried"
        );
        stage.change(&sql, &id).await;
    }
    let ended = "update jobs set state = 4, outcome = 36, due_at = null where campaign_id = $1 and state = 1";
    stage.change(ended, &id).await;
    id
}

/// The rows of every page.
async fn list(stage: &Stage, id: &str, part: &str, limit: usize) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = stage.get(&format!("/v1/campaigns/{id}/receipt/{part}?limit={limit}{cursor}")).await;
        assert_eq!((page.status, &page.body["part"]), (200, &json!(part)), "{page:?}");
        rows.extend(page.body["recipients"].as_array().unwrap().clone());
        let Some(next) = page.body["next_cursor"].as_str() else { return rows };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn each_part_is_a_list_and_together_they_hold_everybody_once() {
    let stage = Stage::start().await;
    let id = canceled(&stage).await;
    let receipt = stage.get(&format!("/v1/campaigns/{id}/receipt")).await.body;
    assert_eq!(receipt["audience_complete"], true, "{receipt}");
    assert_eq!(receipt["canceled"]["by"], "ana");
    let mut names = BTreeMap::new();
    for part in PARTS {
        let whole = list(&stage, &id, part, 100).await;
        assert_eq!(receipt[part], whole.len(), "{part}");
        for limit in 1..=4 {
            assert_eq!(list(&stage, &id, part, limit).await, whole, "{part} by {limit}");
        }
        let people: Vec<String> =
            whole.iter().map(|row| row["recipient"].as_str().unwrap().replace(" Lee", "")).collect();
        names.insert(part, people.join(" "));
    }
    let expected = [
        ("contacted", "ana ben"),
        ("in_flight_or_unknown", "cem"),
        ("recalled", "dia"),
        ("never_tried", "eva fay gil hal ida"),
    ];
    assert_eq!(names, expected.map(|(part, people)| (part, people.to_owned())).into());
}

#[tokio::test]
async fn a_row_tells_the_outcome_the_times_and_the_recall() {
    let stage = Stage::start().await;
    let id = canceled(&stage).await;
    let row = &list(&stage, &id, "recalled", 10).await[0];
    for (name, value) in [
        ("recipient", json!("dia Lee")),
        ("channel", json!("sms")),
        ("address", json!("+15551230003")),
        ("status_code", json!("canceled")),
        ("attempts", json!(1)),
        ("first_attempt_at", json!("2026-01-02T03:04:05Z")),
        ("last_attempt_at", json!("2026-01-02T03:04:05Z")),
        ("recall", json!("stopped")),
    ] {
        assert_eq!(row[name], value, "{name}: {row}");
    }
    assert_eq!(list(&stage, &id, "in_flight_or_unknown", 10).await[0]["recall"], "too_late");
    let never = list(&stage, &id, "never_tried", 10).await;
    let codes: Vec<&str> = never.iter().map(|row| row["status_code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["canceled", "duplicate", "opt_out", "no_device", "no_device"]);
    assert!(never.iter().all(|row| row["first_attempt_at"].is_null() && row["recall"] == "none"));
}

#[tokio::test]
async fn a_receipt_that_is_not_there_is_a_problem() {
    let stage = Stage::start().await;
    let id = canceled(&stage).await;
    let path = format!("/v1/campaigns/{id}/receipt");
    stage.get(&format!("{path}/lost")).await.assert_problem(404, "unknown-part");
    stage.get(&format!("{path}/4")).await.assert_problem(404, "unknown-part");
    for query in ["cursor=x", "cursor=am9iLzE", "cursor=am9iLy0x", "limit=0", "limit=5001", "page=2"] {
        let answer = stage.get(&format!("{path}/contacted?{query}")).await;
        match query {
            // job/1
            "cursor=am9iLzE" => assert_eq!(answer.status, 200, "{answer:?}"),
            _ => answer.assert_problem(400, "invalid-query"),
        }
    }
    for part in PARTS {
        let answer = stage.get_as(OTHER_KEY, &format!("{path}/{part}")).await;
        answer.assert_problem(404, "unknown-campaign");
    }
    stage
        .get(&format!("/v1/campaigns/17/receipt/{}", PARTS[0]))
        .await
        .assert_problem(404, "unknown-campaign");
    let running = stage.campaign("running").await;
    for rest in ["", "/never_tried"] {
        let answer = stage.get(&format!("/v1/campaigns/{running}/receipt{rest}")).await;
        answer.assert_problem(409, "not-canceled");
        assert!(answer.body["detail"].as_str().unwrap().contains("processing"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_cancel_before_the_audience_is_worked_out_says_so() {
    let stage = Stage::start().await;
    let id = stage.campaign("early").await;
    let answer = stage.post(&format!("/v1/campaigns/{id}/cancel"), "{}").await;
    assert_eq!((&answer.body["audience_complete"], &answer.body["never_tried"]), (&json!(false), &json!(0)));
}
