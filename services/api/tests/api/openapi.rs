//! The API's description: whole, of nothing but what is served, and well-formed. That answers are as it says is checked of
//! every answer that a test gets (`conformance`), that requests are by `requests` and by Schemathesis.

mod requests;
mod schemathesis;

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use tocsin_api::routes::{Door, table};
use tocsin_api::{Needs, document};

use crate::conformance::resolved;
use crate::stage::Stage;

/// Each operation with its path and method.
pub fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    let paths = document()["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods.iter().map(move |(method, told)| (path.as_str(), method.as_str(), told))
    })
}

pub fn texts(array: &Value) -> BTreeSet<&str> {
    array.as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_document_is_served_to_everybody() {
    let stage = Stage::start().await;
    let answer = stage.ask(Method::GET, "/openapi.json", &[], "").await;
    assert_eq!((answer.status, &answer.body), (200, document()));
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.body["openapi"], "3.1.0");
    let page = stage.ask(Method::GET, "/docs", &[], "").await;
    assert_eq!(page.status, 200);
    let page = page.body.as_str().unwrap();
    for (path, method, told) in operations() {
        for shown in [path, told["operationId"].as_str().unwrap(), &method.to_uppercase()] {
            assert!(page.contains(shown), "the page does not show {method} {path}: {shown}");
        }
    }
    for link in page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(page.contains(&format!("id=\"{link}\"")), "#{link} leads nowhere");
    }
    assert!(!page.contains("http:") && !page.contains("https:"), "the page asks others for something");
}

#[test]
fn every_route_is_described_and_nothing_else_is() {
    let routes: BTreeSet<(String, &str)> = table()
        .into_iter()
        .filter(|(.., door)| *door == Door::Key)
        .map(|(method, path, ..)| (method.to_lowercase(), path))
        .collect();
    let described: BTreeSet<(String, &str)> =
        operations().map(|(path, method, _)| (method.to_owned(), path)).collect();
    assert_eq!(described, routes);
}

#[test]
fn every_operation_says_what_a_client_must_know() {
    let tags: BTreeSet<&str> =
        document()["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut ids = BTreeSet::new();
    for (path, method, told) in operations() {
        let of = format!("{method} {path}");
        let says = |name: &str| told[name].as_str().is_some_and(|text| !text.trim().is_empty());
        assert!(says("operationId") && says("summary") && says("description"), "{of}: {told}");
        assert!(ids.insert(told["operationId"].as_str().unwrap()), "{of} has the id of another operation");
        let own = texts(&told["tags"]);
        assert!(own.len() == 1 && own.is_subset(&tags), "{of} has the tags {own:?}");
        let parameters = told["parameters"].as_array().unwrap();
        let named = |place: &str| {
            let of_place = parameters.iter().filter(|parameter| parameter["in"] == place);
            of_place.map(|parameter| parameter["name"].as_str().unwrap()).collect::<Vec<_>>()
        };
        let placeholders: Vec<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(named("path"), placeholders, "{of}");
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "path") {
            let described = parameter["description"].as_str().is_some_and(|text| !text.is_empty());
            assert!(described, "{of}: say in openapi/parameters.rs what {} is", parameter["name"]);
        }
        let json = &told["requestBody"]["content"]["application/json"];
        if let Some(example) = json.get("example") {
            let named: Vec<&String> = example.as_object().unwrap().keys().collect();
            let known = crate::conformance::members(&json["schema"]);
            assert!(named.iter().all(|name| known.contains(*name)), "{of}: {example}");
        }
        let responses = told["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{of} never succeeds");
        for (status, response) in responses {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{of} {status}");
            let problem = &response["content"]["application/problem+json"];
            assert_eq!(problem.is_object(), !status.starts_with('2'), "{of} {status}");
        }
    }
}

/// The statuses of who may not ask follow from the table of rights.
#[test]
fn what_an_operation_needs_is_what_its_route_needs() {
    for (method, path, needs, door) in table() {
        if door != Door::Key {
            continue;
        }
        let told = &document()["paths"][path][method.to_lowercase()];
        let rights: Vec<Vec<&str>> =
            needs.rights().iter().map(|rights| rights.iter().map(|right| right.as_str()).collect()).collect();
        assert_eq!(told["x-needs"], serde_json::json!(rights), "{method} {path}");
        assert_eq!(told["responses"].get("401").is_some(), needs != Needs::Nothing, "{method} {path}");
        assert_eq!(told["responses"].get("403").is_some(), !rights.is_empty(), "{method} {path}");
        assert_eq!(told.get("security").is_some(), needs == Needs::Nothing, "{method} {path}");
    }
}

/// Every schema of the document, at whatever depth, with where it is.
fn schemas() -> Vec<(String, &'static Value)> {
    fn walk(value: &'static Value, at: &str, found: &mut Vec<(String, &'static Value)>) {
        let members = value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value));
        let entries = value.as_array().into_iter().flatten().enumerate();
        let entries = entries.map(|(index, value)| (index.to_string(), value));
        for (name, value) in members.chain(entries) {
            let at = format!("{at}/{name}");
            let parent = at.rsplit('/').nth(1).unwrap_or_default();
            let is_schema = matches!(name.as_str(), "schema" | "items" | "additionalProperties")
                || matches!(parent, "schemas" | "properties" | "anyOf" | "oneOf" | "allOf");
            if is_schema {
                found.push((at.clone(), value));
            }
            walk(value, &at, found);
        }
    }
    let mut found = Vec::new();
    walk(document(), "", &mut found);
    found
}

#[test]
fn every_schema_is_well_formed_and_every_reference_leads_somewhere() {
    const KINDS: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
    let all = schemas();
    assert!(all.len() > 500, "{} schemas", all.len());
    let mut used = BTreeSet::new();
    for (at, schema) in &all {
        if schema.is_boolean() {
            continue;
        }
        let members = schema.as_object().unwrap_or_else(|| panic!("{at} is no schema: {schema}"));
        if let Some(reference) = schema["$ref"].as_str() {
            resolved(schema);
            used.insert(reference.rsplit('/').next().unwrap());
        }
        for (keyword, value) in members {
            let fits = match keyword.as_str() {
                "$ref" | "description" | "title" | "format" | "pattern" | "contentMediaType" => {
                    value.is_string()
                }
                "type" => match value {
                    Value::String(kind) => KINDS.contains(&kind.as_str()),
                    several => texts(several).iter().all(|kind| KINDS.contains(kind)),
                },
                "properties" => value.is_object(),
                "required" => {
                    let known = crate::conformance::members(schema);
                    let named = texts(value);
                    // The members that one of several must have stand beside it.
                    members.len() == 1 || named.iter().all(|name| known.contains(*name))
                }
                "enum" | "anyOf" | "oneOf" | "allOf" | "examples" => {
                    value.as_array().is_some_and(|entries| !entries.is_empty())
                }
                "minimum" | "maximum" => value.is_number(),
                "minLength" | "maxLength" | "minItems" | "maxItems" => value.is_u64(),
                "uniqueItems" => value.is_boolean(),
                "items" | "additionalProperties" => value.is_object() || value.is_boolean(),
                "const" | "default" => true,
                _ => false,
            };
            assert!(fits, "{at}: {keyword} is {value}");
        }
    }
    let defined: BTreeSet<&str> =
        document()["components"]["schemas"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(used, defined, "schemas that nothing refers to");
    for name in &defined {
        // A second type of the same name is numbered.
        assert!(!name.ends_with(|last: char| last.is_ascii_digit()), "{name}: two types have this name");
    }
}

/// What is written for whoever works on the program is not told to callers.
#[test]
fn descriptions_are_for_callers() {
    fn walk(value: &Value, at: &str) {
        for (name, value) in value.as_object().into_iter().flatten() {
            if let (true, Some(text)) = (name == "description", value.as_str()) {
                for sign in ["equirement", "ecision D", "docs/", "[`", "stored in the database"] {
                    assert!(!text.contains(sign), "{at}: {text}");
                }
            }
            walk(value, &format!("{at}/{name}"));
        }
        for (index, value) in value.as_array().into_iter().flatten().enumerate() {
            walk(value, &format!("{at}/{index}"));
        }
    }
    walk(document(), "");
}
