//! The readers of requests say which members and parameters they know: the description knows the same.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use super::operations;
use crate::conformance::{members, resolved};
use crate::series::with_zone;
use crate::stage::{Answer, KEY, Stage, campaign};

/// A name that no reader knows.
const NONSENSE: &str = "nonsense";

/// Operations whose bodies are another's with more or fewer members: those that are read beside it, and those of it that they
/// do not take.
const VARIED: [(&str, &[&str], &[&str]); 7] = [
    ("previewCampaign", &["person"], &[]),
    ("editCampaign", &["version", "by"], &["created_by", "test"]),
    ("createSeries", &["recurrence", "late_seconds_max"], &["scheduled_at", "test"]),
    (
        "editSeries",
        &["version", "by", "recurrence", "late_seconds_max"],
        &["scheduled_at", "created_by", "test"],
    ),
    // Read as the body of a decline, whose reason it refuses by itself.
    ("approve", &[], &["reason"]),
    ("createTemplate", &["name", "by", "version"], TEMPLATES_HAVE_NOT),
    ("replaceTemplate", &["name", "by", "version"], TEMPLATES_HAVE_NOT),
];
const TEMPLATES_HAVE_NOT: &[&str] =
    &["scheduled_at", "expires_in_seconds", "redial", "calling_window", "limits", "created_by", "test"];

/// Whose body is read when a campaign was canceled that had reached somebody. Its shape is made of `createCampaign`'s.
const NOT_ASKED: &str = "createCorrection";

/// What stands in paths, and a district with things that they name.
struct Things {
    stage: Stage,
    ids: BTreeMap<&'static str, String>,
    /// A campaign that has a receipt.
    canceled: String,
}

impl Things {
    async fn make() -> Self {
        let stage = Stage::start().await;
        with_zone(&stage).await;
        stage.staff("ana", &[(3, "ana@north.example")]).await;
        let send = async |path: &str, body: &Value| {
            let bearer = format!("Bearer {KEY}");
            let headers = [
                ("authorization", bearer.as_str()),
                ("content-type", "application/json"),
                ("idempotency-key", path),
            ];
            let answer = stage.ask(Method::POST, path, &headers, &body.to_string()).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            answer.id()
        };
        let day = |days: i64| {
            (tocsin_runtime::Clock::now(&stage.clock) + chrono::TimeDelta::days(days)).to_rfc3339()
        };
        let mut later = campaign();
        later["scheduled_at"] = json!(day(2));
        let mut series = campaign();
        series["recurrence"] = json!({"frequency": "daily", "starts_on": day(2)[..10], "at": "08:00"});
        let mut template = campaign();
        template["name"] = json!("of the description");
        let user = json!({"email": "ben@north.example", "name": "Ben", "password": "four random words"});
        let webhook = json!({"url": "https://hooks.example.org/", "events": ["device.outcome"]});
        let ids = BTreeMap::from([
            ("/v1/campaigns", send("/v1/campaigns", &later).await),
            ("/v1/series", send("/v1/series", &series).await),
            ("/v1/templates", send("/v1/templates", &template).await),
            ("/v1/users", send("/v1/users", &user).await),
            ("/v1/webhooks", send("/v1/webhooks", &webhook).await),
            ("/v1/api-keys", send("/v1/api-keys", &json!({"name": "other", "roles": []})).await),
        ]);
        let canceled = stage.campaign("canceled").await;
        assert!(stage.post(&format!("/v1/campaigns/{canceled}/cancel"), "").await.status < 300);
        Self { stage, ids, canceled }
    }

    fn path(&self, pattern: &str) -> String {
        let own = self.ids.iter().find(|(begin, _)| pattern.starts_with(**begin)).map(|(_, id)| id.as_str());
        let own = if pattern.contains("/receipt/") { Some(self.canceled.as_str()) } else { own };
        [
            ("{id}", own.unwrap_or("0198c5a0-0000-7000-8000-000000000000")),
            ("{user}", own.unwrap_or_default()),
            ("{key}", own.unwrap_or_default()),
            ("{person}", "ana"),
            ("{student}", "ana"),
            ("{message_type}", "general"),
            ("{channel}", "email"),
            ("{address}", "ana@north.example"),
            ("{phone}", "+15550100123"),
            ("{recipient}", "1"),
            ("{part}", "contacted"),
            ("{attachment}", "0198c5a0-0000-7000-8000-000000000000"),
            ("{role}", "nurse"),
        ]
        .iter()
        .fold(pattern.to_owned(), |path, (name, value)| path.replace(name, value))
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {KEY}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", "of the description"),
        ];
        self.stage.ask(method.to_uppercase().parse().unwrap(), path, &headers, body).await
    }
}

/// The names that a fault lists of the member at `field`.
fn known(answer: &Answer, field: &str) -> BTreeSet<String> {
    let faults = answer.body["errors"].as_array().cloned().unwrap_or_default();
    let fault = faults.iter().find(|fault| fault["field"] == field);
    let reason = fault.map(|fault| fault["reason"].as_str().unwrap().to_owned());
    let reason = reason.unwrap_or_else(|| panic!("{field} was not refused: {answer:?}"));
    let names = reason.split_once(": use ").unwrap_or_else(|| panic!("{reason}")).1;
    names.split(", ").map(str::to_owned).collect()
}

#[tokio::test]
async fn queries_have_the_parameters_that_are_described() {
    let things = Things::make().await;
    let mut asked = 0;
    for (pattern, method, told) in operations() {
        let parameters = told["parameters"].as_array().unwrap().iter();
        let described: BTreeSet<String> = parameters
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
            .collect();
        let of = format!("{method} {pattern}");
        if described.is_empty() {
            continue;
        }
        let path = format!("{}?{NONSENSE}=1", things.path(pattern));
        let answer = things.ask(method, &path, "").await;
        answer.assert_problem(400, "invalid-query");
        assert_eq!(known(&answer, NONSENSE), described, "{of}");
        asked += 1;
    }
    assert!(asked > 20, "{asked} queries");
}

/// Whoever makes a cursor by hand is refused, or gets some page: never a fault of ours.
#[tokio::test]
async fn forged_cursors_are_no_faults_of_ours() {
    const ID: &str = "0198c5a0-0000-7000-8000-000000000000";
    let mut forged: Vec<String> = [
        "2147483647/2147483647",
        "-2147483648/-2147483648",
        "job/9223372036854775807",
        "recipient/2147483647",
        "-8000000000000000000/1",
        "8000000000000000000/1",
        "-262000-01-01",
        "a\0b",
        "sms/a\0",
        r#"["\u0000", "\u0000", 1]"#,
        r#"["x", "y", 9223372036854775807]"#,
    ]
    .map(str::to_owned)
    .into();
    for begin in ["-8000000000000000000/", "8000000000000000000/", "created desc "] {
        forged.push(format!("{begin}{ID}"));
        forged.push(format!("u/{begin}{ID}/1"));
        forged.push(format!("{begin}{ID} infinity"));
    }
    for key in ["\\u0000", "2026-99-99", "9".repeat(400).as_str()] {
        forged.push(format!(r#"["{key}", "{ID}", 2147483647, 2147483647]"#));
    }
    let things = Things::make().await;
    let mut asked = 0;
    for (pattern, method, told) in operations() {
        if !told["parameters"].as_array().unwrap().iter().any(|parameter| parameter["name"] == "cursor") {
            continue;
        }
        for text in &forged {
            let path = format!("{}?cursor={}", things.path(pattern), URL_SAFE_NO_PAD.encode(text));
            let answer = things.ask(method, &path, "").await;
            assert!(matches!(answer.status, 200 | 400), "{path}, which is {text:?}: {answer:?}");
            asked += 1;
        }
    }
    assert!(asked > 300, "{asked} cursors");
}

/// A body with an unknown member somewhere, where that is, and which members are described there.
struct Probe {
    body: Value,
    field: String,
    described: BTreeSet<String>,
}

/// One for each object that a schema leads to.
fn probes(schema: &Value) -> Vec<Probe> {
    let schema = resolved(schema);
    let schema = schema["anyOf"]
        .as_array()
        .and_then(|choices| choices.iter().find(|it| it.get("$ref").is_some()))
        .map_or(schema, resolved);
    if let Some(items) = schema.get("items") {
        let within = probes(items).into_iter();
        return within
            .map(|probe| Probe { body: json!([probe.body]), field: format!("[0].{}", probe.field), ..probe })
            .collect();
    }
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let mut found =
        vec![Probe { body: json!({ NONSENSE: 1 }), field: NONSENSE.to_owned(), described: members(schema) }];
    for (name, property) in properties {
        found.extend(probes(property).into_iter().map(|probe| Probe {
            body: json!({ name: probe.body }),
            field: if probe.field.starts_with('[') {
                format!("{name}{}", probe.field)
            } else {
                format!("{name}.{}", probe.field)
            },
            ..probe
        }));
    }
    found
}

/// Without it the body is refused before its members are looked at.
fn beside(id: &str) -> Value {
    match id {
        "editCampaign" | "editSeries" | "replaceTemplate" => json!({ "version": 1 }),
        "previewCampaign" => json!({ "person": "ana" }),
        _ => json!({}),
    }
}

#[tokio::test]
async fn bodies_have_the_members_that_are_described() {
    let things = Things::make().await;
    let mut asked = 0;
    for (pattern, method, told) in operations() {
        let id = told["operationId"].as_str().unwrap();
        let schema = &told["requestBody"]["content"]["application/json"]["schema"];
        if schema.is_null() || id == NOT_ASKED {
            continue;
        }
        let path = things.path(pattern);
        for Probe { mut body, field, described } in probes(schema) {
            let of = format!("{method} {pattern} {body}");
            body.as_object_mut().unwrap().extend(beside(id).as_object().unwrap().clone());
            let answer = things.ask(method, &path, &body.to_string()).await;
            assert_eq!(answer.status, 422, "{of}: {answer:?}");
            let mut known = known(&answer, &field);
            if let (Some((_, own, less)), true) =
                (VARIED.iter().find(|(varied, ..)| *varied == id), field == NONSENSE)
            {
                known.extend(own.iter().map(|name| (*name).to_owned()));
                known.retain(|name| !less.contains(&name.as_str()));
            }
            assert_eq!(known, described, "{of}: what is read and what is described");
            asked += 1;
        }
    }
    assert!(asked > 60, "{asked} bodies");
}
