//! A campaign as it is stored: by the api, and by the reminders that the engine makes.

use tocsin_domain::{Channel, DistrictId};
use tokio_postgres::types::ToSql;

use super::NewCampaign;
use crate::StoreError;
use crate::tenant::to_json;

/// A campaign as `create_campaign` takes it.
pub(crate) struct CampaignRow<'a> {
    district: DistrictId,
    new: &'a NewCampaign,
    pub(super) lane: i16,
    pub(super) mode: i16,
    pub(super) channels: Vec<i16>,
    pub(super) audience: serde_json::Value,
    pub(super) redial: serde_json::Value,
    pub(super) calling_window: Option<serde_json::Value>,
    pub(super) limits: Option<serde_json::Value>,
    pub(super) content_channels: Vec<Option<i16>>,
    pub(super) languages: Vec<Option<&'a str>>,
    pub(super) subjects: Vec<Option<&'a str>>,
    pub(super) audio_urls: Vec<Option<&'a str>>,
    pub(super) attachments: Vec<Option<serde_json::Value>>,
    pub(super) bodies: Vec<&'a str>,
}

impl<'a> CampaignRow<'a> {
    pub fn of(district: DistrictId, new: &'a NewCampaign) -> Result<Self, StoreError> {
        const NAME: &str = "create_campaign";
        let limits = match new.limits.is_empty() {
            true => None,
            false => Some(to_json(NAME, &new.limits)?),
        };
        let contents = || new.contents.iter();
        Ok(Self {
            district,
            new,
            lane: new.lane.number(),
            mode: new.mode.number(),
            channels: new.channels.iter().map(|channel| channel.number()).collect(),
            audience: to_json(NAME, &new.audience)?,
            redial: to_json(NAME, &new.redial)?,
            calling_window: new.calling_window.as_ref().map(|window| to_json(NAME, window)).transpose()?,
            limits,
            content_channels: contents().map(|content| content.channel.map(Channel::number)).collect(),
            languages: contents().map(|content| content.language.as_deref()).collect(),
            subjects: contents().map(|content| content.subject.as_deref()).collect(),
            audio_urls: contents().map(|content| content.audio_url.as_deref()).collect(),
            attachments: contents().map(|content| files(NAME, content)).collect::<Result<_, _>>()?,
            bodies: contents().map(|content| content.body.as_str()).collect(),
        })
    }

    pub fn parameters(&self) -> [&(dyn ToSql + Sync); 25] {
        let new = self.new;
        [
            &new.id.0,
            &self.district.0,
            &new.client_key,
            &new.request_hash,
            &self.lane,
            &self.mode,
            &new.consent_class,
            &new.message_type,
            &new.subject,
            &self.channels,
            &self.audience,
            &self.redial,
            &new.created_by,
            &new.created_at,
            &new.scheduled_at,
            &new.expires_at,
            &self.content_channels,
            &self.languages,
            &self.subjects,
            &self.bodies,
            &self.calling_window,
            &self.limits,
            &self.audio_urls,
            &new.test,
            &self.attachments,
        ]
    }
}

fn files(
    statement: &'static str,
    content: &tocsin_domain::content::Content,
) -> Result<Option<serde_json::Value>, StoreError> {
    (!content.attachments.is_empty()).then(|| to_json(statement, &content.attachments)).transpose()
}

/// Campaign states 1 scheduled and 2 processing, by whether its time has come. The trace is the transaction's, as the actor
/// is (`Tenant::within`).
pub(crate) const CREATE_CAMPAIGN: &str = "-- store.create_campaign
with made as (
  insert into campaigns (id, district_id, client_key, request_hash, state, lane, mode, consent_class,
    message_type, subject, channels, audience, redial, created_by, created_at, scheduled_at, expires_at,
    calling_window, limits, test, traceparent)
  values ($1, $2, $3, $4, case when $15::timestamptz > $14::timestamptz then 1 else 2 end, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
    $15, $16, $21, $22, $24, nullif(current_setting('tocsin.traceparent', true), ''))
  on conflict (district_id, client_key) do nothing
  returning id, number
), written as (
  insert into contents (campaign_id, ordinal, district_id, channel, language, subject, body, audio_url, attachments)
  select m.id, u.ordinal::smallint, $2, u.channel, u.language, u.subject, u.body, u.audio_url, u.attachments
  from made m cross join unnest($17::smallint[], $18::text[], $19::text[], $20::text[], $23::text[], $25::jsonb[])
    with ordinality u(channel, language, subject, body, audio_url, attachments, ordinal)
), audited as (
  insert into audit (district_id, at, actor, action, subject, details)
  select $2, $14, $13, 'campaign.create', m.id::text, case when $24 then jsonb_build_object('test', true) else '{}' end from made m
)
select number from made";
