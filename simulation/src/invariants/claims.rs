//! The fence (promise 2): every attempt is of a claim that was granted here, to a message of the job's own generation,
//! and its request went where the row says, within `send_by`.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::policy::{RedialPolicy, SEND_BY};
use tocsin_domain::{AccountId, AttemptKey, CampaignId, Generation, JobKey, Outcome};
use tocsin_testkit::promises::Facts;

use super::{Promise, hold};
use crate::database::Database;
use crate::provider::Request;
use crate::world::Account;

/// A claim that was granted.
#[derive(Debug, Clone, Copy)]
pub struct Grant {
    /// As the message said.
    pub generation: Generation,
    /// Where the token was taken.
    pub account: AccountId,
    pub at: DateTime<Utc>,
}

#[derive(Debug, Default)]
pub struct Claims {
    pub granted: HashMap<AttemptKey, Grant>,
    /// What an attempt had come to, as far as was known when the next of its job was granted.
    pub seen: HashMap<AttemptKey, Option<Outcome>>,
}

impl Claims {
    pub fn note(&mut self, attempt: AttemptKey, grant: Grant) -> Result<()> {
        let earlier = self.granted.insert(attempt, grant);
        hold(Promise::NothingTwice, earlier.is_none(), || format!("attempt {attempt} was granted twice"))
    }

    /// Was another try still needed when it was granted? `known` are the outcomes recorded by then.
    pub fn needed(
        &mut self,
        attempt: AttemptKey,
        redial: &RedialPolicy,
        known: &HashMap<AttemptKey, Outcome>,
    ) -> Result<()> {
        for number in 1..attempt.number {
            let earlier = AttemptKey { number, ..attempt };
            let outcome = known.get(&earlier).copied();
            if number + 1 == attempt.number {
                self.seen.insert(earlier, outcome);
            }
            let needless = outcome.is_some_and(|outcome| outcome.is_answer() && !redial.redials(outcome));
            hold(Promise::NothingTwice, !needless, || {
                format!("attempt {attempt} was granted though attempt {number} had come to {outcome:?}")
            })?;
        }
        Ok(())
    }

    /// Puts in place of each attempt's last outcome the one by which the next try was decided: what is heard after that
    /// is too late to forbid it.
    pub fn as_seen(&self, facts: &mut Facts) {
        let campaign = facts.campaign.id;
        for attempt in &mut facts.attempts {
            let job = JobKey { campaign, job: attempt.job };
            if let Some(seen) = self.seen.get(&AttemptKey { job, number: attempt.number }) {
                attempt.outcome = *seen;
            }
        }
    }

    /// A request has just been made.
    pub fn requested(&self, request: &Request) -> Result<Grant> {
        let attempt = request.attempt;
        let Some(grant) = self.granted.get(&attempt).copied() else {
            return Err(super::broken(
                Promise::NothingTwice,
                format!("a request of attempt {attempt}, which was not granted"),
            ));
        };
        let late = request.at - grant.at;
        hold(Promise::NothingTwice, late < TimeDelta::from_std(SEND_BY)?, || {
            format!("the request of attempt {attempt} started {late} after its claim")
        })?;
        Ok(grant)
    }

    /// Holds the rows against what was granted.
    pub async fn judge(&self, database: &Database, accounts: &[Account], requests: &[Request]) -> Result<()> {
        let rows = database.query(ATTEMPTS, &[]).await?;
        for row in rows {
            let job = JobKey { campaign: CampaignId(row.get("campaign_id")), job: row.get("job_id") };
            let attempt = AttemptKey { job, number: row.get("number") };
            let grant = self.granted.get(&attempt);
            hold(Promise::NothingTwice, grant.is_some(), || {
                format!("attempt {attempt} has a row, and nobody was granted it")
            })?;
            let Some(grant) = grant else { continue };
            let generation = Generation(row.get("generation"));
            hold(Promise::NothingTwice, generation == grant.generation, || {
                format!(
                    "attempt {attempt} of generation {generation:?} was claimed with a message of {:?}",
                    grant.generation
                )
            })?;
            let id: i32 = row.get("account_id");
            let account = accounts.iter().find(|known| known.id.0 == id);
            let went_to = requests.iter().find(|request| request.attempt == attempt);
            let fits = |request: &Request| match account {
                None => false,
                Some(Account { sender: None, name, .. }) => {
                    request.account == *name && request.from.is_none()
                }
                Some(Account { sender: Some(sender), .. }) => {
                    request.account == sender.account_name
                        && request.from.as_deref() == Some(sender.address.as_str())
                }
            };
            hold(Promise::NeverAboveTheLimit, went_to.is_none_or(fits), || {
                format!("attempt {attempt} of account {account:?} was requested of {went_to:?}")
            })?;
        }
        Ok(())
    }
}

const ATTEMPTS: &str = "select campaign_id, job_id, number, generation, account_id from attempts";
