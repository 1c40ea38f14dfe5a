//! What the engine knows of a campaign as a whole. Asked once a campaign, not once a job.

use chrono::{DateTime, Utc};
use tocsin_domain::content::Content;
use tocsin_domain::policy::RedialPolicy;
use tocsin_domain::{CampaignId, DistrictId, Lane};

use crate::{Store, StoreError, row};

/// All that jobs of one campaign share.
#[derive(Debug, Clone)]
pub struct CampaignBrief {
    pub id: CampaignId,
    pub district: DistrictId,
    pub lane: Lane,
    pub redial: RedialPolicy,
    pub expires_at: DateTime<Utc>,
    /// Do its texts ask for an opt-in?
    pub asks_opt_in: bool,
    pub contents: Vec<Content>,
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
                 select c.district_id, c.lane, c.redial, c.expires_at, c.consent_class = 4 as asks_opt_in, t.channel, t.language, t.subject, t.body
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
            redial: row::from_json(NAME, "a redial policy", first.get("redial"))?,
            expires_at: first.get("expires_at"),
            asks_opt_in: first.get("asks_opt_in"),
            contents,
        }))
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
