//! The rows of all campaigns of a run, each table read once.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use tocsin_domain::{AttemptState, CampaignId, CampaignState, Channel, JobState, Outcome};
use tocsin_store::audit::{AttemptFact, CampaignFacts, JobFact, RecipientFact};
use tocsin_testkit::promises::Facts;
use tokio_postgres::Row;

use crate::database::Database;
use crate::world::Campaign;

/// Every campaign's rows, and its state.
pub async fn read(
    database: &Database,
    campaigns: &[Campaign],
) -> Result<HashMap<CampaignId, (CampaignState, Facts)>> {
    let mut all = HashMap::new();
    for row in database.query(CAMPAIGNS, &[]).await? {
        let id = CampaignId(row.get("id"));
        let known = campaigns.iter().find(|campaign| campaign.id == id).context("a campaign of nobody")?;
        let state = CampaignState::from_number(row.get("state")).context("a state that nobody knows")?;
        let facts = CampaignFacts {
            id,
            lane: known.submission.lane,
            redial: known.redial.clone(),
            recipients_made: row.get("recipients_made"),
            jobs_made: row.get("jobs_made"),
            closed_at: row.get("closed_at"),
            canceled_at: row.get("canceled_at"),
        };
        let facts = Facts { campaign: facts, recipients: Vec::new(), jobs: Vec::new(), attempts: Vec::new() };
        all.insert(id, (state, facts));
    }
    for row in database.query(RECIPIENTS, &[]).await? {
        of(&mut all, &row)?
            .recipients
            .push(RecipientFact { recipient: row.get("id"), no_device: row.get("no_device") });
    }
    for row in database.query(JOBS, &[]).await? {
        let job = JobFact {
            job: row.get("id"),
            recipient: row.get("recipient_id"),
            channel: Channel::from_number(row.get("channel")).context("a channel that nobody knows")?,
            duplicate: row.get("duplicate"),
            state: JobState::from_number(row.get("state")).context("a state that nobody knows")?,
            outcome: outcome(&row)?,
            attempts: row.get("attempt"),
        };
        of(&mut all, &row)?.jobs.push(job);
    }
    for row in database.query(ATTEMPTS, &[]).await? {
        let attempt = AttemptFact {
            job: row.get("job_id"),
            number: row.get("number"),
            state: AttemptState::from_number(row.get("state")).context("a state that nobody knows")?,
            outcome: outcome(&row)?,
            claimed_at: row.get("claimed_at"),
            settled_at: row.get("settled_at"),
        };
        of(&mut all, &row)?.attempts.push(attempt);
    }
    Ok(all)
}

fn of<'a>(all: &'a mut HashMap<CampaignId, (CampaignState, Facts)>, row: &Row) -> Result<&'a mut Facts> {
    let id = CampaignId(row.get("campaign_id"));
    all.get_mut(&id).map(|(_, facts)| facts).context("a row of no campaign")
}

fn outcome(row: &Row) -> Result<Option<Outcome>> {
    let number: Option<i16> = row.get("outcome");
    number.map(|number| Outcome::from_number(number).context("an outcome that nobody knows")).transpose()
}

const CAMPAIGNS: &str = "select id, state, recipients_made, jobs_made, closed_at, canceled_at from campaigns";
const RECIPIENTS: &str = "select campaign_id, id, no_device from recipients order by campaign_id, id";
const JOBS: &str =
    "select j.campaign_id, j.id, j.recipient_id, j.channel, d.duplicate, j.state, j.outcome, j.attempt
from jobs j join destinations d on d.campaign_id = j.campaign_id and d.job_id = j.id
order by j.campaign_id, j.id";
const ATTEMPTS: &str = "select campaign_id, job_id, number, state, outcome, claimed_at, settled_at
from attempts order by campaign_id, job_id, number";
