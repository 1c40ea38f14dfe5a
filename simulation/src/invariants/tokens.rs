//! Tokens spent are permits, and permits are requests, denied claims, requests not asked, and what a crash took:
//!
//! `taken − debt paid = permits = requests + denied + not asked + lost with their worker`
//!
//! A job that the screen drops is in none of them, and so costs no token. A permit of a number takes a token of its account
//! and one of its own, if it has a rate.

use anyhow::Result;
use tocsin_domain::AccountId;
use tocsin_worker::stages::{Permitted, Standing};

use super::{Promise, hold};
use crate::world::Account;

#[derive(Debug, Default)]
pub struct Tokens {
    pub permits: u64,
    pub denied: u64,
    /// Granted, and the last look found it too late.
    pub not_asked: u64,
    /// Permitted or granted, and the worker crashed before the request.
    pub lost: u64,
}

/// Permits of a step: of all accounts, and among them of numbers with a rate of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Permits {
    pub all: u64,
    pub of_numbers: u64,
}

impl Permits {
    pub fn of(permitted: &[Permitted]) -> Self {
        let has_rate = |taken: &&Permitted| {
            taken.share.sender.is_some() && taken.share.share().rate_per_second.is_some()
        };
        Self { all: permitted.len() as u64, of_numbers: permitted.iter().filter(has_rate).count() as u64 }
    }
}

impl Tokens {
    /// Judges one step of a worker, which made `permits`. Returns what it took of each account.
    pub fn step(
        &mut self,
        before: &[Standing],
        after: &[Standing],
        permits: Permits,
        accounts: &[Account],
    ) -> Result<Vec<(AccountId, u64)>> {
        let mut taken = Vec::new();
        let mut spent = Permits::default();
        for standing in after {
            let earlier = before.iter().find(|earlier| earlier.account == standing.account);
            let (was_taken, debt) = earlier.map_or((0, 0), |earlier| (earlier.taken, earlier.debt));
            let tokens = standing.taken - was_taken;
            // A debt that is forgiven with its limit was paid by nobody.
            let paid = u64::from(debt.saturating_sub(standing.debt)).min(tokens);
            let of_number =
                accounts.iter().any(|account| account.id == standing.account && account.sender.is_some());
            *(if of_number { &mut spent.of_numbers } else { &mut spent.all }) += tokens - paid;
            if tokens > 0 {
                taken.push((standing.account, tokens));
            }
        }
        hold(Promise::TokensAreAccountedFor, spent == permits, || {
            format!("a step spent {spent:?} tokens and made {permits:?} permits")
        })?;
        self.permits += permits.all;
        Ok(taken)
    }

    pub fn balance(&self, requests: usize) -> Result<()> {
        let Self { permits, denied, not_asked, lost } = self;
        let accounted_for = requests as u64 + denied + not_asked + lost;
        hold(Promise::TokensAreAccountedFor, *permits == accounted_for, || {
            format!(
                "{permits} permits, but {requests} requests + {denied} denied + {not_asked} not asked + \
                 {lost} lost with their worker"
            )
        })
    }
}
