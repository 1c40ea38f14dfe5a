//! What a district decides of sending: for how long a message can be taken back before anybody gets it.

use std::ops::RangeInclusive;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tocsin_store::Tenant;

use crate::auth::Caller;
use crate::fields::{Fault, Faults, Field};
use crate::json;
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, shape};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;

const UNDO_SECONDS: RangeInclusive<u32> = 0..=3600;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SendingPolicy")]
pub(crate) struct PolicyView {
    undo_seconds: u64,
    /// Null: nobody has decided yet.
    updated_at: Option<DateTime<Utc>>,
    updated_by: Option<String>,
}

pub(crate) const SHOW: Operation =
    Operation::new("showSendingPolicy", "Show for how long messages can be taken back");

/// `GET /v1/sending-policy`.
pub(crate) async fn show(Caller(tenant): Caller) -> Result<Json<PolicyView>, Problem> {
    let policy = tenant.sending_policy().await?;
    Ok(Json(PolicyView {
        undo_seconds: policy.undo.as_secs(),
        updated_at: policy.changed_at,
        updated_by: policy.changed_by,
    }))
}

shape! {
    pub(crate) struct SendingPolicyRequest {
        /// So long a campaign that is no emergency waits, from when it is made.
        #[schemars(range(min = *UNDO_SECONDS.start(), max = *UNDO_SECONDS.end()))]
        undo_seconds: u32,
        updated_by: Option<Text<ACTOR_CHARS_MAX>>,
    }
}

pub(crate) const PUT: Operation =
    Operation::new("putSendingPolicy", "Say for how long messages can be taken back")
        .telling("For campaigns that are made from now on.")
        .takes::<SendingPolicyRequest>();

/// `PUT /v1/sending-policy`: for campaigns that are made from now on.
pub(crate) async fn put(
    caller: Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<PolicyView>, Problem> {
    replace(&api, &caller.0, json::required(&headers, body)?).await?;
    show(caller).await
}

/// The one command behind every place where it is replaced.
pub(crate) async fn replace(api: &Api, tenant: &Tenant, request: Value) -> Result<(), Problem> {
    let (undo_seconds, by) =
        read(request, tenant.acts_as()).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    tenant.put_sending_policy(undo_seconds, &by, api.clock.now()).await?;
    tracing::info!(undo_seconds, "sending policy replaced");
    Ok(())
}

fn read(request: Value, actor: &str) -> Result<(u32, String), Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(request).object(&mut faults).and_then(|mut fields| {
        let remedy = "give the seconds for which a message can be taken back, or 0";
        let undo = fields
            .required("undo_seconds", remedy, &mut faults)
            .and_then(|field| field.integer(UNDO_SECONDS, &mut faults));
        let by = fields.take("updated_by").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
        fields.finish(&mut faults);
        Some((undo?, by.unwrap_or_else(|| actor.to_owned())))
    });
    faults.or(read)
}
