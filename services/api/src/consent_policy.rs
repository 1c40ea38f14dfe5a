//! Whether emergency texts go to those who opted out (decision D11). Off, unless the district decides otherwise.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use tocsin_domain::consent::EmergencyPolicy;

use crate::auth::Caller;
use crate::fields::{Fault, Faults, Field};
use crate::json;
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::{ACTOR_CHARS_MAX, DEFAULT_ACTOR};

#[derive(Debug, Serialize)]
pub(crate) struct PolicyView {
    emergency_overrides_stop: bool,
}

/// `GET /v1/consent-policy`.
pub(crate) async fn show(Caller(tenant): Caller) -> Result<Json<PolicyView>, Problem> {
    Ok(Json(PolicyView::of(tenant.emergency_policy().await?)))
}

/// `PUT /v1/consent-policy`. Who changed it stands in the audit.
pub(crate) async fn change(
    Caller(tenant): Caller,
    State(api): State<Api>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Json<PolicyView>, Problem> {
    let body = json::optional(&headers, body)?.unwrap_or(Value::Null);
    let (policy, by) = read(body).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?;
    tenant.set_emergency_policy(policy, &by, api.clock.now()).await?;
    Ok(Json(PolicyView::of(tenant.emergency_policy().await?)))
}

fn read(body: Value) -> Result<(EmergencyPolicy, String), Vec<Fault>> {
    let mut faults = Faults::default();
    let read = Field::root(body).object(&mut faults).and_then(|mut fields| {
        let overrides = fields
            .required("emergency_overrides_stop", "say true or false", &mut faults)
            .and_then(|field| field.boolean(&mut faults));
        let by = fields.take("by").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
        fields.finish(&mut faults);
        let policy = if overrides? { EmergencyPolicy::OverrideStop } else { EmergencyPolicy::HonourStop };
        Some((policy, by.unwrap_or_else(|| DEFAULT_ACTOR.to_owned())))
    });
    faults.or(read)
}

impl PolicyView {
    fn of(policy: EmergencyPolicy) -> Self {
        Self { emergency_overrides_stop: policy == EmergencyPolicy::OverrideStop }
    }
}
