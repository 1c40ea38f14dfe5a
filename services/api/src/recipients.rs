//! Who a campaign is for and what became of each device (requirements 61, 63, 188, 189 and 191).

use std::collections::HashMap;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::wait::{Dial, Reader, Wait};
use tocsin_domain::window::Zone;
use tocsin_domain::{AttemptResult, Channel, JobState, Lane, Outcome, WaitReason};
use tocsin_store::tenant::campaigns::CampaignSummary;
use tocsin_store::tenant::recipients::{After, DeviceRow, RecipientRow};
use tocsin_store::{StoreError, Tenant};

use crate::auth::Caller;
use crate::campaigns::{campaign_id, existing};
use crate::fields::{Fault, Faults, Fields};
use crate::openapi::Operation;
use crate::page::{PageQuery, encode, read_cursor, read_limit};
use crate::problem::{Kind, Problem};
use crate::server::Api;

/// A page of rows, in recipient order.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RecipientPage")]
pub(crate) struct ListView {
    recipients: Vec<RowView>,
    /// Null on the last page. While a campaign is expanded, its last page grows.
    next_cursor: Option<String>,
}

/// A recipient and one of its devices; without any, the fields of the device are null.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Recipient")]
pub(crate) struct RowView {
    /// Of the campaign: what its message is asked for by.
    recipient_id: i32,
    /// Of the campaign: what the device is asked for by.
    device_id: Option<i32>,
    recipient: String,
    student: Option<String>,
    language: Option<String>,
    channel: Option<Channel>,
    address: Option<String>,
    /// What a user reads under Status.
    status: &'static str,
    /// The outcome's stable name.
    #[schemars(with = "Outcome")]
    status_code: &'static str,
    /// The 1.0 call code of the status (requirement 188).
    call_code: Option<i16>,
    /// The provider's own word.
    provider_code: Option<String>,
    state: Option<JobState>,
    wait: Option<WaitView>,
    attempts: i16,
    /// Of the last status; until there is one, of the latest attempt.
    time: Option<DateTime<Utc>>,
    duplicate: bool,
    /// Of an inbox message: when it was read first.
    read_at: Option<DateTime<Utc>>,
    /// Of an emergency's text that was refused: how many other devices of the person are left in the campaign.
    other_devices: Option<i64>,
}

/// Why a device is not tried yet.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Wait")]
struct WaitView {
    reason: WaitReason,
    due_at: Option<DateTime<Utc>>,
    words: String,
}

pub(crate) const LIST: Operation =
    Operation::new("listRecipients", "List who a campaign is for, and what became of each device")
        .asks::<PageQuery>();

/// `GET /v1/campaigns/{id}/recipients?limit=&cursor=`.
pub(crate) async fn list(
    Caller(tenant): Caller,
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let id = campaign_id(id)?;
    let (after, limit) =
        read_query(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let campaign = existing(&tenant, id).await?;
    // One more than is shown tells whether another page follows.
    let mut rows = tenant.recipients(id, after, limit + 1).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let reader = Reader { now: api.clock.now(), dial: Dial::Hours24 };
    let around = Around::of(&tenant, campaign, rows.iter(), reader).await?;
    let next_cursor = more.then(|| write_cursor(last_of(after, &rows)));
    Ok(Json(ListView {
        recipients: rows.into_iter().map(|row| RowView::of(row, &around)).collect(),
        next_cursor,
    }))
}

/// What the rows of a page share, and what stands in other rows.
pub(crate) struct Around {
    campaign: CampaignSummary,
    /// The district's.
    zone: Option<Zone>,
    /// By job, of an emergency's texts that were refused: how many other devices of the person are left.
    others: HashMap<i32, i64>,
    /// Why nothing is sent at the moment, if it is not.
    stopped: Option<String>,
    reader: Reader,
}

impl Around {
    pub async fn of(
        tenant: &Tenant,
        campaign: CampaignSummary,
        rows: impl Iterator<Item = &RecipientRow>,
        reader: Reader,
    ) -> Result<Self, StoreError> {
        let refused: Vec<i32> = match campaign.lane {
            Lane::Emergency => {
                let devices = rows.filter_map(|row| row.device.as_ref());
                devices.filter(|device| is_refused_text(device)).map(|device| device.job).collect()
            }
            Lane::Priority | Lane::General => Vec::new(),
        };
        let others = match refused.is_empty() {
            true => HashMap::new(),
            false => tenant.others_left(campaign.id, &refused).await?,
        };
        let stopped = tenant.stop().await?.map(|stop| stop.reason);
        Ok(Self { campaign, zone: tenant.time_zone().await?, others, stopped, reader })
    }

    /// How many other devices of its person are left, if this is an emergency's text that was refused.
    pub fn others_left(&self, device: &DeviceRow) -> Option<i64> {
        self.others.get(&device.job).copied()
    }

    /// Why a device whose recipient is in `zone` is not tried yet; None if it does not wait.
    pub fn wait_in_words(&self, device: &DeviceRow, zone: Option<Zone>) -> Option<String> {
        let wait = Wait {
            reason: device.wait_reason.filter(|_| device.state == JobState::Waiting)?,
            due_at: device.due_at?,
            tries: device.tries,
            attempts_max: self.campaign.redial.attempts_max,
            calling_window: self.campaign.calling_window.as_ref(),
            zone: zone.or(self.zone),
            expires_at: self.campaign.expires_at,
            stopped: self.stopped.as_deref(),
        };
        Some(wait.sentence(self.reader))
    }
}

/// Did it end because its person may not be texted: an opt-out, a suppression?
fn is_refused_text(device: &DeviceRow) -> bool {
    let refused = |outcome: Outcome| {
        outcome.result() == AttemptResult::NotDispatched
            && outcome != Outcome::Duplicate
            && !outcome.leaves_open()
    };
    device.channel == Channel::Sms && device.state == JobState::Ended && device.outcome.is_some_and(refused)
}

fn read_query(query: Option<&str>) -> Result<(After, u32), Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let limit = read_limit(&mut fields, &mut faults);
    let after = read_cursor(&mut fields, &mut faults, parse_cursor).unwrap_or_default();
    fields.finish(&mut faults);
    faults.or(limit.map(|limit| (after, limit)))
}

pub(crate) fn parse_cursor(text: &str) -> Option<After> {
    let (recipient, job) = text.split_once('/')?;
    Some(After { recipient: recipient.parse().ok()?, job: job.parse().ok()? })
}

pub(crate) fn write_cursor(After { recipient, job }: After) -> String {
    encode(&format!("{recipient}/{job}"))
}

/// A page that ends with a recipient without device ends after the job before it.
pub(crate) fn last_of(after: After, rows: &[RecipientRow]) -> After {
    let jobs = rows.iter().filter_map(|row| row.device.as_ref().map(|device| device.job));
    After {
        recipient: rows.last().map_or(after.recipient, |row| row.recipient),
        job: jobs.max().unwrap_or(after.job),
    }
}

impl RowView {
    pub fn of(row: RecipientRow, around: &Around) -> Self {
        let bare = Self {
            recipient_id: row.recipient,
            device_id: None,
            recipient: row.name,
            student: row.student,
            language: row.language,
            channel: None,
            address: None,
            status: Outcome::NoDevice.label(),
            status_code: Outcome::NoDevice.code(),
            call_code: Outcome::NoDevice.call_code(),
            provider_code: None,
            state: None,
            wait: None,
            attempts: 0,
            time: None,
            duplicate: false,
            read_at: None,
            other_devices: None,
        };
        match row.device {
            None => bare,
            Some(device) => bare.with(device, row.zone, around),
        }
    }

    fn with(self, device: DeviceRow, zone: Option<Zone>, around: &Around) -> Self {
        let status = device.outcome.unwrap_or(Outcome::InProgress);
        Self {
            device_id: Some(device.job),
            channel: Some(device.channel),
            status: status.label(),
            status_code: status.code(),
            call_code: status.call_code(),
            wait: WaitView::of(&device, zone, around),
            other_devices: around.others_left(&device),
            address: Some(device.address),
            provider_code: device.provider_code,
            state: Some(device.state),
            attempts: device.attempts,
            time: device.ended_at.or(device.tried_at),
            duplicate: device.duplicate,
            read_at: device.read_at,
            ..self
        }
    }
}

impl WaitView {
    fn of(device: &DeviceRow, zone: Option<Zone>, around: &Around) -> Option<Self> {
        let words = around.wait_in_words(device, zone)?;
        Some(Self { reason: device.wait_reason?, due_at: device.due_at, words })
    }
}
