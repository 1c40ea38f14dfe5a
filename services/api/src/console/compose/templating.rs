//! `/templates/new` and `/templates/{id}`: the form of a template, which is that of a message without a time. It is
//! checked as the message that it becomes.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::{Map, Value, json};
use tocsin_store::Tenant;
use uuid::Uuid;

use super::draft::{Draft, WHO_LATER};
use super::{ComposePage, Target, of_template, step};
use crate::console::access::Visitor;
use crate::console::page::{Refused, answer};
use crate::needs;
use crate::problem::Problem;
use crate::server::Api;
use crate::templates::{self, existing, take_off, template_id};

/// `GET /templates/new`.
pub(crate) async fn ask_new(visitor: Visitor) -> Result<Response, Refused> {
    let mut draft = Draft::new();
    draft.set("who", WHO_LATER);
    Ok(answer(StatusCode::OK, &ComposePage::new(&visitor, Target::NewTemplate, draft).await?))
}

/// `POST /templates/new`, as `/compose`.
pub(crate) async fn add(
    visitor: Visitor,
    State(api): State<Api>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    step(&visitor, &api, Target::NewTemplate, &headers, &body).await
}

/// `GET /templates/{id}`.
pub(crate) async fn ask(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Refused> {
    let id = template_id(Ok(Path(id)))?;
    let found = existing(&visitor.tenant, id).await?;
    let mut draft = of_template(&found.content, &visitor);
    draft.set("name", &found.content.name);
    draft.set("version", &found.version.to_string());
    if found.content.audience.is_none() {
        draft.set("who", WHO_LATER);
    }
    Ok(answer(StatusCode::OK, &ComposePage::new(&visitor, Target::Template(id), draft).await?))
}

/// `POST /templates/{id}`, as `/compose`.
pub(crate) async fn post(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let id = template_id(Ok(Path(id)))?;
    let found = existing(&visitor.tenant, id).await?;
    needs::may_send(&visitor.tenant, &found.content.message_type)?;
    step(&visitor, &api, Target::Template(id), &headers, &body).await
}

/// `POST /templates/{id}/remove`.
pub(crate) async fn remove(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let id = template_id(Ok(Path(id)))?;
    take_off(&api, &visitor.tenant, id).await?;
    Ok(Redirect::to("/templates").into_response())
}

pub(super) async fn make(
    api: &Api,
    tenant: &Tenant,
    draft: &Draft,
    members: Map<String, Value>,
) -> Result<String, Problem> {
    templates::make(api, tenant, of(draft, members)).await?;
    Ok("/templates?saved".to_owned())
}

pub(super) async fn change(
    api: &Api,
    tenant: &Tenant,
    id: Uuid,
    draft: &Draft,
    members: Map<String, Value>,
) -> Result<String, Problem> {
    let mut request = of(draft, members);
    if let Some(members) = request.as_object_mut() {
        members.insert("version".to_owned(), json!(draft.text("version").parse::<u32>().ok()));
    }
    templates::change(api, tenant, id, request).await?;
    Ok("/templates?saved".to_owned())
}

/// A template is of no mode: whether it is a message for each student is said when it is used.
fn of(draft: &Draft, mut members: Map<String, Value>) -> Value {
    members.remove("mode");
    members.insert("name".to_owned(), json!(draft.text("name").trim()));
    Value::Object(members)
}
