//! The receipt of a cancel and the lists of its four parts (requirements 24, 192, promise 3).

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::receipt::Part;
use tocsin_domain::wait::{Dial, Reader};
use tocsin_domain::{CampaignId, CampaignState};
use tocsin_store::Tenant;
use tocsin_store::tenant::campaigns::CampaignSummary;
use tocsin_store::tenant::receipt::{Page, Place, Recall, Receipt, ReceiptRow};

use crate::auth::Caller;
use crate::campaigns::{campaign_id, existing};
use crate::fields::{Fault, Faults, Fields};
use crate::openapi::Operation;
use crate::openapi::shapes::{shapes, words};
use crate::page::{PageQuery, encode, read_cursor, read_limit};
use crate::problem::{Kind, Problem};
use crate::recipients::{Around, RowView};
use crate::server::Api;

/// Recipients or devices whose parts are counted in a few milliseconds, also where much else goes on.
const COUNTED_AT_ONCE: i32 = 1_000;

/// Whom a cancel reached. The four counts partition the audience by what is known now. Who and when do not change,
/// and what was never tried does not once the state is canceled.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Receipt")]
pub(crate) struct ReceiptView {
    id: CampaignId,
    state: CampaignState,
    /// Null: nobody canceled it.
    canceled: Option<CanceledView>,
    /// False: the audience was not worked out to its end. Whoever is in no part was never tried either.
    audience_complete: bool,
    /// The parts are null where they were not counted: in the answer to the cancel of a large campaign.
    contacted: Option<i64>,
    in_flight_or_unknown: Option<i64>,
    recalled: Option<i64>,
    never_tried: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Canceled")]
struct CanceledView {
    at: DateTime<Utc>,
    by: String,
    reason: Option<String>,
    epoch: i64,
}

/// A page of one part.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReceiptPage")]
pub(crate) struct ListView {
    part: Part,
    recipients: Vec<TriedView>,
    /// Null on the last page. A page may be short, or empty, although others follow.
    next_cursor: Option<String>,
}

shapes! {
    RecallName = words(["none", "ordered", "stopped", "too_late"]);
}

/// A row as the recipients' list has it, with what the cancel met.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReceiptRow")]
struct TriedView {
    #[serde(flatten)]
    row: RowView,
    first_attempt_at: Option<DateTime<Utc>>,
    last_attempt_at: Option<DateTime<Utc>>,
    /// Of the latest attempt: none, ordered, stopped or too_late.
    #[schemars(with = "RecallName")]
    recall: &'static str,
}

pub(crate) const SHOW: Operation =
    Operation::new("showReceipt", "Show whom a cancel reached").refuses(&[Kind::NotCanceled]);

/// `GET /v1/campaigns/{id}/receipt`.
pub(crate) async fn show(
    Caller(tenant): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<ReceiptView>, Problem> {
    let campaign = canceled(&tenant, campaign_id(id)?).await?;
    Ok(Json(ReceiptView::read(&tenant, campaign).await?))
}

pub(crate) const LIST: Operation = Operation::new("listReceiptPart", "List one part of a receipt")
    .telling("A page may be short, or empty, although others follow.")
    .asks::<PageQuery>()
    .refuses(&[Kind::UnknownPart, Kind::NotCanceled]);

/// `GET /v1/campaigns/{id}/receipt/{part}?limit=&cursor=`.
pub(crate) async fn list(
    Caller(tenant): Caller,
    State(api): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let (id, part) = match path {
        Ok(Path((id, part))) => (campaign_id(Ok(Path(id)))?, part),
        Err(_) => return Err(Problem::unknown_campaign()),
    };
    let campaign = canceled(&tenant, id).await?;
    let part = part_named(&part)?;
    let (after, limit) =
        read_query(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let Page { rows, next } = tenant.receipt_part(id, part, after, limit).await?;
    let devices = rows.iter().map(|found| &found.row);
    let reader = Reader { now: api.clock.now(), dial: Dial::Hours24 };
    let around = Around::of(&tenant, campaign, devices, reader).await?;
    Ok(Json(ListView {
        part,
        recipients: rows.into_iter().map(|row| TriedView::of(row, &around)).collect(),
        next_cursor: next.map(write_cursor),
    }))
}

/// The district's campaign of that id, if it has a receipt.
pub(crate) async fn canceled(tenant: &Tenant, id: CampaignId) -> Result<CampaignSummary, Problem> {
    let campaign = existing(tenant, id).await?;
    if campaign.cancel_epoch.is_some() {
        return Ok(campaign);
    }
    let detail = format!(
        "the campaign is {} and was not canceled, so it has no receipt: its recipients are listed by \
         /v1/campaigns/{id}/recipients",
        campaign.state
    );
    Err(Problem::new(Kind::NotCanceled, detail))
}

pub(crate) fn part_named(name: &str) -> Result<Part, Problem> {
    Part::ALL.iter().copied().find(|part| part.as_str() == name).ok_or_else(|| {
        let names: Vec<_> = Part::ALL.iter().map(|part| part.as_str()).collect();
        Problem::new(Kind::UnknownPart, format!("a receipt has the parts {}", names.join(", ")))
    })
}

fn read_query(query: Option<&str>) -> Result<(Place, u32), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let limit = read_limit(&mut fields, &mut faults);
    let after = read_cursor(&mut fields, &mut faults, parse_cursor).unwrap_or(Place::HEAD);
    fields.finish(&mut faults);
    faults.or(limit.map(|limit| (after, limit)))
}

pub(crate) fn parse_cursor(text: &str) -> Option<Place> {
    let (kind, number) = text.split_once('/')?;
    let number = number.parse().ok().filter(|number| *number >= 0)?;
    match kind {
        "job" => Some(Place::Job(number)),
        "recipient" => Some(Place::Recipient(number)),
        _ => None,
    }
}

pub(crate) fn write_cursor(place: Place) -> String {
    match place {
        Place::Job(number) => encode(&format!("job/{number}")),
        Place::Recipient(number) => encode(&format!("recipient/{number}")),
    }
}

impl ReceiptView {
    pub async fn read(tenant: &Tenant, campaign: CampaignSummary) -> Result<Self, Problem> {
        let receipt = tenant.receipt(campaign.id).await?;
        Ok(Self::of(campaign, Some(receipt)))
    }

    /// For whoever waits for something else than the counts: the parts of a large campaign are not counted.
    pub async fn read_at_once(tenant: &Tenant, campaign: CampaignSummary) -> Result<Self, Problem> {
        if campaign.size > COUNTED_AT_ONCE {
            return Ok(Self::of(campaign, None));
        }
        Self::read(tenant, campaign).await
    }

    fn of(campaign: CampaignSummary, receipt: Option<Receipt>) -> Self {
        Self {
            id: campaign.id,
            state: campaign.state,
            audience_complete: campaign.expanded_at.is_some(),
            contacted: receipt.map(|receipt| receipt.contacted),
            in_flight_or_unknown: receipt.map(|receipt| receipt.in_flight_or_unknown),
            recalled: receipt.map(|receipt| receipt.recalled),
            never_tried: receipt.map(|receipt| receipt.never_tried),
            canceled: CanceledView::of(campaign),
        }
    }
}

impl CanceledView {
    fn of(campaign: CampaignSummary) -> Option<Self> {
        Some(Self {
            at: campaign.canceled_at?,
            by: campaign.canceled_by?,
            reason: campaign.cancel_reason,
            epoch: campaign.cancel_epoch?,
        })
    }
}

impl TriedView {
    fn of(found: ReceiptRow, around: &Around) -> Self {
        Self {
            first_attempt_at: found.first_tried_at,
            last_attempt_at: found.row.device.as_ref().and_then(|device| device.tried_at),
            recall: match found.recall {
                Recall::None => "none",
                Recall::Ordered => "ordered",
                Recall::Stopped => "stopped",
                Recall::TooLate => "too_late",
            },
            row: RowView::of(found.row, around),
        }
    }
}
