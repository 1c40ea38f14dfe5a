//! Callbacks (promise 8): an attempt's outcome only rises, and in the end no report that was kept outranks it.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result};
use tocsin_domain::{AttemptKey, CampaignId, JobKey, Outcome};
use tokio_postgres::Row;

use super::{Promise, hold};
use crate::database::Database;

#[derive(Debug, Default)]
pub struct Rising {
    pub known: HashMap<AttemptKey, Outcome>,
    /// What they were settled as first.
    pub settled_as: HashMap<AttemptKey, Outcome>,
    /// Reports that were answered 200.
    taken: HashSet<(AttemptKey, Outcome)>,
}

impl Rising {
    pub async fn look(&mut self, database: &Database) -> Result<()> {
        for row in database.query(OUTCOMES, &[]).await? {
            let (attempt, outcome) = (attempt(&row), outcome(&row)?);
            let earlier = self.known.insert(attempt, outcome);
            if row.get("settled") {
                self.settled_as.entry(attempt).or_insert(outcome);
            }
            hold(
                Promise::CallbacksAreSafe,
                earlier.is_none_or(|earlier| !earlier.outranks(outcome)),
                || format!("the outcome of attempt {attempt} fell from {earlier:?} to {outcome}"),
            )?;
        }
        Ok(())
    }

    pub fn taken(&mut self, attempt: AttemptKey, outcome: Outcome) {
        self.taken.insert((attempt, outcome));
    }

    /// When all is applied. `lost`: may the broker have lost any?
    pub async fn judge(&self, database: &Database, lost: bool) -> Result<()> {
        let mut kept = HashSet::new();
        for row in database.query(REPORTED, &[]).await? {
            let (attempt, reported) = (attempt(&row), outcome(&row)?);
            kept.insert((attempt, reported));
            let stands = self.known.get(&attempt);
            hold(
                Promise::CallbacksAreSafe,
                stands.is_some_and(|stands| !reported.outranks(*stands)),
                || format!("attempt {attempt} was reported {reported}, and its outcome is {stands:?}"),
            )?;
        }
        let missing = self.taken.difference(&kept).next();
        hold(Promise::CallbacksAreSafe, lost || missing.is_none(), || {
            format!("the report {missing:?} was taken, and no event tells of it")
        })
    }
}

fn attempt(row: &Row) -> AttemptKey {
    let job = JobKey { campaign: CampaignId(row.get("campaign_id")), job: row.get("job_id") };
    AttemptKey { job, number: row.get("number") }
}

fn outcome(row: &Row) -> Result<Outcome> {
    Outcome::from_number(row.get("outcome")).context("an outcome that nobody knows")
}

/// Attempt state 3 is settled.
const OUTCOMES: &str = "select campaign_id, job_id, number, outcome, state = 3 as settled from attempts
where outcome is not null";
const REPORTED: &str = "select campaign_id, job_id, number, outcome from events
where campaign_id is not null and number is not null and outcome is not null";
