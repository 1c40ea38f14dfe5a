//! Having the providers asked what became of a campaign's messages (requirement 183).

use serde_json::Value;

use crate::stage::Stage;

#[tokio::test]
async fn providers_are_to_be_asked_at_most_once_a_minute_and_of_what_is_over_never() {
    let stage = Stage::start().await;
    let id = stage.campaign("refreshed").await;
    let path = format!("/v1/campaigns/{id}/refresh");
    let due = async || {
        let row = stage.sql.query_one("select refresh_due_at is not null from campaigns", &[]).await.unwrap();
        row.get::<_, bool>(0)
    };
    assert!(!due().await);
    let first = stage.post(&path, "").await;
    assert_eq!(first.status, 202, "{first:?}");
    assert!(first.body["refresh_asked_at"].is_string() && due().await, "{first:?}");
    assert_eq!(first.body["id"], Value::from(id.as_str()));
    let shown = stage.get(&format!("/v1/campaigns/{id}")).await.body;
    assert_eq!(shown["refresh_asked_at"], first.body["refresh_asked_at"]);

    let ordered = "update campaigns set refresh_due_at = null where id = $1";
    stage.change(ordered, &id).await;
    let again = stage.post(&path, "").await;
    assert_eq!((again.status, &again.body, due().await), (202, &first.body, false), "within the minute");
    let long_ago = "update campaigns set refresh_asked_at = refresh_asked_at - interval '61 s' where id = $1";
    stage.change(long_ago, &id).await;
    let later = stage.post(&path, "").await;
    assert_eq!((later.status, due().await), (202, true));

    stage.change("update campaigns set refresh_due_at = null, closed_at = now() where id = $1", &id).await;
    stage.change(long_ago, &id).await;
    assert_eq!((stage.post(&path, "").await.status, due().await), (200, false), "it is over");
}
