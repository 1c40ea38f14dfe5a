//! `/docs`: the API's description for people, rendered from the document at `/openapi.json` (docs/adr/0038-openapi.md).

mod members;

use std::sync::LazyLock;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use self::members::{Member, Piece, Prose, Type, members, prose, type_of};
use super::page::{Shell, answer};
use crate::openapi;

/// What is shown, which does not change while the process runs.
static DOCS: LazyLock<Docs> = LazyLock::new(|| Docs::of(openapi::document()));

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage {
    shell: Shell,
    docs: &'static Docs,
}

struct Docs {
    version: String,
    about: Prose,
    parts: Vec<Part>,
    shapes: Vec<Shape>,
}

/// What belongs together.
struct Part {
    name: String,
    about: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: Prose,
    parameters: Vec<Member>,
    body: Option<Sent>,
    answers: Vec<Answered>,
}

/// What a request carries.
struct Sent {
    media_types: String,
    required: bool,
    content: Option<Type>,
    example: Option<String>,
}

struct Answered {
    status: String,
    description: Prose,
    media_types: String,
    content: Option<Type>,
}

/// A schema that others refer to.
struct Shape {
    name: String,
    description: Prose,
    /// Where it is no object.
    content: Option<Type>,
    members: Vec<Member>,
}

/// `GET /docs`. Anybody may read it: it says what the program does, and nothing of any district.
pub(crate) async fn show() -> Response {
    answer(StatusCode::OK, &DocsPage { shell: Shell::bare("REST API"), docs: &DOCS })
}

impl Docs {
    fn of(document: &Value) -> Self {
        let operations: Vec<(String, Operation)> = entries(&document["paths"])
            .flat_map(|(path, methods)| {
                entries(methods).map(move |(method, told)| {
                    (text(&told["tags"][0]), Operation::of(method.to_uppercase(), path.clone(), told))
                })
            })
            .collect();
        let mut parts: Vec<Part> = list(&document["tags"])
            .map(|tag| Part {
                name: text(&tag["name"]),
                about: text(&tag["description"]),
                operations: Vec::new(),
            })
            .collect();
        for (tag, operation) in operations {
            if let Some(part) = parts.iter_mut().find(|part| part.name == tag) {
                part.operations.push(operation);
            }
        }
        Self {
            version: text(&document["info"]["version"]),
            about: prose(&document["info"]["description"]),
            parts,
            shapes: entries(&document["components"]["schemas"])
                .map(|(name, it)| Shape::of(name, it))
                .collect(),
        }
    }
}

impl Operation {
    fn of(method: String, path: String, told: &Value) -> Self {
        let body = told.get("requestBody");
        Self {
            id: text(&told["operationId"]),
            method,
            path,
            summary: text(&told["summary"]),
            description: prose(&told["description"]),
            parameters: list(&told["parameters"]).map(Member::of_parameter).collect(),
            body: body.map(|body| Sent {
                media_types: media_types(&body["content"]),
                required: body["required"] == true,
                content: content(&body["content"]),
                example: body["content"]["application/json"]
                    .get("example")
                    .map(|example| format!("{example:#}")),
            }),
            answers: entries(&told["responses"])
                .map(|(status, response)| Answered {
                    status: status.clone(),
                    description: prose(&response["description"]),
                    media_types: media_types(&response["content"]),
                    content: content(&response["content"]).filter(|_| !status.starts_with(['4', '5'])),
                })
                .collect(),
        }
    }
}

impl Shape {
    fn of(name: &str, schema: &Value) -> Self {
        let members = members(schema);
        Self {
            name: name.to_owned(),
            description: prose(&schema["description"]),
            content: members.is_empty().then(|| type_of(schema)),
            members,
        }
    }
}

/// Of the first media type that has one.
fn content(content: &Value) -> Option<Type> {
    entries(content).find_map(|(_, media)| media.get("schema")).map(type_of)
}

fn media_types(content: &Value) -> String {
    entries(content).map(|(media_type, _)| media_type.as_str()).collect::<Vec<_>>().join(", ")
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn list(array: &Value) -> impl Iterator<Item = &Value> {
    array.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
