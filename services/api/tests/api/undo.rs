//! The undo period: a message that is no emergency waits so long that it can be taken back.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use tocsin_runtime::Clock as _;

use crate::stage::{KEY, OTHER_KEY, Stage, campaign};

#[tokio::test]
async fn a_message_can_be_taken_back_for_a_while_before_anybody_gets_it() {
    let stage = Stage::start().await;
    stage.staff("lee", &[(2, "+15550000001")]).await;
    assert_eq!(stage.get("/v1/sending-policy").await.body["undo_seconds"], 0);
    let put = async |body: Value| stage.send_as(KEY, Method::PUT, "/v1/sending-policy", &body).await;
    put(json!({"undo_seconds": 3601})).await.assert_problem(422, "invalid-body");
    put(json!({})).await.assert_problem(422, "invalid-body");
    let kept = put(json!({"undo_seconds": 60})).await;
    assert_eq!(
        (kept.status, &kept.body["undo_seconds"], &kept.body["updated_by"]),
        (200, &json!(60), &json!("test"))
    );

    let made = stage.submit("general", &campaign()).await.body;
    let at: DateTime<Utc> = made["scheduled_at"].as_str().unwrap().parse().unwrap();
    // To the microsecond, as the store keeps times.
    let now = stage.clock.now().trunc_subsecs(6);
    assert_eq!((&made["state"], at), (&json!("scheduled"), now + TimeDelta::seconds(60)));
    let (mut later, mut emergency) = (campaign(), campaign());
    let in_an_hour = now + TimeDelta::hours(1);
    later["scheduled_at"] = json!(in_an_hour);
    emergency["message_type"] = json!("emergency");
    let later = stage.submit("later", &later).await.body;
    assert_eq!(later["scheduled_at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap(), in_an_hour);
    assert_eq!(stage.submit("emergency", &emergency).await.body["state"], "processing", "never waits");
    let theirs = stage.submit_as(OTHER_KEY, "theirs", &campaign()).await.body;
    assert_eq!(theirs["state"], "processing", "another district decided nothing");

    let path = format!("/v1/campaigns/{}/cancel", made["id"].as_str().unwrap());
    stage.clock.advance(TimeDelta::seconds(59));
    stage.send_as(KEY, Method::POST, &path, &Value::Null).await;
    stage.clock.advance(TimeDelta::seconds(61));
    stage.expand_all().await;
    let id: uuid::Uuid = made["id"].as_str().unwrap().parse().unwrap();
    let jobs = stage.sql.query_one("select count(*) from jobs where campaign_id = $1", &[&id]).await.unwrap();
    assert_eq!(jobs.get::<_, i64>(0), 0);
}
