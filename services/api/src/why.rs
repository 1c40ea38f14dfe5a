//! Why a device is not tried yet, and what happened to it (promise 12): for those who are asked at the telephone, and for
//! whoever is on call.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::trace::TraceId;
use tocsin_domain::wait::{Dial, Reader};
use tocsin_domain::why::{CampaignFacts, Explanation, Step, explain};
use tocsin_domain::{CampaignState, Channel, JobState, Outcome};
use tocsin_store::Tenant;
use tocsin_store::tenant::campaigns::CampaignSummary;
use tocsin_store::tenant::why::{Meant, ToldDevice};

use crate::auth::Caller;
use crate::campaigns::{campaign_id, existing};
use crate::fields::{Fault, Faults, Fields};
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, shape};
use crate::problem::{Kind, Problem};
use crate::server::Api;

/// An email address has no more.
const ADDRESS_CHARS_MAX: usize = 254;
/// Where a recipient's devices end is told by the next: there is none behind the last number.
const NUMBER_MAX: u32 = i32::MAX as u32 - 1;

/// A campaign's devices of one recipient, or at one address, explained.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Why")]
pub(crate) struct WhyView {
    /// Of the campaign: made, expanded, canceled, closed.
    trace_id: String,
    devices: Vec<DeviceView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainedDevice")]
pub(crate) struct DeviceView {
    device_id: i32,
    recipient_id: i32,
    pub recipient: String,
    pub student: Option<String>,
    pub channel: Channel,
    pub address: String,
    state: JobState,
    /// The outcome's stable name.
    #[schemars(with = "Outcome")]
    status_code: &'static str,
    /// Where it stands and what comes next, in one sentence.
    pub answer: String,
    /// Of the attempt that is to come, under way or was the last, in hexadecimal: what to look for where traces are kept.
    pub trace_id: String,
    /// What led there, in order.
    pub steps: Vec<StepView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainedStep")]
pub(crate) struct StepView {
    pub at: DateTime<Utc>,
    pub what: String,
    /// Of which attempt it is.
    attempt: Option<i16>,
    /// That attempt's trace.
    pub trace_id: Option<String>,
}

shape! {
    /// Exactly one of them.
    pub(crate) struct WhyQuery {
        /// A `recipient_id` of the campaign.
        recipient: Option<i32>,
        /// A `device_id` of the campaign.
        device: Option<i32>,
        /// A phone number, an email address or an inbox account, as the campaign's recipients show it.
        address: Option<Text<ADDRESS_CHARS_MAX>>,
    }
}

pub(crate) const WHY: Operation =
    Operation::new("explainDevices", "Tell why devices are not tried yet, or what happened to them")
        .telling("Names one recipient, one device or one address of the campaign.")
        .asks::<WhyQuery>()
        .refuses(&[Kind::UnknownRecipient]);

/// `GET /v1/campaigns/{id}/why?recipient=|device=|address=`.
pub(crate) async fn why(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<WhyView>, Problem> {
    let id = campaign_id(id)?;
    // Another district's is not there, whatever is asked of it.
    let campaign = existing(&tenant, id).await?;
    let meant = read_query(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let devices =
        explained(&tenant, &campaign, &meant, Reader { now: api.clock.now(), dial: Dial::Hours24 }).await?;
    if devices.is_empty() {
        return Err(Problem::new(Kind::UnknownRecipient, "this campaign has no such device"));
    }
    Ok(Json(WhyView { trace_id: TraceId::of_campaign(id).to_string(), devices }))
}

/// The devices that are meant, each with its answer.
pub(crate) async fn explained(
    tenant: &Tenant,
    campaign: &CampaignSummary,
    meant: &Meant,
    reader: Reader,
) -> Result<Vec<DeviceView>, Problem> {
    // Of a discarded campaign nothing left, and it is on no list.
    if campaign.state == CampaignState::Discarded {
        return Err(Problem::unknown_campaign());
    }
    let facts = CampaignFacts {
        id: campaign.id,
        state: campaign.state,
        lane: campaign.lane,
        created_at: campaign.created_at,
        scheduled_at: campaign.scheduled_at,
        expanded_at: campaign.expanded_at,
        expires_at: campaign.expires_at,
        canceled_at: campaign.canceled_at,
        attempts_max: campaign.redial.attempts_max,
        calling_window: campaign.calling_window.clone(),
        stopped: tenant.stop().await?.map(|stop| stop.reason),
    };
    let devices = tenant.told_devices(campaign.id, meant).await?;
    Ok(devices
        .into_iter()
        .map(|device| DeviceView::of(explain(&facts, &device.facts, reader), device))
        .collect())
}

fn read_query(query: Option<&str>) -> Result<Meant, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let number = |text: &str| match text.parse::<u32>() {
        Ok(number) if (1..=NUMBER_MAX).contains(&number) => Ok(number.cast_signed()),
        Ok(_) | Err(_) => Err(format!("is no number of the campaign: give one from 1 to {NUMBER_MAX}")),
    };
    let named = ["recipient", "device", "address"].into_iter().filter(|name| fields.holds(name)).count();
    if named != 1 {
        faults.add("query", "names one of recipient, device and address: give exactly one of them");
    }
    let recipient = fields.take("recipient").and_then(|field| field.parsed(&mut faults, number));
    let device = fields.take("device").and_then(|field| field.parsed(&mut faults, number));
    let address = fields.take("address").and_then(|field| field.text(ADDRESS_CHARS_MAX, &mut faults));
    fields.finish(&mut faults);
    let meant = recipient
        .map(Meant::Recipient)
        .or(device.map(Meant::Device))
        .or(address.map(|address| Meant::Address(address.trim().to_owned())));
    faults.or(meant)
}

impl DeviceView {
    fn of(Explanation { answer, steps, trace }: Explanation, device: ToldDevice) -> Self {
        let ToldDevice { recipient, name, student, address, facts } = device;
        Self {
            device_id: facts.job,
            recipient_id: recipient,
            recipient: name,
            student,
            channel: facts.channel,
            address,
            state: facts.state,
            status_code: facts.outcome.unwrap_or(Outcome::InProgress).code(),
            answer,
            trace_id: trace.to_string(),
            steps: steps.into_iter().map(StepView::of).collect(),
        }
    }
}

impl StepView {
    fn of(Step { at, what, attempt }: Step) -> Self {
        let (attempt, trace) = attempt.unzip();
        Self { at, what, attempt, trace_id: trace.map(|trace| trace.to_string()) }
    }
}
