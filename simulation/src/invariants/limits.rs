//! Never above the limit (promise 4), as spending: in every window of simulated time the tokens that all workers took
//! of an account are within its rate and burst.
//!
//! A request follows its token by what the pipeline takes: less than `send_by` after the claim, and never under
//! another lease than its token's, both of which are judged where the request is made.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use tocsin_domain::AccountId;

use super::{Promise, hold};
use crate::world::Account;

/// A token is not split; rates are.
const ROUNDING: f64 = 1e-3;

#[derive(Debug, Default)]
pub struct Spent {
    by_account: HashMap<AccountId, Vec<(DateTime<Utc>, u64)>>,
}

impl Spent {
    pub fn took(&mut self, account: AccountId, at: DateTime<Utc>, tokens: u64) {
        self.by_account.entry(account).or_default().push((at, tokens));
    }

    pub fn judge(&self, accounts: &[Account]) -> Result<()> {
        for account in accounts {
            let spent = self.by_account.get(&account.id);
            let Some((spent, rate)) = spent.zip(account.rate_per_second) else { continue };
            for (first, (from, _)) in spent.iter().enumerate() {
                let mut tokens = 0;
                for (until, more) in &spent[first..] {
                    tokens += more;
                    let seconds = (*until - *from).as_seconds_f64();
                    let allowed = rate * seconds + f64::from(account.burst);
                    hold(Promise::NeverAboveTheLimit, tokens as f64 <= allowed + ROUNDING, || {
                        format!("{tokens} tokens of {} in {seconds} s: {allowed} are allowed", account.name)
                    })?;
                }
            }
        }
        Ok(())
    }
}
