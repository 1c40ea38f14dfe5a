//! Making, listing and showing campaigns.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tocsin_api::MessageType;
use tocsin_proto::v1::control::Command;
use tocsin_runtime::Clock as _;

use crate::stage::{OTHER_KEY, Stage, campaign};

fn instant(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_campaign_is_stored_with_its_defaults_and_wakes_the_planners() {
    let stage = Stage::start().await;
    let mut control = stage.control().await;
    let answer = stage.submit("first", &campaign()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.headers["location"].to_str().unwrap(), format!("/v1/campaigns/{}", answer.id()));
    let expected = json!({
        "state": "processing", "subject": "Early dismissal", "message_type": "general", "lane": "general",
        "channels": ["voice", "sms", "email", "inbox"], "created_by": "test", "cancel": null,
        "started_at": null, "ended_at": null, "failure_reason": null, "seconds": null,
        "first_attempt_seconds": null, "recipients": 0, "no_device": 0,
        "contents": [{"language": null, "channel": null, "subject": "Early dismissal", "body": "School ends at noon."}],
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&answer.body[name], value, "{name}");
    }
    assert!(answer.body["number"].as_i64().unwrap() > 0);
    let (scheduled_at, expires_at) =
        (instant(&answer.body["scheduled_at"]), instant(&answer.body["expires_at"]));
    assert_eq!(expires_at - scheduled_at, TimeDelta::hours(24));
    let Command::Wake(wake) = control.next().await else { panic!("no wake") };
    assert_eq!(wake.channels, [1, 2, 3, 4]);
    let row = stage.sql.query_one("select mode, consent_class, redial from campaigns", &[]).await.unwrap();
    assert_eq!((row.get::<_, i16>(0), row.get::<_, i16>(1)), (1, 2));
    assert_eq!(row.get::<_, Value>(2), json!({"attempts_max": 3, "wait_seconds": 300, "machines": false}));
}

#[tokio::test]
async fn every_setting_is_kept_as_given() {
    let stage = Stage::start().await;
    let later = stage.clock.now() + TimeDelta::hours(3);
    let body = json!({
        "subject": "Snow day", "channels": ["sms", "email"], "message_type": "emergency", "mode": "per_device_and_student",
        "audience": {"schools": ["s1"], "roles": ["guardian", "student"], "language": "es"},
        "contents": [
            {"body": "No school.", "channel": "sms"},
            {"body": "No school for {{ student_name | your child }}.", "subject": "Closed", "channel": "email"},
            {"body": "No hay clases.", "language": "es"},
        ],
        "scheduled_at": later.to_rfc3339(), "expires_in_seconds": 7200, "redial": {"attempts_max": 2},
        "created_by": "ana",
    });
    let answer = stage.submit("full", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    for (name, value) in [("state", "scheduled"), ("lane", "emergency"), ("created_by", "ana")] {
        assert_eq!(answer.body[name], value, "{name}");
    }
    assert_eq!(
        instant(&answer.body["expires_at"]) - instant(&answer.body["scheduled_at"]),
        TimeDelta::hours(2)
    );
    // A text has no subject; an email or inbox message without its own has the campaign's.
    let subjects: Vec<_> = answer.body["contents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|content| content["subject"].clone())
        .collect();
    assert_eq!(subjects, [json!(null), json!("Closed"), json!("Snow day")]);
    let row = stage
        .sql
        .query_one("select mode, consent_class, redial, audience from campaigns", &[])
        .await
        .unwrap();
    assert_eq!((row.get::<_, i16>(0), row.get::<_, i16>(1)), (2, 1));
    // What redial leaves out is the lane's default.
    assert_eq!(row.get::<_, Value>(2), json!({"attempts_max": 2, "wait_seconds": 60, "machines": false}));
    let audience = row.get::<_, Value>(3);
    assert_eq!((&audience["schools"], &audience["language"]), (&json!(["s1"]), &json!("es")));
}

#[tokio::test]
async fn the_message_type_decides_lane_and_consent() {
    let stage = Stage::start().await;
    for kind in MessageType::ALL {
        let mut body = campaign();
        body["message_type"] = json!(kind.as_str());
        let answer = stage.submit(kind.as_str(), &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let (lane, consent_class) = match kind.as_str() {
            "emergency" => ("emergency", 1i16),
            "priority" => ("priority", 2),
            "opt_in" => ("general", 4),
            _ => ("general", 2),
        };
        assert_eq!(answer.body["lane"], lane, "{kind:?}");
        let number = answer.body["number"].as_i64().unwrap();
        let row = stage
            .sql
            .query_one("select consent_class from campaigns where number = $1", &[&number])
            .await
            .unwrap();
        assert_eq!(row.get::<_, i16>(0), consent_class, "{kind:?}");
    }
}

#[tokio::test]
async fn one_key_makes_one_campaign() {
    let stage = Stage::start().await;
    let mut body = campaign();
    body["scheduled_at"] = json!((stage.clock.now() + TimeDelta::minutes(5)).to_rfc3339());
    let first = stage.submit("key", &body).await;
    assert_eq!(first.status, 201);
    // Still the same request when its schedule has passed.
    stage.clock.advance(TimeDelta::hours(1));
    let again = stage.submit("key", &body).await;
    assert_eq!((again.status, again.id()), (200, first.id()));
    assert_eq!(again.headers["location"], first.headers["location"]);
    stage.submit("key", &campaign()).await.assert_problem(409, "key-reused");
    // A key is its district's own.
    let other = stage.submit_as(OTHER_KEY, "key", &campaign()).await;
    assert_eq!(other.status, 201);
    assert_ne!(other.id(), first.id());
    let row = stage.sql.query_one("select count(*) from campaigns", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 2);
}

#[tokio::test]
async fn one_key_posted_at_once_from_several_places_makes_one_campaign() {
    let stage = Stage::start().await;
    let body = campaign();
    let answers = [(); 6].map(|()| stage.submit("key", &body));
    let [a, b, c, d, e, f] = answers;
    let (a, b, c, d, e, f) = tokio::join!(a, b, c, d, e, f);
    let answers = [a, b, c, d, e, f];
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1, "{answers:?}");
    assert!(
        answers.iter().all(|answer| matches!(answer.status, 200 | 201) && answer.id() == answers[0].id())
    );
}

#[tokio::test]
async fn pages_show_every_campaign_once_newest_first() {
    let stage = Stage::start().await;
    let mut ids = Vec::new();
    for key in ["a", "b", "c", "d", "e"] {
        ids.insert(0, stage.campaign(key).await);
        stage.clock.advance(TimeDelta::seconds(1));
    }
    for (limit, pages) in [(1, 5), (2, 3), (5, 1), (100, 1)] {
        let (mut seen, mut cursor, mut read) = (Vec::new(), String::new(), 0);
        loop {
            let page = stage.get(&format!("/v1/campaigns?limit={limit}{cursor}")).await;
            seen.extend(page.body["campaigns"].as_array().unwrap().iter().map(|found| found["id"].clone()));
            read += 1;
            let Some(next) = page.body["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!((seen, read), (ids.iter().map(|id| json!(id)).collect(), pages), "limit {limit}");
    }
}

#[tokio::test]
async fn a_list_is_narrowed_to_states_and_never_shows_what_was_discarded() {
    let stage = Stage::start().await;
    let (sent, failed, discarded) =
        (stage.campaign("a").await, stage.campaign("b").await, stage.campaign("c").await);
    for (id, state) in [(&sent, 5), (&failed, 9), (&discarded, 10)] {
        stage.change(&format!("update campaigns set state = {state} where id = $1"), id).await;
    }
    for (query, count) in [("", 2), ("?state=sent", 1), ("?state=sent,failed", 2), ("?state=canceling", 0)] {
        let page = stage.get(&format!("/v1/campaigns{query}")).await;
        assert_eq!(page.body["campaigns"].as_array().unwrap().len(), count, "{query}");
    }
    assert_eq!(stage.get(&format!("/v1/campaigns/{discarded}")).await.body["state"], "discarded");
}

#[tokio::test]
async fn the_delivery_summary_counts_addresses_and_people_once() {
    let stage = Stage::start().await;
    stage.staff("ana", &[(1, "+15551230001"), (2, "+15551230001"), (3, "ana@example.org")]).await;
    stage.staff("ben", &[(1, "+15551230001"), (2, "+15551230002"), (4, "ben")]).await;
    stage.staff("cem", &[]).await;
    let id = stage.campaign("summed").await;
    stage.expand_all().await;
    let summary = async || stage.get(&format!("/v1/campaigns/{id}")).await.body["delivery_summary"].clone();
    let mut expected = json!({
        "recipients": 3, "no_device": 1, "inbox": 0, "emails": 1, "voice": 1, "text": 2, "inbox_attempted": 0,
        "emails_attempted": 0, "voice_attempted": 0, "text_attempted": 0, "contacted_by_phone": 0,
        "not_contacted_by_phone": 3, "email_progress_percent": 0
    });
    assert_eq!(summary().await, expected);
    stage
        .change(
            "insert into tallies (campaign_id, district_id, channel, addresses_attempted, addresses_contacted,
               addresses_with_result, contacted_by_phone)
             select id, district_id, u.* from campaigns, (values (0, 0, 0, 0, 2), (1, 1, 1, 1, 0), (3, 1, 0, 1, 0),
               (4, 1, 1, 1, 0)) u where id = $1",
            &id,
        )
        .await;
    for (name, number) in [
        ("inbox", 1),
        ("inbox_attempted", 1),
        ("emails_attempted", 1),
        ("voice_attempted", 1),
        ("contacted_by_phone", 2),
        ("not_contacted_by_phone", 1),
        ("email_progress_percent", 100),
    ] {
        expected[name] = json!(number);
    }
    assert_eq!(summary().await, expected);
}

#[tokio::test]
async fn delivery_information_is_the_sum_of_the_tallies() {
    let stage = Stage::start().await;
    stage.staff("ana", &[(1, "+15551230001"), (2, "+15551230001"), (3, "ana@example.org")]).await;
    stage.staff("ben", &[(1, "+15551230001"), (2, "+15551230002")]).await;
    stage.staff("cem", &[]).await;
    let id = stage.campaign("counted").await;
    stage.expand_all().await;
    stage.change("update campaigns set state = 3, started_at = created_at where id = $1", &id).await;
    let tried = async |channel: i16, changes: &str| {
        let sql = format!(
            "insert into tallies (campaign_id, district_id, channel, attempts, untried, successful, error, open, last_first_attempt_at)
             select id, district_id, {channel}, {changes}::interval + started_at from campaigns where id = $1"
        );
        stage.change(&sql, &id).await;
    };
    tried(1, "1, -1, 1, 0, -1, '1.5 s'").await;
    tried(2, "3, -2, 0, 1, -1, '2.25 s'").await;
    stage.clock.advance(TimeDelta::seconds(90));
    let shown = stage.get(&format!("/v1/campaigns/{id}")).await.body;
    assert_eq!((&shown["recipients"], &shown["no_device"]), (&json!(3), &json!(1)));
    assert_eq!(
        shown["totals"],
        json!({"devices": 4, "attempts": 4, "successful": 1, "error": 1, "canceled": 0, "not_dispatched": 0, "open": 2, "duplicates": 1, "confirmed": 0})
    );
    let by_channel = &shown["by_channel"];
    assert_eq!(
        by_channel["voice"],
        json!({"devices": 1, "attempts": 1, "successful": 1, "error": 0, "canceled": 0, "not_dispatched": 0, "open": 0, "duplicates": 1, "confirmed": 0, "first_attempt_seconds": 1.5})
    );
    assert_eq!(by_channel["sms"]["first_attempt_seconds"], 2.25);
    assert_eq!(by_channel["email"]["first_attempt_seconds"], Value::Null);
    assert_eq!(by_channel["inbox"]["devices"], 0, "a channel that nobody has is shown all the same");
    assert_eq!((&shown["seconds"], &shown["first_attempt_seconds"]), (&json!(90.0), &Value::Null));
    tried(3, "1, -1, 1, 0, -1, '0.5 s'").await;
    stage.change("update campaigns set ended_at = started_at + interval '42.5 s' where id = $1", &id).await;
    let shown = stage.get(&format!("/v1/campaigns/{id}")).await.body;
    assert_eq!((&shown["seconds"], &shown["first_attempt_seconds"]), (&json!(42.5), &json!(2.25)));
}
