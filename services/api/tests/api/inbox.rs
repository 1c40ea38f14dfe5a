//! Portal inboxes over REST.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use tocsin_domain::{CampaignId, JobKey};
use tocsin_runtime::Clock as _;
use tocsin_store::inbox::InboxMessage;
use uuid::Uuid;

use crate::stage::{Answer, KEY, OTHER_KEY, Stage};

const INBOX: &str = "/v1/people/ana/inbox";

impl Stage {
    /// Puts message number `job` of a campaign into an inbox, at a time.
    async fn deliver(&self, campaign: &str, job: i32, account: &str, at: DateTime<Utc>) -> String {
        let campaign = CampaignId(Uuid::parse_str(campaign).unwrap());
        let message = InboxMessage {
            key: JobKey { campaign, job },
            account: account.to_owned(),
            subject: format!("Message {job}"),
            body: format!("The body of {job}"),
        };
        self.engine.deliver_to_inbox(&[message], at).await.unwrap();
        format!("{campaign}.{job}")
    }

    async fn mark(&self, method: Method, message: &str) -> Answer {
        self.ask(
            method,
            &format!("{INBOX}/{message}/read"),
            &[("authorization", &format!("Bearer {KEY}"))],
            "",
        )
        .await
    }

    async fn unread(&self) -> Value {
        self.get(&format!("{INBOX}/unread")).await.body["unread"].clone()
    }

    /// The subjects of every message, page by page.
    async fn listed(&self, show: &str, limit: usize) -> Vec<String> {
        let (mut subjects, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{INBOX}?show={show}&limit={limit}{cursor}")).await;
            assert_eq!(page.status, 200, "{page:?}");
            let messages = page.body["messages"].as_array().unwrap();
            assert!(messages.len() <= limit, "{page:?}");
            subjects.extend(messages.iter().map(|message| message["subject"].as_str().unwrap().to_owned()));
            let Some(next) = page.body["next_cursor"].as_str() else { return subjects };
            cursor = format!("&cursor={next}");
        }
    }
}

/// Ana has two portal accounts and six messages, the last two of one instant; Ben has one.
async fn delivered() -> (Stage, Vec<String>) {
    let stage = Stage::start().await;
    stage.staff("ana", &[(4, "ana.lee"), (4, "ana.office"), (3, "ana@example.org")]).await;
    stage.staff("ben", &[(4, "ben")]).await;
    stage.staff("cy", &[]).await;
    let campaign = stage.campaign("k").await;
    let begun = stage.clock.now();
    let mut messages = Vec::new();
    for job in 1..=6 {
        let account = if job % 2 == 0 { "ana.lee" } else { "ana.office" };
        let at = begun + TimeDelta::seconds(i64::from(job.min(5)));
        messages.push(stage.deliver(&campaign, job, account, at).await);
    }
    messages.push(stage.deliver(&campaign, 7, "ben", begun).await);
    (stage, messages)
}

fn subjects(numbers: &[i32]) -> Vec<String> {
    numbers.iter().map(|number| format!("Message {number}")).collect()
}

#[tokio::test]
async fn an_inbox_is_listed_newest_first_unread_first_or_unread_alone_on_pages_of_any_size() {
    let (stage, messages) = delivered().await;
    for message in [&messages[4], &messages[1]] {
        assert_eq!(stage.mark(Method::PUT, message).await.status, 200);
    }
    for limit in 1..=7 {
        assert_eq!(stage.listed("all", limit).await, subjects(&[6, 5, 4, 3, 2, 1]), "{limit}");
        assert_eq!(stage.listed("unread_first", limit).await, subjects(&[6, 4, 3, 1, 5, 2]), "{limit}");
        assert_eq!(stage.listed("unread", limit).await, subjects(&[6, 4, 3, 1]), "{limit}");
    }
    assert_eq!(stage.get("/v1/people/cy/inbox").await.body, json!({ "messages": [], "next_cursor": null }));
}

#[tokio::test]
async fn a_message_is_read_by_its_id_and_looking_at_it_marks_nothing() {
    let (stage, messages) = delivered().await;
    let shown = stage.get(&format!("{INBOX}/{}", messages[2])).await;
    let expected = ("Message 3", "The body of 3", &Value::Null);
    let found = (
        shown.body["subject"].as_str().unwrap(),
        shown.body["body"].as_str().unwrap(),
        &shown.body["read_at"],
    );
    assert_eq!(found, expected);
    assert_eq!(stage.unread().await, 6);
    let listed = stage.get(INBOX).await;
    assert!(listed.body["messages"][0].get("body").is_none(), "{listed:?}");
}

#[tokio::test]
async fn a_mark_is_made_once_taken_back_and_the_first_reading_stays_known() {
    let (stage, messages) = delivered().await;
    let message = &messages[0];
    let first = stage.mark(Method::PUT, message).await.body;
    stage.clock.advance(TimeDelta::seconds(60));
    let again = stage.mark(Method::PUT, message).await.body;
    assert_eq!((&first["read_at"].is_string(), &first), (&true, &again));
    assert_eq!(stage.unread().await, 5);
    for _ in 0..2 {
        let taken_back = stage.mark(Method::DELETE, message).await;
        assert_eq!((taken_back.status, &taken_back.body["read_at"]), (200, &Value::Null));
        assert_eq!(stage.unread().await, 6);
    }
    let later = stage.mark(Method::PUT, message).await.body;
    assert_ne!(later["read_at"], first["read_at"]);
    let kept =
        stage.sql.query_one("select first_read_at from inbox_messages where job_id = 1", &[]).await.unwrap();
    let kept: DateTime<Utc> = kept.get(0);
    assert_eq!(first["read_at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap(), kept);
}

#[tokio::test]
async fn all_that_was_there_is_marked_at_once_and_what_came_since_is_not() {
    let (stage, messages) = delivered().await;
    stage.mark(Method::PUT, &messages[0]).await;
    let until = stage.get(&format!("{INBOX}/{}", messages[2])).await.body["created_at"].clone();
    let path = format!("{INBOX}/read");
    let marked = stage.post(&path, &json!({ "until": until }).to_string()).await;
    assert_eq!((marked.status, &marked.body), (200, &json!({ "marked": 2 })));
    assert_eq!(stage.post(&path, &json!({ "until": until }).to_string()).await.body, json!({ "marked": 0 }));
    assert_eq!(stage.listed("unread", 10).await, subjects(&[6, 5, 4]));
    stage.clock.advance(TimeDelta::seconds(60));
    assert_eq!(stage.post(&path, "").await.body, json!({ "marked": 3 }));
    assert_eq!(stage.unread().await, 0);
    assert_eq!(stage.get("/v1/people/ben/inbox/unread").await.body, json!({ "unread": 1 }));
}

#[tokio::test]
async fn nobody_reads_another_persons_messages_nor_another_districts() {
    let (stage, messages) = delivered().await;
    let (anas, bens) = (&messages[0], &messages[6]);
    stage.get(&format!("{INBOX}/{bens}")).await.assert_problem(404, "unknown-message");
    stage.mark(Method::PUT, bens).await.assert_problem(404, "unknown-message");
    let bearer = format!("Bearer {OTHER_KEY}");
    let headers = [("authorization", bearer.as_str())];
    for (method, path) in [
        (Method::GET, INBOX.to_owned()),
        (Method::GET, format!("{INBOX}/unread")),
        (Method::POST, format!("{INBOX}/read")),
        (Method::GET, format!("{INBOX}/{anas}")),
        (Method::PUT, format!("{INBOX}/{anas}/read")),
        (Method::DELETE, format!("{INBOX}/{anas}/read")),
    ] {
        stage.ask(method, &path, &headers, "").await.assert_problem(404, "unknown-person");
    }
    assert_eq!(stage.unread().await, 6);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_by_its_name() {
    let (stage, messages) = delivered().await;
    for path in [
        "/v1/people/nobody/inbox",
        "/v1/people/nobody/inbox/unread",
        "/v1/people/a%00b/inbox",
        "/v1/people/%ff/inbox",
    ] {
        stage.get(path).await.assert_problem(404, "unknown-person");
    }
    for message in ["7", "x.1", &format!("{}0", messages[0]), &messages[0].replace('.', "/")] {
        let answer = stage.get(&format!("{INBOX}/{message}")).await;
        assert_eq!(answer.status, 404, "{message}: {answer:?}");
    }
    for (query, field) in [
        ("show=read", "show"),
        ("limit=0", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=dS8xLzIvMw", "cursor"),
        ("person=ben", "person"),
    ] {
        let answer = stage.get(&format!("{INBOX}?{query}")).await;
        answer.assert_problem(400, "invalid-query");
        assert_eq!(answer.body["errors"][0]["field"], field, "{answer:?}");
    }
    for (body, field) in [(r#"{"until":"soon"}"#, "until"), (r#"{"upto":"x"}"#, "upto")] {
        let answer = stage.post(&format!("{INBOX}/read"), body).await;
        answer.assert_problem(422, "invalid-body");
        assert_eq!(answer.body["errors"][0]["field"], field, "{answer:?}");
    }
}

#[tokio::test]
async fn a_campaigns_recipients_show_when_an_inbox_message_was_read() {
    let (stage, _) = delivered().await;
    let body = json!({
        "subject": "Early dismissal", "channels": ["inbox"], "body": "School ends at noon.",
        "audience": { "all": true, "roles": ["staff"] },
    });
    let campaign = stage.submit("inbox", &body).await.id();
    stage.expand_all().await;
    let jobs = stage
        .sql
        .query_one(
            "select job_id from destinations where campaign_id = $1 and address = 'ana.lee'",
            &[&Uuid::parse_str(&campaign).unwrap()],
        )
        .await
        .unwrap();
    let message = stage.deliver(&campaign, jobs.get(0), "ana.lee", stage.clock.now()).await;
    let read_at = stage.mark(Method::PUT, &message).await.body["read_at"].clone();
    let rows = stage.get(&format!("/v1/campaigns/{campaign}/recipients")).await.body;
    let rows = rows["recipients"].as_array().unwrap();
    for row in rows {
        let expected = if row["address"] == "ana.lee" { &read_at } else { &Value::Null };
        assert_eq!(&row["read_at"], expected, "{row}");
    }
    assert!(rows.iter().any(|row| row["read_at"].is_string()), "{rows:?}");
}

#[tokio::test]
async fn a_message_that_is_only_a_test_says_so_wherever_it_is_shown() {
    let (stage, messages) = delivered().await;
    let policy = json!({"undo_seconds": 0, "test_people": ["ana"]});
    assert_eq!(stage.send_as(KEY, Method::PUT, "/v1/sending-policy", &policy).await.status, 200);
    let mut body = crate::stage::campaign();
    body["test"] = json!(true);
    let test = stage.submit("a test", &body).await.id();
    let test = stage.deliver(&test, 1, "ana.lee", stage.clock.now() + TimeDelta::seconds(9)).await;
    for (message, is_test) in [(&test, true), (&messages[0], false)] {
        let shown = stage.get(&format!("{INBOX}/{message}")).await.body;
        let marked = stage.mark(Method::PUT, message).await.body;
        assert_eq!((&shown["test"], &marked["test"]), (&json!(is_test), &json!(is_test)), "{message}");
    }
    let listed = stage.get(INBOX).await.body;
    let tests = listed["messages"].as_array().unwrap().iter().map(|it| it["test"].as_bool().unwrap());
    assert_eq!(tests.collect::<Vec<_>>(), [true, false, false, false, false, false, false]);
}
