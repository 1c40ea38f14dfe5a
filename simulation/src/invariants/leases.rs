//! Never above the limit (promise 4), as shares: what the workers may be using of an account at any moment is within
//! its limits. A share counts until its worker took another or left, else until its lease and `send_by` are over:
//! whoever holds it may be frozen, and is not asked.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::lease::{LEASE_TERM, Share};
use tocsin_domain::policy::SEND_BY;
use tocsin_domain::{AccountId, WorkerId};
use tocsin_worker::stages::Standing;

use super::{Promise, hold};
use crate::world::Account;

#[derive(Debug, Default)]
pub struct Leases {
    held: HashMap<(AccountId, WorkerId), Held>,
}

#[derive(Debug)]
struct Held {
    share: Share,
    asked: DateTime<Utc>,
}

impl Held {
    fn is_valid(&self, now: DateTime<Utc>) -> bool {
        now < self.asked + span(LEASE_TERM)
    }

    fn counts(&self, now: DateTime<Utc>) -> bool {
        now < self.asked + span(LEASE_TERM + SEND_BY)
    }
}

impl Leases {
    /// The worker has heard what it may use from now on.
    pub fn renewed(&mut self, worker: WorkerId, standings: &[Standing], now: DateTime<Utc>) {
        self.left(worker);
        for standing in standings {
            let held = Held { share: standing.share.clone(), asked: now };
            self.held.insert((standing.account, worker), held);
        }
    }

    /// The worker has stopped sending, and said so.
    pub fn left(&mut self, worker: WorkerId) {
        self.held.retain(|(_, holder), _| *holder != worker);
    }

    /// May a claim be granted to the worker now?
    pub fn is_valid(&self, account: AccountId, worker: WorkerId, now: DateTime<Utc>) -> bool {
        self.held.get(&(account, worker)).is_some_and(|held| held.is_valid(now))
    }

    /// May a request of the worker start now?
    pub fn counts(&self, account: AccountId, worker: WorkerId, now: DateTime<Utc>) -> bool {
        self.held.get(&(account, worker)).is_some_and(|held| held.counts(now))
    }

    pub fn judge(&self, accounts: &[Account], now: DateTime<Utc>) -> Result<()> {
        for account in accounts {
            let shares = || {
                let of_account = self.held.iter().filter(|((id, _), _)| *id == account.id);
                of_account.filter(|(_, held)| held.counts(now)).map(|(_, held)| &held.share)
            };
            let within = |what: &str, leased: f64, limit: Option<f64>| {
                hold(Promise::NeverAboveTheLimit, limit.is_none_or(|limit| leased <= limit + 1e-6), || {
                    format!("{leased} {what} of {} are leased at once: {limit:?} there are", account.name)
                })
            };
            let rate = shares().filter_map(|share| share.rate_per_second).sum();
            within("a second", rate, account.rate_per_second)?;
            // Who has no rate spends no burst.
            let spending = || shares().filter(|share| share.rate_per_second != Some(0.0));
            let burst: u32 = spending().map(|share| share.burst.unwrap_or(1)).sum();
            let own_burst = account.rate_per_second.map(|_| f64::from(account.burst));
            within("tokens of burst", f64::from(burst), own_burst)?;
            let places: u32 = shares().filter_map(|share| share.concurrency).sum();
            within("places", f64::from(places), account.concurrency.map(f64::from))?;
            let general: u32 = shares().filter_map(|share| share.general).sum();
            let open = account.concurrency.map(|limit| f64::from(limit.saturating_sub(account.reserve)));
            within("places for general jobs", f64::from(general), open)?;
        }
        Ok(())
    }
}

fn span(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
