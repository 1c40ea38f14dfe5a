//! All that a release looks at before it draws, in one round trip.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tocsin_domain::limits::DistrictLimit;
use tocsin_domain::{Channel, DistrictId};
use tokio_postgres::types::ToSql;

use crate::accounts::{ACCOUNTS, Account, read_accounts};
use crate::budgets::{DISTRICT_LIMITS, read_district_limits};
use crate::release::{
    OPEN_CAMPAIGNS, OpenCampaign, QUEUED_COUNTS, QueuedCount, read_open_campaigns, read_queued_counts,
};
use crate::tallies::{NOW, read_now};
use crate::{Store, StoreError};

/// What there is to release, and what it may be released to.
#[derive(Debug, Clone)]
pub struct Survey {
    /// By the store's clock, before all that follows was read.
    pub now: DateTime<Utc>,
    pub campaigns: Vec<OpenCampaign>,
    pub queued: Vec<QueuedCount>,
    /// Read after what is queued: what is claimed in between counts twice, and not at all the other way about.
    pub accounts: Vec<Account>,
    /// What districts allow of the channel.
    pub limits: HashMap<DistrictId, DistrictLimit>,
}

impl Store {
    /// Sends its statements together, and they run one after another on one connection.
    pub async fn survey(&self, channel: Channel) -> Result<Survey, StoreError> {
        const NAME: &str = "survey";
        let channel: &[&(dyn ToSql + Sync)] = &[&channel.number()];
        let client = self.client().await?;
        let statement = async |sql| client.prepare_cached(sql).await.map_err(StoreError::statement(NAME));
        let (now, campaigns, queued, accounts, limits) = (
            statement(NOW).await?,
            statement(OPEN_CAMPAIGNS).await?,
            statement(QUEUED_COUNTS).await?,
            statement(ACCOUNTS).await?,
            statement(DISTRICT_LIMITS).await?,
        );
        let (now, campaigns, queued, accounts, limits) = futures::try_join!(
            client.query(&now, &[]),
            client.query(&campaigns, &[]),
            client.query(&queued, &[]),
            client.query(&accounts, &[]),
            client.query(&limits, channel),
        )
        .map_err(StoreError::statement(NAME))?;
        Ok(Survey {
            now: self.told_now().map_or_else(|| read_now(&now), Ok)?,
            campaigns: read_open_campaigns(campaigns)?,
            queued: read_queued_counts(queued)?,
            accounts: read_accounts(accounts)?,
            limits: read_district_limits(&limits),
        })
    }
}
