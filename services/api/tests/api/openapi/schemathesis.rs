//! Schemathesis asks the API all that its description lets one ask, and much that it does not.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::operations;
use crate::second_person::{decided, emergency};
use crate::series::{send, with_zone};
use crate::stage::{KEY, Stage, campaign};
use reqwest::Method;

/// The same requests each time.
const SEED: &str = "20260901";
/// Requests that are drawn for an operation in each phase, beside those that its limits lead to.
const EXAMPLES: &str = "8";

/// All checks but one: a request may fit its schema and be refused all the same, for what it names is not there, or two members
/// do not go together.
const NOT_CHECKED: &str = "positive_data_acceptance";

/// Values that name something, by what takes them.
type Names = BTreeMap<&'static str, Vec<Value>>;

/// A district in which there is something to ask for.
async fn furnish(stage: &Stage) -> Names {
    with_zone(stage).await;
    stage.staff("ana", &[(2, "+15550100123"), (3, "ana@north.example"), (4, "ana")]).await;
    let make = async |path: &str, body: Value| {
        let made = send(stage, Method::POST, KEY, path, &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.body
    };
    let day =
        |days: i64| (tocsin_runtime::Clock::now(&stage.clock) + chrono::TimeDelta::days(days)).to_rfc3339();
    let mut later = campaign();
    later["scheduled_at"] = json!(day(2));
    let mut scheduled = Vec::new();
    for key in ["first", "second", "third"] {
        scheduled.push(json!(stage.submit(key, &later).await.id()));
    }
    let (sent, canceled) = (stage.campaign("sent").await, stage.campaign("canceled").await);
    stage.expand_all().await;
    assert!(stage.post(&format!("/v1/campaigns/{canceled}/cancel"), "").await.status < 300);
    decided(stage).await;
    let (another, _) = stage.key(stage.north, "another", &["communications"]).await;
    let mut approvals = Vec::new();
    for key in ["alarm", "other alarm"] {
        let asked = stage.submit_as(&another, key, &emergency()).await;
        assert_eq!(asked.status, 202, "{asked:?}");
        approvals.push(json!(asked.id()));
    }
    let mut series = campaign();
    series["recurrence"] = json!({"frequency": "daily", "starts_on": day(2)[..10], "at": "08:00"});
    let mut template = campaign();
    template["name"] = json!("Of the description");
    for (source_id, role) in [("g1", "guardian"), ("s1", "student")] {
        let person = json!({"source_id": source_id, "given_name": "Bo", "family_name": "Lee", "role": role});
        make("/v1/people", person).await;
    }
    let user = json!({"email": "ben@north.example", "name": "Ben", "password": "four random words"});
    let id = |made: Value| made["id"].clone();
    BTreeMap::from([
        ("campaigns", vec![json!(sent), json!(canceled)]),
        ("scheduled", scheduled),
        ("approvals", approvals),
        ("series", vec![id(make("/v1/series", series).await)]),
        ("templates", vec![id(make("/v1/templates", template).await)]),
        ("imports", vec![json!("0198c5a0-0000-7000-8000-000000000000")]),
        ("user", vec![id(make("/v1/users", user).await)]),
        ("key", vec![id(make("/v1/api-keys", json!({"name": "other", "roles": []})).await)]),
        ("person", vec![json!("ana"), json!("g1"), json!("s1")]),
        ("student", vec![json!("s1")]),
        ("school", vec![json!("north")]),
        ("recipient", vec![json!(1)]),
        ("message", vec![json!(format!("{sent}.3"))]),
        ("address", vec![json!("+15550100123"), json!("ana@north.example")]),
        ("role", vec![json!("nurse")]),
        ("version", vec![json!(1)]),
    ])
}

/// Names that are there are taken often, so that more than "unknown" is answered.
fn configuration(names: &Names) -> String {
    let mut text = String::new();
    for (name, values) in names {
        writeln!(text, "[dictionaries.{name}]\nvalues = {}", json!(values)).unwrap();
    }
    for (path, method, told) in operations() {
        let begin = path.trim_start_matches("/v1/").split('/').next().unwrap();
        let mut bound = String::new();
        for parameter in told["parameters"].as_array().unwrap().iter().filter(|it| it["in"] == "path") {
            let name = parameter["name"].as_str().unwrap();
            // What is edited and forecast is scheduled, and nothing else cancels it.
            let waits = path.ends_with("/forecast") || (method, path) == ("patch", "/v1/campaigns/{id}");
            let dictionary = match name {
                "id" if waits => "scheduled",
                "id" => begin,
                other => other,
            };
            if names.contains_key(dictionary) {
                writeln!(bound, "\"path.{name}\" = {{ dictionary = \"{dictionary}\", probability = 0.8 }}")
                    .unwrap();
            }
        }
        let body = &told["requestBody"]["content"]["application/json"]["schema"];
        if crate::conformance::members(body).contains("version") {
            writeln!(bound, "\"body.version\" = {{ dictionary = \"version\", probability = 0.8 }}").unwrap();
        }
        if !bound.is_empty() {
            let name = format!("{} {path}", method.to_uppercase());
            writeln!(text, "[[operations]]\ninclude-name = {name:?}\n[operations.parameters]\n{bound}")
                .unwrap();
        }
    }
    text
}

fn program() -> OsString {
    std::env::var_os("TOCSIN_TEST_SCHEMATHESIS").unwrap_or_else(|| "schemathesis".into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_that_schemathesis_makes_is_answered_but_as_described() {
    let stage = Stage::start().await;
    let names = furnish(&stage).await;
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("schemathesis.toml"), configuration(&names)).unwrap();
    let output = Command::new(program())
        .current_dir(folder.path())
        .args(["--config-file", "schemathesis.toml", "run", &format!("{}/openapi.json", stage.address)])
        .args(["--header", &format!("Authorization: Bearer {KEY}")])
        .args(["--checks", "all", "--exclude-checks", NOT_CHECKED])
        .args(["--mode", "all", "--max-examples", EXAMPLES, "--seed", SEED, "--workers", "1"])
        .args(["--generation-database", "none", "--suppress-health-check", "all", "--continue-on-failure"])
        .args(["--request-timeout", "30", "--warnings", "off", "--no-color", "--no-shrink"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| {
            panic!("schemathesis: {error}; scripts/services run --schemathesis -- cargo test … installs it")
        });
    let text = String::from_utf8_lossy(&output.stdout);
    if let Some(file) = std::env::var_os("TOCSIN_TEST_SCHEMATHESIS_REPORT") {
        std::fs::write(file, &*text).unwrap();
    }
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    // The document that it reads is no operation to it.
    let asked = operations().filter(|(path, ..)| *path != "/openapi.json").count();
    assert!(text.contains(&format!("Tested: {asked}\n")), "not all were tested:\n{text}");
}
