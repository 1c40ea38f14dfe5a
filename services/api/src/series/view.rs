//! What callers see of a series.

use chrono::{DateTime, Days, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tocsin_domain::audience::Audience;
use tocsin_domain::content::Content;
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::limits::CampaignLimits;
use tocsin_domain::recurrence::{Occurrence, Recurrence};
use tocsin_domain::window::CallingWindow;
use tocsin_domain::{CampaignId, CampaignState, Channel, Lane, SeriesId};
use tocsin_store::tenant::series::{PastOccurrence, Series};

use crate::openapi::shapes::{MessageTypeName, shapes, words};
use crate::policies::RedialView;
use crate::view::CancelView;

/// How far ahead occurrences are worked out.
const AHEAD: Days = Days::new(3653);

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Series")]
pub(crate) struct SeriesView {
    pub id: SeriesId,
    pub number: i64,
    #[schemars(with = "super::StateName")]
    pub state: &'static str,
    /// What an edit names.
    pub version: i32,
    pub subject: String,
    #[schemars(with = "MessageTypeName")]
    pub message_type: String,
    pub lane: Lane,
    pub channels: Vec<Channel>,
    pub mode: DedupeMode,
    pub audience: Audience,
    pub contents: Vec<Content>,
    /// Null, as the window: as the district decides when an occurrence comes.
    pub redial: Option<RedialView>,
    pub calling_window: Option<CallingWindow>,
    pub limits: CampaignLimits,
    pub expires_in_seconds: u64,
    pub recurrence: Recurrence,
    /// The rule in words.
    pub words: String,
    /// The rule as RFC 5545 writes it.
    pub rrule: String,
    /// The district's, by whose clocks it recurs.
    pub time_zone: &'static str,
    pub late_seconds_max: u64,
    /// Null once it has ended or was canceled.
    pub next_on: Option<NaiveDate>,
    pub next_at: Option<DateTime<Utc>>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub modified_by: Option<String>,
    pub modified_at: Option<DateTime<Utc>>,
    pub cancel: Option<CancelView>,
}

shapes! {
    OccurrenceState = words(["coming", "sent", "skipped"]);
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Occurrence")]
pub(crate) struct OccurrenceView {
    pub on: NaiveDate,
    pub at: DateTime<Utc>,
    #[schemars(with = "OccurrenceState")]
    pub state: &'static str,
    /// Of one that was sent.
    pub campaign: Option<CampaignId>,
    pub campaign_state: Option<CampaignState>,
}

impl SeriesView {
    pub fn of(found: Series) -> Self {
        let content = found.content;
        let (by, reason) = (found.canceled_by, found.cancel_reason);
        Self {
            id: found.id,
            number: found.number,
            state: found.state.as_str(),
            version: found.version,
            subject: content.subject,
            message_type: content.message_type,
            lane: content.lane,
            channels: content.channels,
            mode: content.mode,
            audience: content.audience,
            contents: content.contents,
            redial: content.redial.map(RedialView::from),
            calling_window: content.calling_window,
            limits: content.limits,
            expires_in_seconds: content.expires_in.as_secs(),
            words: content.recurrence.to_string(),
            rrule: content.recurrence.rrule(),
            recurrence: content.recurrence,
            time_zone: content.zone.name(),
            late_seconds_max: content.late_max.as_secs(),
            next_on: found.next.map(|next| next.on),
            next_at: found.next.map(|next| next.at),
            created_by: found.created_by,
            created_at: found.created_at,
            modified_by: found.modified_by,
            modified_at: found.modified_at,
            cancel: found.canceled_at.map(|at| CancelView { at, by, reason }),
        }
    }
}

/// The next occurrences of an active series, within ten years. One whose time has come and that was not made yet is
/// among them.
pub(crate) fn coming(series: &Series, max: u32) -> Vec<OccurrenceView> {
    let (content, Some(next)) = (&series.content, series.next) else { return Vec::new() };
    let found = content.recurrence.between(content.zone, next.on, next.on + AHEAD, max as usize);
    let view = |it: Occurrence| OccurrenceView {
        on: it.on,
        at: it.at,
        state: "coming",
        campaign: None,
        campaign_state: None,
    };
    found.into_iter().map(view).collect()
}

pub(crate) fn past(occurrence: &PastOccurrence) -> OccurrenceView {
    let (campaign, campaign_state) = occurrence.campaign.unzip();
    let state = if campaign.is_some() { "sent" } else { "skipped" };
    OccurrenceView { on: occurrence.on, at: occurrence.at, state, campaign, campaign_state }
}
