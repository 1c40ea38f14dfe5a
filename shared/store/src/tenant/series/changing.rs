//! Edits and cancels of a series. They reach all that is not yet sent, because occurrences become campaigns only when
//! their time has come.

use chrono::{DateTime, NaiveDate, Utc};
use tocsin_domain::SeriesId;
use tocsin_domain::recurrence::Occurrence;
use tokio_postgres::types::ToSql;

use super::{ContentRow, Series, SeriesContent, SeriesState, read_series};
use crate::StoreError;
use crate::tenant::Tenant;

/// Who edits what, and what they saw of it.
#[derive(Debug, Clone, Copy)]
pub struct SeriesEdit<'a> {
    pub series: SeriesId,
    pub version: i32,
    /// The day of the next occurrence as it was seen: `next` was worked out from it.
    pub seen_next: Option<NaiveDate>,
    /// None: no occurrence is left, and the series ends.
    pub next: Option<Occurrence>,
    pub by: &'a str,
    pub at: DateTime<Utc>,
}

/// What an edit came to.
#[derive(Debug, Clone)]
pub enum SeriesEdited {
    Made(i32),
    /// An occurrence came meanwhile: what comes next is to be worked out anew.
    Again,
    /// It was edited by somebody else, has ended, or was canceled.
    Not(Box<Series>),
    Unknown,
}

/// Pressing again returns the same.
#[derive(Debug, Clone)]
pub struct SeriesCancel {
    pub series: Series,
    pub fresh: bool,
}

impl Tenant {
    /// Replaces what the series is from now on, if it is as the edit saw it.
    pub async fn edit_series(
        &self,
        edit: SeriesEdit<'_>,
        content: &SeriesContent,
    ) -> Result<SeriesEdited, StoreError> {
        const NAME: &str = "edit_series";
        self.use_attachments(&content.contents, edit.at).await?;
        let row = ContentRow::of(NAME, content)?;
        let (next_on, next_at) = edit.next.map(|next| (next.on, next.at)).unzip();
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
            &edit.series.0,
            &self.district.0,
            &edit.version,
            &edit.seen_next,
            &next_on,
            &next_at,
            &edit.by,
            &edit.at,
        ];
        parameters.extend(row.parameters());
        let rows = self.rows(NAME, EDIT_SERIES, &parameters).await?;
        let Some(found) = rows.first() else { return Ok(SeriesEdited::Unknown) };
        if let Some(version) = found.get::<_, Option<i32>>("made") {
            return Ok(SeriesEdited::Made(version));
        }
        let series = read_series(NAME, found)?;
        if series.state == SeriesState::Active && series.version == edit.version {
            return Ok(SeriesEdited::Again);
        }
        Ok(SeriesEdited::Not(Box::new(series)))
    }

    /// Ends a series: no occurrence comes any more. What became a campaign already is that campaign's to cancel.
    pub async fn cancel_series(
        &self,
        series: SeriesId,
        by: &str,
        reason: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Option<SeriesCancel>, StoreError> {
        const NAME: &str = "cancel_series";
        let rows = self.rows(NAME, CANCEL_SERIES, &[&series.0, &self.district.0, &by, &reason, &now]).await?;
        let fresh = !rows.is_empty();
        let found = self.series(series).await?;
        Ok(found.map(|series| SeriesCancel { series, fresh }))
    }
}

/// Series states 1 active, 2 ended. The row is locked first, against the tick that makes occurrences.
const EDIT_SERIES: &str = "-- store.edit_series
with target as materialized (
  select * from series where id = $1 for no key update
), edited as (
  update series s set version = s.version + 1, next_on = $5, next_at = $6, modified_by = $7, modified_at = $8,
    state = case when $6::timestamptz is null then 2 else 1 end,
    recurrence = $9, time_zone = $10, late_seconds_max = $11, lane = $12, mode = $13, message_type = $14,
    subject = $15, channels = $16, audience = $17, contents = $18, redial = $19, calling_window = $20, limits = $21,
    expires_in_seconds = $22
  from target t
  where s.id = t.id and t.state = 1 and t.version = $3 and t.next_on is not distinct from $4
  returning s.id, s.version
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $2, $8, $7, 'series.edit', e.id::text,
    jsonb_build_object('version', e.version, 'before', t.recurrence, 'after', $9::jsonb)
  from edited e cross join target t
)
select t.*, e.version as made from target t left join edited e on true";

const CANCEL_SERIES: &str = "-- store.cancel_series
with canceled as (
  update series set state = 3, next_on = null, next_at = null, canceled_at = $5, canceled_by = $3, cancel_reason = $4
  where id = $1 and state = 1
  returning id
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $2, $5, $3, 'series.cancel', id::text, jsonb_build_object('reason', $4::text) from canceled
)
select id from canceled";
