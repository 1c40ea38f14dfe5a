//! The forecast of a campaign: counted, timed and explained, and nothing made of it.

use chrono::TimeDelta;
use serde_json::{Value, json};
use tocsin_domain::Channel;
use tocsin_runtime::Clock as _;
use tocsin_store::accounts::AccountLimits;

use crate::stage::{Answer, OTHER_KEY, Stage, campaign};

const PATH: &str = "/v1/campaigns/forecast";

async fn ask(stage: &Stage, body: &Value) -> Answer {
    stage.post(PATH, &body.to_string()).await
}

/// So many texts a second, and calls and mails without a limit; nothing serves the inbox.
async fn accounts(stage: &Stage, texts_per_second: f64) {
    let account = |channel, rate_per_second| AccountLimits {
        name: format!("{channel}-1"),
        district: None,
        channel,
        rate_per_second,
        burst: None,
        concurrency: None,
        reserve: 0,
        depth: None,
        weight: 1,
    };
    let all = [
        account(Channel::Sms, Some(texts_per_second)),
        account(Channel::Voice, None),
        account(Channel::Email, None),
    ];
    stage.engine.configure_accounts(&all, stage.clock.now()).await.unwrap();
}

fn texts() -> Value {
    let mut body = campaign();
    body["channels"] = json!(["sms"]);
    body
}

#[tokio::test]
async fn a_forecast_counts_times_and_explains_and_makes_nothing() {
    let stage = Stage::start().await;
    accounts(&stage, 0.5).await;
    for number in 0..12 {
        let (phone, mail) = (format!("+1555010{number:04}"), format!("{number}@example.org"));
        stage.staff(&format!("p{number}"), &[(2, &phone), (3, &mail)]).await;
    }
    stage.staff("shares", &[(2, "+15550100000"), (4, "portal")]).await;
    stage.staff("nothing", &[]).await;
    stage.post("/v1/suppressions", &json!({"channel": "sms", "address": "+15550100001"}).to_string()).await;
    let opted_out = "insert into consents (district_id, phone, state, changed_at, source) values ($1, '+15550100002', 3, now(), 'text')";
    stage.sql.execute(opted_out, &[&stage.north.0]).await.unwrap();

    let answer = ask(&stage, &texts()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let found = &answer.body;
    assert_eq!(found["devices"], json!({"sms": 12}), "{found:#}");
    let totals = [
        ("recipients", 14),
        ("no_device", 1),
        ("to_be_tried", 10),
        ("duplicates", 1),
        ("opted_out", 1),
        ("suppressed", 1),
        ("not_opted_in", 0),
        ("waiting_for_window", 0),
    ];
    for (name, count) in totals {
        assert_eq!(found[name], count, "{name}: {found:#}");
    }
    assert_eq!(found["by_channel"]["sms"]["to_be_tried"], 10);
    // Ten texts at one in two seconds, then the last one's report.
    let first = &found["seconds_to_last_first_attempt"];
    let seconds = |value: &Value| value.as_f64().unwrap();
    assert!((18.0..22.0).contains(&seconds(&first["p50"])), "{found:#}");
    assert!(seconds(&first["p90"]) >= seconds(&first["p50"]));
    assert!(seconds(&found["seconds_to_completion"]["p50"]) > seconds(&first["p50"]), "{found:#}");
    let notes = found["notes"].as_array().unwrap();
    assert!(
        notes.iter().any(|note| note.as_str().unwrap().starts_with("sms: no earlier campaign")),
        "{notes:?}"
    );

    let over_all = ask(&stage, &campaign()).await.body;
    assert_eq!(over_all["devices"], json!({"voice": 0, "sms": 12, "email": 12, "inbox": 1}), "{over_all:#}");
    assert_eq!(over_all["seconds_to_completion"], Value::Null, "nothing serves the inbox: {over_all:#}");
    assert!(over_all["by_channel"]["email"]["seconds_to_completion"]["p50"].is_f64());
    assert!(over_all["notes"].to_string().contains("inbox: no provider account"), "{over_all:#}");

    assert_eq!(stage.get("/v1/campaigns").await.body["campaigns"], json!([]));
    let rows = "select (select count(*) from campaigns) + (select count(*) from contents)";
    assert_eq!(stage.sql.query_one(rows, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_forecast_is_refused_for_what_the_campaign_would_be() {
    let stage = Stage::start().await;
    let cases = [
        json!({"subject": null}),
        json!({"channels": ["fax"], "audience": {"all": true, "roles": ["parent"]}, "colour": "red"}),
        json!({"audience": {"schools": [""]}}),
        json!({"scheduled_at": "tomorrow", "expires_in_seconds": 1}),
        json!({"redial": {"attempts_max": 99}, "limits": {"sms": {"rate_per_second": 0}}}),
        json!({"audience": {"receipt": {"campaign": "x"}}}),
    ];
    for changes in cases {
        let mut body = campaign();
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (forecast, submitted) = (ask(&stage, &body).await, stage.submit("refused", &body).await);
        forecast.assert_problem(422, "invalid-body");
        assert_eq!(forecast.body["errors"], submitted.body["errors"], "{changes}");
    }
    ask(&stage, &json!([])).await.assert_problem(422, "invalid-body");
    stage.post(PATH, "{").await.assert_problem(400, "not-json");
    let nobody = stage.ask(reqwest::Method::POST, PATH, &[("content-type", "application/json")], "{}").await;
    nobody.assert_problem(401, "unauthorized");
}

#[tokio::test]
async fn a_district_forecasts_its_own_people_and_campaigns_only() {
    let stage = Stage::start().await;
    accounts(&stage, 10.0).await;
    stage.staff("one", &[(2, "+15550100001")]).await;
    let as_other = async |method: reqwest::Method, path: &str, body: &Value| {
        let bearer = format!("Bearer {OTHER_KEY}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        stage.ask(method, path, &headers, &body.to_string()).await
    };
    let other = as_other(reqwest::Method::POST, PATH, &texts()).await;
    assert_eq!((other.status, &other.body["devices"]), (200, &json!({"sms": 0})), "{other:?}");
    assert_eq!(other.body["seconds_to_completion"], Value::Null);
    let named = {
        let mut body = texts();
        body["audience"] = json!({"people": ["one"], "roles": ["staff"]});
        as_other(reqwest::Method::POST, PATH, &body).await
    };
    assert_eq!(named.body["recipients"], 0, "{named:?}");

    let scheduled = {
        let mut body = texts();
        body["scheduled_at"] = json!((stage.clock.now() + TimeDelta::hours(3)).to_rfc3339());
        stage.submit("scheduled", &body).await.id()
    };
    let path = format!("/v1/campaigns/{scheduled}/forecast");
    let own = stage.get(&path).await;
    assert_eq!((own.status, &own.body["devices"]), (200, &json!({"sms": 1})), "{own:?}");
    stage.get_as(OTHER_KEY, &path).await.assert_problem(404, "unknown-campaign");
    let mut correction = texts();
    correction["audience"] = json!({"receipt": {"campaign": scheduled}});
    as_other(reqwest::Method::POST, PATH, &correction).await.assert_problem(404, "unknown-campaign");
    let sending = stage.campaign("sending").await;
    stage.get(&format!("/v1/campaigns/{sending}/forecast")).await.assert_problem(409, "not-scheduled");
    stage.get("/v1/campaigns/x/forecast").await.assert_problem(404, "unknown-campaign");
}

#[tokio::test]
async fn who_waits_for_a_window_is_counted_and_told() {
    let stage = Stage::start().await;
    accounts(&stage, 10.0).await;
    stage.staff("one", &[(2, "+15550100001")]).await;
    stage.sql.execute("update districts set time_zone = 'America/Chicago'", &[]).await.unwrap();
    let mut body = texts();
    // A day from now, so that the hours are the same whenever this runs.
    let begin =
        (stage.clock.now() + TimeDelta::days(1)).date_naive().and_hms_opt(12, 0, 0).unwrap().and_utc();
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    body["scheduled_at"] = json!(begin.to_rfc3339());
    body["calling_window"] = json!({"hours": [{"days": days, "opens": "09:00", "closes": "20:00"}]});
    let found = ask(&stage, &body).await.body;
    // 12:00 in UTC is 06:00 or 07:00 in Chicago.
    assert_eq!(found["waiting_for_window"], 1, "{found:#}");
    assert!(
        found["notes"].to_string().contains("sms: 1 device waits for 09:00 America/Chicago"),
        "{found:#}"
    );
    let seconds = found["seconds_to_completion"]["p50"].as_f64().unwrap();
    assert!((7_200.0..10_900.0).contains(&seconds), "{found:#}");
}
