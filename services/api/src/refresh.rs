//! `POST /v1/campaigns/{id}/refresh`: its providers are asked what became of its messages (requirement 183).

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::CampaignId;

use crate::auth::Caller;
use crate::campaigns::campaign_id;
use crate::openapi::Operation;
use crate::problem::Problem;

/// What is asked of the providers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Refresh")]
pub(crate) struct RefreshView {
    id: CampaignId,
    /// When its providers were last asked to be asked. Null: never, and the campaign is over.
    refresh_asked_at: Option<DateTime<Utc>>,
}

pub(crate) const REFRESH: Operation =
    Operation::new("refreshCampaign", "Ask the providers what became of a campaign's messages")
        .telling(
            "Of what providers have accepted and not reported on, at most 1,000 devices, those asked about longest \
             ago first. What they say arrives as any report does. Within a minute of the last time nothing new is \
             asked.",
        )
        .answers(&[(202, "The providers are asked."), (200, "It is over: there is nothing to ask.")]);

pub(crate) async fn refresh(
    Caller(tenant): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<RefreshView>), Problem> {
    let id = campaign_id(id)?;
    let refresh = tenant.refresh(id).await?.ok_or_else(Problem::unknown_campaign)?;
    let status = if refresh.over { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(RefreshView { id, refresh_asked_at: refresh.asked_at })))
}
