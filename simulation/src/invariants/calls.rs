//! Never above the limit (promise 4), as calls: those that are asking or accepted are no more than the account's
//! concurrency, whoever made them.

use std::collections::HashSet;

use anyhow::Result;
use tocsin_domain::{AttemptKey, CampaignId, Channel, JobKey};
use tokio_postgres::Row;

use super::{Promise, hold};
use crate::database::Database;
use crate::world::Account;

/// Attempts whose rows are open and of which nothing goes on: their outcome waits to be recorded.
#[derive(Debug, Default)]
pub struct Calls {
    over: HashSet<AttemptKey>,
}

impl Calls {
    pub fn over(&mut self, attempts: impl Iterator<Item = AttemptKey>) {
        self.over.extend(attempts);
    }

    pub async fn judge(&self, database: &Database, accounts: &[Account]) -> Result<()> {
        let limited = |account: &&Account| account.channel == Channel::Voice && account.concurrency.is_some();
        if !accounts.iter().any(|account| limited(&account)) {
            return Ok(());
        }
        let rows = database.query(HELD, &[]).await?;
        let goes_on = |row: &&Row| {
            let job = JobKey { campaign: CampaignId(row.get("campaign_id")), job: row.get("job_id") };
            !self.over.contains(&AttemptKey { job, number: row.get("number") })
        };
        for account in accounts.iter().filter(limited) {
            let of_it = |row: &&Row| {
                let by: i32 = row.get("account_id");
                accounts.iter().any(|other| other.id.0 == by && account.includes(other))
            };
            let of_account = rows.iter().filter(of_it);
            let calls = of_account.filter(goes_on).count();
            let concurrency = account.concurrency.map_or(usize::MAX, |calls| calls as usize);
            hold(Promise::NeverAboveTheLimit, calls <= concurrency, || {
                format!("{calls} calls of {} go on: {concurrency} may", account.name)
            })?;
        }
        Ok(())
    }
}

/// Attempt states 1 and 2 are asking and accepted.
const HELD: &str = "select account_id, campaign_id, job_id, number from attempts where state in (1, 2)";
