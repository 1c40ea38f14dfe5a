//! `/roles`: what may be done, under names.

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::json;
use tocsin_domain::rights::{BuiltIn, EMERGENCY, MessageTypes, Right, Role};

use super::access::Visitor;
use super::form::{Choice, Complaints, Form, capitalised};
use super::page::{Refused, Shell, answer};
use super::words;
use crate::MessageType;
use crate::problem::{Kind, Problem};
use crate::roles::{keep, read, take_off, unknown};
use crate::server::Api;

#[derive(Template)]
#[template(path = "roles.html")]
struct ListPage {
    shell: Shell,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    title: String,
    purpose: &'static str,
    rights: String,
    types: String,
    built_in: bool,
}

impl Row {
    fn of(role: &Role, built_in: Option<BuiltIn>) -> Self {
        let all = role.rights.len() == Right::ALL.len();
        let rights: Vec<_> = role.rights.iter().map(|right| right.title()).collect();
        let types = match &role.types {
            _ if !role.rights.contains(&Right::Send) => String::new(),
            MessageTypes::All => "All".to_owned(),
            MessageTypes::Only(types) => {
                types.iter().map(|name| words::message_type(name)).collect::<Vec<_>>().join(", ")
            }
        };
        Self {
            name: role.name.clone(),
            title: capitalised(&role.name),
            purpose: built_in.map_or("", BuiltIn::purpose),
            rights: if all { "Everything".to_owned() } else { rights.join(", ") },
            types,
            built_in: built_in.is_some(),
        }
    }
}

#[derive(Template)]
#[template(path = "role.html")]
struct RolePage {
    shell: Shell,
    /// None: one is to be made.
    name: Option<String>,
    typed: Typed,
    rights: Vec<Choice>,
    types: Vec<Choice>,
    faults: Complaints,
}

struct Typed {
    name: String,
    rights: Vec<String>,
    all_types: bool,
    types: Vec<String>,
}

impl Typed {
    fn of_form(form: &Form) -> Self {
        Self {
            name: form.text("name").trim().to_owned(),
            rights: form.all("right"),
            all_types: form.text("types") != "some",
            types: form.all("type"),
        }
    }

    fn of_role(role: &Role) -> Self {
        let (all_types, types) = match &role.types {
            MessageTypes::All => (true, Vec::new()),
            MessageTypes::Only(types) => (false, types.iter().cloned().collect()),
        };
        let rights = role.rights.iter().map(|right| right.as_str().to_owned()).collect();
        Self { name: role.name.clone(), rights, all_types, types }
    }

    /// As `PUT /v1/roles/{role}` takes it.
    fn role(&self, name: &str) -> Result<Role, Problem> {
        let types = (!self.all_types).then_some(&self.types);
        read(name, json!({ "rights": self.rights, "message_types": types }))
            .map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))
    }
}

/// `GET /roles`.
pub(crate) async fn list(visitor: Visitor) -> Result<Response, Refused> {
    let built_in = BuiltIn::ALL.map(|role| Row::of(&role.role(), Some(role)));
    let own = visitor.tenant.roles().await?;
    let rows = built_in.into_iter().chain(own.iter().map(|kept| Row::of(&kept.role, None))).collect();
    Ok(answer(StatusCode::OK, &ListPage { shell: Shell::new("Roles", &visitor.who, "roles"), rows }))
}

fn page(visitor: &Visitor, name: Option<String>, typed: Typed) -> RolePage {
    let title = name.as_deref().map_or_else(|| "New role".to_owned(), capitalised);
    let right = |right: &Right| Choice {
        value: right.as_str().to_owned(),
        name: right.title().to_owned(),
        hint: "",
        ticked: typed.rights.iter().any(|name| name == right.as_str()),
    };
    let message_type = |name: &'static str| Choice {
        value: name.to_owned(),
        name: words::message_type(name),
        hint: "",
        ticked: typed.types.iter().any(|typed| typed == name),
    };
    let types = MessageType::ALL.into_iter().map(MessageType::as_str).filter(|name| *name != EMERGENCY);
    RolePage {
        shell: Shell::new(title, &visitor.who, "roles"),
        rights: Right::ALL.iter().map(right).collect(),
        types: types.map(message_type).collect(),
        name,
        typed,
        faults: Complaints::default(),
    }
}

/// `GET /roles/new`.
pub(crate) async fn ask_new(visitor: Visitor) -> Response {
    let typed = Typed { name: String::new(), rights: Vec::new(), all_types: true, types: Vec::new() };
    answer(StatusCode::OK, &page(&visitor, None, typed))
}

/// `POST /roles/new` with `name`, `right`s, `types` (all or some) and `type`s.
pub(crate) async fn add(visitor: Visitor, State(api): State<Api>, body: Bytes) -> Result<Response, Refused> {
    let typed = Typed::of_form(&Form::of(&body));
    let taken = visitor.tenant.roles().await?.iter().any(|kept| kept.role.name == typed.name);
    if taken {
        let faults =
            Complaints::one("role", "is the name of a role that there is: use another, or change that one");
        return Ok(answer(StatusCode::CONFLICT, &RolePage { faults, ..page(&visitor, None, typed) }));
    }
    let name = typed.name.clone();
    store(&visitor, &api, None, name, typed).await
}

/// `GET /roles/{role}`.
pub(crate) async fn ask(visitor: Visitor, Path(name): Path<String>) -> Result<Response, Refused> {
    let role = own(&visitor, &name).await?;
    Ok(answer(StatusCode::OK, &page(&visitor, Some(name), Typed::of_role(&role))))
}

/// `POST /roles/{role}`, as `/roles/new` without `name`.
pub(crate) async fn change(
    visitor: Visitor,
    State(api): State<Api>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    own(&visitor, &name).await?;
    let typed = Typed::of_form(&Form::of(&body));
    store(&visitor, &api, Some(name.clone()), name, typed).await
}

/// `POST /roles/{role}/remove`.
pub(crate) async fn remove(
    visitor: Visitor,
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    match take_off(&api, &visitor.tenant, &name).await {
        Ok(()) => Ok(Redirect::to("/roles").into_response()),
        Err(problem) if problem.kind() == Kind::RoleInUse => {
            let typed = Typed::of_role(&own(&visitor, &name).await?);
            let faults = Complaints::one("remove", problem.detail());
            let page = RolePage { faults, ..page(&visitor, Some(name), typed) };
            Ok(answer(StatusCode::CONFLICT, &page))
        }
        Err(problem) => Err(problem.into()),
    }
}

async fn store(
    visitor: &Visitor,
    api: &Api,
    known: Option<String>,
    name: String,
    typed: Typed,
) -> Result<Response, Refused> {
    let kept = match typed.role(&name) {
        Ok(role) => keep(api, &visitor.tenant, &role).await,
        Err(problem) => Err(problem),
    };
    match kept {
        Ok(()) => Ok(Redirect::to("/roles").into_response()),
        Err(problem) => {
            let status = problem.status();
            let faults = Complaints::of(problem)?;
            Ok(answer(status, &RolePage { faults, ..page(visitor, known, typed) }))
        }
    }
}

async fn own(visitor: &Visitor, name: &str) -> Result<Role, Refused> {
    let found = visitor.tenant.roles().await?.into_iter().find(|kept| kept.role.name == name);
    Ok(found.ok_or_else(unknown)?.role)
}
