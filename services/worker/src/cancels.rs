//! The campaigns that this process knows to be canceled. It only saves work: the claim decides.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use tocsin_domain::CampaignId;
use tokio::sync::watch;

/// Shared by the stages that look before they work. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Cancels {
    campaigns: Arc<RwLock<HashSet<CampaignId>>>,
    heard: Arc<watch::Sender<()>>,
}

impl Cancels {
    pub fn contains(&self, campaign: CampaignId) -> bool {
        self.campaigns.read().unwrap_or_else(PoisonError::into_inner).contains(&campaign)
    }

    pub fn insert(&self, campaign: CampaignId) {
        self.campaigns.write().unwrap_or_else(PoisonError::into_inner).insert(campaign);
        self.heard.send_replace(());
    }

    /// Puts what the store knows in place of what was heard: closed campaigns are forgotten.
    pub fn replace(&self, campaigns: impl Iterator<Item = CampaignId>) {
        *self.campaigns.write().unwrap_or_else(PoisonError::into_inner) = campaigns.collect();
        self.heard.send_replace(());
    }

    /// Tells of every change.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.heard.subscribe()
    }
}
