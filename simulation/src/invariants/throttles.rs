//! A provider that says "too fast" is heard (promise 4): with the worker's next renewal the account is slowed for all, and
//! held for as long as the provider asked.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use tocsin_domain::{AccountId, WorkerId};

use super::{Promise, hold};
use crate::database::Database;

/// What workers were told, and have yet to tell.
#[derive(Debug, Default)]
pub struct Throttles {
    told: HashMap<(WorkerId, AccountId), Option<Duration>>,
}

impl Throttles {
    pub fn told(&mut self, worker: WorkerId, account: AccountId, retry_after: Option<Duration>) {
        let known = self.told.entry((worker, account)).or_default();
        *known = (*known).max(retry_after);
    }

    /// The worker has renewed its leases.
    pub async fn renewed(&mut self, database: &Database, worker: WorkerId) -> Result<()> {
        let told: Vec<(AccountId, Option<Duration>)> = self
            .told
            .extract_if(|(teller, _), _| *teller == worker)
            .map(|((_, account), retry_after)| (account, retry_after))
            .collect();
        if told.is_empty() {
            return Ok(());
        }
        let accounts = database.store.accounts().await?;
        for (id, retry_after) in told {
            let Some(account) = accounts.iter().find(|account| account.id == id) else { continue };
            if account.stopped {
                continue;
            }
            let own = account.limits.rate_per_second.unwrap_or(f64::INFINITY);
            let is_slowed = account.pace.rate_per_second.is_some_and(|rate| rate < own);
            hold(Promise::NeverAboveTheLimit, is_slowed, || {
                format!("{} was throttled, and has its full rate", account.limits.name)
            })?;
            hold(Promise::NeverAboveTheLimit, retry_after.is_none() || account.pace.held, || {
                format!("{} is not held for {retry_after:?}", account.limits.name)
            })?;
        }
        Ok(())
    }
}
