//! Roles over REST: those that every district has, and its own.

use std::collections::{BTreeSet, HashSet};

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tocsin_domain::rights::{BuiltIn, EMERGENCY, MessageTypes, Right, Role, check_role_name};
use tocsin_store::Tenant;
use tocsin_store::tenant::roles::{KeptRole, ROLES_MAX, Removal};

use crate::auth::Caller;
use crate::fields::{Fault, Faults, Field, all_of, quoted};
use crate::openapi::Operation;
use crate::openapi::shapes::{MessageTypeName, RightName, shape, shapes};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::{MessageType, json};

/// Of one user or key.
const ROLES_OF_ONE_MAX: usize = 20;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AccessRoles")]
pub(crate) struct ListView {
    /// Those of every district first, then its own by name.
    roles: Vec<RoleView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AccessRole")]
pub(crate) struct RoleView {
    name: String,
    built_in: bool,
    #[schemars(with = "Vec<RightName>")]
    rights: Vec<&'static str>,
    /// Null: messages of all types may be sent, where `send` is among the rights.
    #[schemars(with = "Option<Vec<MessageTypeName>>")]
    message_types: Option<Vec<String>>,
    /// Null of those that every district has.
    changed_at: Option<DateTime<Utc>>,
    changed_by: Option<String>,
}

shape! {
    /// A role, whole.
    pub(crate) struct RoleRequest {
        rights: Vec<RightName>,
        /// Types that may be sent where `send` is among the rights; all unless said, never `emergency`.
        message_types: Option<Vec<MessageTypeName>>,
    }
}

shapes! {
    /// Names of roles that the district has, each once.
    RoleNames = json!({
        "type": "array",
        "items": { "type": "string", "minLength": 1 },
        "uniqueItems": true,
        "maxItems": ROLES_OF_ONE_MAX,
    });
}

pub(crate) const LIST: Operation =
    Operation::new("listRoles", "List roles: those of every district, and the district's own");

/// `GET /v1/roles`.
pub(crate) async fn list(Caller(tenant): Caller) -> Result<Json<ListView>, Problem> {
    let built_in = BuiltIn::ALL.into_iter().map(|role| RoleView::of(role.role(), None));
    let own =
        tenant.roles().await?.into_iter().map(|KeptRole { role, changed_at, changed_by }| {
            RoleView::of(role, Some((changed_at, changed_by)))
        });
    Ok(Json(ListView { roles: built_in.chain(own).collect() }))
}

pub(crate) const PUT: Operation = Operation::new("putRole", "Make a role, or replace it whole")
    .telling("It changes at once for all who have it.")
    .takes::<RoleRequest>()
    .refuses(&[Kind::UnknownRole]);

/// `PUT /v1/roles/{role}`: makes it, or replaces it whole for all who have it.
pub(crate) async fn put(
    Caller(tenant): Caller,
    State(api): State<Api>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<RoleView>, Problem> {
    let Path(name) = name.map_err(|_| unknown())?;
    let request = json::required(&headers, body)?;
    let role = read(&name, request).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    keep(&api, &tenant, &role).await?;
    Ok(Json(RoleView::of(role, Some((api.clock.now(), tenant.acts_as().to_owned())))))
}

pub(crate) const REMOVE: Operation = Operation::new("removeRole", "Remove a role that nobody has")
    .answers(&[(204, "")])
    .refuses(&[Kind::UnknownRole, Kind::RoleInUse]);

/// `DELETE /v1/roles/{role}`.
pub(crate) async fn remove(
    Caller(tenant): Caller,
    State(api): State<Api>,
    name: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(name) = name.map_err(|_| unknown())?;
    take_off(&api, &tenant, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The one command behind every place where roles are made and changed.
pub(crate) async fn keep(api: &Api, tenant: &Tenant, role: &Role) -> Result<(), Problem> {
    if !tenant.put_role(role, api.clock.now()).await? {
        let reason = format!("is one too many: a district has {ROLES_MAX} roles of its own at most");
        let fault = Fault { field: "role".to_owned(), reason };
        return Err(Problem::faulty(Kind::InvalidBody, vec![fault]));
    }
    tracing::info!(role = role.name, "role kept");
    Ok(())
}

pub(crate) async fn take_off(api: &Api, tenant: &Tenant, name: &str) -> Result<(), Problem> {
    if name.contains('\0') {
        return Err(unknown());
    }
    match tenant.remove_role(name, api.clock.now()).await? {
        Removal::Done => Ok(()),
        Removal::Unknown => Err(unknown()),
        Removal::InUse => {
            let remedy = "a user or an API key has this role: give them others first";
            Err(Problem::new(Kind::RoleInUse, remedy))
        }
    }
}

pub(crate) fn unknown() -> Problem {
    Problem::new(Kind::UnknownRole, "this district has no role of its own of that name")
}

/// Does the district have all of these? Else each that it has not is a fault.
pub(crate) async fn check_roles(tenant: &Tenant, names: &[String]) -> Result<(), Problem> {
    if names.iter().all(|name| BuiltIn::named(name).is_some()) {
        return Ok(());
    }
    let own = tenant.roles().await?;
    let known =
        |name: &String| BuiltIn::named(name).is_some() || own.iter().any(|kept| kept.role.name == **name);
    let all: Vec<&str> = BuiltIn::ALL
        .iter()
        .map(|role| role.as_str())
        .chain(own.iter().map(|kept| kept.role.name.as_str()))
        .collect();
    let faults: Vec<Fault> = names
        .iter()
        .enumerate()
        .filter(|(_, name)| !known(name))
        .map(|(at, name)| Fault {
            field: format!("roles[{at}]"),
            reason: format!("{} is unknown: use {}", quoted(name), all.join(", ")),
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Problem::faulty(Kind::InvalidBody, faults)) }
}

/// Names of roles, each once.
pub(crate) fn read_roles(field: Field, faults: &mut Faults) -> Option<Vec<String>> {
    let path = field.path.clone();
    let entries = field.list(faults)?;
    if entries.len() > ROLES_OF_ONE_MAX {
        faults.add(path, format!("has {} roles: at most {ROLES_OF_ONE_MAX} are taken", entries.len()));
        return None;
    }
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.path.clone();
        let Some(name) = entry.string(faults) else { continue };
        if seen.insert(name.clone()) {
            names.push(name);
        } else {
            faults.add(path, format!("repeats {}: name each once", quoted(&name)));
        }
    }
    Some(names)
}

pub(crate) fn read(name: &str, request: Value) -> Result<Role, Vec<Fault>> {
    let mut faults = Faults::default();
    if let Err(reason) = check_role_name(name) {
        faults.add("role", reason);
    }
    let read = Field::root(request).object(&mut faults).and_then(|mut fields| {
        let rights = fields
            .required("rights", "list what the role may do, or nothing", &mut faults)
            .and_then(|field| field.list(&mut faults))
            .and_then(|entries| {
                all_of(entries, |entry| entry.one_of(Right::ALL, Right::as_str, &mut faults))
            });
        let types = match fields.take("message_types") {
            None => Some(MessageTypes::All),
            Some(field) => read_types(field, &mut faults),
        };
        fields.finish(&mut faults);
        let rights: BTreeSet<Right> = rights?.into_iter().collect();
        Some(Role { name: name.to_owned(), rights, types: types? })
    });
    faults.or(read)
}

fn read_types(field: Field, faults: &mut Faults) -> Option<MessageTypes> {
    let entries = field.list(faults)?;
    let read = |entry: Field| {
        let path = entry.path.clone();
        let read = entry.one_of(&MessageType::ALL, MessageType::as_str, faults)?;
        if read.as_str() == EMERGENCY {
            faults.add(path, "is no type that this decides: emergencies have the right send.emergency");
        }
        Some(read.as_str().to_owned())
    };
    all_of(entries, read).map(|types| MessageTypes::Only(types.into_iter().collect()))
}

impl RoleView {
    fn of(role: Role, changed: Option<(DateTime<Utc>, String)>) -> Self {
        let (changed_at, changed_by) = changed.unzip();
        Self {
            built_in: BuiltIn::named(&role.name).is_some(),
            rights: role.rights.iter().map(|right| right.as_str()).collect(),
            message_types: match role.types {
                MessageTypes::All => None,
                MessageTypes::Only(types) => Some(types.into_iter().collect()),
            },
            name: role.name,
            changed_at,
            changed_by,
        }
    }
}
