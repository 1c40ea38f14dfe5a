//! Who the caller is, and what they may do.

use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::rights::{ActorKind, Right};
use uuid::Uuid;

use crate::MessageType;
use crate::auth::Caller;
use crate::needs::unnamed;
use crate::openapi::Operation;
use crate::openapi::shapes::{MessageTypeName, RightName, shapes, words};
use crate::problem::Problem;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Me")]
pub(crate) struct MeView {
    #[schemars(with = "KindName")]
    kind: &'static str,
    id: Option<Uuid>,
    name: String,
    district: DistrictView,
    #[schemars(with = "Vec<RightName>")]
    rights: Vec<&'static str>,
    /// Of which types messages may be sent.
    #[schemars(with = "Vec<MessageTypeName>")]
    sends: Vec<&'static str>,
    /// By which types messages may be looked for (requirements 39 and 186).
    #[schemars(with = "Vec<MessageTypeName>")]
    filters: Vec<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "District")]
struct DistrictView {
    id: Uuid,
    name: String,
    time_zone: Option<String>,
}

shapes! {
    KindName = words(["user", "api_key", "nobody"]);
}

pub(crate) const SHOW: Operation = Operation::new("showMe", "Show who asks, and what they may do");

/// `GET /v1/me`.
pub(crate) async fn show(Caller(tenant): Caller) -> Result<Json<MeView>, Problem> {
    let actor = tenant.actor().ok_or_else(unnamed)?;
    let district = tenant.own_district().await?.ok_or_else(unnamed)?;
    let types = |may: &dyn Fn(&str) -> bool| {
        MessageType::ALL.into_iter().map(MessageType::as_str).filter(|name| may(name)).collect()
    };
    Ok(Json(MeView {
        kind: match actor.kind {
            ActorKind::User => "user",
            ActorKind::Key => "api_key",
            ActorKind::Nobody => "nobody",
        },
        id: actor.id,
        name: actor.name.clone(),
        district: DistrictView { id: district.id.0, name: district.name, time_zone: district.time_zone },
        rights: actor.grant.rights().map(Right::as_str).collect(),
        sends: types(&|name| actor.grant.may_send(name).is_ok()),
        filters: types(&|name| actor.grant.may_filter_by(name)),
    }))
}
