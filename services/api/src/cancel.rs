//! The cancel and its receipt (requirements 19-28, decision D5, promise 3).

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tocsin_domain::{CampaignId, CampaignState};
use tocsin_store::Tenant;
use tocsin_store::tenant::campaigns::CampaignSummary;
use tocsin_store::tenant::cancel::{Cancel, Canceled};

use crate::auth::Caller;
use crate::campaigns::{campaign_id, existing};
use crate::fields::{Fault, Faults, Field};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::{ACTOR_CHARS_MAX, DEFAULT_ACTOR};
use crate::{announce, json};

pub(crate) const REASON_CHARS_MAX: usize = 1000;

/// Whom a cancel reached. The four counts partition the campaign's devices by what is known now; who,
/// when and what was never tried do not change any more.
#[derive(Debug, Serialize)]
pub(crate) struct ReceiptView {
    id: CampaignId,
    state: CampaignState,
    /// Null: nobody canceled it.
    canceled: Option<CanceledView>,
    contacted: i64,
    in_flight_or_unknown: i64,
    recalled: i64,
    never_tried: i64,
}

#[derive(Debug, Serialize)]
struct CanceledView {
    at: DateTime<Utc>,
    by: String,
    reason: Option<String>,
    epoch: i64,
}

/// Who cancels, and why.
pub(crate) struct Order {
    pub by: String,
    pub reason: Option<String>,
}

/// `POST /v1/campaigns/{id}/cancel`: 202 while the cancel is under way, 200 when there is nothing left to
/// stop. Pressing again tells the workers again and answers with the receipt as it is by then.
pub(crate) async fn cancel(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: json::Received,
) -> Result<(StatusCode, Json<ReceiptView>), Problem> {
    let id = campaign_id(id)?;
    let order = match json::optional(&headers, body)? {
        None => Order { by: DEFAULT_ACTOR.to_owned(), reason: None },
        Some(value) => read_order(value).map_err(|faults| Problem::faulty(Kind::InvalidBody, faults))?,
    };
    let answer = carry_out(&api, &tenant, id, &order).await?;
    let status = if answer.state.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let canceled = answer.canceled.map(CanceledView::of);
    Ok((status, Json(counted(&tenant, id, answer.state, canceled).await?)))
}

/// The one command behind every place where cancel is offered (decision D5).
pub(crate) async fn carry_out(
    api: &Api,
    tenant: &Tenant,
    id: CampaignId,
    order: &Order,
) -> Result<Cancel, Problem> {
    let answer = tenant.cancel(id, &order.by, order.reason.as_deref()).await?;
    let answer = answer.ok_or_else(Problem::unknown_campaign)?;
    if let (CampaignState::Canceling, Some(canceled)) = (answer.state, &answer.canceled) {
        announce::cancel(api, id, canceled.epoch);
    }
    if answer.fresh {
        tracing::info!(campaign.id = %id, "campaign cancel committed");
    }
    Ok(answer)
}

/// `GET /v1/campaigns/{id}/receipt`.
pub(crate) async fn receipt(
    Caller(tenant): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<ReceiptView>, Problem> {
    let id = campaign_id(id)?;
    let campaign = existing(&tenant, id).await?;
    let (state, canceled) = (campaign.state, CanceledView::of_campaign(campaign));
    Ok(Json(counted(&tenant, id, state, canceled).await?))
}

async fn counted(
    tenant: &Tenant,
    id: CampaignId,
    state: CampaignState,
    canceled: Option<CanceledView>,
) -> Result<ReceiptView, Problem> {
    let receipt = tenant.receipt(id).await?;
    Ok(ReceiptView {
        id,
        state,
        canceled,
        contacted: receipt.contacted,
        in_flight_or_unknown: receipt.in_flight_or_unknown,
        recalled: receipt.recalled,
        never_tried: receipt.never_tried,
    })
}

fn read_order(request: Value) -> Result<Order, Vec<Fault>> {
    let mut faults = Faults::default();
    let order = Field::root(request).object(&mut faults).map(|mut fields| {
        let by = fields.take("by").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
        let reason = fields.take("reason").and_then(|field| field.text(REASON_CHARS_MAX, &mut faults));
        fields.finish(&mut faults);
        Order { by: by.unwrap_or_else(|| DEFAULT_ACTOR.to_owned()), reason }
    });
    faults.or(order)
}

impl CanceledView {
    fn of(canceled: Canceled) -> Self {
        Self { at: canceled.at, by: canceled.by, reason: canceled.reason, epoch: canceled.epoch }
    }

    fn of_campaign(campaign: CampaignSummary) -> Option<Self> {
        Some(Self {
            at: campaign.canceled_at?,
            by: campaign.canceled_by?,
            reason: campaign.cancel_reason,
            epoch: campaign.cancel_epoch?,
        })
    }
}
