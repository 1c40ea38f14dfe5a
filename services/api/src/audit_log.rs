//! What was done in the district, by whom and when, over REST.

use axum::Json;
use axum::extract::RawQuery;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tocsin_store::tenant::audit::{AuditQuery, AuditRow};
use uuid::Uuid;

use crate::auth::Caller;
use crate::fields::{Fault, Faults, Fields, quoted};
use crate::openapi::Operation;
use crate::openapi::shapes::{Text, shape};
use crate::page::{PageQuery, encode, instant, read_cursor, read_limit};
use crate::problem::{Kind, Problem};
use crate::submission::ACTOR_CHARS_MAX;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditPage")]
pub(crate) struct ListView {
    entries: Vec<EntryView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
struct EntryView {
    at: DateTime<Utc>,
    actor: String,
    /// The user or API key; null: an operator, or Tocsin itself.
    actor_id: Option<Uuid>,
    action: String,
    subject: String,
    details: Value,
}

shape! {
    pub(crate) struct AuditQueryShape {
        #[schemars(flatten)]
        page: PageQuery,
        /// A name, as it stands in an entry.
        actor: Option<Text<ACTOR_CHARS_MAX>>,
        /// Such as `user.change`.
        action: Option<Text<ACTOR_CHARS_MAX>>,
        from: Option<DateTime<Utc>>,
        /// Which is left out itself.
        to: Option<DateTime<Utc>>,
    }
}

pub(crate) const LIST: Operation =
    Operation::new("listAudit", "List what was done in the district, newest first").asks::<AuditQueryShape>();

/// `GET /v1/audit?actor=&action=&from=&to=&limit=&cursor=`, newest first.
pub(crate) async fn list(
    Caller(tenant): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Problem> {
    let query = read_query(query.as_deref()).map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))?;
    let limit = query.rows_max;
    // One more than is shown tells whether another page follows.
    let mut found = tenant.audit_log(&AuditQuery { rows_max: limit + 1, ..query }).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(write_cursor);
    Ok(Json(ListView { entries: found.into_iter().map(EntryView::of).collect(), next_cursor }))
}

fn read_query(query: Option<&str>) -> Result<AuditQuery, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let actor = fields.take("actor").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
    let action = fields.take("action").and_then(|field| field.text(ACTOR_CHARS_MAX, &mut faults));
    let from = fields.take("from").and_then(|field| field.parsed(&mut faults, read_time));
    let to = fields.take("to").and_then(|field| field.parsed(&mut faults, read_time));
    let limit = read_limit(&mut fields, &mut faults);
    let before = read_cursor(&mut fields, &mut faults, parse_cursor);
    fields.finish(&mut faults);
    faults.or(limit.map(|rows_max| AuditQuery { actor, action, from, to, before, rows_max }))
}

fn read_time(text: &str) -> Result<DateTime<Utc>, String> {
    let read = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    read.map_err(|_| format!("{} is no RFC 3339 time: write it as 2026-09-01T08:00:00-05:00", quoted(text)))
}

pub(crate) fn write_cursor(last: &AuditRow) -> String {
    encode(&format!("{}/{}", last.at.timestamp_micros(), last.id))
}

pub(crate) fn parse_cursor(text: &str) -> Option<(DateTime<Utc>, i64)> {
    let (at, id) = text.split_once('/')?;
    Some((instant(at)?, id.parse().ok()?))
}

impl EntryView {
    fn of(row: AuditRow) -> Self {
        let AuditRow { id: _, at, actor, actor_id, action, subject, details } = row;
        Self { at, actor, actor_id, action, subject, details }
    }
}
