//! A correction reaches all those whom the canceled campaign reached, or may have, by what its providers know; and nobody
//! of whom it is known that they were not.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::settlement::ReportKind;
use tocsin_domain::{AttemptKey, CampaignId, Channel, Outcome};

use super::claims::Grant;
use super::{Promise, hold};
use crate::database::Database;
use crate::provider::{Effect, Request};
use crate::world::Campaign;

/// An attempt that nobody has answered for so long after its claim is unknown for a while, whatever is said later.
const UNKNOWN_AFTER: TimeDelta = TimeDelta::seconds(20);

/// Attempts of which it was known in time that no provider took them.
#[derive(Debug, Default)]
pub struct Untaken {
    attempts: HashSet<AttemptKey>,
}

impl Untaken {
    /// A worker's word on an attempt is recorded.
    pub fn recorded(
        &mut self,
        attempt: AttemptKey,
        kind: &ReportKind,
        grant: Option<&Grant>,
        now: DateTime<Utc>,
    ) {
        let untaken = match kind {
            ReportKind::NotAsked | ReportKind::Throttled { .. } => true,
            ReportKind::Status { outcome, .. } => *outcome == Outcome::ProviderUnavailable,
            ReportKind::Accepted { .. }
            | ReportKind::Lost
            | ReportKind::DoubtOver
            | ReportKind::Silence
            | ReportKind::Recalled => false,
        };
        if untaken && grant.is_some_and(|grant| now - grant.at < UNKNOWN_AFTER) {
            self.attempts.insert(attempt);
        }
    }

    pub async fn judge<'a>(
        &self,
        database: &Database,
        campaigns: &[Campaign],
        requests: &[Request],
        granted: impl Iterator<Item = &'a AttemptKey> + Clone,
    ) -> Result<()> {
        for campaign in campaigns {
            let Some(corrected) = campaign.corrects else { continue };
            let addressed = addresses(database, campaign.id).await?;
            let of_corrected = addresses(database, corrected).await?;
            // Where both are known by their jobs.
            let reached: HashSet<&(Channel, String)> = addressed.values().collect();
            let may_be: HashSet<&(Channel, String)> = granted
                .clone()
                .filter(|attempt| attempt.job.campaign == corrected && !self.attempts.contains(attempt))
                .filter_map(|attempt| of_corrected.get(&attempt.job.job))
                .collect();
            let needless = reached.iter().find(|device| !may_be.contains(*device));
            hold(Promise::CancelMeansStop, needless.is_none(), || {
                format!("the correction of {corrected} is to {needless:?}, who was never tried")
            })?;
            let of_campaign = || requests.iter().filter(|request| request.attempt.job.campaign == corrected);
            let taken = of_campaign().filter(|request| request.effect != Effect::None && !request.stopped);
            let mut must = taken.filter_map(|request| of_corrected.get(&request.attempt.job.job));
            let forgotten = must.find(|device| !reached.contains(*device));
            let whole = campaign.canceled_epoch.is_none();
            hold(Promise::CancelMeansStop, !whole || forgotten.is_none(), || {
                format!(
                    "{forgotten:?} was reached by {corrected}, or may have been, and its correction forgets it"
                )
            })?;
        }
        Ok(())
    }
}

async fn addresses(database: &Database, campaign: CampaignId) -> Result<HashMap<i32, (Channel, String)>> {
    let rows = database.query(ADDRESSES, &[&campaign.0]).await?;
    let read = |row: &tokio_postgres::Row| {
        let channel = Channel::from_number(row.get("channel"))?;
        Some((row.get("id"), (channel, row.get("address"))))
    };
    Ok(rows.iter().filter_map(read).collect())
}

const ADDRESSES: &str = "select j.id, j.channel, d.address
from jobs j join destinations d on d.campaign_id = j.campaign_id and d.job_id = j.id
where j.campaign_id = $1";
