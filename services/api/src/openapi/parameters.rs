//! Parameters: of the path by their names, of the query by the members of a shape, and the header of a key.

use schemars::SchemaGenerator;
use serde_json::{Value, json};
use tocsin_domain::receipt::Part;
use tocsin_domain::rights::ROLE_NAME_CHARS_MAX;
use tocsin_domain::{Channel, MessageType};

use super::operation::{Endpoint, Keyed};
use super::shapes::words;
use crate::campaigns::{KEY_CHARS_MAX, KEY_HEADER};

pub(super) fn of(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Vec<Value> {
    let mut parameters: Vec<Value> =
        names(endpoint.route.path).map(|name| in_path(endpoint.route.path, name)).collect();
    if endpoint.operation.keyed == Keyed::Yes {
        parameters.push(key());
    }
    if let Some(shape) = endpoint.operation.query {
        parameters.extend(in_query(shape(generator).as_value()));
    }
    parameters
}

/// The placeholders of a path.
pub(super) fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn in_path(path: &str, name: &str) -> Value {
    let (schema, description) = described(path, name);
    json!({ "name": name, "in": "path", "required": true, "schema": schema, "description": description })
}

/// A name that is not here is described by nothing, which tests/api/openapi.rs refuses.
fn described(path: &str, name: &str) -> (Value, &'static str) {
    let uuid = || json!({ "type": "string", "format": "uuid" });
    let source_id = || json!({ "type": "string", "minLength": 1 });
    match name {
        "id" if path.starts_with("/v1/campaigns") => (uuid(), "The id of a campaign."),
        "id" if path.starts_with("/v1/approvals") => (uuid(), "The id of an approval."),
        "id" if path.starts_with("/v1/series") => (uuid(), "The id of a series."),
        "id" if path.starts_with("/v1/templates") => (uuid(), "The id of a template."),
        "id" if path.starts_with("/v1/imports") => (uuid(), "The id of a delivery."),
        "id" if path.starts_with("/v1/webhooks") => (uuid(), "The id of a webhook."),
        "delivery" => (json!({ "type": "string", "minLength": 1 }), "The `webhook-id` of what was sent."),
        "user" => (uuid(), "The id of a user."),
        "key" => (uuid(), "The id of an API key."),
        "person" => (source_id(), "The source id of a person in the roster."),
        "student" => (source_id(), "The source id of a student."),
        "school" => (source_id(), "The source id of a school."),
        "attachment" => (uuid(), "The id of a file, as `attachments` lists it."),
        "part" => (words(Part::ALL.iter().map(|part| part.as_str())), "A part of the receipt."),
        "recipient" => (
            json!({ "type": "integer", "format": "int32", "minimum": 1 }),
            "A `recipient_id` of the campaign.",
        ),
        "message" => (
            json!({ "type": "string", "pattern": r"^[0-9a-f-]{36}\.[0-9]{1,9}$" }),
            "The id of a message in the person's inbox.",
        ),
        "channel" => (words(Channel::ALL.map(Channel::as_str)), "The channel of the address."),
        "address" => {
            (json!({ "type": "string", "minLength": 1 }), "A phone, an email address or a portal account.")
        }
        "message_type" => (words(MessageType::ALL.map(MessageType::as_str)), "A message type."),
        "phone" => (json!({ "type": "string", "pattern": r"^\+[1-9][0-9]{6,14}$" }), "The phone in E.164."),
        "role" => (
            json!({ "type": "string", "pattern": format!("^[a-z0-9_-]{{1,{ROLE_NAME_CHARS_MAX}}}$") }),
            "The name of a role of the district's own.",
        ),
        _ => (json!({ "type": "string", "minLength": 1 }), ""),
    }
}

fn key() -> Value {
    json!({
        "name": KEY_HEADER,
        "in": "header",
        "required": true,
        "description": "A key of your own for what is to be made, such as a UUID. The same key with the same body makes \
                        it once, however often it is sent; with another body it is refused.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": KEY_CHARS_MAX,
            "pattern": r"^[\x21-\x7E]([\x20-\x7E]*[\x21-\x7E])?$",
        },
    })
}

fn in_query(shape: &Value) -> Vec<Value> {
    let required: Vec<&str> =
        shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let members = shape["properties"].as_object().into_iter().flatten();
    members
        .map(|(name, schema)| {
            let mut schema = given(schema);
            let description = schema.as_object_mut().and_then(|members| members.remove("description"));
            let list = schema["type"] == "array";
            let mut parameter = json!({ "name": name, "in": "query", "schema": schema });
            if required.contains(&name.as_str()) {
                parameter["required"] = json!(true);
            }
            if let Some(description) = description {
                parameter["description"] = description;
            }
            if list {
                // With commas.
                parameter["style"] = json!("form");
                parameter["explode"] = json!(false);
            }
            parameter
        })
        .collect()
}

/// What a parameter may be, if it is given at all: a query has no null.
fn given(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(kinds) = schema["type"].as_array() {
        let kinds: Vec<&Value> = kinds.iter().filter(|kind| *kind != "null").collect();
        schema["type"] = match kinds.as_slice() {
            [one] => (*one).clone(),
            several => json!(several),
        };
    } else if let Some(choices) = schema["anyOf"].as_array() {
        let only = choices.iter().find(|choice| choice["type"] != "null").cloned().unwrap_or_default();
        let description = schema.get("description").cloned();
        schema = only;
        if let Some(description) = description {
            schema["description"] = description;
        }
    }
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.retain(|word| !word.is_null());
    }
    if let Some(members) = schema.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    schema
}
