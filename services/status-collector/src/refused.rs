//! Emergency texts that an opt-out refused: what is left of their people is said, for somebody may have to act.

use tocsin_domain::settlement::{Report, ReportKind};
use tocsin_domain::{JobKey, Outcome};
use tocsin_store::Store;

/// Logs, by campaign, how many other devices are left. That it cannot be read holds up nothing.
pub async fn tell(store: &Store, reports: &[Report]) {
    let opted_out = |kind: &ReportKind| matches!(kind, ReportKind::Status { outcome: Outcome::OptOut, .. });
    let refused: Vec<JobKey> =
        reports.iter().filter(|report| opted_out(&report.kind)).map(|report| report.attempt.job).collect();
    if refused.is_empty() {
        return;
    }
    match store.others_left(&refused).await {
        Ok(left) => left.iter().for_each(|left| {
            tracing::info!(campaign.id = %left.campaign, texts = left.refused, other_devices = left.other_devices,
                people_without_other_device = left.without_other,
                "emergency texts were refused: the other devices of their people are what is left");
        }),
        Err(error) => {
            tracing::warn!(%error, texts = refused.len(),
                "emergency texts were refused; the other devices of their people could not be counted");
        }
    }
}
