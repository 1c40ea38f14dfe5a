//! A district's API keys over REST: each is shown once, when it is made.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tocsin_store::Tenant;
use tocsin_store::tenant::keys::{KeyChange, NewKey, OwnKey};
use uuid::Uuid;

use crate::auth::Caller;
use crate::fields::{Fault, Faults, Field, Fields};
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, shape};
use crate::page::{PageQuery, encode, instant, read_cursor, read_limit};
use crate::problem::{Kind, Problem};
use crate::roles::{RoleNames, check_roles, read_roles};
use crate::server::Api;
use crate::{json, secret};

pub(crate) const NAME_CHARS_MAX: usize = 100;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKeyPage")]
pub(crate) struct ListView {
    api_keys: Vec<KeyView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
pub(crate) struct KeyView {
    id: Uuid,
    name: String,
    roles: Vec<String>,
    created_at: DateTime<Utc>,
    created_by: Option<String>,
    revoked_at: Option<DateTime<Utc>>,
    /// The key itself, in the answer to the request that made it and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

shape! {
    pub(crate) struct KeyRequest {
        /// What the key is for.
        name: Text<NAME_CHARS_MAX>,
        /// A key without one may do nothing.
        roles: RoleNames,
    }
}

shape! {
    /// What is to be another of a key. What is left out stays.
    pub(crate) struct KeyPatch {
        name: Option<Text<NAME_CHARS_MAX>>,
        roles: Option<RoleNames>,
    }
}

pub(crate) const LIST: Operation =
    Operation::new("listApiKeys", "List API keys, newest first").asks::<PageQuery>();

/// `GET /v1/api-keys?limit=&cursor=`, the newest first.
pub(crate) async fn list(
    Caller(tenant): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let (before, limit) =
        read_query(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    // One more than is shown tells whether another page follows.
    let mut found = tenant.own_keys(before, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(write_cursor);
    Ok(Json(ListView { api_keys: found.into_iter().map(KeyView::of).collect(), next_cursor }))
}

pub(crate) const ADD: Operation = Operation::new("addApiKey", "Make an API key")
    .telling("The key stands in `key` of this answer, and nowhere else: it is not kept.")
    .takes::<KeyRequest>()
    .answers(&[(201, "")]);

/// `POST /v1/api-keys`.
pub(crate) async fn add(
    Caller(tenant): Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<(StatusCode, Json<KeyView>), Problem> {
    let request = json::required(&headers, body)?;
    let (name, roles) = read_new(request).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    let (id, key) = make(&api, &tenant, &name, &roles).await?;
    let made = tenant.own_key(id).await?.ok_or_else(unknown)?;
    Ok((StatusCode::CREATED, Json(KeyView { key: Some(key), ..KeyView::of(made) })))
}

pub(crate) const CHANGE: Operation =
    Operation::new("changeApiKey", "Change the name or the roles of an API key")
        .takes::<KeyPatch>()
        .refuses(&[Kind::UnknownKey, Kind::OwnAccount]);

/// `PATCH /v1/api-keys/{key}`: what is left out stays.
pub(crate) async fn change(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<KeyView>, Problem> {
    let id = key_id(id)?;
    tenant.own_key(id).await?.ok_or_else(unknown)?;
    let request = json::required(&headers, body)?;
    let change = read_change(request).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    carry_out(&api, &tenant, id, &change).await?;
    Ok(Json(KeyView::of(tenant.own_key(id).await?.ok_or_else(unknown)?)))
}

pub(crate) const REVOKE: Operation = Operation::new("revokeApiKey", "Revoke an API key")
    .telling("From then on it opens nothing. It may be sent again.")
    .answers(&[(204, "")])
    .refuses(&[Kind::UnknownKey, Kind::OwnAccount]);

/// `DELETE /v1/api-keys/{key}`: from then on it opens nothing. Again: the same answer.
pub(crate) async fn revoke(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    end(&api, &tenant, key_id(id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The one command behind every place where keys are made. The key is kept nowhere.
pub(crate) async fn make(
    api: &Api,
    tenant: &Tenant,
    name: &str,
    roles: &[String],
) -> Result<(Uuid, String), Problem> {
    check_roles(tenant, roles).await?;
    let key = secret::draw_key().map_err(|error| {
        tracing::error!(%error, "the system gives no random bytes");
        Problem::new(Kind::Internal, "the request failed by a fault of ours, which was logged")
    })?;
    let id = Uuid::new_v4();
    let new = NewKey { id, name, key_hash: &secret::hash(&key), roles };
    tenant.add_own_key(&new, api.clock.now()).await?;
    tracing::info!(key.id = %id, "API key added");
    Ok((id, key))
}

pub(crate) async fn carry_out(
    api: &Api,
    tenant: &Tenant,
    id: Uuid,
    change: &KeyChange,
) -> Result<(), Problem> {
    let key = tenant.own_key(id).await?.filter(|key| key.revoked_at.is_none()).ok_or_else(unknown)?;
    if let Some(roles) = &change.roles {
        check_roles(tenant, roles).await?;
        if is_self(tenant, id) && *roles != key.roles {
            return Err(own_account());
        }
    }
    if !tenant.change_own_key(id, change, api.clock.now()).await? {
        return Err(unknown());
    }
    Ok(())
}

pub(crate) async fn end(api: &Api, tenant: &Tenant, id: Uuid) -> Result<(), Problem> {
    let known = tenant.own_key(id).await?.ok_or_else(unknown)?;
    if is_self(tenant, id) {
        return Err(own_account());
    }
    if known.revoked_at.is_none() && tenant.revoke_own_key(id, api.clock.now()).await? {
        tracing::info!(key.id = %id, "API key revoked");
    }
    Ok(())
}

fn is_self(tenant: &Tenant, id: Uuid) -> bool {
    tenant.actor().is_some_and(|actor| actor.id == Some(id))
}

fn own_account() -> Problem {
    let remedy = "a key cannot change its own roles or revoke itself: use another one";
    Problem::new(Kind::OwnAccount, remedy)
}

pub(crate) fn unknown() -> Problem {
    Problem::new(Kind::UnknownKey, "this district has no API key of that id, or it is revoked")
}

fn key_id(path: Result<Path<String>, PathRejection>) -> Result<Uuid, Problem> {
    path.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(unknown)
}

pub(crate) fn read_new(request: Value) -> Result<(String, Vec<String>), Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(request).object(&mut faults).and_then(|mut fields| {
        let name = fields
            .required("name", "say what the key is for", &mut faults)
            .and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
        let roles = fields
            .required("roles", "list its roles: a key without one may do nothing", &mut faults)
            .and_then(|field| read_roles(field, &mut faults));
        fields.finish(&mut faults);
        Some((name?, roles?))
    });
    faults.or(read)
}

pub(crate) fn read_change(request: Value) -> Result<KeyChange, Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(request).object(&mut faults).map(|mut fields| {
        let name = fields.take("name").and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
        let roles = fields.take("roles").and_then(|field| read_roles(field, &mut faults));
        fields.finish(&mut faults);
        KeyChange { name, roles }
    });
    faults.or(read)
}

pub(crate) type Place = (DateTime<Utc>, Uuid);

pub(crate) fn write_cursor(last: &OwnKey) -> String {
    encode(&format!("{}/{}", last.created_at.timestamp_micros(), last.id))
}

pub(crate) fn parse_cursor(text: &str) -> Option<Place> {
    let (at, id) = text.split_once('/')?;
    Some((instant(at)?, id.parse().ok()?))
}

fn read_query(query: Option<&str>) -> Result<(Option<Place>, u32), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let limit = read_limit(&mut fields, &mut faults);
    let before = read_cursor(&mut fields, &mut faults, parse_cursor);
    fields.finish(&mut faults);
    faults.or(limit.map(|limit| (before, limit)))
}

impl KeyView {
    fn of(key: OwnKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            roles: key.roles,
            created_at: key.created_at,
            created_by: key.created_by,
            revoked_at: key.revoked_at,
            key: None,
        }
    }
}
