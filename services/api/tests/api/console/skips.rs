//! One occurrence of a series left out, and taken back, by the buttons of its page (requirement 35).

use chrono::{NaiveDate, TimeDelta};
use reqwest::Method;
use serde_json::{Value, json};
use tocsin_runtime::Clock as _;

use super::{Visitor, text_of};
use crate::series::{send, with_zone};
use crate::stage::{KEY, Stage, campaign};

/// A daily series from the day after tomorrow on: its path, and its first days.
async fn daily(stage: &Stage) -> (String, Vec<NaiveDate>) {
    let first = (stage.clock.now() + TimeDelta::days(2)).date_naive();
    let mut body = campaign();
    body["recurrence"] = json!({"frequency": "daily", "starts_on": first.to_string(), "at": "08:00"});
    let made = send(stage, Method::POST, KEY, "/v1/series", &body).await;
    (format!("/series/{}", made.id()), first.iter_days().take(5).collect())
}

async fn coming(stage: &Stage, path: &str) -> Vec<String> {
    let found = stage.get(&format!("/v1{path}/occurrences?limit=3")).await.body;
    found["coming"].as_array().unwrap().iter().map(|it| it["on"].as_str().unwrap().to_owned()).collect()
}

fn texts(days: &[NaiveDate]) -> Vec<String> {
    days.iter().map(NaiveDate::to_string).collect()
}

#[tokio::test]
async fn an_occurrence_is_skipped_and_taken_back() {
    let stage = Stage::start().await;
    with_zone(&stage).await;
    let visitor = Visitor::sign_in(&stage).await;
    let (path, days) = daily(&stage).await;
    let page = visitor.page(&path).await;
    assert!(
        page.contains(&format!(r#"name="on" value="{}""#, days[1])) && !page.contains("/restore"),
        "{page}"
    );
    let skip = |on: NaiveDate, version: i32| format!("on={on}&version={version}");
    let skipped = visitor.post(&format!("{path}/skip"), &skip(days[1], 1)).await;
    assert_eq!(skipped.status, 303, "{skipped:?}");
    assert_eq!(coming(&stage, &path).await, texts(&[days[0], days[2], days[3]]));
    let series = stage.get(&format!("/v1{path}")).await.body;
    assert_eq!((&series["version"], &series["modified_by"]), (&json!(2), &json!("test")));
    assert_eq!(series["recurrence"]["except"], json!([days[1].to_string()]));

    // The next one: the row that the planners look at moves on with it.
    assert_eq!(visitor.post(&format!("{path}/skip"), &skip(days[0], 2)).await.status, 303);
    assert_eq!(stage.get(&format!("/v1{path}")).await.body["next_on"], days[2].to_string());
    let page = visitor.page(&path).await;
    assert_eq!(page.matches("Send after all").count(), 2, "{page}");
    let edit = visitor.page(&format!("{path}/edit")).await;
    assert!(edit.contains(&format!(r#"name="except" value="{}" checked"#, days[1])), "{edit}");

    let late = visitor.post(&format!("{path}/restore"), &skip(days[1], 2)).await;
    assert_eq!(late.status, 409, "the version that was seen is not the last: {late:?}");
    assert_eq!(visitor.post(&format!("{path}/restore"), &skip(days[1], 3)).await.status, 303);
    assert_eq!(visitor.post(&format!("{path}/restore"), &skip(days[0], 4)).await.status, 303);
    assert_eq!(coming(&stage, &path).await, texts(&days[..3]));
}

#[tokio::test]
async fn what_is_no_occurrence_to_come_is_not_skipped() {
    let stage = Stage::start().await;
    with_zone(&stage).await;
    let visitor = Visitor::sign_in(&stage).await;
    let (path, days) = daily(&stage).await;
    for on in ["", "soon", "2020-01-01", &(days[0] - TimeDelta::days(1)).to_string()] {
        let refused = visitor.post(&format!("{path}/skip"), &format!("on={on}&version=1")).await;
        assert!(refused.status == 400 && text_of(&refused).contains("is no occurrence"), "{on}: {refused:?}");
    }
    assert_eq!(stage.get(&format!("/v1{path}")).await.body["version"], 1);
    stage.user(stage.north, "vic@north.example", &["viewer"]).await;
    let viewer = Visitor::of(&stage, "vic@north.example").await;
    assert!(!viewer.page(&path).await.contains("/skip"));
    assert_eq!(viewer.post(&format!("{path}/skip"), &format!("on={}&version=1", days[0])).await.status, 403);
}

#[tokio::test]
async fn days_are_left_out_over_rest_too_and_a_series_keeps_one_at_least() {
    let stage = Stage::start().await;
    with_zone(&stage).await;
    let (path, days) = daily(&stage).await;
    let mut recurrence = stage.get(&format!("/v1{path}")).await.body["recurrence"].clone();
    recurrence["except"] = json!([days[0].to_string(), days[2].to_string()]);
    let edit = async |version: i32, recurrence: &Value| {
        let body = json!({"version": version, "recurrence": recurrence});
        send(&stage, Method::PATCH, KEY, &format!("/v1{path}"), &body).await
    };
    let edited = edit(1, &recurrence).await;
    assert_eq!((edited.status, &edited.body["removed_occurrences"]), (200, &json!(1)), "{edited:?}");
    assert_eq!(coming(&stage, &path).await, texts(&[days[1], days[3], days[4]]));
    recurrence["count"] = json!(1);
    let refused = edit(2, &recurrence).await;
    refused.assert_problem(422, "invalid-body");
    assert_eq!(refused.body["errors"][0]["field"], "recurrence.except", "{refused:?}");
    recurrence["except"] = json!("soon");
    edit(2, &recurrence).await.assert_problem(422, "invalid-body");
}
