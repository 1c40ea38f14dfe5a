//! Editing a campaign whose time has not come (requirements 32 to 36).

use chrono::{DateTime, Utc};
use tocsin_domain::{CampaignId, CampaignState};
use tokio_postgres::types::ToSql;

use super::{CampaignRow, NewCampaign};
use crate::tenant::Tenant;
use crate::{StoreError, row};

/// Who edits what, and which version they saw.
#[derive(Debug, Clone, Copy)]
pub struct Edit<'a> {
    pub campaign: CampaignId,
    pub version: i32,
    pub by: &'a str,
    pub at: DateTime<Utc>,
}

/// What an edit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edited {
    /// It has this version now.
    Made(i32),
    /// It had begun, or was canceled, before the edit came.
    NotScheduled(CampaignState),
    /// Somebody edited it since.
    Moved {
        version: i32,
        by: Option<String>,
    },
    Unknown,
}

impl Tenant {
    /// Replaces a scheduled campaign's content, audience, time and policy, if it still has the version that the
    /// edit saw and has not begun: it begins as it was before the edit, or as it is after, and never as a mixture.
    pub async fn edit_campaign(&self, edit: Edit<'_>, new: &NewCampaign) -> Result<Edited, StoreError> {
        const NAME: &str = "edit_campaign";
        self.use_attachments(&new.contents, edit.at).await?;
        let row = CampaignRow::of(self.district, new)?;
        let ordinals = i16::try_from(new.contents.len()).unwrap_or(i16::MAX);
        let parameters: [&(dyn ToSql + Sync); 24] = [
            &edit.campaign.0,
            &self.district.0,
            &edit.version,
            &edit.by,
            &edit.at,
            &row.lane,
            &row.mode,
            &new.consent_class,
            &new.message_type,
            &new.subject,
            &row.channels,
            &row.audience,
            &row.redial,
            &row.calling_window,
            &row.limits,
            &new.scheduled_at,
            &new.expires_at,
            &row.content_channels,
            &row.languages,
            &row.subjects,
            &row.bodies,
            &row.audio_urls,
            &ordinals,
            &row.attachments,
        ];
        let rows = self.rows(NAME, EDIT_CAMPAIGN, &parameters).await?;
        let Some(found) = rows.first() else { return Ok(Edited::Unknown) };
        if let Some(version) = found.get::<_, Option<i32>>("made") {
            return Ok(Edited::Made(version));
        }
        let state = row::campaign_state(NAME, found.get("state"))?;
        Ok(match state {
            CampaignState::Scheduled => {
                Edited::Moved { version: found.get("version"), by: found.get("modified_by") }
            }
            _ => Edited::NotScheduled(state),
        })
    }
}

/// Campaign state 1 is scheduled. The row is locked first: whoever starts it, cancels or edits it at this moment is
/// waited for, and what they made of it decides.
const EDIT_CAMPAIGN: &str = "-- store.edit_campaign
with target as materialized (
  select id, state, version, modified_by from campaigns where id = $1 for no key update
), edited as (
  update campaigns c set version = c.version + 1, modified_by = $4, modified_at = $5, lane = $6, mode = $7,
    consent_class = $8, message_type = $9, subject = $10, channels = $11, audience = $12, redial = $13,
    calling_window = $14, limits = $15, scheduled_at = $16, expires_at = $17
  from target t where c.id = t.id and t.state = 1 and t.version = $3
  returning c.id, c.version
), written as (
  insert into contents (campaign_id, ordinal, district_id, channel, language, subject, body, audio_url, attachments)
  select e.id, u.ordinal::smallint, $2, u.channel, u.language, u.subject, u.body, u.audio_url, u.attachments
  from edited e cross join unnest($18::smallint[], $19::text[], $20::text[], $21::text[], $22::text[], $24::jsonb[])
    with ordinality u(channel, language, subject, body, audio_url, attachments, ordinal)
  on conflict (campaign_id, ordinal) do update set channel = excluded.channel, language = excluded.language,
    subject = excluded.subject, body = excluded.body, audio_url = excluded.audio_url,
    attachments = excluded.attachments
), removed as (
  delete from contents where campaign_id = (select id from edited) and ordinal > $23::smallint
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $2, $5, $4, 'campaign.edit', e.id::text,
    jsonb_build_object('version', e.version, 'scheduled_at', $16::timestamptz, 'subject', $10::text)
  from edited e
)
select t.state, t.version, t.modified_by, e.version as made from target t left join edited e on true";
