//! Consents and suppressions over REST.

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use tocsin_runtime::Clock as _;

use crate::stage::{Answer, KEY, OTHER_KEY, Stage, campaign};

const PHONE: &str = "/v1/consents/+15551230001";

impl Stage {
    async fn put(&self, path: &str, body: &Value) -> Answer {
        self.with(Method::PUT, path, &body.to_string()).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.with(Method::DELETE, path, "").await
    }

    async fn with(&self, method: Method, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {KEY}");
        let headers =
            [(AUTHORIZATION.as_str(), bearer.as_str()), (CONTENT_TYPE.as_str(), "application/json")];
        self.ask(method, path, &headers, body).await
    }
}

/// Field and reason of each fault.
#[track_caller]
fn assert_faults(answer: &Answer, expected: &[(&str, &str)]) {
    answer.assert_problem(422, "invalid-body");
    let errors = answer.body["errors"].as_array().unwrap();
    assert_eq!(errors.len(), expected.len(), "{answer:?}");
    for (error, (field, says)) in errors.iter().zip(expected) {
        assert_eq!(error["field"], *field, "{answer:?}");
        assert!(error["reason"].as_str().unwrap().contains(says), "{error} says no {says:?}");
    }
}

#[tokio::test]
async fn a_phone_is_shown_with_its_consent_and_how_it_came_to_it() {
    let stage = Stage::start().await;
    let unknown = stage.get(PHONE).await;
    assert_eq!((unknown.status, &unknown.body["state"]), (200, &Value::Null));
    let changes = [("pending", "flyer"), ("opted_in", "form 7"), ("opted_out", "call to the office")];
    for (state, source) in changes {
        let answer = stage.put(PHONE, &json!({ "state": state, "source": source })).await;
        assert_eq!((answer.status, &answer.body["state"]), (200, &json!(state)), "{answer:?}");
    }
    // Once more changes nothing.
    assert_eq!(stage.put(PHONE, &json!({ "state": "opted_out", "source": "again" })).await.status, 200);
    // A plus may come escaped, too.
    let shown = stage.get("/v1/consents/%2B15551230001").await.body;
    assert_eq!((&shown["phone"], &shown["source"]), (&json!("+15551230001"), &json!("call to the office")));
    let history: Vec<_> = shown["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["from"].clone(), change["to"].clone(), change["source"].clone()))
        .collect();
    let expected = [
        (json!("opted_in"), json!("opted_out"), json!("call to the office")),
        (json!("pending"), json!("opted_in"), json!("form 7")),
        (Value::Null, json!("pending"), json!("flyer")),
    ];
    assert_eq!(history, expected);
}

#[tokio::test]
async fn who_answered_is_not_asked_again() {
    let stage = Stage::start().await;
    for state in ["opted_in", "opted_out"] {
        assert_eq!(stage.put(PHONE, &json!({ "state": state, "source": "form" })).await.status, 200);
        let answer = stage.put(PHONE, &json!({ "state": "pending", "source": "flyer" })).await;
        answer.assert_problem(409, "consent-refused");
        assert_eq!(stage.get(PHONE).await.body["state"], state);
    }
}

#[tokio::test]
async fn consents_are_listed_by_page_and_state_with_their_totals() {
    let stage = Stage::start().await;
    for number in 1..=7 {
        let state = if number % 3 == 0 { "pending" } else { "opted_in" };
        let path = format!("/v1/consents/+1555123000{number}");
        assert_eq!(stage.put(&path, &json!({ "state": state, "source": "form" })).await.status, 200);
    }
    stage.engine.opt_out(stage.north, "+15551230007", "provider", stage.clock.now()).await.unwrap();
    let whole = stage.get("/v1/consents").await.body;
    assert_eq!(whole["totals"], json!({ "pending": 2, "opted_in": 4, "opted_out": 1 }));
    let phones = |page: &Value| -> Vec<String> {
        let rows = page["consents"].as_array().unwrap();
        rows.iter().map(|row| row["phone"].as_str().unwrap().to_owned()).collect()
    };
    for limit in 1..=8 {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = stage.get(&format!("/v1/consents?limit={limit}{cursor}")).await.body;
            seen.extend(phones(&page));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, phones(&whole), "limit {limit}");
    }
    let out = stage.get("/v1/consents?state=opted_out").await.body;
    assert_eq!(phones(&out), ["+15551230007"]);
    assert_eq!((&out["consents"][0]["source"], &out["totals"]), (&json!("provider"), &whole["totals"]));
}

#[tokio::test]
async fn faulty_consents_are_refused_with_field_and_reason_and_without_the_number() {
    let stage = Stage::start().await;
    for bad in ["5551230001", "+0551230001", "+1777", "ana", "%ff"] {
        let path = format!("/v1/consents/{bad}");
        for answer in [stage.get(&path).await, stage.put(&path, &json!({})).await] {
            answer.assert_problem(400, "invalid-path");
            assert!(!answer.body["detail"].as_str().unwrap().contains(bad), "{answer:?}");
        }
    }
    let cases: [(Value, &[(&str, &str)]); 6] = [
        (json!({}), &[("state", "is missing: use pending"), ("source", "is missing: say how")]),
        (
            json!({ "state": "maybe", "source": "form" }),
            &[("state", "\"maybe\" is unknown: use pending, opted_in")],
        ),
        (json!({ "state": "opted_in", "source": " " }), &[("source", "is empty")]),
        (json!({ "state": "opted_in", "source": "text" }), &[("source", "is kept for what people text")]),
        (json!({ "state": "opted_in", "source": "form", "by": "x" }), &[("by", "is unknown")]),
        (json!([]), &[("$", "is a list: give an object")]),
    ];
    for (body, expected) in cases {
        assert_faults(&stage.put(PHONE, &body).await, expected);
    }
    for query in ["state=maybe", "limit=0", "cursor=x", "phone=1"] {
        stage.get(&format!("/v1/consents?{query}")).await.assert_problem(400, "invalid-query");
    }
    assert_eq!(stage.get(PHONE).await.body["history"], json!([]));
}

#[tokio::test]
async fn suppressions_are_added_listed_and_lifted() {
    let stage = Stage::start().await;
    let orders = [
        (
            json!({ "channel": "voice", "address": "+15551230001", "reason": "do_not_call", "by": "office" }),
            "Do Not Call",
        ),
        (json!({ "channel": "sms", "address": "+15551230001" }), "Suppressed"),
        (json!({ "channel": "email", "address": "ana@Example.org", "reason": "hard_bounce" }), "Dropped"),
        (json!({ "channel": "inbox", "address": "ana" }), "Suppressed"),
    ];
    for (order, _) in &orders {
        assert_eq!(stage.post("/v1/suppressions", &order.to_string()).await.status, 201, "{order}");
        assert_eq!(stage.post("/v1/suppressions", &order.to_string()).await.status, 200, "{order} again");
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = stage.get(&format!("/v1/suppressions?limit=3{cursor}")).await.body;
        seen.extend(page["suppressions"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let statuses: Vec<_> = seen.iter().map(|row| row["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, orders.map(|(_, status)| status));
    assert_eq!((&seen[0]["source"], &seen[0]["reason"]), (&json!("office"), &json!("do_not_call")));
    assert_eq!(seen[2]["address"], "ana@example.org");
    for path in ["voice/+15551230001", "sms/%2B15551230001", "email/ana@EXAMPLE.org", "inbox/ana"] {
        let path = format!("/v1/suppressions/{path}?by=office");
        assert_eq!(stage.delete(&path).await.status, 204, "{path}");
        stage.delete(&path).await.assert_problem(404, "unknown-suppression");
    }
    assert_eq!(stage.get("/v1/suppressions").await.body["suppressions"], json!([]));
}

#[tokio::test]
async fn faulty_suppressions_are_refused_with_field_and_reason() {
    let stage = Stage::start().await;
    let cases: [(Value, &[(&str, &str)]); 6] = [
        (json!({}), &[("channel", "is missing"), ("address", "is missing")]),
        (json!({ "channel": "fax", "address": "1" }), &[("channel", "\"fax\" is unknown")]),
        (json!({ "channel": "sms", "address": "5551230001" }), &[("address", "is no phone number")]),
        (json!({ "channel": "email", "address": "ana" }), &[("address", "is no email address")]),
        (
            json!({ "channel": "sms", "address": "+15551230001", "reason": "hard_bounce" }),
            &[("reason", "hard_bounce is none of sms: it belongs to email")],
        ),
        (json!({ "channel": "inbox", "address": "" }), &[("address", "is empty or too long")]),
    ];
    for (body, expected) in cases {
        assert_faults(&stage.post("/v1/suppressions", &body.to_string()).await, expected);
    }
    for path in ["fax/1", "sms/1", "email/x"] {
        stage.delete(&format!("/v1/suppressions/{path}")).await.assert_problem(404, "unknown-suppression");
    }
    stage.get("/v1/suppressions?cursor=x").await.assert_problem(400, "invalid-query");
}

#[tokio::test]
async fn another_district_sees_and_changes_nothing_of_it() {
    let stage = Stage::start().await;
    stage.put(PHONE, &json!({ "state": "opted_in", "source": "form" })).await;
    let order = json!({ "channel": "sms", "address": "+15551230001" }).to_string();
    assert_eq!(stage.post("/v1/suppressions", &order).await.status, 201);
    assert_eq!(stage.get_as(OTHER_KEY, PHONE).await.body["state"], Value::Null);
    assert_eq!(stage.get_as(OTHER_KEY, "/v1/consents").await.body["totals"]["opted_in"], 0);
    assert_eq!(stage.get_as(OTHER_KEY, "/v1/suppressions").await.body["suppressions"], json!([]));
    let bearer = format!("Bearer {OTHER_KEY}");
    let headers = [(AUTHORIZATION.as_str(), bearer.as_str())];
    let answer = stage.ask(Method::DELETE, "/v1/suppressions/sms/+15551230001", &headers, "").await;
    answer.assert_problem(404, "unknown-suppression");
    assert_eq!(stage.get("/v1/suppressions").await.body["suppressions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_district_decides_whether_its_emergencies_override_a_stop() {
    let stage = Stage::start().await;
    let path = "/v1/consent-policy";
    let says = |overrides: bool| {
        json!({
            "emergency_overrides_stop": overrides, "opt_in_needed": [],
            "reminder": { "times_max": 2, "every_days": 7, "flyer_url": null },
        })
    };
    assert_eq!(stage.get(path).await.body, says(false));
    let order = json!({ "emergency_overrides_stop": true, "by": "superintendent" });
    for _ in 0..2 {
        assert_eq!(stage.put(path, &order).await.body, says(true));
    }
    assert_eq!(stage.get_as(OTHER_KEY, path).await.body, says(false));
    let audited =
        "select count(*) from audit where action = 'consent_policy.change' and actor = 'superintendent'";
    assert_eq!(stage.sql.query_one(audited, &[]).await.unwrap().get::<_, i64>(0), 1);
    let text = json!({ "emergency_overrides_stop": "yes" });
    assert_faults(&stage.put(path, &text).await, &[("emergency_overrides_stop", "give true or false")]);
}

#[tokio::test]
async fn a_district_says_which_message_types_need_an_opt_in() {
    let stage = Stage::start().await;
    let path = "/v1/consent-policy";
    let order = json!({ "opt_in_needed": ["behavior", "message_builder"] });
    let answer = stage.put(path, &order).await.body;
    let wanted = json!({ "opt_in_needed": ["behavior", "message_builder"] });
    assert_eq!(answer["opt_in_needed"], wanted["opt_in_needed"]);
    // What is left out stays as it is.
    let emergencies = stage.put(path, &json!({ "emergency_overrides_stop": true })).await.body;
    assert_eq!(emergencies["opt_in_needed"], wanted["opt_in_needed"]);
    for (message_type, class) in [("behavior", 3), ("general", 2), ("opt_in", 4)] {
        let mut campaign = campaign();
        campaign["message_type"] = json!(message_type);
        let made = stage.submit(message_type, &campaign).await.body;
        let number = made["number"].as_i64().unwrap();
        let sql = "select consent_class from campaigns where number = $1";
        let row = stage.sql.query_one(sql, &[&number]).await.unwrap();
        assert_eq!(row.get::<_, i16>(0), class, "{message_type}");
    }
    let wrong = json!({ "opt_in_needed": ["emergency", "opt_in", "fax", "behavior", "behavior", 7] });
    assert_faults(
        &stage.put(path, &wrong).await,
        &[
            ("opt_in_needed[0]", "emergencies need no consent"),
            ("opt_in_needed[1]", "ask for the opt-in"),
            ("opt_in_needed[2]", "is unknown"),
            ("opt_in_needed[4]", "repeats behavior"),
            ("opt_in_needed[5]", "give one of"),
        ],
    );
    assert_eq!(stage.put(path, &json!({ "opt_in_needed": [] })).await.body["opt_in_needed"], json!([]));
}

#[tokio::test]
async fn unsubscribes_are_listed_by_page_and_lifted_by_their_district_alone() {
    let stage = Stage::start().await;
    for (address, message_type) in
        [("ana@example.org", "attendance"), ("ana@example.org", "general"), ("bo@example.org", "general")]
    {
        let sql = "insert into unsubscribes (district_id, address, message_type, created_at) values ($1, $2, $3, now())";
        stage.sql.execute(sql, &[&stage.north.0, &address, &message_type]).await.unwrap();
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = stage.get(&format!("/v1/unsubscribes?limit=2{cursor}")).await.body;
        seen.extend(page["unsubscribes"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let shown: Vec<_> = seen.iter().map(|one| (&one["address"], &one["message_type"])).collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert_eq!(stage.get_as(OTHER_KEY, "/v1/unsubscribes").await.body["unsubscribes"], json!([]));
    let path = "/v1/unsubscribes/general/ana@EXAMPLE.org?by=office";
    let bearer = format!("Bearer {OTHER_KEY}");
    let headers = [(AUTHORIZATION.as_str(), bearer.as_str())];
    stage.ask(Method::DELETE, path, &headers, "").await.assert_problem(404, "unknown-suppression");
    assert_eq!(stage.delete(path).await.status, 204);
    stage.delete(path).await.assert_problem(404, "unknown-suppression");
    stage.delete("/v1/unsubscribes/general/nobody").await.assert_problem(404, "unknown-suppression");
    assert_eq!(stage.get("/v1/unsubscribes").await.body["unsubscribes"].as_array().unwrap().len(), 2);
    let audited = "select count(*) from audit where action = 'unsubscribe.lift' and actor = 'office'";
    assert_eq!(stage.sql.query_one(audited, &[]).await.unwrap().get::<_, i64>(0), 1);
    stage.get("/v1/unsubscribes?cursor=x").await.assert_problem(400, "invalid-query");
}

#[tokio::test]
async fn a_district_decides_how_often_pending_people_are_reminded() {
    let stage = Stage::start().await;
    let path = "/v1/consent-policy";
    let flyer = "https://www.example.org/flyer.pdf";
    let reminder = json!({ "times_max": 0, "every_days": 60, "flyer_url": flyer });
    assert_eq!(stage.put(path, &json!({ "reminder": reminder })).await.body["reminder"], reminder);
    let other = stage.put(path, &json!({ "emergency_overrides_stop": true })).await.body;
    assert_eq!(other["reminder"], reminder, "what is left out stays as it is");
    let usual = json!({ "times_max": 2, "every_days": 7, "flyer_url": null });
    assert_eq!(stage.put(path, &json!({ "reminder": {} })).await.body["reminder"], usual);
    let wrong =
        json!({ "reminder": { "times_max": 6, "every_days": 0, "flyer_url": "http://x.org", "at": "noon" } });
    assert_faults(
        &stage.put(path, &wrong).await,
        &[
            ("reminder.times_max", "use a whole number from 0 to 5"),
            ("reminder.every_days", "use a whole number from 1 to 60"),
            ("reminder.flyer_url", "is no https address"),
            ("reminder.at", "is unknown"),
        ],
    );
    assert_eq!(stage.get(path).await.body["reminder"], usual);
}
