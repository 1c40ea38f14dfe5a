//! What callers see of a campaign (requirements 1, 16, 40 and 47-54).

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::audience::Audience;
use tocsin_domain::content::Content;
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::limits::CampaignLimits;
use tocsin_domain::window::CallingWindow;
use tocsin_domain::{CampaignId, CampaignState, Channel, Lane, SeriesId};
use tocsin_store::tenant::campaigns::{CampaignSummary, ChannelCounts, Counts};

use uuid::Uuid;

use crate::delivery_summary::DeliverySummary;
use crate::openapi::shapes::MessageTypeName;
use crate::policies::RedialView;

/// A campaign in a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Campaign")]
pub(crate) struct CampaignView {
    pub id: CampaignId,
    /// The Message ID that users quote.
    pub number: i64,
    pub state: CampaignState,
    pub subject: String,
    #[schemars(with = "MessageTypeName")]
    pub message_type: String,
    pub lane: Lane,
    pub channels: Vec<Channel>,
    pub created_by: String,
    /// The user or API key whose own message it is.
    pub creator_id: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    pub scheduled_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub expires_at: DateTime<Utc>,
    pub failure_reason: Option<String>,
    /// Null unless it was canceled (requirement 192).
    pub cancel: Option<CancelView>,
    /// It goes to the district's test people, who are its audience.
    pub test: bool,
    /// The canceled campaign that it corrects, if it does.
    pub corrects: Option<CampaignId>,
    /// Whose occurrence it is.
    pub series: Option<SeriesId>,
    /// What an edit names.
    pub version: i32,
    pub modified_by: Option<String>,
    pub modified_at: Option<DateTime<Utc>>,
    /// Since when its recipients' rows are gone, as old as they were; its counts stay.
    pub rows_dropped_at: Option<DateTime<Utc>>,
    /// When somebody last had its providers asked what became of its messages (requirement 183).
    pub refresh_asked_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Cancel")]
pub(crate) struct CancelView {
    pub at: DateTime<Utc>,
    pub by: Option<String>,
    pub reason: Option<String>,
}

/// A campaign with its delivery information and content.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CampaignDetail")]
pub(crate) struct DetailView {
    #[serde(flatten)]
    pub campaign: CampaignView,
    pub recipients: i64,
    pub no_device: i64,
    pub totals: Totals,
    pub by_channel: BTreeMap<Channel, ChannelView>,
    pub delivery_summary: DeliverySummary,
    /// From the start of dispatch to the end, or until now; null before it starts (requirement 53).
    pub seconds: Option<f64>,
    /// Of the slowest channel; null while a device still waits for its first attempt (requirement 52).
    pub first_attempt_seconds: Option<f64>,
    /// As they were when the campaign was made; a null window is open at any hour.
    pub redial: RedialView,
    pub calling_window: Option<CallingWindow>,
    /// The author's own, by channel.
    pub limits: CampaignLimits,
    pub contents: Vec<Content>,
    /// As it was given (requirements 48 and 185).
    pub audience: Audience,
    pub mode: DedupeMode,
}

/// What became of devices; duplicates are in none of the other numbers (requirement 51).
#[derive(Debug, Default, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct Totals {
    pub devices: i64,
    pub attempts: i64,
    pub successful: i64,
    pub error: i64,
    pub canceled: i64,
    pub not_dispatched: i64,
    pub open: i64,
    pub duplicates: i64,
    /// At which somebody pressed 0 to confirm.
    pub confirmed: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChannelTotals")]
pub(crate) struct ChannelView {
    #[serde(flatten)]
    pub totals: Totals,
    /// Null while a device still waits for its first attempt, or if none had any (requirement 52).
    pub first_attempt_seconds: Option<f64>,
}

impl CampaignView {
    pub fn of(found: CampaignSummary) -> Self {
        let (by, reason) = (found.canceled_by, found.cancel_reason);
        Self {
            id: found.id,
            number: found.number,
            state: found.state,
            subject: found.subject,
            message_type: found.message_type,
            lane: found.lane,
            channels: found.channels,
            created_by: found.created_by,
            creator_id: found.creator,
            created_at: found.created_at,
            scheduled_at: found.scheduled_at,
            started_at: found.started_at,
            ended_at: found.ended_at,
            expires_at: found.expires_at,
            failure_reason: found.failure_reason,
            cancel: found.canceled_at.map(|at| CancelView { at, by, reason }),
            test: found.test,
            corrects: found.corrects,
            series: found.series,
            version: found.version,
            modified_by: found.modified_by,
            modified_at: found.modified_at,
            rows_dropped_at: found.rows_dropped_at,
            refresh_asked_at: found.refresh_asked_at,
        }
    }
}

impl DetailView {
    pub fn of(found: CampaignSummary, counts: &Counts, contents: Vec<Content>, now: DateTime<Utc>) -> Self {
        let ended_at = found.ended_at.unwrap_or(now);
        let running = found.started_at.map(|started_at| (ended_at - started_at).to_std().unwrap_or_default());
        let waits = |channel: &ChannelCounts| channel.open > 0 && channel.first_attempt.is_none();
        let slowest = counts.channels.iter().filter_map(|channel| channel.first_attempt).max();
        let first_attempt = slowest.filter(|_| !counts.channels.iter().any(waits));
        let totals = counts.channels.iter().map(Totals::of).fold(Totals::default(), Totals::plus);
        let mut by_channel: BTreeMap<_, _> =
            found.channels.iter().map(|channel| (*channel, ChannelView::untouched())).collect();
        by_channel.extend(counts.channels.iter().map(|counts| (counts.channel, ChannelView::of(counts))));
        let (redial, calling_window) = (found.redial.clone().into(), found.calling_window.clone());
        let (limits, audience, mode) = (found.limits.clone(), found.audience.clone(), found.mode);
        Self {
            campaign: CampaignView::of(found),
            recipients: counts.recipients,
            no_device: counts.no_device,
            totals,
            by_channel,
            delivery_summary: counts.totals().into(),
            seconds: running.map(seconds),
            first_attempt_seconds: first_attempt.map(seconds),
            redial,
            calling_window,
            limits,
            contents,
            audience,
            mode,
        }
    }
}

impl ChannelView {
    /// A channel that no device of the audience has, or of a campaign not yet expanded.
    fn untouched() -> Self {
        Self { totals: Totals::default(), first_attempt_seconds: None }
    }

    fn of(counts: &ChannelCounts) -> Self {
        Self { totals: Totals::of(counts), first_attempt_seconds: counts.first_attempt.map(seconds) }
    }
}

impl Totals {
    fn of(counts: &ChannelCounts) -> Self {
        Self {
            devices: counts.devices,
            attempts: counts.attempts,
            successful: counts.successful,
            error: counts.error,
            canceled: counts.canceled,
            not_dispatched: counts.not_dispatched,
            open: counts.open,
            duplicates: counts.duplicates,
            confirmed: counts.confirmed,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            devices: self.devices + other.devices,
            attempts: self.attempts + other.attempts,
            successful: self.successful + other.successful,
            error: self.error + other.error,
            canceled: self.canceled + other.canceled,
            not_dispatched: self.not_dispatched + other.not_dispatched,
            open: self.open + other.open,
            duplicates: self.duplicates + other.duplicates,
            confirmed: self.confirmed + other.confirmed,
        }
    }
}

/// To the millisecond: what is finer is noise.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
