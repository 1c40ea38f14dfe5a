//! Whoever has only "own messages" sees only those: in a person's communications, in what is to come, and in series,
//! through both doors. Of another's nothing is told, not even that it is there (docs/adr/0032-sign-in-and-rights.md).

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use tocsin_runtime::Clock as _;
use uuid::Uuid;

use crate::console::Visitor;
use crate::series::{send, with_zone};
use crate::stage::{Answer, KEY, Stage, to_guardians};

/// The same three messages of two people: one that went out, one that is scheduled, one that recurs.
struct Messages {
    sent: String,
    scheduled: String,
    series: String,
}

impl Messages {
    async fn of(stage: &Stage, key: &str, subject: &str) -> Self {
        let body = to_guardians(subject);
        let mut scheduled = body.clone();
        scheduled["scheduled_at"] = json!(stage.clock.now() + TimeDelta::hours(2));
        let mut series = body.clone();
        let start = (stage.clock.now() + TimeDelta::days(2)).format("%Y-%m-%d").to_string();
        series["recurrence"] = json!({"frequency": "daily", "starts_on": start, "at": "08:00"});
        let keyed = |kind: &str| format!("{subject} {kind}");
        let path = format!("Bearer {key}");
        let headers = [
            ("authorization", path.as_str()),
            ("idempotency-key", subject),
            ("content-type", "application/json"),
        ];
        Self {
            sent: stage.submit_as(key, &keyed("sent"), &body).await.id(),
            scheduled: stage.submit_as(key, &keyed("scheduled"), &scheduled).await.id(),
            series: stage.ask(Method::POST, "/v1/series", &headers, &series.to_string()).await.id(),
        }
    }

    /// Makes them that user's own, as if they had been composed on a page.
    async fn give_to(&self, stage: &Stage, user: Uuid) {
        for (table, id) in
            [("campaigns", &self.sent), ("campaigns", &self.scheduled), ("series", &self.series)]
        {
            let sql = format!("update {table} set creator_id = $2 where id = $1");
            let id: Uuid = id.parse().unwrap();
            assert_eq!(stage.sql.execute(&sql, &[&id, &user]).await.unwrap(), 1);
        }
    }
}

/// The subjects of a list, each once, in the order of the alphabet.
fn subjects(answer: &Answer, list: &str) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let rows = answer.body[list].as_array().unwrap_or_else(|| panic!("{answer:?}"));
    let mut found: Vec<String> = rows.iter().map(|row| row["subject"].as_str().unwrap().to_owned()).collect();
    found.sort();
    found.dedup();
    found
}

async fn staged() -> (Stage, Messages) {
    let stage = Stage::start().await;
    with_zone(&stage).await;
    stage.family().await;
    let theirs = Messages::of(&stage, KEY, "Theirs").await;
    (stage, theirs)
}

#[tokio::test]
async fn a_key_with_own_messages_finds_no_other_in_communications_upcoming_and_series() {
    let (stage, theirs) = staged().await;
    let (key, _) = stage.key(stage.north, "sec", &["secretary"]).await;
    let mine = Messages::of(&stage, &key, "Mine").await;
    stage.expand_all().await;
    for person in ["ana", "bo"] {
        let path = format!("/v1/people/{person}/communications");
        for query in
            ["", "?sort=subject&order=asc", "?mode=sms", "?status=in_progress", "?message_type=general"]
        {
            let found = stage.get_as(&key, &format!("{path}{query}")).await;
            if found.status == 400 {
                panic!("{query}: {found:?}");
            }
            assert_eq!(subjects(&found, "communications"), ["Mine"], "{person}{query}");
        }
        let all = stage.get(&path).await;
        assert_eq!(subjects(&all, "communications"), ["Mine", "Theirs"], "whoever sees all sees both");
        let none = stage.get_as(&key, &format!("{path}?subject=theirs")).await;
        assert_eq!(none.body["communications"], json!([]));
        // Page by page, too: a cursor leads to no other's.
        let mut next = format!("{path}?limit=1");
        let mut seen = 0;
        loop {
            let page = stage.get_as(&key, &next).await;
            assert_eq!(subjects(&page, "communications"), ["Mine"]);
            seen += 1;
            match page.body["next_cursor"].as_str() {
                Some(cursor) => next = format!("{path}?limit=1&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, 2, "a text and an email");
    }
    for query in ["", "?state=scheduled", "?mine=false", "?sort=subject", "?state=scheduled&mine=true"] {
        let found = stage.get_as(&key, &format!("/v1/campaigns{query}")).await;
        assert_eq!(subjects(&found, "campaigns"), ["Mine"], "{query}");
    }
    for query in ["", "?state=active", "?mine=false"] {
        let found = stage.get_as(&key, &format!("/v1/series{query}")).await;
        assert_eq!(subjects(&found, "series"), ["Mine"], "{query}");
    }
    let message = |id: &str| format!("/v1/campaigns/{id}/recipients/1/message");
    assert_eq!(stage.get_as(&key, &message(&mine.sent)).await.status, 200);
    stage.get_as(&key, &message(&theirs.sent)).await.assert_problem(404, "unknown-campaign");
    stage
        .get_as(&key, &format!("/v1/campaigns/{}", theirs.scheduled))
        .await
        .assert_problem(404, "unknown-campaign");
    let version = json!({"version": 1, "subject": "Mine now"});
    let patched =
        stage.send_as(&key, Method::PATCH, &format!("/v1/campaigns/{}", theirs.scheduled), &version).await;
    patched.assert_problem(404, "unknown-campaign");
    let series = |rest: &str| format!("/v1/series/{}{rest}", theirs.series);
    for (method, path, body) in [
        (Method::GET, series(""), Value::Null),
        (Method::GET, series("/occurrences"), Value::Null),
        (Method::PATCH, series(""), version.clone()),
        (Method::POST, series("/cancel"), Value::Null),
    ] {
        send(&stage, method, &key, &path, &body).await.assert_problem(404, "unknown-series");
    }
    assert_eq!(stage.get_as(&key, &format!("/v1/series/{}/occurrences", mine.series)).await.status, 200);
}

#[tokio::test]
async fn a_visitor_with_own_messages_finds_no_other_on_any_page() {
    let (stage, theirs) = staged().await;
    let user = stage.user(stage.north, "sec@north.example", &["secretary"]).await;
    let mine = Messages::of(&stage, KEY, "Mine").await;
    mine.give_to(&stage, user).await;
    stage.expand_all().await;
    let visitor = Visitor::of(&stage, "sec@north.example").await;
    for (page, rows) in [
        ("/people/ana/communications", 2),
        ("/people/bo/communications?sort=subject", 2),
        ("/upcoming", 2),
        ("/upcoming?show=all", 2),
        ("/upcoming?show=all&tab=in-progress", 1),
        ("/campaigns", 2),
        ("/campaigns?view=scheduled", 1),
    ] {
        let text = visitor.page(page).await;
        assert_eq!(text.matches(">Mine<").count(), rows, "{page}: {text}");
        assert!(!text.contains("Theirs"), "{page}: {text}");
    }
    let ended = "update campaigns set state = 5, started_at = now(), ended_at = now(), closed_at = now() where id = $1";
    stage.change(ended, &mine.sent).await;
    stage.change(ended, &theirs.sent).await;
    let log = visitor.page("/log?show=all").await;
    assert!(log.contains(">Mine<") && !log.contains("Theirs"), "{log}");
    for id in [&mine.sent, &mine.scheduled] {
        assert_eq!(visitor.get(&format!("/campaigns/{id}")).await.status, 200);
    }
    let sent = |id: &str| format!("/people/ana/communications/{id}/1?channel=sms");
    assert_eq!(visitor.get(&sent(&mine.sent)).await.status, 200);
    assert_eq!(visitor.get(&format!("/series/{}", mine.series)).await.status, 200);
    let (campaign, series) = (&theirs.scheduled, &theirs.series);
    for path in [
        sent(&theirs.sent),
        format!("/campaigns/{}", theirs.sent),
        format!("/campaigns/{}/recipients", theirs.sent),
        format!("/campaigns/{campaign}/edit"),
        format!("/campaigns/{campaign}/cancel"),
        format!("/series/{series}"),
        format!("/series/{series}/edit"),
        format!("/series/{series}/cancel"),
    ] {
        let answer = visitor.get(&path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.body.as_str().unwrap().contains("Theirs"), "{path}");
    }
    for path in [format!("/campaigns/{campaign}/cancel"), format!("/series/{series}/cancel")] {
        assert_eq!(visitor.post(&path, "reason=x").await.status, 404, "{path}");
    }
    assert!(stage.get(&format!("/v1/campaigns/{campaign}")).await.body["cancel"].is_null());
}

/// The right to see what is scheduled shows others' scheduled ones and series, and of what was sent still only one's own.
#[tokio::test]
async fn whoever_sees_all_that_is_scheduled_sees_of_what_was_sent_only_their_own() {
    let (stage, theirs) = staged().await;
    let rights = json!({"rights": ["messages.own", "scheduled.view_all", "directory.read", "send"], "message_types": ["general"]});
    let put = stage.send_as(KEY, Method::PUT, "/v1/roles/planner", &rights).await;
    assert_eq!(put.status, 200, "{put:?}");
    let (key, _) = stage.key(stage.north, "planner", &["planner"]).await;
    let mine = Messages::of(&stage, &key, "Mine").await;
    stage.expand_all().await;
    let found = stage.get_as(&key, "/v1/people/ana/communications").await;
    assert_eq!(subjects(&found, "communications"), ["Mine"]);
    assert_eq!(subjects(&stage.get_as(&key, "/v1/series").await, "series"), ["Mine", "Theirs"]);
    let scheduled = stage.get_as(&key, "/v1/campaigns?state=scheduled").await;
    assert_eq!(subjects(&scheduled, "campaigns"), ["Mine", "Theirs"]);
    let under_way = stage.get_as(&key, "/v1/campaigns?state=processing,sending").await;
    assert_eq!(subjects(&under_way, "campaigns"), ["Mine"]);
    stage
        .get_as(&key, &format!("/v1/campaigns/{}", theirs.sent))
        .await
        .assert_problem(404, "unknown-campaign");
    // A series that is over is scheduled no more.
    for id in [&theirs.series, &mine.series] {
        let canceled = send(&stage, Method::POST, KEY, &format!("/v1/series/{id}/cancel"), &json!({})).await;
        assert!(canceled.status < 300, "{canceled:?}");
    }
    assert_eq!(subjects(&stage.get_as(&key, "/v1/series").await, "series"), ["Mine"]);
    stage.get_as(&key, &format!("/v1/series/{}", theirs.series)).await.assert_problem(404, "unknown-series");
}
