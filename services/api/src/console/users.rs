//! `/users`: who may sign in, and as what.

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::json;
use tocsin_domain::password::{PASSWORD_CHARS_MIN, check_password};
use tocsin_store::tenant::users::User;
use uuid::Uuid;

use super::access::Visitor;
use super::form::{Choice, Complaints, Form, capitalised, role_choices};
use super::page::{Refused, Shell, answer};
use super::when::Stamp;
use crate::fields::{Fault, Faults, Fields};
use crate::page::{encode, read_cursor};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::users::{carry_out, existing, give_password, make, read_change, read_new, unknown};

const USERS_MAX: u32 = 50;

#[derive(Template)]
#[template(path = "users.html")]
struct ListPage {
    shell: Shell,
    rows: Vec<Row>,
    further: bool,
    next: Option<String>,
}

struct Row {
    id: Uuid,
    login: String,
    name: String,
    roles: String,
    active: bool,
    changed: Stamp,
    changed_by: String,
}

#[derive(Template)]
#[template(path = "user.html")]
struct UserPage {
    shell: Shell,
    /// None: one is to be made.
    id: Option<Uuid>,
    typed: Typed,
    roles: Vec<Choice>,
    faults: Complaints,
    saved: bool,
    chars_min: usize,
}

struct Typed {
    email: String,
    name: String,
    roles: Vec<String>,
    active: bool,
}

impl Typed {
    fn of_form(form: &Form) -> Self {
        Self {
            email: form.text("email"),
            name: form.text("name"),
            roles: form.all("role"),
            active: form.holds("active"),
        }
    }

    fn of_user(user: &User) -> Self {
        let User { login, display_name, roles, active, .. } = user;
        Self { email: login.clone(), name: display_name.clone(), roles: roles.clone(), active: *active }
    }
}

/// `GET /users?cursor=`.
pub(crate) async fn list(
    visitor: Visitor,
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let after = read_query(query.as_deref()).map_err(Refused::faulty)?;
    let mut found = visitor.tenant.users(after.as_deref(), USERS_MAX + 1).await?;
    let more = found.len() > USERS_MAX as usize;
    found.truncate(USERS_MAX as usize);
    let next = found.last().filter(|_| more).map(|last| encode(&last.login));
    let now = api.clock.now();
    let row = |user: User| Row {
        id: user.id,
        roles: user.roles.iter().map(|role| capitalised(role)).collect::<Vec<_>>().join(", "),
        login: user.login,
        name: user.display_name,
        active: user.active,
        changed: visitor.zone.stamp(user.changed_at, now),
        changed_by: user.changed_by,
    };
    let rows = found.into_iter().map(row).collect();
    let shell = Shell::new("Users", &visitor.who, "users");
    Ok(answer(StatusCode::OK, &ListPage { shell, rows, further: after.is_some(), next }))
}

fn read_query(query: Option<&str>) -> Result<Option<String>, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let after = read_cursor(&mut fields, &mut faults, |text| (!text.contains('\0')).then(|| text.to_owned()));
    fields.finish(&mut faults);
    faults.or(Some(after))
}

async fn page(visitor: &Visitor, id: Option<Uuid>, typed: Typed) -> Result<UserPage, Refused> {
    let title = if id.is_some() { typed.name.clone() } else { "New user".to_owned() };
    Ok(UserPage {
        shell: Shell::new(title, &visitor.who, "users"),
        roles: role_choices(&visitor.tenant, &typed.roles).await?,
        id,
        typed,
        faults: Complaints::default(),
        saved: false,
        chars_min: PASSWORD_CHARS_MIN,
    })
}

/// `GET /users/new`.
pub(crate) async fn ask_new(visitor: Visitor) -> Result<Response, Refused> {
    let typed = Typed { email: String::new(), name: String::new(), roles: Vec::new(), active: true };
    Ok(answer(StatusCode::OK, &page(&visitor, None, typed).await?))
}

/// `POST /users/new` with `email`, `name`, `role`s and `password`.
pub(crate) async fn add(visitor: Visitor, State(api): State<Api>, body: Bytes) -> Result<Response, Refused> {
    let form = Form::of(&body);
    let typed = Typed::of_form(&form);
    let request = json!({
        "email": typed.email, "name": typed.name, "roles": typed.roles, "password": form.text("password"),
    });
    let made = match read_new(request).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults)) {
        Ok(wanted) => make(&api, &visitor.tenant, wanted).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(_) => Ok(Redirect::to("/users").into_response()),
        Err(problem) => refused(&visitor, None, typed, problem).await,
    }
}

/// `GET /users/{user}`.
pub(crate) async fn ask(
    visitor: Visitor,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let id = user_id(&id)?;
    let user = existing(&visitor.tenant, id).await?;
    let saved = query.as_deref() == Some("saved");
    let page = UserPage { saved, ..page(&visitor, Some(id), Typed::of_user(&user)).await? };
    Ok(answer(StatusCode::OK, &page))
}

/// `POST /users/{user}` with `email`, `name`, `role`s and `active`.
pub(crate) async fn change(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let id = user_id(&id)?;
    existing(&visitor.tenant, id).await?;
    let typed = Typed::of_form(&Form::of(&body));
    let request =
        json!({ "email": typed.email, "name": typed.name, "roles": typed.roles, "active": typed.active });
    let changed = match read_change(request).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults)) {
        Ok(change) => carry_out(&api, &visitor.tenant, id, &change).await,
        Err(problem) => Err(problem),
    };
    match changed {
        Ok(()) => Ok(Redirect::to(&format!("/users/{id}?saved")).into_response()),
        Err(problem) => refused(&visitor, Some(id), typed, problem).await,
    }
}

/// `POST /users/{user}/password` with `password`: ends all their sessions.
pub(crate) async fn set_password(
    visitor: Visitor,
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let id = user_id(&id)?;
    let user = existing(&visitor.tenant, id).await?;
    let password = Form::of(&body).text("password");
    if let Err(reason) = check_password(&password, &user.login) {
        let faults = Complaints::one("password", &reason);
        let page = UserPage { faults, ..page(&visitor, Some(id), Typed::of_user(&user)).await? };
        return Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    give_password(&api, &visitor.tenant, id, password).await?;
    Ok(Redirect::to(&format!("/users/{id}?saved")).into_response())
}

/// The form again with what was typed, and what is wrong beside its fields.
async fn refused(
    visitor: &Visitor,
    id: Option<Uuid>,
    typed: Typed,
    problem: Problem,
) -> Result<Response, Refused> {
    let status = problem.status();
    let faults = match problem.kind() {
        Kind::LoginTaken => Complaints::one("email", "is another user's of this district: use another"),
        Kind::OwnAccount => Complaints::one("active", problem.detail()),
        _ => Complaints::of(problem)?,
    };
    Ok(answer(status, &UserPage { faults, ..page(visitor, id, typed).await? }))
}

fn user_id(id: &str) -> Result<Uuid, Refused> {
    id.parse().map_err(|_| unknown().into())
}
