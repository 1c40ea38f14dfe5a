//! What callers see of what waits for a second person.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tocsin_domain::CampaignId;
use tocsin_domain::second_person::ApprovalState;
use tocsin_store::tenant::approvals::Approval;
use uuid::Uuid;

use crate::openapi::shapes::{shapes, words};

shapes! {
    ApprovalStateName = words(ApprovalState::ALL.map(ApprovalState::as_str));
}

/// An emergency to the whole district that was submitted, and what became of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Approval")]
pub(crate) struct ApprovalView {
    pub id: Uuid,
    #[schemars(with = "ApprovalStateName")]
    pub state: &'static str,
    pub subject: String,
    /// The body of `POST /v1/campaigns`, with who made it.
    #[schemars(with = "Map<String, Value>")]
    pub request: Value,
    pub asked_by: String,
    /// The user or API key that asked, who cannot approve; null: nobody signed in.
    pub asker_id: Option<Uuid>,
    pub asked_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub decided_by: Option<String>,
    pub decided_at: Option<DateTime<Utc>>,
    /// Of a decline.
    pub reason: Option<String>,
    /// What it became; null until it is approved.
    pub campaign: Option<CampaignId>,
}

impl ApprovalView {
    pub fn of(found: Approval, now: DateTime<Utc>) -> Self {
        Self {
            id: found.id,
            state: found.state(now).as_str(),
            subject: found.subject,
            request: found.request,
            asked_by: found.asked_by,
            asker_id: found.asker,
            asked_at: found.asked_at,
            expires_at: found.expires_at,
            decided_by: found.decided_by,
            decided_at: found.decided_at,
            reason: found.reason,
            campaign: found.campaign,
        }
    }
}
