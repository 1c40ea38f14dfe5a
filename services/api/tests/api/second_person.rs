//! A second person for emergencies to the whole district: who is asked for what, and what goes out once they said yes.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use tocsin_api::{PageAccess, SignIn};
use tocsin_domain::CampaignState;
use tocsin_runtime::Clock as _;
use tocsin_store::{Access, Store};

use crate::console::Visitor;
use crate::receipts::canceled;
use crate::series::{send, with_zone};
use crate::stage::{Answer, KEY, OTHER_KEY, Stage, ask, campaign, serve_pages};

/// The district decides that a second person is needed.
pub async fn decided(stage: &Stage) {
    let body = json!({"undo_seconds": 0, "second_person": true});
    let put = stage.send_as(KEY, Method::PUT, "/v1/sending-policy", &body).await;
    assert_eq!((put.status, &put.body["second_person"]), (200, &json!(true)), "{put:?}");
}

pub fn emergency() -> Value {
    let mut body = campaign();
    body["message_type"] = json!("emergency");
    body
}

async fn act(stage: &Stage, key: &str, id: &str, act: &str) -> Answer {
    stage.send_as(key, Method::POST, &format!("/v1/approvals/{id}/{act}"), &Value::Null).await
}

/// Those who sign in and may approve are told by email where to do so; whoever asked sees when that is nobody.
#[tokio::test]
async fn users_who_may_approve_are_to_be_told_by_email_with_a_link_that_no_request_can_change() {
    let stage = Stage::start().await;
    decided(&stage).await;
    stage.sql.batch_execute("update users set active = false").await.unwrap();
    let (ana, _) = stage.key(stage.north, "ana", &["communications"]).await;
    let alone = stage.submit_as(&ana, "alone", &emergency()).await.id();
    let mails = async |id: &str| -> Vec<String> {
        let sql = "select u.login || ' ' || coalesce(p.page_url, '-') from approval_mails m
                   join approvals p on p.id = m.approval_id join users u on u.id = m.user_id
                   where p.id = $1 order by 1";
        let id = uuid::Uuid::parse_str(id).unwrap();
        stage.sql.query(sql, &[&id]).await.unwrap().iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(mails(&alone).await, Vec::<String>::new());
    for (login, roles) in [("ben", &["communications"]), ("cem", &["administrator"]), ("sec", &["secretary"])]
    {
        stage.user(stage.north, &format!("{login}@north.example"), roles).await;
    }
    stage.user(stage.south, "dan@south.example", &["administrator"]).await;
    let visitor = Visitor::of(&stage, "cem@north.example").await;
    let page = visitor.page(&format!("/approvals/{alone}")).await;
    assert!(page.contains("Nobody is told by email"), "{page}");
    let asked = stage.submit_as(&ana, "told", &emergency()).await.id();
    assert_eq!(mails(&asked).await, ["ben@north.example -", "cem@north.example -"]);

    // The address is the configuration's: a host that a request names would lead people elsewhere.
    let rules = SignIn { url: Some("https://tocsin.example.org".to_owned()), ..SignIn::default() };
    let store = Store::open(&stage.database_url, 2, Access::Tenants).unwrap();
    let address =
        serve_pages(store, &stage.broker, &stage.clock, &stage.tasks, PageAccess::SignIn(rules)).await;
    let bearer = format!("Bearer {ana}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("idempotency-key", "linked"),
        ("content-type", "application/json"),
        ("x-forwarded-host", "evil.example"),
        ("host", "evil.example"),
    ];
    let body = emergency().to_string();
    let linked = ask(&stage.client, &address, Method::POST, "/v1/campaigns", &headers, &body).await;
    assert_eq!(linked.status, 202, "{linked:?}");
    let id = linked.id();
    let link = format!("ben@north.example https://tocsin.example.org/approvals/{id}");
    assert_eq!(mails(&id).await[0], link);
}

async fn campaigns(stage: &Stage) -> Vec<Value> {
    stage.get("/v1/campaigns").await.body["campaigns"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_emergency_to_everybody_goes_out_once_and_only_after_another_person_said_yes() {
    let stage = Stage::start().await;
    decided(&stage).await;
    stage.staff("lee", &[(2, "+15550000001")]).await;
    let (ana, ana_id) = stage.key(stage.north, "ana", &["communications"]).await;
    let (ben, _) = stage.key(stage.north, "ben", &["communications"]).await;
    let (cem, _) = stage.key(stage.north, "cem", &["administrator"]).await;
    let (sec, _) = stage.key(stage.north, "sec", &["secretary"]).await;
    let asked = stage.submit_as(&ana, "alarm", &emergency()).await;
    assert_eq!((asked.status, &asked.body["state"]), (202, &json!("waiting")), "{asked:?}");
    let id = asked.id();
    assert_eq!(asked.headers["location"], format!("/v1/approvals/{id}"));
    assert_eq!((&asked.body["asked_by"], &asked.body["asker_id"]), (&json!("ana"), &json!(ana_id)));
    assert_eq!(campaigns(&stage).await, Vec::<Value>::new(), "it went out without a second person");
    let again = stage.submit_as(&ana, "alarm", &emergency()).await;
    assert_eq!((again.status, again.id()), (202, id.clone()), "posting twice asks once");
    stage.submit_as(&ana, "alarm", &campaign()).await.assert_problem(409, "key-reused");
    stage.submit_as(&sec, "alarm", &emergency()).await.assert_problem(409, "key-reused");

    act(&stage, &ana, &id, "approve").await.assert_problem(403, "own-approval");
    act(&stage, &sec, &id, "approve").await.assert_problem(403, "forbidden");
    act(&stage, OTHER_KEY, &id, "approve").await.assert_problem(404, "unknown-approval");
    stage.get_as(OTHER_KEY, &format!("/v1/approvals/{id}")).await.assert_problem(404, "unknown-approval");
    assert_eq!(stage.get_as(OTHER_KEY, "/v1/approvals").await.body["approvals"], json!([]));
    assert_eq!(campaigns(&stage).await, Vec::<Value>::new());

    let (one, two, three, four) = tokio::join!(
        act(&stage, &ben, &id, "approve"),
        act(&stage, &cem, &id, "approve"),
        act(&stage, &ben, &id, "approve"),
        act(&stage, &cem, &id, "approve")
    );
    let made = one.body["campaign"].as_str().unwrap().to_owned();
    for answer in [&one, &two, &three, &four] {
        assert_eq!((answer.status, &answer.body["campaign"]), (200, &json!(made)), "{answer:?}");
        assert_eq!(answer.body["state"], "approved");
    }
    let all = campaigns(&stage).await;
    assert_eq!(all.len(), 1, "{all:?}");
    // It is the message of whoever asked, and starts as any other.
    let fields = [&all[0]["id"], &all[0]["created_by"], &all[0]["creator_id"], &all[0]["state"]];
    assert_eq!(fields, [&json!(made), &json!("ana"), &json!(ana_id), &json!("processing")]);
    let known = stage.submit_as(&ana, "alarm", &emergency()).await;
    assert_eq!((known.status, known.id()), (200, made.clone()), "the key gives the campaign now");
    act(&stage, &ana, &id, "approve").await.assert_problem(403, "own-approval");
    act(&stage, &ben, &id, "decline").await.assert_problem(409, "not-waiting");

    let audit = stage.get("/v1/audit?limit=50").await.body;
    let lines: Vec<(&str, &str, &str)> = audit["entries"]
        .as_array()
        .unwrap_or_else(|| panic!("{audit}"))
        .iter()
        .map(|it| {
            (it["action"].as_str().unwrap(), it["actor"].as_str().unwrap(), it["subject"].as_str().unwrap())
        })
        .collect();
    assert!(
        lines.contains(&("approval.ask", "ana", &id)) && lines.contains(&("campaign.create", "ana", &made))
    );
    let approvals: Vec<_> = lines.iter().filter(|(action, ..)| *action == "approval.approve").collect();
    assert!(matches!(approvals.as_slice(), [(_, "ben" | "cem", subject)] if *subject == id), "{lines:?}");
}

/// The second person is asked where no school is left out, and nowhere else.
#[tokio::test]
async fn what_leaves_a_school_out_and_what_is_no_emergency_waits_for_nobody() {
    let stage = Stage::start().await;
    stage
        .sql
        .batch_execute(&format!(
            "insert into schools (district_id, source_id, name, kind, active) values ('{0}', 'a', 'A', 'school', true),
               ('{0}', 'b', 'B', 'school', true), ('{0}', 'old', 'Old', 'school', false)",
            stage.north
        ))
        .await
        .unwrap();
    let to = |audience: Value| {
        let mut body = emergency();
        body["audience"] = audience;
        body
    };
    let all = json!({"all": true});
    let before = stage.submit("before", &to(all.clone())).await;
    assert_eq!(before.status, 201, "nobody decided: {before:?}");
    decided(&stage).await;
    for (audience, asks) in [
        (all.clone(), true),
        (json!({"all": true, "roles": ["staff"], "language": "es"}), true),
        (json!({"schools": ["a", "b"]}), true),
        (json!({"schools": ["b", "a", "old"], "grades": ["03"]}), true),
        (json!({"grades": ["03", "04"]}), true),
        (json!({"any_of": [{"schools": ["a"]}, {"schools": ["b"], "roles": ["staff"]}]}), true),
        (json!({"any_of": [{"people": ["p"]}, {"all": true}]}), true),
        (json!({"schools": ["a"]}), false),
        (json!({"schools": ["a", "old"]}), false),
        (json!({"people": ["p", "q"]}), false),
        (json!({"classes": ["c"], "schools": ["a", "b"]}), false),
        (json!({"any_of": [{"schools": ["a"]}, {"people": ["p"]}]}), false),
    ] {
        let answer = stage.submit(&audience.to_string(), &to(audience.clone())).await;
        assert_eq!(answer.status, if asks { 202 } else { 201 }, "{audience}: {answer:?}");
        let mut general = to(audience.clone());
        general["message_type"] = json!("priority");
        let answer = stage.submit(&format!("no {audience}"), &general).await;
        assert_eq!(answer.status, 201, "no emergency, {audience}: {answer:?}");
    }
    let theirs = stage.submit_as(OTHER_KEY, "theirs", &to(all)).await;
    assert_eq!(theirs.status, 201, "another district decided nothing");
}

/// A false alarm is taken back at once; but what was no alarm is made none by correcting it.
#[tokio::test]
async fn a_correction_of_an_emergency_waits_for_nobody_and_one_of_anything_else_does() {
    let stage = Stage::start().await;
    let id = canceled(&stage).await;
    decided(&stage).await;
    let body = json!({"body": "x", "message_type": "emergency"});
    let path = format!("/v1/campaigns/{id}/correction");
    let send = async |client_key: &str| {
        let bearer = format!("Bearer {KEY}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("idempotency-key", client_key),
            ("content-type", "application/json"),
        ];
        stage.ask(Method::POST, &path, &headers, &body.to_string()).await
    };
    let asked = send("of a general one").await;
    assert_eq!(asked.status, 202, "{asked:?}");
    // Whoever approves need not see the message that it corrects.
    let rights = json!({"rights": ["send.emergency"]});
    assert_eq!(stage.send_as(KEY, Method::PUT, "/v1/roles/alarm", &rights).await.status, 200);
    let (ben, _) = stage.key(stage.north, "ben", &["alarm"]).await;
    let approved = act(&stage, &ben, &asked.id(), "approve").await;
    assert_eq!((approved.status, &approved.body["state"]), (200, &json!("approved")), "{approved:?}");
    let made = stage.get(&format!("/v1/campaigns/{}", approved.body["campaign"].as_str().unwrap())).await;
    assert_eq!(made.body["corrects"], json!(id));

    stage.change("update campaigns set lane = 1, message_type = 'emergency' where id = $1", &id).await;
    let at_once = send("of an emergency").await;
    assert_eq!(at_once.status, 201, "{at_once:?}");
}

#[tokio::test]
async fn what_is_declined_or_waited_too_long_is_never_sent() {
    let stage = Stage::start().await;
    decided(&stage).await;
    let (ana, _) = stage.key(stage.north, "ana", &["communications"]).await;
    let (ben, _) = stage.key(stage.north, "ben", &["communications"]).await;
    let ask = async |key: &str| stage.submit_as(&ana, key, &emergency()).await.id();
    let (declined, own, late) = (ask("declined").await, ask("own").await, ask("late").await);
    let path = format!("/v1/approvals/{declined}/decline");
    let order = json!({"by": "Ben", "reason": "wrong school"});
    let answer = stage.send_as(&ben, Method::POST, &path, &order).await;
    let fields = [&answer.body["state"], &answer.body["decided_by"], &answer.body["reason"]];
    assert_eq!(fields, [&json!("declined"), &json!("Ben"), &json!("wrong school")], "{answer:?}");
    let taken_back = act(&stage, &ana, &own, "decline").await;
    assert_eq!((taken_back.status, &taken_back.body["state"]), (200, &json!("declined")));
    stage.clock.advance(TimeDelta::minutes(30));
    for id in [&declined, &own, &late] {
        act(&stage, &ben, id, "approve").await.assert_problem(409, "not-waiting");
    }
    act(&stage, &ben, &late, "decline").await.assert_problem(409, "not-waiting");
    assert_eq!(act(&stage, &ben, &declined, "decline").await.status, 200, "it stays declined");
    assert_eq!(campaigns(&stage).await, Vec::<Value>::new());
    let again = stage.submit_as(&ana, "late", &emergency()).await;
    assert_eq!((again.status, &again.body["state"]), (202, &json!("expired")), "the same answer: {again:?}");
    for (state, found) in [("waiting", 0), ("expired", 1), ("declined", 2), ("approved", 0)] {
        let list = stage.get(&format!("/v1/approvals?state={state}")).await.body;
        assert_eq!(list["approvals"].as_array().unwrap().len(), found, "{state}");
    }
    let first = stage.get("/v1/approvals?limit=2").await.body;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = stage.get(&format!("/v1/approvals?limit=2&cursor={cursor}")).await.body;
    assert_eq!((&second["next_cursor"], second["approvals"].as_array().unwrap().len()), (&Value::Null, 1));
    stage.get("/v1/approvals?state=lost").await.assert_problem(400, "invalid-query");
}

#[tokio::test]
async fn what_is_approved_is_checked_again_against_what_is_true_by_then() {
    let stage = Stage::start().await;
    decided(&stage).await;
    let (ben, _) = stage.key(stage.north, "ben", &["communications"]).await;
    let mut body = emergency();
    body["scheduled_at"] = json!(stage.clock.now() + TimeDelta::minutes(5));
    let asked = stage.submit("soon", &body).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    stage.clock.advance(TimeDelta::minutes(10));
    let refused = act(&stage, &ben, &asked.id(), "approve").await;
    refused.assert_problem(422, "invalid-body");
    assert_eq!(refused.body["errors"][0]["field"], "scheduled_at");
    assert_eq!(campaigns(&stage).await, Vec::<Value>::new());
    // What was asked for stays as it was.
    assert_eq!(act(&stage, &ben, &asked.id(), "decline").await.body["state"], "declined");
}

#[tokio::test]
async fn no_edit_and_no_series_goes_around_the_second_person() {
    let stage = Stage::start().await;
    with_zone(&stage).await;
    let later = json!(stage.clock.now() + TimeDelta::days(1));
    let mut general = campaign();
    general["scheduled_at"] = later.clone();
    let mut alarm = emergency();
    alarm["scheduled_at"] = later;
    let (general, alarm) = (stage.submit("g", &general).await.id(), stage.submit("e", &alarm).await.id());
    let mut series = emergency();
    let start = (stage.clock.now() + TimeDelta::days(2)).format("%Y-%m-%d").to_string();
    series["recurrence"] = json!({"frequency": "daily", "starts_on": start, "at": "08:00"});
    decided(&stage).await;
    let edit = async |id: &str, changes: Value| {
        stage.send_as(KEY, Method::PATCH, &format!("/v1/campaigns/{id}"), &changes).await
    };
    let to_alarm = edit(&general, json!({"version": 1, "message_type": "emergency"})).await;
    to_alarm.assert_problem(409, "second-person-needed");
    let other_text = edit(&alarm, json!({"version": 1, "body": "Another text."})).await;
    other_text.assert_problem(409, "second-person-needed");
    send(&stage, Method::POST, KEY, "/v1/series", &series).await.assert_problem(409, "second-person-needed");
    series["message_type"] = json!("general");
    let made = send(&stage, Method::POST, KEY, "/v1/series", &series).await;
    assert_eq!(made.status, 201, "{made:?}");
    let path = format!("/v1/series/{}", made.id());
    let changes = json!({"version": 1, "message_type": "emergency"});
    stage.send_as(KEY, Method::PATCH, &path, &changes).await.assert_problem(409, "second-person-needed");
    // Made less, it needs nobody.
    assert_eq!(edit(&alarm, json!({"version": 1, "message_type": "priority"})).await.status, 200);
    let state = stage.get(&format!("/v1/campaigns/{general}")).await.body["state"].clone();
    assert_eq!(state, CampaignState::Scheduled.as_str());
}

#[tokio::test]
async fn what_a_policy_leaves_out_stays_as_it_is() {
    let stage = Stage::start().await;
    decided(&stage).await;
    let put = async |body: Value| stage.send_as(KEY, Method::PUT, "/v1/sending-policy", &body).await;
    let kept = put(json!({"undo_seconds": 30})).await.body;
    assert_eq!((&kept["undo_seconds"], &kept["second_person"]), (&json!(30), &json!(true)));
    assert_eq!(put(json!({"undo_seconds": 0, "second_person": false})).await.body["second_person"], false);
    put(json!({"undo_seconds": 0, "second_person": "yes"})).await.assert_problem(422, "invalid-body");
}

#[tokio::test]
async fn endpoints_that_ask_for_it_are_told_once_that_an_emergency_waits_and_not_what_it_says() {
    let stage = Stage::start().await;
    decided(&stage).await;
    let add = async |key: &str, events: &Value| {
        let body = json!({"url": "https://hooks.example.org/", "events": events});
        send(&stage, Method::POST, key, "/v1/webhooks", &body).await.id()
    };
    let told = add(KEY, &json!(["approval.requested"])).await;
    let other = add(KEY, &json!(["campaign.accepted"])).await;
    let disabled = add(KEY, &json!(["approval.requested"])).await;
    let off = json!({"enabled": false});
    let path = format!("/v1/webhooks/{disabled}");
    assert_eq!(stage.send_as(KEY, Method::PATCH, &path, &off).await.status, 200);
    let foreign = add(OTHER_KEY, &json!(["approval.requested"])).await;
    let asked = stage.submit("alarm", &emergency()).await;
    assert_eq!(stage.submit("alarm", &emergency()).await.id(), asked.id(), "asked twice, told once");
    let deliveries = async |key: &str, endpoint: &str| {
        let path = format!("/v1/webhooks/{endpoint}/deliveries");
        stage.get_as(key, &path).await.body["deliveries"].as_array().unwrap().clone()
    };
    for (key, endpoint) in [(KEY, &other), (KEY, &disabled), (OTHER_KEY, &foreign)] {
        assert_eq!(deliveries(key, endpoint).await, Vec::<Value>::new());
    }
    let sent = deliveries(KEY, &told).await;
    assert_eq!((sent.len(), &sent[0]["event"]), (1, &json!("approval.requested")), "{sent:?}");
    let path = format!("/v1/webhooks/{told}/deliveries/{}", sent[0]["id"].as_str().unwrap());
    let body = stage.get(&path).await.body["body"].as_str().unwrap().to_owned();
    let body: Value = serde_json::from_str(&body).unwrap();
    let data = json!({"approval_id": asked.body["id"], "expires_at": asked.body["expires_at"]});
    assert_eq!((&body["timestamp"], &body["data"]), (&asked.body["asked_at"], &data));
}
