//! The answers of an operation: its successes, and by status the problems that it may be refused with.

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::answers::{Place, Told};
use super::operation::{Body, Endpoint, Keyed};
use super::parameters;
use crate::needs::Needs;
use crate::problem::Kind;

pub(super) fn of(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let told = (endpoint.gives)(generator);
    let answers = match endpoint.operation.answers {
        [] => &[(200, "")],
        given => given,
    };
    let mut responses: Map<String, Value> = answers
        .iter()
        .map(|(status, says)| (status.to_string(), success(endpoint, *status, says, &told)))
        .collect();
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in problems(endpoint) {
        let kinds = by_status.entry(kind.status().as_u16()).or_default();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    responses.extend(by_status.iter().map(|(status, kinds)| (status.to_string(), refusal(*status, kinds))));
    responses
}

fn success(endpoint: &Endpoint, status: u16, says: &str, told: &Told) -> Value {
    let description = match (says, status) {
        ("", 201) => "It was made.",
        ("", 202) => "It is under way.",
        ("", 204) => "It is done; there is no body.",
        ("", _) => "It is done.",
        (says, _) => says,
    };
    let mut response = json!({ "description": description });
    let body = match status {
        202 => told.waiting.as_ref().or(told.body.as_ref()),
        204 => None,
        _ => told.body.as_ref(),
    };
    if let Some(schema) = body {
        response["content"] = json!({ "application/json": { "schema": schema } });
    }
    for media_type in endpoint.operation.files {
        response["content"][*media_type] = json!({});
    }
    if told.place == Place::InHeader {
        let schema = json!({ "type": "string", "format": "uri-reference" });
        response["headers"] =
            json!({ "Location": { "description": "Where it is.", "required": true, "schema": schema } });
    }
    response
}

/// All that it may be refused with, by what it needs, takes and says itself.
fn problems(endpoint: &Endpoint) -> Vec<Kind> {
    let operation = &endpoint.operation;
    let mut kinds = Vec::new();
    if operation.keyed == Keyed::Yes {
        kinds.extend([Kind::InvalidHeader, Kind::KeyReused]);
    }
    if operation.query.is_some() {
        kinds.push(Kind::InvalidQuery);
    }
    match operation.body {
        Body::Nothing => {}
        Body::Json(_) | Body::JsonOrNothing(_) => {
            kinds.extend([Kind::NotJson, Kind::TooLarge, Kind::MediaType, Kind::InvalidBody]);
        }
        Body::File(_) => kinds.push(Kind::TooLarge),
    }
    kinds.extend(operation.refuses);
    let names_a_thing = parameters::names(endpoint.route.path).any(|name| name == "id");
    match endpoint.route.needs {
        Needs::Nothing => return kinds,
        Needs::Message | Needs::MessageAnd(_) | Needs::MessageAndSend | Needs::Cancel | Needs::Edit => {
            kinds.extend(names_a_thing.then_some(Kind::UnknownCampaign));
        }
        Needs::Series | Needs::EditSeries | Needs::CancelSeries => {
            kinds.extend(names_a_thing.then_some(Kind::UnknownSeries));
        }
        Needs::Caller | Needs::Right(_) | Needs::OneOf(_) => {}
    }
    if !endpoint.route.needs.rights().is_empty() {
        kinds.push(Kind::Forbidden);
    }
    kinds.extend([Kind::Unauthorized, Kind::Internal, Kind::Unavailable]);
    kinds
}

fn refusal(status: u16, kinds: &[Kind]) -> Value {
    let lines: Vec<String> =
        kinds.iter().map(|kind| format!("`{}`: {}.", kind.name(), kind.title())).collect();
    let types: Vec<String> = kinds.iter().map(|kind| kind.uri()).collect();
    let schema = json!({
        "allOf": [{ "$ref": "#/components/schemas/Problem" }],
        "properties": { "type": { "enum": types } },
    });
    let mut response = json!({
        "description": lines.join(" "),
        "content": { "application/problem+json": { "schema": schema } },
    });
    let header = match status {
        401 => Some(("WWW-Authenticate", json!({ "const": "Bearer" }), "How to say who asks.")),
        503 => Some(("Retry-After", json!({ "type": "integer" }), "Seconds after which to try again.")),
        _ => None,
    };
    if let Some((name, schema, description)) = header {
        response["headers"] =
            json!({ name: { "description": description, "required": true, "schema": schema } });
    }
    response
}
