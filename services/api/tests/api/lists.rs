//! Lists of campaigns: filters, orders and pages (requirements 11, 16, 31 and 37 to 43).

use chrono::TimeDelta;
use serde_json::{Value, json};
use tocsin_runtime::Clock as _;
use uuid::Uuid;

use crate::console::Visitor;
use crate::stage::{OTHER_KEY, Stage, campaign};

/// Subjects of a page.
fn subjects(body: &Value) -> Vec<String> {
    let campaigns = body["campaigns"].as_array().unwrap_or_else(|| panic!("{body}"));
    campaigns.iter().map(|campaign| campaign["subject"].as_str().unwrap().to_owned()).collect()
}

async fn listed(stage: &Stage, query: &str) -> Vec<String> {
    subjects(&stage.get(&format!("/v1/campaigns?{query}")).await.body)
}

struct Given {
    subject: &'static str,
    by: &'static str,
    kind: &'static str,
    schools: Value,
    /// Its state's number, and for how many hours it has been over.
    state: i16,
    ended_hours: i64,
    planned_hours: i64,
}

async fn store(stage: &Stage, given: &[Given]) {
    for it in given {
        let mut body = campaign();
        body["subject"] = json!(it.subject);
        body["created_by"] = json!(it.by);
        body["message_type"] = json!(it.kind);
        body["audience"] = match it.schools.as_array().unwrap().is_empty() {
            true => json!({"all": true}),
            false => json!({"schools": it.schools}),
        };
        let id = stage.submit(it.subject, &body).await.id();
        let now = stage.clock.now();
        let sql = "update campaigns set state = $2, ended_at = $3, scheduled_at = $4 where id = $1";
        let (ended, planned) =
            (now - TimeDelta::hours(it.ended_hours), now + TimeDelta::hours(it.planned_hours));
        stage
            .sql
            .execute(sql, &[&Uuid::parse_str(&id).unwrap(), &it.state, &Some(ended), &planned])
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn each_filter_narrows_and_groups_are_the_lists_of_the_pages() {
    let stage = Stage::start().await;
    let given = |subject, by, kind, schools: &[&str], state, ended_hours, planned_hours| Given {
        subject,
        by,
        kind,
        schools: json!(schools),
        state,
        ended_hours,
        planned_hours,
    };
    store(
        &stage,
        &[
            given("Bus 7", "ana", "attendance", &["north"], 1, 0, 30),
            given("Snow 100%", "ana", "emergency", &[], 3, 0, 0),
            given("Cancelling", "bob", "general", &["south"], 4, 0, 0),
            given("Fresh failure", "bob", "general", &["north", "south"], 9, 7 * 24 - 1, -200),
            given("Old failure", "bob", "general", &["north"], 9, 7 * 24 + 1, -200),
            given("Sent", "api", "priority", &["south"], 5, 1, -2),
            given("Nobody", "ana", "general", &["north"], 8, 1, -50),
            given("Discarded", "ana", "general", &["north"], 10, 1, -2),
        ],
    )
    .await;
    let others = "update campaigns set creator_id = null where created_by <> 'api'";
    stage.sql.execute(others, &[]).await.unwrap();
    let day =
        |hours: i64| (stage.clock.now() + TimeDelta::hours(hours)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let number = stage.get("/v1/campaigns?subject=bus").await.body["campaigns"][0]["number"].clone();
    let cases: Vec<(String, &[&str])> = vec![
        ("group=scheduled".into(), &["Bus 7"]),
        ("group=in_progress".into(), &["Fresh failure", "Cancelling", "Snow 100%"]),
        ("group=sent".into(), &["Nobody", "Sent", "Old failure"]),
        ("state=sent,no_recipients".into(), &["Nobody", "Sent"]),
        ("subject=BUS".into(), &["Bus 7"]),
        // No pattern of its own.
        ("subject=0%25".into(), &["Snow 100%"]),
        ("subject=_".into(), &[]),
        ("created_by=AN&group=sent".into(), &["Nobody"]),
        ("mine=true".into(), &["Sent"]),
        ("message_type=attendance,priority".into(), &["Sent", "Bus 7"]),
        // What is for all schools is for this one, too.
        ("school=south".into(), &["Sent", "Fresh failure", "Cancelling", "Snow 100%"]),
        (format!("number={number}"), &["Bus 7"]),
        (format!("from={}", day(20)), &["Bus 7"]),
        (format!("from={}&to={}", day(-3), day(-1)), &["Sent"]),
        ("sort=subject&order=asc&group=sent".into(), &["Nobody", "Old failure", "Sent"]),
        ("sort=created_by&order=asc&state=sent,no_recipients".into(), &["Nobody", "Sent"]),
    ];
    for (query, wanted) in cases {
        // Made at one instant of the test's clock, they are told apart by their numbers.
        let sorted = if query.contains("sort=") { query } else { format!("{query}&sort=number") };
        assert_eq!(listed(&stage, &sorted).await, wanted, "{sorted}");
    }
    assert_eq!(subjects(&stage.get_as(OTHER_KEY, "/v1/campaigns").await.body), Vec::<String>::new());
}

#[tokio::test]
async fn what_names_people_students_or_classes_is_listed_under_no_school() {
    let stage = Stage::start().await;
    for (subject, audience) in [
        ("All", json!({"all": true})),
        ("Grades", json!({"grades": ["03"]})),
        ("School", json!({"schools": ["south"]})),
        ("Class", json!({"classes": ["c1"]})),
        ("Bo is late", json!({"students": ["st1"]})),
        ("People", json!({"people": ["p1"]})),
    ] {
        let mut body = campaign();
        body["subject"] = json!(subject);
        body["audience"] = audience;
        body["scheduled_at"] = json!((stage.clock.now() + TimeDelta::hours(1)).to_rfc3339());
        assert_eq!(stage.submit(subject, &body).await.status, 201, "{subject}");
    }
    let sorted = "sort=number&order=asc";
    assert_eq!(listed(&stage, &format!("school=south&{sorted}")).await, ["All", "Grades", "School"]);
    assert_eq!(listed(&stage, &format!("school=north&{sorted}")).await, ["All", "Grades"]);
    let visitor = Visitor::sign_in(&stage).await;
    let whole = visitor.page("/upcoming?show=all").await;
    assert!(whole.contains("Bo is late") && whole.matches("Chosen people").count() == 3, "{whole}");
    let narrowed = visitor.page("/upcoming?show=all&school=north").await;
    assert!(!narrowed.contains("Bo is late") && !narrowed.contains("Chosen people"), "{narrowed}");
}

#[tokio::test]
async fn every_order_turns_around_and_its_pages_hold_each_campaign_once() {
    let stage = Stage::start().await;
    let subjects = ["b", "A", "c", "B", "a", "C", "d"];
    for (nth, subject) in subjects.iter().enumerate() {
        let mut body = campaign();
        body["subject"] = json!(subject);
        body["created_by"] = json!(["zoe", "Ann", "bob"][nth % 3]);
        body["message_type"] = json!(["general", "priority"][nth % 2]);
        body["scheduled_at"] =
            json!((stage.clock.now() + TimeDelta::hours(1 + (nth as i64 * 5) % 7)).to_rfc3339());
        assert_eq!(stage.submit(&format!("k{nth}"), &body).await.status, 201);
    }
    for sort in ["created", "date", "number", "subject", "created_by", "message_type", "state"] {
        let mut orders = Vec::new();
        for order in ["asc", "desc"] {
            let mut seen = Vec::new();
            let mut cursor = String::new();
            loop {
                let page =
                    stage.get(&format!("/v1/campaigns?sort={sort}&order={order}&limit=2{cursor}")).await.body;
                let rows = page["campaigns"].as_array().unwrap_or_else(|| panic!("{page}")).clone();
                seen.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(seen.len(), subjects.len(), "{sort} {order}");
            orders.push(seen);
        }
        orders[1].reverse();
        assert_eq!(orders[0], orders[1], "{sort}");
    }
    assert_eq!(
        listed(&stage, "sort=subject&order=asc").await.first().map(|it| it.to_lowercase()),
        Some("a".into())
    );
    let first = stage.get("/v1/campaigns?sort=subject&limit=1").await.body;
    let cursor = first["next_cursor"].as_str().unwrap();
    for query in [
        format!("sort=date&cursor={cursor}"),
        "sort=odd".into(),
        "order=up".into(),
        "number=x".into(),
        "from=yesterday".into(),
        "from=2026-02-02&to=2026-02-01".into(),
        "group=old".into(),
        "message_type=x".into(),
    ] {
        stage.get(&format!("/v1/campaigns?{query}")).await.assert_problem(400, "invalid-query");
    }
    // A day is the district's, and whole.
    let day = (stage.clock.now() + TimeDelta::hours(1)).format("%Y-%m-%d");
    assert!(!listed(&stage, &format!("from={day}&to={day}")).await.is_empty());
}
