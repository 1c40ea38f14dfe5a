//! Texts of an emergency that are barred when their jobs are made, by an opt-out or a suppression: what is left of their
//! people is said, for somebody may have to act.

use tocsin_domain::{CampaignId, JobKey};
use tocsin_store::Store;
use tocsin_store::expand::Chunk;
use tocsin_store::others::Left;

/// Logs, of one chunk, how many other devices are left. That it cannot be read holds up nothing.
pub async fn tell(store: &Store, campaign: CampaignId, chunk: &Chunk) {
    let barred: Vec<JobKey> = chunk.barred_texts().iter().map(|job| JobKey { campaign, job: *job }).collect();
    if barred.is_empty() {
        return;
    }
    match store.others_left(&barred).await {
        Ok(left) => left.iter().for_each(tell_left),
        Err(error) => {
            tracing::warn!(%error, campaign.id = %campaign, texts = barred.len(),
                "emergency texts are barred; the other devices of their people could not be counted");
        }
    }
}

fn tell_left(left: &Left) {
    tracing::info!(campaign.id = %left.campaign, texts = left.refused, other_devices = left.other_devices,
        people_without_other_device = left.without_other,
        "emergency texts are barred by opt-outs or suppressions: the other devices of their people are what is left");
}
