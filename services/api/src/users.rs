//! A district's users, over REST.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tocsin_domain::address::Email;
use tocsin_domain::password::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, check_password};
use tocsin_store::Tenant;
use tocsin_store::tenant::users::{NewUser, Saved, User, UserChange};
use uuid::Uuid;

use crate::auth::Caller;
use crate::credentials::normalised;
use crate::fields::{Fault, Faults, Field, Fields};
use crate::openapi::shapes::{EmailText, Text, shape, shapes};
use crate::openapi::{Operation, Placed};
use crate::page::{PageQuery, encode, read_cursor, read_limit};
use crate::problem::{Kind, Problem};
use crate::roles::{RoleNames, check_roles, read_roles};
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;
use crate::{json, password};

pub(crate) const NAME_CHARS_MAX: usize = ACTOR_CHARS_MAX;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UserPage")]
pub(crate) struct ListView {
    users: Vec<UserView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub(crate) struct UserView {
    id: Uuid,
    email: String,
    name: String,
    roles: Vec<String>,
    active: bool,
    created_at: DateTime<Utc>,
    created_by: String,
    changed_at: DateTime<Utc>,
    changed_by: String,
    password_changed_at: DateTime<Utc>,
}

shape! {
    pub(crate) struct UserRequest {
        /// To sign in with, in any case; once in a district.
        email: EmailText,
        /// As others see it.
        name: Text<NAME_CHARS_MAX>,
        password: Password,
        /// None unless said.
        roles: Option<RoleNames>,
    }
}

shape! {
    /// What is to be another of a user. What is left out stays; roles are replaced whole.
    pub(crate) struct UserPatch {
        email: Option<EmailText>,
        name: Option<Text<NAME_CHARS_MAX>>,
        roles: Option<RoleNames>,
        active: Option<bool>,
    }
}

shape! {
    pub(crate) struct PasswordRequest {
        password: Password,
    }
}

shapes! {
    /// None that is guessed first.
    Password = json!({ "type": "string", "format": "password", "minLength": PASSWORD_CHARS_MIN, "maxLength": PASSWORD_BYTES_MAX });
}

pub(crate) const LIST: Operation =
    Operation::new("listUsers", "List users by email address").asks::<PageQuery>();

/// `GET /v1/users?limit=&cursor=`.
pub(crate) async fn list(
    Caller(tenant): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let (after, limit) =
        read_query(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    // One more than is shown tells whether another page follows.
    let mut found = tenant.users(after.as_deref(), limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| encode(&last.login));
    Ok(Json(ListView { users: found.into_iter().map(UserView::of).collect(), next_cursor }))
}

pub(crate) const SHOW: Operation = Operation::new("showUser", "Show a user").refuses(&[Kind::UnknownUser]);

/// `GET /v1/users/{user}`.
pub(crate) async fn show(
    Caller(tenant): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<UserView>, Problem> {
    Ok(Json(UserView::of(existing(&tenant, user_id(id)?).await?)))
}

pub(crate) const ADD: Operation = Operation::new("addUser", "Add a user, who signs in to the console")
    .takes::<UserRequest>()
    .example(r#"{"email": "ana.garcia@north.example", "name": "Ana García", "password": "four random words here", "roles": ["secretary"]}"#)
    .answers(&[(201, "")])
    .refuses(&[Kind::LoginTaken]);

/// `POST /v1/users`.
pub(crate) async fn add(
    Caller(tenant): Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Placed<UserView>, Problem> {
    let request = json::required(&headers, body)?;
    let wanted = read_new(request).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    let id = make(&api, &tenant, wanted).await?;
    let view = UserView::of(existing(&tenant, id).await?);
    Ok(Placed { status: StatusCode::CREATED, location: format!("/v1/users/{id}"), view })
}

pub(crate) const CHANGE: Operation = Operation::new("changeUser", "Change a user")
    .telling("A user who is deactivated has no session any more, and begins none.")
    .takes::<UserPatch>()
    .refuses(&[Kind::UnknownUser, Kind::LoginTaken, Kind::OwnAccount]);

/// `PATCH /v1/users/{user}`: what is left out stays.
pub(crate) async fn change(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<UserView>, Problem> {
    let id = user_id(id)?;
    existing(&tenant, id).await?;
    let request = json::required(&headers, body)?;
    let change = read_change(request).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    carry_out(&api, &tenant, id, &change).await?;
    Ok(Json(UserView::of(existing(&tenant, id).await?)))
}

pub(crate) const SET_PASSWORD: Operation = Operation::new("setPassword", "Give a user a new password")
    .telling("All the user's sessions end.")
    .takes::<PasswordRequest>()
    .answers(&[(204, "")])
    .refuses(&[Kind::UnknownUser]);

/// `PUT /v1/users/{user}/password`: ends all the user's sessions.
pub(crate) async fn set_password(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<StatusCode, Problem> {
    let id = user_id(id)?;
    let user = existing(&tenant, id).await?;
    let request = json::required(&headers, body)?;
    let mut faults = Faults::default();
    let read = Field::root(request).object(&mut faults).and_then(|mut fields| {
        let password = read_password(&mut fields, &user.login, &mut faults);
        fields.finish(&mut faults);
        password
    });
    let password = faults.or(read).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    give_password(&api, &tenant, id, password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A user as somebody wants them, checked but for their roles.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub login: String,
    pub name: String,
    pub password: String,
    pub roles: Vec<String>,
}

/// The one command behind every place where users are made.
pub(crate) async fn make(api: &Api, tenant: &Tenant, wanted: Wanted) -> Result<Uuid, Problem> {
    check_roles(tenant, &wanted.roles).await?;
    let new = NewUser {
        id: Uuid::new_v4(),
        login: wanted.login,
        display_name: wanted.name,
        password_hash: password::hash(wanted.password).await?,
        roles: wanted.roles,
    };
    saved(tenant.add_user(&new, api.clock.now()).await?)?;
    tracing::info!(user.id = %new.id, "user added");
    Ok(new.id)
}

/// The one command behind every place where users are changed.
pub(crate) async fn carry_out(
    api: &Api,
    tenant: &Tenant,
    id: Uuid,
    change: &UserChange,
) -> Result<(), Problem> {
    let user = existing(tenant, id).await?;
    if let Some(roles) = &change.roles {
        check_roles(tenant, roles).await?;
    }
    let is_self = tenant.actor().is_some_and(|actor| actor.id == Some(id));
    let roles_change = change.roles.as_ref().is_some_and(|roles| *roles != user.roles);
    if is_self && (change.active == Some(false) || roles_change) {
        let remedy =
            "another administrator can change your roles or deactivate you: so somebody is left who can";
        return Err(Problem::new(Kind::OwnAccount, remedy));
    }
    saved(tenant.change_user(id, change, api.clock.now()).await?)?;
    tracing::info!(user.id = %id, "user changed");
    Ok(())
}

pub(crate) async fn give_password(
    api: &Api,
    tenant: &Tenant,
    id: Uuid,
    password: String,
) -> Result<String, Problem> {
    let hash = password::hash(password).await?;
    if !tenant.set_password(id, &hash, api.clock.now()).await? {
        return Err(unknown());
    }
    tracing::info!(user.id = %id, "password changed: all sessions of the user ended");
    Ok(hash)
}

pub(crate) async fn existing(tenant: &Tenant, id: Uuid) -> Result<User, Problem> {
    tenant.user(id).await?.ok_or_else(unknown)
}

fn saved(answer: Saved) -> Result<(), Problem> {
    match answer {
        Saved::Done => Ok(()),
        Saved::Unknown => Err(unknown()),
        Saved::LoginTaken => {
            let remedy = "another user of this district signs in with that email address: use another, or change \
                          that user";
            Err(Problem::new(Kind::LoginTaken, remedy))
        }
    }
}

pub(crate) fn unknown() -> Problem {
    Problem::new(Kind::UnknownUser, "this district has no user of that id")
}

/// What is no id at all is the id of no user.
fn user_id(path: Result<Path<String>, PathRejection>) -> Result<Uuid, Problem> {
    path.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(unknown)
}

pub(crate) fn read_new(request: Value) -> Result<Wanted, Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(request).object(&mut faults).and_then(|mut fields| {
        let login = fields
            .required("email", "give the address that the user signs in with", &mut faults)
            .and_then(|field| field.parsed(&mut faults, read_login));
        let name = fields
            .required("name", "give the name that others see", &mut faults)
            .and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
        let password = read_password(&mut fields, login.as_deref().unwrap_or_default(), &mut faults);
        let roles = match fields.take("roles") {
            Some(field) => read_roles(field, &mut faults),
            None => Some(Vec::new()),
        };
        fields.finish(&mut faults);
        Some(Wanted { login: login?, name: name?, password: password?, roles: roles? })
    });
    faults.or(read)
}

pub(crate) fn read_change(request: Value) -> Result<UserChange, Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(request).object(&mut faults).map(|mut fields| {
        let login = fields.take("email").and_then(|field| field.parsed(&mut faults, read_login));
        let display_name = fields.take("name").and_then(|field| field.text(NAME_CHARS_MAX, &mut faults));
        let roles = fields.take("roles").and_then(|field| read_roles(field, &mut faults));
        let active = fields.take("active").and_then(|field| field.boolean(&mut faults));
        fields.finish(&mut faults);
        UserChange { login, display_name, roles, active }
    });
    faults.or(read)
}

fn read_login(text: &str) -> Result<String, String> {
    Email::parse(text)
        .map(|email| normalised(email.as_str()))
        .map_err(|fault| format!("is no email address: {fault}"))
}

fn read_password(fields: &mut Fields, login: &str, faults: &mut Faults) -> Option<String> {
    fields
        .required("password", "give one of 12 characters or more", faults)
        .and_then(|field| field.parsed(faults, |text| check_password(text, login).map(|()| text.to_owned())))
}

fn read_query(query: Option<&str>) -> Result<(Option<String>, u32), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let limit = read_limit(&mut fields, &mut faults);
    let after = read_cursor(&mut fields, &mut faults, |text| (!text.contains('\0')).then(|| text.to_owned()));
    fields.finish(&mut faults);
    faults.or(limit.map(|limit| (after, limit)))
}

impl UserView {
    fn of(user: User) -> Self {
        Self {
            id: user.id,
            email: user.login,
            name: user.display_name,
            roles: user.roles,
            active: user.active,
            created_at: user.created_at,
            created_by: user.created_by,
            changed_at: user.changed_at,
            changed_by: user.changed_by,
            password_changed_at: user.password_changed_at,
        }
    }
}
