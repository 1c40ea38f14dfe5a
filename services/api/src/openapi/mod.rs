//! The API's description: OpenAPI 3.1 at `/openapi.json`, made of the table that the router is made of, the types that
//! handlers answer with, and the shapes of what they take (docs/adr/0038-openapi.md).

mod answers;
mod operation;
mod parameters;
mod responses;
pub(crate) mod shapes;

use std::sync::LazyLock;

use axum::Json;
use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

pub(crate) use self::answers::{Placed, PlacedOrWaits, Waiting};
use self::operation::Body;
pub(crate) use self::operation::{Endpoint, Operation, delete, get, patch, post, put};
use crate::needs::Needs;
use crate::problem::{self, Problem};
use crate::routes;

/// The whole document, which does not change while the process runs.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| written(&routes::rest()));

const ABOUT: &str = "Tocsin delivers a school district's messages by voice call, text, email and portal inbox. \
    Each request is one district's, whose API key it carries; without the right that an operation needs (`x-needs`) the \
    answer is 403. Bodies are JSON, 2 MiB at most. A member that is unknown is a fault, null is as if left out, no text \
    holds a NUL character, and all faults are told at once, each by its member. Times are RFC 3339. Lists have `limit` and \
    `cursor`, the `next_cursor` of the page before, which is null on the last page. A path that nothing is served under \
    is 404 `unknown-route`; a method that a path does not have is 405 `wrong-method`, with `Allow`.";

/// What is told of the parts of the API, in the order in which they are shown.
const TAGS: [(&str, &str); 12] = [
    (
        "Campaigns",
        "One message to one audience over one or more channels: made, forecast, watched, canceled, corrected.",
    ),
    ("Approvals", "Emergencies to the whole district that wait for a second person."),
    ("Series", "Campaigns that recur, by the clocks of the district."),
    ("Templates", "What messages are begun from, and the types that there are."),
    ("Audience", "How many an audience is, and lists of people from a file."),
    ("Directory", "Schools, classes and people, and what the district changes of them by hand."),
    ("Imports", "Deliveries of a roster: sent, compared, applied as they were compared."),
    ("Inboxes", "What a portal shows its users."),
    ("Consents", "Consents to texts, addresses that are not tried, readers who unsubscribed."),
    ("Settings", "What a district decides: policies, limits, undo; its provider accounts."),
    ("Access", "Who may do what: users, roles, API keys, and the audit of what was done."),
    ("Description", "This document."),
];

pub(crate) const SHOW: Operation = Operation::new("getOpenApi", "This document")
    .telling("OpenAPI 3.1. It needs no key: it says what the program does, and nothing of any district.");

/// An OpenAPI document.
#[derive(JsonSchema, serde::Serialize)]
#[serde(transparent)]
#[schemars(rename = "OpenApi", extend("type" = "object"))]
pub(crate) struct Document(&'static Value);

/// `GET /openapi.json`.
pub(crate) async fn show() -> Result<Json<Document>, Problem> {
    Ok(Json(Document(&DOCUMENT)))
}

/// What `/openapi.json` gives.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// The part of the API that a path belongs to. A path of a part that is not here stands under its own name.
fn tag(path: &str) -> String {
    let mut parts = path.trim_start_matches("/v1/").split('/');
    let first = parts.next().unwrap_or_default();
    let known = match first {
        "campaigns" => "Campaigns",
        "approvals" => "Approvals",
        "series" => "Series",
        "templates" | "message-types" => "Templates",
        "audience" => "Audience",
        "people" if parts.nth(1) == Some("inbox") => "Inboxes",
        "people" | "schools" | "classes" => "Directory",
        "imports" => "Imports",
        "consents" | "consents.csv" | "suppressions" | "unsubscribes" => "Consents",
        "policies" | "limits" | "accounts" | "consent-policy" | "sending-policy" => "Settings",
        "me" | "users" | "roles" | "api-keys" | "audit" => "Access",
        "" => "Description",
        other => {
            let mut letters = other.chars();
            let capital = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
            return capital + &letters.as_str().replace('-', " ");
        }
    };
    known.to_owned()
}

fn written(endpoints: &[Endpoint]) -> Value {
    let (mut given, mut taken) = (generator(Contract::Serialize), generator(Contract::Deserialize));
    given.subschema_for::<problem::Body<'_>>();
    let mut paths: Map<String, Value> = Map::new();
    let mut tags: Vec<Value> =
        TAGS.iter().map(|(name, says)| json!({ "name": name, "description": says })).collect();
    for endpoint in endpoints {
        let path = paths.entry(endpoint.route.path).or_insert_with(|| json!({}));
        let told = operation(endpoint, &mut given, &mut taken);
        let tag = &told["tags"][0];
        if !tags.iter().any(|known| known["name"] == *tag) {
            tags.push(json!({ "name": tag, "description": "" }));
        }
        path[endpoint.route.method.to_lowercase()] = told;
    }
    // A type that is both given and taken has one schema: those of requests are types of their own else.
    let mut schemas = given.take_definitions(true);
    for (name, schema) in taken.take_definitions(true) {
        schemas.entry(name).or_insert(schema);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Tocsin",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "api_key": [] }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "api_key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key of the district: `Authorization: Bearer <key>`. Administrators make them.",
                },
            },
            "schemas": schemas,
        },
    });
    set_in_lines(&mut document);
    document
}

fn generator(contract: Contract) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        settings.contract = contract;
    });
    settings.into_generator()
}

fn operation(endpoint: &Endpoint, given: &mut SchemaGenerator, taken: &mut SchemaGenerator) -> Value {
    let operation = &endpoint.operation;
    let needs = endpoint.route.needs;
    let mut told = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "description": format!("{} {}", operation.description, needed(needs)).trim(),
        "tags": [tag(endpoint.route.path)],
        "parameters": parameters::of(endpoint, taken),
        "responses": responses::of(endpoint, given),
        "x-needs": needs.rights().iter().map(|rights| names(rights)).collect::<Vec<_>>(),
    });
    let json_of = |schema: Value| {
        let mut media = json!({ "schema": schema });
        if let Ok(example) = serde_json::from_str::<Value>(operation.example) {
            media["example"] = example;
        }
        json!({ "application/json": media })
    };
    let body = match operation.body {
        Body::Nothing => None,
        Body::Json(shape) => Some(json!({ "required": true, "content": json_of(shape(taken).to_value()) })),
        Body::JsonOrNothing(shape) => {
            Some(json!({ "required": false, "content": json_of(shape(taken).to_value()) }))
        }
        Body::File(media_types) => {
            let content: Map<String, Value> =
                media_types.iter().map(|media_type| ((*media_type).to_owned(), json!({}))).collect();
            Some(json!({ "required": true, "content": content }))
        }
    };
    if let Some(body) = body {
        told["requestBody"] = body;
    }
    if needs == Needs::Nothing {
        told["security"] = json!([]);
    }
    told
}

fn names(rights: &[tocsin_domain::rights::Right]) -> Vec<&'static str> {
    rights.iter().map(|right| right.as_str()).collect()
}

/// Which rights it needs, in a sentence.
fn needed(needs: Needs) -> String {
    let groups: Vec<String> = needs
        .rights()
        .iter()
        .map(|rights| match names(rights).as_slice() {
            [one] => format!("`{one}`"),
            several => format!("one of `{}`", several.join("`, `")),
        })
        .collect();
    match (needs, groups.is_empty()) {
        (Needs::Nothing, _) => "Needs no key.".to_owned(),
        (_, true) => "Needs a key, and no right.".to_owned(),
        (_, false) => format!("Needs {}.", groups.join(", and ")),
    }
}

/// Comments are broken into lines where the source is, and some name in brackets what only those who work on the program
/// have: a requirement or a decision.
fn set_in_lines(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => {
                        *text = without_references(&text.split_whitespace().collect::<Vec<_>>().join(" "));
                    }
                    other => set_in_lines(other),
                }
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(set_in_lines),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn without_references(text: &str) -> String {
    for begin in [" (requirement", " (decision "] {
        if let Some((before, rest)) = text.split_once(begin)
            && let Some((_, after)) = rest.split_once(')')
        {
            return without_references(&format!("{before}{after}"));
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_json() {
        for endpoint in routes::rest() {
            let Operation { id, example, .. } = endpoint.operation;
            assert!(example.is_empty() || serde_json::from_str::<Value>(example).is_ok(), "{id}: {example}");
        }
    }

    #[test]
    fn what_only_those_who_work_on_the_program_have_is_left_out() {
        for (text, told) in [
            ("Null until then (requirement 52).", "Null until then."),
            (
                "A phone (requirement 162). None (decision D3), or (see below).",
                "A phone. None, or (see below).",
            ),
            ("One (requirement", "One (requirement"),
        ] {
            assert_eq!(without_references(text), told);
        }
    }
}
