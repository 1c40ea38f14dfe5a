//! The promises held against what a run left behind.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tocsin_domain::CampaignId;
use tocsin_testkit::promises::{COMMIT_MARGIN, Seen, Violations};

use crate::stage::Stage;

/// Callbacks that are still to come are waited for: they may raise an outcome.
const CALLBACKS_WITHIN: Duration = Duration::from_secs(30);
/// Of each promise: a run that breaks one a thousand times says so in a few lines.
const SHOWN_MAX: usize = 10;

/// What a run broke, in words.
#[derive(Debug, Default)]
pub struct Broken {
    pub promises: Violations,
    /// Counters that are not what the rows say.
    pub drift: Vec<String>,
}

impl Broken {
    /// Few lines of each promise.
    pub fn lines(self) -> Vec<String> {
        let Violations { lost, sent_twice, sent_after_cancel } = self.promises;
        let all = [
            ("lost", lost),
            ("sent twice", sent_twice),
            ("sent after cancel", sent_after_cancel),
            ("drift", self.drift),
        ];
        all.into_iter().flat_map(|(promise, broken)| shortened(promise, broken)).collect()
    }
}

/// As [`examine`], in few lines.
pub async fn check(stage: &Stage, campaigns: &[CampaignId]) -> Result<Vec<String>> {
    Ok(examine(stage, campaigns, COMMIT_MARGIN).await?.lines())
}

/// Promises 1 to 3 by the simulator's record, 10 by the auditor. `margin` is how long a cancel's commit and a request's
/// arrival may take beyond what they are measured by.
pub async fn examine(stage: &Stage, campaigns: &[CampaignId], margin: Duration) -> Result<Broken> {
    stage.simulator.callbacks_done(CALLBACKS_WITHIN).await?;
    let mut seen = Seen::default();
    stage.simulator.read_records(|page| seen.read(page, &stage.token_keys));
    let promises =
        seen.check(&stage.store, campaigns, margin).await.context("the promises cannot be checked")?;
    Ok(Broken { promises, drift: drift(stage, campaigns).await? })
}

/// Counters that are not what the rows say.
async fn drift(stage: &Stage, campaigns: &[CampaignId]) -> Result<Vec<String>> {
    let mut drifted = Vec::new();
    for &campaign in campaigns {
        let now = stage.store.now().await?;
        for drift in stage.store.audit_campaign(campaign, now).await?.unwrap_or_default() {
            let channel = drift.channel.map_or("people", |channel| channel.as_str());
            drifted.push(format!(
                "campaign {campaign}: {channel} {} is off by {:?}",
                drift.counter, drift.off_by
            ));
        }
    }
    Ok(drifted)
}

fn shortened(promise: &str, mut broken: Vec<String>) -> Vec<String> {
    let more = broken.len().saturating_sub(SHOWN_MAX);
    broken.truncate(SHOWN_MAX);
    let mut lines: Vec<String> = broken.into_iter().map(|what| format!("{promise}: {what}")).collect();
    if more > 0 {
        lines.push(format!("{promise}: and {more} more"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_broken_often_is_told_in_few_lines() {
        assert_eq!(shortened("lost", vec![]), Vec::<String>::new());
        let lines = shortened("lost", (0..12).map(|number| format!("job {number}")).collect());
        assert_eq!(
            (lines.len(), lines[0].as_str(), lines[10].as_str()),
            (11, "lost: job 0", "lost: and 2 more")
        );
    }
}
