//! Every answer that any test here gets from the REST API is held to the API's description: its status, its media type and
//! its body, in which no member stands that the description does not know.
//!
//! A client may not refuse a member that it does not know, so schemas do not forbid them; that we forget to describe one is
//! what is found here. The few keywords that the schemas have are checked by themselves: one that is new is refused.

use std::collections::BTreeSet;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;
use tocsin_api::document;

/// What tells and does not check. Patterns and formats of answers are our own.
const ANNOTATIONS: [&str; 7] =
    ["description", "title", "format", "default", "examples", "pattern", "contentMediaType"];

/// May an object have members that the schema does not know?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Refused,
    Taken,
}

/// Panics where the answer to a request of the REST API is not described.
#[track_caller]
pub fn check(method: &str, path: &str, status: u16, headers: &HeaderMap, body: &Value) {
    let path = path.split('?').next().unwrap();
    let Some((pattern, methods)) = described(path) else { return };
    let says = format!("{method} {pattern} answered {status}");
    let Some(operation) = methods.get(method.to_lowercase()) else {
        assert!(status == 405 || method == "HEAD", "{says} to a method that is not described");
        return;
    };
    let response = operation["responses"].get(status.to_string());
    let response = response.unwrap_or_else(|| panic!("{says}, which is not described: {body}"));
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        assert!(header["required"] != true || headers.contains_key(name), "{says} without {name}");
    }
    let Some(content) = response["content"].as_object() else {
        assert_eq!(*body, Value::String(String::new()), "{says} with a body that is not described");
        return;
    };
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap();
    let media = content.get(essence);
    let media = media.unwrap_or_else(|| panic!("{says} as {media_type}, which is not described"));
    if let Some(schema) = media.get("schema") {
        let faults = faults(schema, body, "$", Others::Refused);
        assert!(faults.is_empty(), "{says} with a body that is not as described: {faults:#?}\n{body:#}");
    }
}

/// The path of the description that serves this one. What is written out goes before what may be anything.
fn described(path: &str) -> Option<(&'static str, &'static Value)> {
    let paths = document()["paths"].as_object().unwrap();
    let fits = |pattern: &str| {
        let (parts, given): (Vec<&str>, Vec<&str>) =
            (pattern.split('/').collect(), path.split('/').collect());
        let same =
            |(part, given): (&&str, &&str)| part == given || (part.starts_with('{') && !given.is_empty());
        parts.len() == given.len() && parts.iter().zip(&given).all(same)
    };
    let found = paths.iter().filter(|(pattern, _)| fits(pattern));
    found.min_by_key(|(pattern, _)| pattern.matches('{').count()).map(|(pattern, it)| (pattern.as_str(), it))
}

/// What a `$ref` leads to.
pub fn resolved(schema: &Value) -> &Value {
    match schema["$ref"].as_str() {
        None => schema,
        Some(reference) => document()
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} leads nowhere")),
    }
}

fn faults(schema: &Value, value: &Value, at: &str, others: Others) -> Vec<String> {
    if let Value::Bool(takes) = schema {
        return if *takes { vec![] } else { vec![format!("{at}: nothing may stand here")] };
    }
    let schema = schema.as_object().unwrap_or_else(|| panic!("{schema} is no schema"));
    let mut found = Vec::new();
    for (keyword, wanted) in schema {
        match keyword.as_str() {
            "$ref" => found.extend(faults(resolved(&Value::Object(schema.clone())), value, at, others)),
            "type" => {
                let kinds: Vec<&Value> =
                    wanted.as_array().map_or_else(|| vec![wanted], |all| all.iter().collect());
                if !kinds.iter().any(|kind| is(value, kind.as_str().unwrap())) {
                    found.push(format!("{at}: {value} is no {wanted}"));
                }
            }
            "enum" if !wanted.as_array().unwrap().contains(value) => {
                found.push(format!("{at}: {value} is none of {wanted}"));
            }
            "const" if wanted != value => found.push(format!("{at}: {value} is not {wanted}")),
            "enum" | "const" => {}
            "anyOf" | "oneOf" => {
                let tried = wanted.as_array().unwrap().iter();
                let tried: Vec<Vec<String>> = tried.map(|choice| faults(choice, value, at, others)).collect();
                if !tried.iter().any(Vec::is_empty) {
                    found.extend(tried.into_iter().flatten());
                }
            }
            "allOf" => {
                for part in wanted.as_array().unwrap() {
                    found.extend(faults(part, value, at, Others::Taken));
                }
            }
            "properties" => {
                for (name, schema) in wanted.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        found.extend(faults(schema, value, &format!("{at}.{name}"), Others::Refused));
                    }
                }
            }
            "required" => {
                let names = wanted.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                let missing = names.filter(|name| value.is_object() && value.get(name).is_none());
                found.extend(missing.map(|name| format!("{at}.{name} is missing")));
            }
            "additionalProperties" => {
                let known: BTreeSet<&String> = schema
                    .get("properties")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                    .map(|it| it.0)
                    .collect();
                let members =
                    value.as_object().into_iter().flatten().filter(|(name, _)| !known.contains(name));
                for (name, value) in members {
                    found.extend(faults(wanted, value, &format!("{at}.{name}"), others));
                }
            }
            "items" => {
                for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(faults(wanted, value, &format!("{at}[{index}]"), Others::Refused));
                }
            }
            "minimum" if value.as_f64().is_some_and(|is| is < wanted.as_f64().unwrap()) => {
                found.push(format!("{at}: {value} is below {wanted}"));
            }
            "maximum" if value.as_f64().is_some_and(|is| is > wanted.as_f64().unwrap()) => {
                found.push(format!("{at}: {value} is above {wanted}"));
            }
            "minimum" | "maximum" | "uniqueItems" => {}
            annotation if ANNOTATIONS.contains(&annotation) => {}
            other => panic!("{at}: the keyword {other} of a schema is not known here: check it"),
        }
    }
    if others == Others::Refused
        && !schema.contains_key("$ref")
        && !schema.contains_key("additionalProperties")
    {
        let known = members(&Value::Object(schema.clone()));
        let given = value.as_object().into_iter().flatten().map(|(name, _)| name);
        if !known.is_empty() {
            let unknown = given.filter(|name| !known.contains(*name));
            found.extend(unknown.map(|name| format!("{at}.{name} is not described")));
        }
    }
    found
}

/// The members that a schema knows, in all its parts.
pub fn members(schema: &Value) -> BTreeSet<String> {
    let schema = resolved(schema);
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let parts = ["allOf", "anyOf", "oneOf"]
        .into_iter()
        .flat_map(|name| schema[name].as_array().into_iter().flatten());
    own.chain(parts.flat_map(members)).collect()
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}
