//! What the engine knows of a campaign as a whole. Asked once a campaign, not once a job.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tocsin_domain::content::Content;
use tocsin_domain::policy::RedialPolicy;
use tocsin_domain::{CampaignId, DistrictId, JobKey, Lane};

use crate::{Store, StoreError, row};

/// All that jobs of one campaign share.
#[derive(Debug, Clone)]
pub struct CampaignBrief {
    pub id: CampaignId,
    pub district: DistrictId,
    pub lane: Lane,
    pub message_type: String,
    pub redial: RedialPolicy,
    pub expires_at: DateTime<Utc>,
    /// Do its texts ask for an opt-in?
    pub asks_opt_in: bool,
    pub contents: Vec<Content>,
}

/// What a message's content is chosen and filled in by.
#[derive(Debug, Clone)]
pub struct RecipientValues {
    pub language: Option<String>,
    pub merge_values: BTreeMap<String, String>,
}

/// A committed cancel of a campaign that is not closed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenCancel {
    pub campaign: CampaignId,
    pub epoch: i64,
}

impl Store {
    pub async fn campaign_brief(&self, campaign: CampaignId) -> Result<Option<CampaignBrief>, StoreError> {
        const NAME: &str = "campaign_brief";
        let rows = self
            .rows(
                NAME,
                "-- store.campaign_brief
                 select c.district_id, c.lane, c.message_type, c.redial, c.expires_at, c.consent_class = 4 as asks_opt_in, t.channel, t.language, t.subject,
                   t.audio_url, t.attachments, t.body
                 from campaigns c join contents t on t.campaign_id = c.id
                 where c.id = $1 order by t.ordinal",
                &[&campaign.0],
            )
            .await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let contents = rows.iter().map(|found| row::content(NAME, found)).collect::<Result<_, _>>()?;
        Ok(Some(CampaignBrief {
            id: campaign,
            district: DistrictId(first.get("district_id")),
            lane: row::lane(NAME, first.get("lane"))?,
            message_type: first.get("message_type"),
            redial: row::from_json(NAME, "a redial policy", first.get("redial"))?,
            expires_at: first.get("expires_at"),
            asks_opt_in: first.get("asks_opt_in"),
            contents,
        }))
    }

    /// What one job's recipient reads or hears in: the language, and the values of the merge fields. None: there is no
    /// such job.
    pub async fn recipient_values(&self, job: JobKey) -> Result<Option<RecipientValues>, StoreError> {
        const NAME: &str = "recipient_values";
        let rows = self.rows(NAME, RECIPIENT_VALUES, &[&job.campaign.0, &job.job]).await?;
        let read = |found: &tokio_postgres::Row| {
            let merge_values = row::from_json(NAME, "merge values", found.get("merge_values"))?;
            Ok(RecipientValues { language: found.get("language"), merge_values })
        };
        rows.first().map(read).transpose()
    }

    /// Cancels that a worker must know before it takes jobs: kept until the campaign is closed.
    pub async fn open_cancels(&self) -> Result<Vec<OpenCancel>, StoreError> {
        let rows = self
            .rows(
                "open_cancels",
                "-- store.open_cancels
                 select id, cancel_epoch from campaigns where closed_at is null and cancel_epoch is not null",
                &[],
            )
            .await?;
        Ok(rows
            .into_iter()
            .map(|found| OpenCancel {
                campaign: CampaignId(found.get("id")),
                epoch: found.get("cancel_epoch"),
            })
            .collect())
    }
}

pub(crate) const RECIPIENT_VALUES: &str = "-- store.recipient_values
select r.language, r.merge_values
from jobs j cross join lateral (
  select language, merge_values from recipients
  where campaign_id = j.campaign_id and id = j.recipient_id limit 1) r
where j.campaign_id = $1 and j.id = $2";
