//! Series as a district makes, sees, edits and cancels them (requirements 26, 29, 34 and 35).

mod changing;
mod listing;

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use tocsin_domain::audience::Audience;
use tocsin_domain::content::Content;
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::limits::CampaignLimits;
use tocsin_domain::policy::RedialPolicy;
use tocsin_domain::recurrence::{Occurrence, Recurrence};
use tocsin_domain::window::{CallingWindow, Zone, zone_named};
use tocsin_domain::{CampaignId, Channel, DistrictId, Lane, SeriesId};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

pub use self::changing::{SeriesCancel, SeriesEdit, SeriesEdited};
pub(crate) use self::listing::{LIST_SERIES, PAST_OCCURRENCES};
pub use self::listing::{PastOccurrence, SeriesQuery};
use super::campaigns::Stored;
use super::{Tenant, to_json};
use crate::expand::mode;
use crate::{StoreError, row};

/// A validated series: what each of its campaigns is, and when they come.
#[derive(Debug, Clone)]
pub struct SeriesContent {
    pub recurrence: Recurrence,
    pub zone: Zone,
    /// How late an occurrence may run.
    pub late_max: Duration,
    pub lane: Lane,
    pub mode: DedupeMode,
    pub message_type: String,
    pub subject: String,
    pub channels: Vec<Channel>,
    pub audience: Audience,
    pub contents: Vec<Content>,
    /// None, as the window: what the district decides when an occurrence comes.
    pub redial: Option<RedialPolicy>,
    pub calling_window: Option<CallingWindow>,
    pub limits: CampaignLimits,
    pub expires_in: Duration,
}

#[derive(Debug, Clone)]
pub struct NewSeries {
    pub id: SeriesId,
    pub client_key: String,
    pub request_hash: Vec<u8>,
    pub content: SeriesContent,
    pub next: Occurrence,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
}

/// Where a series stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesState {
    Active,
    /// Its last occurrence is over.
    Ended,
    Canceled,
}

/// A series as it is kept.
#[derive(Debug, Clone)]
pub struct Series {
    pub id: SeriesId,
    pub district: DistrictId,
    pub number: i64,
    pub state: SeriesState,
    pub version: i32,
    pub content: SeriesContent,
    /// None once it has ended.
    pub next: Option<Occurrence>,
    pub created_by: String,
    /// The user or API key whose own it is; None: nobody's.
    pub creator: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    pub modified_by: Option<String>,
    pub modified_at: Option<DateTime<Utc>>,
    pub canceled_by: Option<String>,
    pub canceled_at: Option<DateTime<Utc>>,
    pub cancel_reason: Option<String>,
}

impl SeriesState {
    pub const ALL: [Self; 3] = [Self::Active, Self::Ended, Self::Canceled];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended => "ended",
            Self::Canceled => "canceled",
        }
    }

    pub(crate) fn number(self) -> i16 {
        match self {
            Self::Active => 1,
            Self::Ended => 2,
            Self::Canceled => 3,
        }
    }
}

impl Tenant {
    /// Stores a series. With a key that was used before it returns that series, or [`StoreError::KeyReused`] if the
    /// request was another one.
    pub async fn create_series(&self, new: &NewSeries) -> Result<Stored, StoreError> {
        const NAME: &str = "create_series";
        self.use_attachments(&new.content.contents, new.created_at).await?;
        let row = ContentRow::of(NAME, &new.content)?;
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
            &new.id.0,
            &self.district.0,
            &new.client_key,
            &new.request_hash,
            &new.next.on,
            &new.next.at,
            &new.created_by,
            &new.created_at,
        ];
        parameters.extend(row.parameters());
        let rows = self.rows(NAME, CREATE_SERIES, &parameters).await?;
        if let Some(made) = rows.first() {
            return Ok(Stored { id: CampaignId(new.id.0), number: made.get("number"), made: true });
        }
        match self.series_by_key(&new.client_key, &new.request_hash).await? {
            Some(known) => Ok(known),
            None => Err(StoreError::KeyReused { key: new.client_key.clone() }),
        }
    }

    /// The series that `client_key` made, or None. [`StoreError::KeyReused`] if it made it of another request.
    pub async fn series_by_key(&self, client_key: &str, hash: &[u8]) -> Result<Option<Stored>, StoreError> {
        let rows = self
            .rows(
                "series_by_key",
                "-- store.series_by_key
                 select id, number, request_hash from series where district_id = $1 and client_key = $2",
                &[&self.district.0, &client_key],
            )
            .await?;
        match rows.first() {
            None => Ok(None),
            Some(known) if known.get::<_, &[u8]>("request_hash") == hash => {
                Ok(Some(Stored { id: CampaignId(known.get("id")), number: known.get("number"), made: false }))
            }
            Some(_) => Err(StoreError::KeyReused { key: client_key.to_owned() }),
        }
    }
}

/// A content as `create_series` and `edit_series` take it, from a parameter on.
pub(crate) struct ContentRow {
    recurrence: serde_json::Value,
    zone: &'static str,
    late_seconds_max: i32,
    lane: i16,
    mode: i16,
    message_type: String,
    subject: String,
    channels: Vec<i16>,
    audience: serde_json::Value,
    contents: serde_json::Value,
    redial: Option<serde_json::Value>,
    calling_window: Option<serde_json::Value>,
    limits: Option<serde_json::Value>,
    expires_in_seconds: i32,
}

impl ContentRow {
    pub fn of(name: &'static str, content: &SeriesContent) -> Result<Self, StoreError> {
        let seconds = |length: Duration| i32::try_from(length.as_secs()).unwrap_or(i32::MAX);
        let limits = match content.limits.is_empty() {
            true => None,
            false => Some(to_json(name, &content.limits)?),
        };
        Ok(Self {
            recurrence: to_json(name, &content.recurrence)?,
            zone: content.zone.name(),
            late_seconds_max: seconds(content.late_max),
            lane: content.lane.number(),
            mode: content.mode.number(),
            message_type: content.message_type.clone(),
            subject: content.subject.clone(),
            channels: content.channels.iter().map(|channel| channel.number()).collect(),
            audience: to_json(name, &content.audience)?,
            contents: to_json(name, &content.contents)?,
            redial: content.redial.as_ref().map(|redial| to_json(name, redial)).transpose()?,
            calling_window: content
                .calling_window
                .as_ref()
                .map(|window| to_json(name, window))
                .transpose()?,
            limits,
            expires_in_seconds: seconds(content.expires_in),
        })
    }

    pub fn parameters(&self) -> [&(dyn ToSql + Sync); 14] {
        [
            &self.recurrence,
            &self.zone,
            &self.late_seconds_max,
            &self.lane,
            &self.mode,
            &self.message_type,
            &self.subject,
            &self.channels,
            &self.audience,
            &self.contents,
            &self.redial,
            &self.calling_window,
            &self.limits,
            &self.expires_in_seconds,
        ]
    }
}

pub(crate) fn read_series(name: &'static str, found: &Row) -> Result<Series, StoreError> {
    let length = |column: &str| Duration::from_secs(u64::from(found.get::<_, i32>(column).unsigned_abs()));
    let unreadable = |what, value: String| StoreError::Unreadable { statement: name, what, value };
    let zone: String = found.get("time_zone");
    let redial: Option<serde_json::Value> = found.get("redial");
    let state: i16 = found.get("state");
    let next =
        found.get::<_, Option<NaiveDate>>("next_on").zip(found.get::<_, Option<DateTime<Utc>>>("next_at"));
    Ok(Series {
        id: SeriesId(found.get("id")),
        district: DistrictId(found.get("district_id")),
        number: found.get("number"),
        state: SeriesState::ALL
            .into_iter()
            .find(|known| known.number() == state)
            .ok_or_else(|| unreadable("a series' state", state.to_string()))?,
        version: found.get("version"),
        content: SeriesContent {
            recurrence: row::from_json(name, "a recurrence", found.get("recurrence"))?,
            zone: zone_named(&zone).ok_or_else(|| unreadable("a time zone", zone.clone()))?,
            late_max: length("late_seconds_max"),
            lane: row::lane(name, found.get("lane"))?,
            mode: mode(name, found.get("mode"))?,
            message_type: found.get("message_type"),
            subject: found.get("subject"),
            channels: found
                .get::<_, Vec<i16>>("channels")
                .into_iter()
                .map(|number| row::channel(name, number))
                .collect::<Result<_, _>>()?,
            audience: row::from_json(name, "an audience", found.get("audience"))?,
            contents: row::from_json(name, "contents", found.get("contents"))?,
            redial: redial.map(|redial| row::from_json(name, "a redial policy", redial)).transpose()?,
            calling_window: row::calling_window(name, found)?,
            limits: row::campaign_limits(name, found)?,
            expires_in: length("expires_in_seconds"),
        },
        next: next.map(|(on, at)| Occurrence { on, at }),
        created_by: found.get("created_by"),
        creator: found.get("creator_id"),
        created_at: found.get("created_at"),
        modified_by: found.get("modified_by"),
        modified_at: found.get("modified_at"),
        canceled_by: found.get("canceled_by"),
        canceled_at: found.get("canceled_at"),
        cancel_reason: found.get("cancel_reason"),
    })
}

/// Series state 1 is active.
const CREATE_SERIES: &str = "-- store.create_series
with made as (
  insert into series (id, district_id, client_key, request_hash, state, next_on, next_at, created_by, created_at,
    recurrence, time_zone, late_seconds_max, lane, mode, message_type, subject, channels, audience, contents, redial,
    calling_window, limits, expires_in_seconds)
  values ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
  on conflict (district_id, client_key) do nothing
  returning id, number
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $2, $8, $7, 'series.create', m.id::text, jsonb_build_object('recurrence', $9::jsonb) from made m
)
select number from made";
