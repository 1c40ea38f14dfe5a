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
    pub successful: i64,
    pub error: i64,
    pub canceled: i64,
    pub not_dispatched: i64,
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
                 select campaign_id, sum(recipients) as recipients, sum(devices) as devices, sum(open) as open,
                   sum(successful) as successful, sum(error) as error, sum(canceled) as canceled,
                   sum(not_dispatched) as not_dispatched
                 from tallies where campaign_id = any($1) group by campaign_id",
                &[&ids],
            )
            .await?;
        let read = |found: &tokio_postgres::Row| {
            let progress = Progress {
                recipients: found.get("recipients"),
                devices: found.get("devices"),
                open: found.get("open"),
                successful: found.get("successful"),
                error: found.get("error"),
                canceled: found.get("canceled"),
                not_dispatched: found.get("not_dispatched"),
            };
            (CampaignId(found.get("campaign_id")), progress)
        };
        Ok(rows.iter().map(read).collect())
    }
}
