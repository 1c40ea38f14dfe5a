//! Who may ask, what is served, and whether the process is ready.

use std::time::Duration;

use reqwest::Method;
use tocsin_proto::v1::control::Command;
use tocsin_queue::MemoryBroker;
use tocsin_runtime::{Clock as _, Stopped, SystemClock, Tasks};
use tocsin_store::{Access, Store};
use tocsin_testkit::ManualClock;

use crate::stage::{KEY, OTHER_KEY, Stage, ask, campaign, serve};

#[tokio::test]
async fn without_a_valid_key_nothing_is_answered() {
    let stage = Stage::start().await;
    let basic = format!("Basic {KEY}");
    let cases: [&[(&str, &str)]; 6] = [
        &[],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer tocsin_guessed")],
        &[("authorization", &basic)],
        &[("authorization", KEY)],
    ];
    for headers in cases {
        for path in ["/v1/campaigns", "/v1/campaigns/x", "/v1/campaigns?limit=0"] {
            let answer = stage.ask(Method::GET, path, headers, "").await;
            answer.assert_problem(401, "unauthorized");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
    assert_eq!(
        stage
            .ask(Method::GET, "/v1/campaigns", &[("authorization", &format!("bearer {KEY}"))], "")
            .await
            .status,
        200
    );
    stage.sql.execute("update api_keys set revoked_at = now()", &[]).await.unwrap();
    stage.get("/v1/campaigns").await.assert_problem(401, "unauthorized");
}

#[tokio::test]
async fn another_districts_campaign_is_as_unknown_as_one_that_never_was() {
    let stage = Stage::start().await;
    let id = stage.campaign("mine").await;
    let bearer = format!("Bearer {OTHER_KEY}");
    for known in [id.as_str(), "0198c5a0-0000-7000-8000-000000000000", "17", "%ff"] {
        for (method, rest) in [
            (Method::GET, ""),
            (Method::GET, "/recipients"),
            (Method::GET, "/receipt"),
            (Method::GET, "/receipt/contacted"),
            (Method::POST, "/correction"),
            (Method::POST, "/cancel"),
            (Method::POST, "/refresh"),
        ] {
            let path = format!("/v1/campaigns/{known}{rest}");
            let answer = stage.ask(method, &path, &[("authorization", &bearer)], "").await;
            answer.assert_problem(404, "unknown-campaign");
        }
    }
    assert_eq!(stage.get_as(OTHER_KEY, "/v1/campaigns").await.body["campaigns"].as_array().unwrap().len(), 0);
    assert_eq!(stage.get(&format!("/v1/campaigns/{id}")).await.body["state"], "processing", "not canceled");
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_problems_too() {
    let stage = Stage::start().await;
    for path in ["/v1", "/v2/campaigns", "/v1/campaigns/", "/v1/campaigns/x/y"] {
        stage.get(path).await.assert_problem(404, "unknown-route");
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/v1/campaigns/x", "GET"),
        (Method::GET, "/v1/campaigns/x/cancel", "POST"),
        (Method::PUT, "/v1/campaigns", "POST"),
        (Method::POST, "/readyz", "GET"),
    ] {
        let answer = stage.ask(method, path, &[], "").await;
        answer.assert_problem(405, "wrong-method");
        assert!(answer.headers["allow"].to_str().unwrap().contains(allowed), "{answer:?}");
    }
}

#[tokio::test]
async fn ready_is_said_only_while_the_store_has_our_schema() {
    let stage = Stage::start().await;
    let no_key: &[(&str, &str)] = &[];
    let answer = stage.ask(Method::GET, "/readyz", no_key, "").await;
    assert_eq!((answer.status, &answer.body["ready"]), (200, &true.into()));
    for (change, status) in [("-", 503), ("+", 200)] {
        let shift = format!("update refinery_schema_history set version = version {change} 1000");
        stage.sql.execute(&shift, &[]).await.unwrap();
        assert_eq!(stage.ask(Method::GET, "/readyz", no_key, "").await.status, status, "version {change}");
        assert_eq!(stage.ask(Method::GET, "/livez", no_key, "").await.status, 200);
    }
    // The broker is not asked: no request depends on it.
    stage.broker.stop();
    assert_eq!(stage.ask(Method::GET, "/readyz", no_key, "").await.status, 200);
    assert_eq!(stage.submit("without broker", &campaign()).await.status, 201);
}

#[tokio::test]
async fn stopping_ends_the_api_with_its_control_messages_sent() {
    let stage = Stage::start().await;
    let mut control = stage.control().await;
    stage.campaign("last").await;
    assert_eq!(stage.tasks.stop(Duration::from_secs(20)).await, Stopped::default());
    assert!(matches!(control.next().await, Command::Wake(_)));
}

#[tokio::test]
async fn a_store_that_is_away_is_a_503_and_not_ready() {
    let tasks = Tasks::new();
    let clock = ManualClock::at(SystemClock.now());
    // Nothing listens on port 1.
    let store = Store::open("postgres://tocsin@127.0.0.1:1/tocsin", 2, Access::Tenants).unwrap();
    let address = serve(store, &MemoryBroker::new(), &clock, &tasks).await;
    let client = tocsin_providers::http_client().unwrap();
    let bearer = format!("Bearer {KEY}");
    let answer =
        ask(&client, &address, Method::GET, "/v1/campaigns", &[("authorization", &bearer)], "").await;
    answer.assert_problem(503, "unavailable");
    assert!(answer.headers.contains_key("retry-after"));
    let ready = ask(&client, &address, Method::GET, "/readyz", &[], "").await;
    assert_eq!((ready.status, &ready.body["not_ready"][0]), (503, &"store".into()));
    assert_eq!(ask(&client, &address, Method::GET, "/livez", &[], "").await.status, 200);
}
