//! What the jobs of one campaign share, read once a campaign.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tocsin_domain::CampaignId;
use tocsin_store::campaigns::CampaignBrief;
use tocsin_store::{Store, StoreError};

/// Campaigns kept at a time. A worker serves few at once; contents may be large.
const CAMPAIGNS_MAX: usize = 64;

/// A bounded cache. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Briefs {
    store: Store,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    briefs: HashMap<CampaignId, (u64, Arc<CampaignBrief>)>,
    /// Counts uses, so that the one unused the longest is dropped.
    uses: u64,
}

impl Briefs {
    pub fn new(store: Store) -> Self {
        Self { store, known: Arc::default() }
    }

    /// None: the store does not know the campaign.
    pub async fn get(&self, campaign: CampaignId) -> Result<Option<Arc<CampaignBrief>>, StoreError> {
        if let Some(brief) = self.known(campaign) {
            return Ok(Some(brief));
        }
        let Some(brief) = self.store.campaign_brief(campaign).await? else { return Ok(None) };
        let brief = Arc::new(brief);
        self.keep(campaign, Arc::clone(&brief));
        Ok(Some(brief))
    }

    fn known(&self, campaign: CampaignId) -> Option<Arc<CampaignBrief>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.uses += 1;
        let uses = known.uses;
        let (used, brief) = known.briefs.get_mut(&campaign)?;
        *used = uses;
        Some(Arc::clone(brief))
    }

    fn keep(&self, campaign: CampaignId, brief: Arc<CampaignBrief>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = known.briefs.iter().min_by_key(|(_, (used, _))| *used).map(|(campaign, _)| *campaign);
        if let (Some(oldest), true) = (oldest, known.briefs.len() >= CAMPAIGNS_MAX) {
            known.briefs.remove(&oldest);
        }
        let uses = known.uses;
        known.briefs.insert(campaign, (uses, brief));
    }
}
