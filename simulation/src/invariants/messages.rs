//! Nothing lost (promise 1), on the way: whoever is done with a message has first written what becomes of its jobs. A job
//! that is queued has a message somewhere, unless the world outside lost it.

use std::collections::HashSet;

use anyhow::Result;
use tocsin_domain::{CampaignId, Generation, JobKey};

use super::{Promise, hold};
use crate::broker::{FaultyBroker, QueuedJob};
use crate::database::Database;

#[derive(Debug, Default)]
pub struct Messages {
    /// Jobs whose messages were lost, or never published.
    lost: HashSet<QueuedJob>,
}

impl Messages {
    /// Something outside has just lost messages.
    pub async fn lost(&mut self, database: &Database, broker: &FaultyBroker) -> Result<()> {
        self.lost.extend(without(database, broker).await?);
        Ok(())
    }

    pub async fn judge(&mut self, database: &Database, broker: &FaultyBroker) -> Result<()> {
        self.lost.extend(broker.lost_jobs());
        let forgotten = without(database, broker).await?.into_iter().find(|job| !self.lost.contains(job));
        hold(Promise::NothingLost, forgotten.is_none(), || {
            format!("{forgotten:?} is queued, and nobody lost its message, and nobody has it")
        })
    }
}

/// Queued jobs without a message.
async fn without(database: &Database, broker: &FaultyBroker) -> Result<Vec<QueuedJob>> {
    let rows = database.query(QUEUED, &[]).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let there = broker.jobs_there();
    let queued = rows.iter().map(|row| {
        let key = JobKey { campaign: CampaignId(row.get("campaign_id")), job: row.get("id") };
        (key, Generation(row.get("generation")))
    });
    Ok(queued.filter(|job| !there.contains(job)).collect())
}

/// Job state 2 is queued. What is canceled is dropped, and swept.
const QUEUED: &str = "select j.campaign_id, j.id, j.generation
from jobs j join campaigns c on c.id = j.campaign_id
where j.state = 2 and c.cancel_epoch is null
order by j.campaign_id, j.id";
