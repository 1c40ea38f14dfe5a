//! Corrections: campaigns for those whom a canceled one contacted, or may have (design, section 5).

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};
use tocsin_domain::content::SUBJECT_CHARS_MAX;
use tocsin_domain::{CampaignId, CampaignState};
use tocsin_store::Tenant;
use tocsin_store::tenant::campaigns::CampaignSummary;

use crate::auth::Caller;
use crate::campaigns::{Answered, MADE_OR_ASKED, answered, campaign_id, client_key, existing, submit};
use crate::fields::Fault;
use crate::openapi::Operation;
use crate::openapi::shapes::{Varied, shape, varied};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::CampaignRequest;
use crate::{json, needs};

const AUDIENCE: &str = "audience";

varied!(CorrectionRequest, |generator| {
    Varied::of::<CampaignRequest>(generator)
        .without(&["audience"])
        .optional(&["subject", "channels"])
        .with::<Correction>(generator)
});

shape! {
    /// A campaign to those whom a canceled one reached, or may have. Subject, message type, channels and mode are that one's
    /// where they are left out.
    struct Correction {}
}

pub(crate) const CREATE: Operation = Operation::new("createCorrection", "Correct a canceled campaign")
    .telling(
        "It goes to those contacted, in flight or unknown, over channels that the canceled campaign used.",
    )
    .takes::<CorrectionRequest>()
    .keyed()
    .answers(MADE_OR_ASKED)
    .refuses(&[Kind::NotCanceled, Kind::NobodyContacted]);

/// `POST /v1/campaigns/{id}/correction`: as `POST /v1/campaigns`, for those whom the canceled campaign contacted, or
/// may have. Subject, message type, channels and mode are those of that campaign where the body leaves them out.
pub(crate) async fn create(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<Answered, Problem> {
    let id = campaign_id(id)?;
    existing(&tenant, id).await?;
    let key = client_key(&headers)?;
    let request = addressed(id, json::required(&headers, body)?)?;
    answered(&api, &tenant, submit(&api, &tenant, key, request).await?).await
}

/// The request for a campaign to the people of `id`'s receipt.
pub(crate) fn addressed(id: CampaignId, mut request: Value) -> Result<Value, Problem> {
    if let Value::Object(members) = &mut request {
        let audience = json!({ "receipt": { "campaign": id } });
        if members.insert(AUDIENCE.to_owned(), audience).is_some_and(|given| !given.is_null()) {
            let reason = "is that of the receipt: leave it out".to_owned();
            let fault = Fault { field: AUDIENCE.to_owned(), reason };
            return Err(Problem::faulty(Kind::InvalidBody, vec![fault]));
        }
    }
    Ok(request)
}

/// The canceled campaign that `request` corrects, if it names one; else why it cannot be corrected. What is no
/// campaign's id is a fault of the request, which is told with all others.
pub(crate) async fn corrected(tenant: &Tenant, request: &Value) -> Result<Option<CampaignSummary>, Problem> {
    let Some(id) = named(request) else { return Ok(None) };
    if !needs::sees(tenant, id).await? {
        return Err(Problem::unknown_campaign());
    }
    correctable(tenant, existing(tenant, id).await?).await.map(Some)
}

/// The same for a second person, who sees what they approve, whoever's the canceled campaign is.
pub(crate) async fn corrected_by_another(
    tenant: &Tenant,
    request: &Value,
) -> Result<Option<CampaignSummary>, Problem> {
    let Some(id) = named(request) else { return Ok(None) };
    correctable(tenant, existing(tenant, id).await?).await.map(Some)
}

fn named(request: &Value) -> Option<CampaignId> {
    request.pointer("/audience/receipt/campaign").and_then(Value::as_str)?.parse().ok()
}

/// The campaign, if it is canceled and was too late for somebody.
pub(crate) async fn correctable(
    tenant: &Tenant,
    campaign: CampaignSummary,
) -> Result<CampaignSummary, Problem> {
    match campaign.state {
        CampaignState::Canceled | CampaignState::Discarded => {}
        CampaignState::Canceling => {
            let remedy = "the campaign is still canceling: wait until its state is canceled, when it is known \
                          whom it reached";
            return Err(Problem::new(Kind::NotCanceled, remedy));
        }
        state @ (CampaignState::Scheduled
        | CampaignState::Processing
        | CampaignState::Sending
        | CampaignState::Sent
        | CampaignState::Errored
        | CampaignState::NoRecipients
        | CampaignState::Failed) => {
            let detail =
                format!("the campaign is {state}: a correction is for those whom a canceled one reached");
            return Err(Problem::new(Kind::NotCanceled, detail));
        }
    }
    if !tenant.was_anybody_contacted(campaign.id).await? {
        let detail = "the cancel was in time: nobody was contacted, and nobody is in doubt";
        return Err(Problem::new(Kind::NobodyContacted, detail));
    }
    Ok(campaign)
}

/// Of a correction whose author gives none.
pub(crate) fn subject_for(corrected: &str) -> String {
    let subject = format!("Correction: {corrected}");
    if subject.chars().count() > SUBJECT_CHARS_MAX { corrected.to_owned() } else { subject }
}
