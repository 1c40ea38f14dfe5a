//! `/keys`: what programs come in with.

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::json;
use tocsin_store::tenant::keys::OwnKey;
use uuid::Uuid;

use super::access::Visitor;
use super::form::{Choice, Complaints, Form, capitalised, role_choices};
use super::page::{Refused, Shell, answer};
use super::when::Stamp;
use crate::api_keys::{
    Place, carry_out, end, make, parse_cursor, read_change, read_new, unknown, write_cursor,
};
use crate::fields::{Fault, Faults, Fields};
use crate::page::read_cursor;
use crate::problem::{Kind, Problem};
use crate::server::Api;

const KEYS_MAX: u32 = 50;

#[derive(Template)]
#[template(path = "keys.html")]
struct ListPage {
    shell: Shell,
    rows: Vec<Row>,
    further: bool,
    next: Option<String>,
    name: String,
    roles: Vec<Choice>,
    faults: Complaints,
    /// The key that was just made, shown this once.
    made: Option<String>,
}

struct Row {
    id: Uuid,
    name: String,
    roles: String,
    created: Stamp,
    created_by: String,
    revoked: Option<Stamp>,
}

#[derive(Template)]
#[template(path = "key.html")]
struct KeyPage {
    shell: Shell,
    id: Uuid,
    name: String,
    roles: Vec<Choice>,
    faults: Complaints,
}

/// `GET /keys?cursor=`.
pub(crate) async fn list(
    visitor: Visitor,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let before = read_query(query.as_deref()).map_err(Refused::faulty)?;
    Ok(answer(StatusCode::OK, &page(&visitor, &api, before, &[]).await?))
}

/// `POST /keys` with `name` and `role`s: shows the key, and the list below it.
pub(crate) async fn add(visitor: Visitor, State(api): State<Api>, body: Bytes) -> Result<Response, Refused> {
    let form = Form::of(&body);
    let (name, roles) = (form.text("name"), form.all("role"));
    let request = json!({ "name": name, "roles": roles });
    let made = match read_new(request).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults)) {
        Ok((name, roles)) => make(&api, &visitor.tenant, &name, &roles).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok((_, key)) => {
            let page = ListPage { made: Some(key), ..page(&visitor, &api, None, &[]).await? };
            Ok(answer(StatusCode::CREATED, &page))
        }
        Err(problem) => {
            let status = problem.status();
            let faults = Complaints::of(problem)?;
            let page = ListPage { name, faults, ..page(&visitor, &api, None, &roles).await? };
            Ok(answer(status, &page))
        }
    }
}

/// `GET /keys/{key}`.
pub(crate) async fn ask(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Refused> {
    let key = own(&visitor, &id).await?;
    Ok(answer(StatusCode::OK, &key_page(&visitor, key.id, key.name, &key.roles).await?))
}

/// `POST /keys/{key}` with `name` and `role`s.
pub(crate) async fn change(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let id = own(&visitor, &id).await?.id;
    let form = Form::of(&body);
    let (name, roles) = (form.text("name"), form.all("role"));
    let request = json!({ "name": name, "roles": roles });
    let changed = match read_change(request).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults)) {
        Ok(change) => carry_out(&api, &visitor.tenant, id, &change).await,
        Err(problem) => Err(problem),
    };
    match changed {
        Ok(()) => Ok(Redirect::to("/keys").into_response()),
        Err(problem) => {
            let status = problem.status();
            let faults = Complaints::of(problem)?;
            let page = KeyPage { faults, ..key_page(&visitor, id, name, &roles).await? };
            Ok(answer(status, &page))
        }
    }
}

/// `POST /keys/{key}/revoke`.
pub(crate) async fn revoke(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let id: Uuid = id.parse().map_err(|_| Refused::from(unknown()))?;
    end(&api, &visitor.tenant, id).await?;
    Ok(Redirect::to("/keys").into_response())
}

async fn page(
    visitor: &Visitor,
    api: &Api,
    before: Option<Place>,
    ticked: &[String],
) -> Result<ListPage, Refused> {
    let mut found = visitor.tenant.own_keys(before, KEYS_MAX + 1).await?;
    let more = found.len() > KEYS_MAX as usize;
    found.truncate(KEYS_MAX as usize);
    let next = found.last().filter(|_| more).map(write_cursor);
    let now = api.clock.now();
    let row = |key: OwnKey| Row {
        id: key.id,
        name: key.name,
        roles: key.roles.iter().map(|role| capitalised(role)).collect::<Vec<_>>().join(", "),
        created: visitor.zone.stamp(key.created_at, now),
        created_by: key.created_by.unwrap_or_else(|| "an operator".to_owned()),
        revoked: key.revoked_at.map(|at| visitor.zone.stamp(at, now)),
    };
    Ok(ListPage {
        shell: Shell::new("API keys", &visitor.who, "keys"),
        rows: found.into_iter().map(row).collect(),
        further: before.is_some(),
        next,
        name: String::new(),
        roles: role_choices(&visitor.tenant, ticked).await?,
        faults: Complaints::default(),
        made: None,
    })
}

async fn key_page(visitor: &Visitor, id: Uuid, name: String, ticked: &[String]) -> Result<KeyPage, Refused> {
    Ok(KeyPage {
        shell: Shell::new(&name, &visitor.who, "keys"),
        id,
        name,
        roles: role_choices(&visitor.tenant, ticked).await?,
        faults: Complaints::default(),
    })
}

/// A key that is not revoked.
async fn own(visitor: &Visitor, id: &str) -> Result<OwnKey, Refused> {
    let id: Uuid = id.parse().map_err(|_| Refused::from(unknown()))?;
    let found = visitor.tenant.own_key(id).await?.filter(|key| key.revoked_at.is_none());
    Ok(found.ok_or_else(unknown)?)
}

fn read_query(query: Option<&str>) -> Result<Option<Place>, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let before = read_cursor(&mut fields, &mut faults, parse_cursor);
    fields.finish(&mut faults);
    faults.or(Some(before))
}
