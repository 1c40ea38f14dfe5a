//! Redials and calling windows: decided by the district, overridden by a campaign, told by each row.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Answer, KEY, OTHER_KEY, Stage, campaign};

async fn put(stage: &Stage, message_type: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    stage.ask(Method::PUT, &format!("/v1/policies/{message_type}"), &headers, &body.to_string()).await
}

fn weekdays(opens: &str, closes: &str) -> Value {
    json!([{"days": ["monday", "tuesday", "wednesday", "thursday", "friday"], "opens": opens, "closes": closes}])
}

/// At any hour of the next days: what is submitted with it is not refused for its time.
fn every_day() -> Value {
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    json!([{"days": days, "opens": "00:00", "closes": "24:00"}])
}

#[tokio::test]
async fn a_district_decides_redials_and_windows_by_message_type() {
    let stage = Stage::start().await;
    let usual = json!([
        "busy",
        "no_answer",
        "fast_busy",
        "operator",
        "no_ring_back",
        "temporarily_unavailable",
        "all_routes_unavailable",
        "low_resources",
        "subsystem_error"
    ]);
    let default = stage.get("/v1/policies/attendance").await;
    let expected = json!({"message_type": "attendance", "calling_window": null, "updated_at": null, "updated_by": null,
        "redial": {"attempts_max": 3, "wait_seconds": 300, "machines": "ignored", "confirm": false, "outcomes": usual}});
    assert_eq!((default.status, &default.body), (200, &expected));

    let wanted = json!({"redial": {"attempts_max": 5, "machines": "redial", "confirm": true, "outcomes": ["no_answer", "busy"]},
        "calling_window": {"hours": weekdays("08:00", "20:00"), "holidays": ["2026-12-25"]}, "updated_by": "ana"});
    let answer = put(&stage, "attendance", &wanted).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.body["redial"],
        json!({"attempts_max": 5, "wait_seconds": 300, "machines": "redial", "confirm": true,
        "outcomes": ["busy", "no_answer"]})
    );
    assert_eq!(answer.body["calling_window"], wanted["calling_window"]);
    assert_eq!(answer.body["updated_by"], "ana");
    let kept = stage.get("/v1/policies/attendance").await.body;
    assert_eq!(
        (&kept["redial"], &kept["calling_window"]),
        (&answer.body["redial"], &answer.body["calling_window"])
    );
    assert_eq!(stage.get("/v1/policies/general").await.body["redial"]["attempts_max"], 3, "of another type");
    let other = stage.get_as(OTHER_KEY, "/v1/policies/attendance").await;
    assert_eq!(other.body, expected, "another district's");
    let audited =
        "select count(*) from audit where action = 'policy.put' and subject = 'attendance' and actor = 'ana'";
    assert_eq!(stage.sql.query_one(audited, &[]).await.unwrap().get::<_, i64>(0), 1);

    let answer = put(&stage, "attendance", &json!({})).await;
    assert_eq!((&answer.body["redial"], &answer.body["calling_window"]), (&expected["redial"], &Value::Null));
}

#[tokio::test]
async fn a_campaign_takes_its_districts_policy_and_keeps_it_and_may_override_it() {
    let stage = Stage::start().await;
    let policy = json!({"redial": {"attempts_max": 5, "outcomes": ["busy"]},
        "calling_window": {"hours": every_day(), "holidays": ["2099-12-25"]}});
    assert_eq!(put(&stage, "general", &policy).await.status, 200);
    let plain = stage.submit("plain", &campaign()).await.body;
    assert_eq!(
        plain["redial"],
        json!({"attempts_max": 5, "wait_seconds": 300, "machines": "ignored", "confirm": false, "outcomes": ["busy"]})
    );
    assert_eq!(plain["calling_window"], policy["calling_window"]);

    let mut body = campaign();
    body["redial"] = json!({"attempts_max": 2});
    body["calling_window"] = json!({"hours": weekdays("09:00", "12:30")});
    let own = stage.submit("own", &body).await.body;
    let redial = json!({"attempts_max": 2, "wait_seconds": 300, "machines": "ignored", "confirm": false, "outcomes": ["busy"]});
    assert_eq!(own["redial"], redial);
    let window = json!({"hours": weekdays("09:00", "12:30"), "holidays": ["2099-12-25"]});
    assert_eq!(own["calling_window"], window, "the district's holidays stay");

    assert_eq!(put(&stage, "general", &json!({})).await.status, 200);
    let kept = stage.get(&format!("/v1/campaigns/{}", own["id"].as_str().unwrap())).await.body;
    assert_eq!((&kept["redial"], &kept["calling_window"]), (&redial, &window), "as it was made");
    body["message_type"] = json!("emergency");
    body["calling_window"] = Value::Null;
    assert_eq!(stage.submit("emergency", &body).await.body["calling_window"], Value::Null);
}

#[tokio::test]
async fn a_policy_that_cannot_be_is_refused_with_field_and_reason() {
    let stage = Stage::start().await;
    let window = |hours: Value| json!({"calling_window": {"hours": hours}});
    let holidays = |dates: Value| json!({"calling_window": {"hours": every_day(), "holidays": dates}});
    let cases = [
        (
            json!({"redial": {"attempts_max": 0}}),
            "redial.attempts_max",
            "is 0: use a whole number from 1 to 10",
        ),
        (json!({"redial": {"wait_seconds": -60}}), "redial.wait_seconds", "is -60: use"),
        (json!({"redial": {"wait_seconds": 9}}), "redial.wait_seconds", "from 10 to 86400"),
        (json!({"redial": {"wait_seconds": 86_401}}), "redial.wait_seconds", "from 10 to 86400"),
        (
            json!({"redial": {"outcomes": ["busy", "engaged"]}}),
            "redial.outcomes[1]",
            "\"engaged\" is unknown: use",
        ),
        (json!({"redial": {"outcomes": ["delivered"]}}), "redial.outcomes[0]", "is never tried again"),
        (json!({"redial": {"outcomes": "busy"}}), "redial.outcomes", "is a text: give a list"),
        (json!({"calling_window": {}}), "calling_window.hours", "is missing: give days"),
        (json!({"calling_window": "08:00-20:00"}), "calling_window", "give an object"),
        (
            json!({"calling_window": {"hours": every_day(), "zone": "CST"}}),
            "calling_window.zone",
            "use hours, holidays",
        ),
        (window(json!([])), "calling_window.hours", "never opens"),
        (window(weekdays("20:00", "08:00")), "calling_window.hours[0].closes", "never open: close later"),
        (window(weekdays("08:00", "25:00")), "calling_window.hours[0].closes", "no time of day"),
        (
            window(json!([{"days": ["someday"], "opens": "08:00", "closes": "20:00"}])),
            "calling_window.hours[0].days[0]",
            "is no day",
        ),
        (
            window(json!([{"days": ["monday"], "opens": "08:00"}])),
            "calling_window.hours[0].closes",
            "is missing",
        ),
        (holidays(json!(["2026-02-30"])), "calling_window.holidays[0]", "no date of the calendar"),
        (holidays(json!(["2026-12-25", 7])), "calling_window.holidays[1]", "is a number: give a text"),
        (json!({"updated_by": ""}), "updated_by", "is empty"),
        (json!({"holidays": []}), "holidays", "is unknown: use redial, calling_window, updated_by"),
    ];
    for (body, field, says) in cases {
        let answer = put(&stage, "general", &body).await;
        answer.assert_problem(422, "invalid-body");
        let errors = answer.body["errors"].as_array().unwrap();
        assert!(errors.len() == 1 && errors[0]["field"] == field, "{body}\n{errors:?}");
        assert!(errors[0]["reason"].as_str().unwrap().contains(says), "{errors:?}");
    }
    let answer = put(&stage, "emergency", &window(every_day())).await;
    assert_eq!(answer.body["errors"][0]["field"], "calling_window", "{answer:?}");
    put(&stage, "urgent", &json!({})).await.assert_problem(404, "unknown-message-type");
    stage.get("/v1/policies/urgent").await.assert_problem(404, "unknown-message-type");
    let kept = stage.sql.query_one("select count(*) from policies", &[]).await.unwrap();
    assert_eq!(kept.get::<_, i64>(0), 0, "nothing was stored");
}

#[tokio::test]
async fn a_campaign_whose_window_never_opens_is_refused_where_the_zone_is_known() {
    let stage = Stage::start().await;
    let mut body = campaign();
    // A minute of the one day of the week that is farthest from now.
    let day = (tocsin_runtime::Clock::now(&stage.clock) + chrono::TimeDelta::days(3))
        .format("%A")
        .to_string()
        .to_lowercase();
    body["calling_window"] = json!({"hours": [{"days": [day], "opens": "12:00", "closes": "12:01"}]});
    body["expires_in_seconds"] = json!(3600);
    assert_eq!(stage.submit("unknown", &body).await.status, 201, "nobody knows the district's zone");
    stage.sql.execute("update districts set time_zone = 'America/Chicago'", &[]).await.unwrap();
    let answer = stage.submit("known", &body).await;
    answer.assert_problem(422, "invalid-body");
    assert_eq!(answer.body["errors"][0]["field"], "expires_in_seconds");
    body["expires_in_seconds"] = json!(7 * 24 * 3600);
    assert_eq!(stage.submit("known", &body).await.status, 201);
}

#[tokio::test]
async fn every_waiting_row_says_what_it_waits_for_and_until_when() {
    let stage = Stage::start().await;
    for name in ["ana", "ben", "cem"] {
        stage
            .staff(name, &[(2, &format!("+1555123000{}", name.len() + usize::from(name.as_bytes()[0])))])
            .await;
    }
    stage
        .sql
        .execute("update people set time_zone = 'America/New_York' where given_name = 'ana'", &[])
        .await
        .unwrap();
    let mut body = campaign();
    body["calling_window"] = json!({"hours": weekdays("08:00", "20:00")});
    let id = stage.submit("waits", &body).await.id();
    stage.expand_all().await;
    let path = format!("/v1/campaigns/{id}/recipients");
    let words = async || -> Vec<(String, String)> {
        let page = stage.get(&path).await.body;
        let rows = page["recipients"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        rows.iter().map(|row| (text(&row["recipient"]), text(&row["wait"]["words"]))).collect()
    };
    // Thursday noon in a year to come; ana's job is held, ben's is to be tried again, cem's nobody looked at.
    let held =
        "update jobs set wait_reason = 8, due_at = '2099-11-26T13:00Z' where campaign_id = $1 and id = 1";
    stage.change(held, &id).await;
    let redial = "update jobs set wait_reason = 2, tries = 1, due_at = '2099-11-28T13:00Z' where campaign_id = $1 and id = 2";
    stage.change(redial, &id).await;
    stage.change("update campaigns set expires_at = '2099-12-01T13:00Z' where id = $1", &id).await;
    let nowhere = "waits for its time zone: set one for the recipient or for the district";
    let expected = |ben: &str, cem: &str| {
        let ana = "held until 2099-11-26 08:00 America/New_York";
        [("ana Lee", ana), ("ben Lee", ben), ("cem Lee", cem)]
            .map(|(who, words)| (who.to_owned(), words.to_owned()))
    };
    assert_eq!(words().await, expected(nowhere, nowhere));
    stage.sql.execute("update districts set time_zone = 'America/Chicago'", &[]).await.unwrap();
    stage.change("update jobs set due_at = '2099-11-28T13:00Z' where campaign_id = $1 and id = 3", &id).await;
    let monday = "2099-11-30 08:00 America/Chicago";
    let expected =
        expected(&format!("redial: attempt 2 of 3 held until {monday}"), &format!("held until {monday}"));
    assert_eq!(words().await, expected, "a Saturday is no day of the window");
}
