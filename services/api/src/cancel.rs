//! The cancel (requirements 19-28, decision D5, promise 3).

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tocsin_domain::{CampaignId, CampaignState};
use tocsin_runtime::telemetry::names;
use tocsin_store::Tenant;
use tocsin_store::tenant::cancel::Cancel;

use crate::auth::Caller;
use crate::campaigns::{campaign_id, existing};
use crate::fields::{Faults, Field};
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, shape};
use crate::problem::{Kind, Problem};
use crate::receipt::ReceiptView;
use crate::server::Api;
use crate::submission::ACTOR_CHARS_MAX;
use crate::{announce, json, traced};

pub(crate) const REASON_CHARS_MAX: usize = 1000;

/// Who cancels, and why.
pub(crate) struct Order {
    pub by: String,
    pub reason: Option<String>,
}

shape! {
    /// Who cancels, and why.
    pub(crate) struct CancelRequest {
        /// The key's name unless said.
        by: Option<Text<ACTOR_CHARS_MAX>>,
        reason: Option<Text<REASON_CHARS_MAX>>,
    }
}

pub(crate) const CANCEL: Operation = Operation::new("cancelCampaign", "Cancel a campaign")
    .telling("No send that was not claimed by the time of the answer is begun. It may be sent again.")
    .may_take::<CancelRequest>()
    .answers(&[(202, "The cancel is under way."), (200, "Nothing is left to stop.")]);

/// `POST /v1/campaigns/{id}/cancel`: 202 while the cancel is under way, 200 when there is nothing left to
/// stop. Pressing again tells the workers again and answers with the receipt as it is by then. The commit is what the
/// caller waits for: of a large campaign the receipt's parts are not counted here.
pub(crate) async fn cancel(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<(StatusCode, Json<ReceiptView>), Problem> {
    let id = campaign_id(id)?;
    let order = read_order(json::optional(&headers, body)?, tenant.acts_as())?;
    let answer = carry_out(&api, &tenant, id, &order).await?;
    let status = if answer.state.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(ReceiptView::read_at_once(&tenant, existing(&tenant, id).await?).await?)))
}

/// The one command behind every place where cancel is offered (decision D5).
pub(crate) async fn carry_out(
    api: &Api,
    tenant: &Tenant,
    id: CampaignId,
    order: &Order,
) -> Result<Cancel, Problem> {
    let begun = api.clock.now();
    let answer = tenant.cancel(id, &order.by, order.reason.as_deref()).await?;
    let answer = answer.ok_or_else(Problem::unknown_campaign)?;
    if let (CampaignState::Canceling, Some(canceled)) = (answer.state, &answer.canceled) {
        announce::cancel(api, id, canceled.epoch);
    }
    if answer.fresh {
        tracing::info!(campaign.id = %id, "campaign cancel committed");
        traced::did(api, id, names::span::CANCEL, begun);
    }
    Ok(answer)
}

/// The body of a cancel, which may be none: then it is `actor` who cancels.
pub(crate) fn read_order(request: Option<Value>, actor: &str) -> Result<Order, Problem> {
    let Some(request) = request else { return Ok(Order { by: actor.to_owned(), reason: None }) };
    let mut faults = Faults::default();
    let order = Field::root(request).object(&mut faults).map(|mut fields| {
        let by = fields.take("by").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
        let reason = fields.take("reason").and_then(|field| field.text(REASON_CHARS_MAX, &mut faults));
        fields.finish(&mut faults);
        Order { by: by.unwrap_or_else(|| actor.to_owned()), reason }
    });
    faults.or(order).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))
}
