//! Tokens spent are permits, and permits are requests, denied claims, requests not asked, and what a crash took:
//!
//! `taken − debt paid = permits = requests + denied + not asked + lost with their worker`
//!
//! A job that the screen drops is in none of them, and so costs no token.

use anyhow::Result;
use tocsin_domain::AccountId;
use tocsin_worker::stages::Standing;

use super::{Promise, hold};

#[derive(Debug, Default)]
pub struct Tokens {
    pub permits: u64,
    pub denied: u64,
    /// Granted, and the last look found it too late.
    pub not_asked: u64,
    /// Permitted or granted, and the worker crashed before the request.
    pub lost: u64,
}

impl Tokens {
    /// Judges one step of a worker, which made `permits`. Returns what it took of each account.
    pub fn step(
        &mut self,
        before: &[Standing],
        after: &[Standing],
        permits: usize,
    ) -> Result<Vec<(AccountId, u64)>> {
        let mut taken = Vec::new();
        let mut spent = 0;
        for standing in after {
            let earlier = before.iter().find(|earlier| earlier.account == standing.account);
            let (was_taken, debt) = earlier.map_or((0, 0), |earlier| (earlier.taken, earlier.debt));
            let tokens = standing.taken - was_taken;
            spent += tokens - u64::from(debt.saturating_sub(standing.debt));
            if tokens > 0 {
                taken.push((standing.account, tokens));
            }
        }
        hold(Promise::TokensAreAccountedFor, spent == permits as u64, || {
            format!("a step spent {spent} tokens and made {permits} permits")
        })?;
        self.permits += permits as u64;
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
