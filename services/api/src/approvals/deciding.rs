//! The decision of a second person, for every place where it is made.

use chrono::{DateTime, Utc};
use serde_json::Value;
use tocsin_domain::CampaignId;
use tocsin_domain::second_person::{ApprovalState, NotAnother, may_approve};
use tocsin_store::Tenant;
use tocsin_store::tenant::approvals::{Approval, Approve, Approved};
use uuid::Uuid;

use super::existing;
use crate::campaigns::{announce_made, submission_of};
use crate::cancel::Order;
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::Submission;
use crate::{correction, needs, traced};

/// Makes the campaign, under the key that it was asked with, and returns it: once, however many approve at once.
pub(crate) async fn approve(api: &Api, tenant: &Tenant, id: Uuid, by: &str) -> Result<CampaignId, Problem> {
    let now = api.clock.now();
    let asked = existing(tenant, id).await?;
    another(tenant, &asked)?;
    if let Some(campaign) = asked.campaign {
        return Ok(campaign);
    }
    let state = asked.state(now);
    if state != ApprovalState::Waiting {
        return Err(not_waiting(state));
    }
    let submission = as_of_now(tenant, asked.request, now).await?;
    needs::may_send(tenant, submission.message_type().as_str())?;
    let new = submission.into_campaign(asked.client_key, asked.request_hash, now);
    match traced::making(tenant).approve(Approve { id, by, at: now }, &new).await? {
        Approved::Made(campaign) => {
            tracing::info!(approval.id = %id, campaign.id = %campaign, "a second person approved");
            announce_made(api, &new, now);
            Ok(campaign)
        }
        // Somebody was faster.
        Approved::Not => {
            let asked = existing(tenant, id).await?;
            asked.campaign.ok_or_else(|| not_waiting(asked.state(now)))
        }
    }
}

/// Declines it, or takes back what one asked for oneself. Declined once more it stays as it is.
pub(crate) async fn decline(api: &Api, tenant: &Tenant, id: Uuid, order: &Order) -> Result<(), Problem> {
    let now = api.clock.now();
    existing(tenant, id).await?;
    let decline = Approve { id, by: &order.by, at: now };
    if tenant.decline(decline, order.reason.as_deref()).await? {
        tracing::info!(approval.id = %id, "declined");
        return Ok(());
    }
    match existing(tenant, id).await?.state(now) {
        ApprovalState::Declined => Ok(()),
        state @ (ApprovalState::Waiting | ApprovalState::Approved | ApprovalState::Expired) => {
            Err(not_waiting(state))
        }
    }
}

/// What was asked for, checked against what is true now: it may have been for a time that has passed. Whoever approves
/// sees it, whoever's the message is that it corrects.
pub(crate) async fn as_of_now(
    tenant: &Tenant,
    request: Value,
    now: DateTime<Utc>,
) -> Result<Submission, Problem> {
    let corrected = correction::corrected_by_another(tenant, &request).await?;
    submission_of(tenant, request, corrected, now).await
}

fn another(tenant: &Tenant, asked: &Approval) -> Result<(), Problem> {
    let refused = match tenant.actor().map(|actor| may_approve(asked.asker, actor)) {
        Some(Ok(())) => return Ok(()),
        Some(Err(NotAnother::Asker)) => {
            "you asked for this yourself: another person who has the right send.emergency must approve it"
        }
        Some(Err(NotAnother::Nobody)) | None => {
            "nobody has signed in here, so that nobody knows who says yes: sign in, or use an API key of another person"
        }
    };
    Err(Problem::new(Kind::OwnApproval, refused))
}

fn not_waiting(state: ApprovalState) -> Problem {
    let detail = match state {
        ApprovalState::Waiting => "it was decided this very moment: look at it again",
        ApprovalState::Approved => "it was approved: cancel its campaign",
        ApprovalState::Declined => "it was declined: submit it anew, with a new key",
        ApprovalState::Expired => "nobody decided in time: submit it anew, with a new key",
    };
    Problem::new(Kind::NotWaiting, detail)
}
