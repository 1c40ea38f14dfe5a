//! How far the campaigns of a list are.

use std::collections::HashMap;

use tocsin_domain::CampaignId;
use uuid::Uuid;

use super::Tenant;
use crate::StoreError;

/// The sums that a line of a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    pub recipients: i64,
    /// Duplicates are not among them.
    pub devices: i64,
    pub open: i64,
}

impl Tenant {
    /// The progress of each of `campaigns` that has any tally yet: one statement for a page of a list.
    pub async fn progress(
        &self,
        campaigns: &[CampaignId],
    ) -> Result<HashMap<CampaignId, Progress>, StoreError> {
        let ids: Vec<Uuid> = campaigns.iter().map(|campaign| campaign.0).collect();
        let rows = self
            .rows(
                "progress",
                "-- store.progress
                 select campaign_id, sum(recipients) as recipients, sum(devices) as devices, sum(open) as open
                 from tallies where campaign_id = any($1) group by campaign_id",
                &[&ids],
            )
            .await?;
        let read = |found: &tokio_postgres::Row| {
            let progress = Progress {
                recipients: found.get("recipients"),
                devices: found.get("devices"),
                open: found.get("open"),
            };
            (CampaignId(found.get("campaign_id")), progress)
        };
        Ok(rows.iter().map(read).collect())
    }
}
