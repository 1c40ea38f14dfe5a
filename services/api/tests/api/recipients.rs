//! Who a campaign is for, row by row.

use std::collections::HashSet;

use serde_json::{Value, json};
use tocsin_runtime::Clock as _;

use crate::stage::Stage;

/// Six people: two without device, two who share a phone, one who opted out of texts.
async fn expanded(stage: &Stage) -> String {
    stage.staff("ana", &[(1, "+15551230001"), (3, "ana@example.org")]).await;
    stage.staff("ben", &[]).await;
    stage.staff("cem", &[(1, "+15551230001")]).await;
    stage.staff("dia", &[(2, "+15551230004")]).await;
    stage.staff("eva", &[]).await;
    stage.staff("fay", &[(4, "fay-portal"), (2, "+15551230006")]).await;
    stage.engine.opt_out(stage.north, "+15551230004", "test", stage.clock.now()).await.unwrap();
    let id = stage.campaign("rows").await;
    stage.expand_all().await;
    id
}

#[tokio::test]
async fn every_recipient_has_a_row_tried_or_not() {
    let stage = Stage::start().await;
    let id = expanded(&stage).await;
    stage.change("update jobs set state = 4, outcome = 107, due_at = null, ended_at = now() where campaign_id = $1 and channel = 3", &id).await;
    stage.change("update jobs set outcome = 60, tries = 1, wait_reason = 2, due_at = timestamptz '2100-01-02 03:04:05Z' where campaign_id = $1 and id = 1", &id).await;
    let page = stage.get(&format!("/v1/campaigns/{id}/recipients")).await.body;
    let rows: Vec<_> = page["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
            let wait = row["wait"]["words"].as_str().unwrap_or("-").to_owned();
            (text("recipient"), text("channel"), text("address"), text("status"), text("state"), wait)
        })
        .collect();
    let due_now = "not tried yet: waits for its turn";
    let held = "redial: attempt 2 of 3 at 2100-01-02 03:04:05 UTC";
    let expected = [
        ("ana Lee", "voice", "+15551230001", "Busy", "waiting", held),
        ("ana Lee", "email", "ana@example.org", "Delivered", "ended", "-"),
        ("ben Lee", "-", "-", "No Device", "-", "-"),
        ("cem Lee", "voice", "+15551230001", "Duplicate", "ended", "-"),
        ("dia Lee", "sms", "+15551230004", "Opt-Out", "ended", "-"),
        ("eva Lee", "-", "-", "No Device", "-", "-"),
        ("fay Lee", "sms", "+15551230006", "In-Progress", "waiting", due_now),
        ("fay Lee", "inbox", "fay-portal", "In-Progress", "waiting", due_now),
    ]
    .map(|(a, b, c, d, e, f)| (a.into(), b.into(), c.into(), d.into(), e.into(), f.into()));
    assert_eq!(rows, expected);
    let marks: Vec<_> =
        page["recipients"].as_array().unwrap().iter().filter(|row| row["duplicate"] == true).collect();
    assert_eq!(marks.len(), 1);
    assert_eq!((&marks[0]["status_code"], &marks[0]["call_code"]), (&json!("duplicate"), &json!(-4)));
    assert_eq!(page["recipients"][0]["wait"]["reason"], "redial");
}

#[tokio::test]
async fn pages_of_any_size_show_every_row_once_in_one_order() {
    let stage = Stage::start().await;
    let id = expanded(&stage).await;
    let path = format!("/v1/campaigns/{id}/recipients");
    let whole = stage.get(&path).await.body;
    assert_eq!(whole["next_cursor"], Value::Null);
    let whole: Vec<Value> = whole["recipients"].as_array().unwrap().clone();
    assert_eq!(whole.iter().map(Value::to_string).collect::<HashSet<_>>().len(), 8);
    for limit in 1..=9 {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = stage.get(&format!("{path}?limit={limit}{cursor}")).await.body;
            seen.extend(page["recipients"].as_array().unwrap().clone());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, whole, "limit {limit}");
    }
}
