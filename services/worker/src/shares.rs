//! This worker's shares of the provider accounts: what each permit is taken from.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tocsin_domain::lease::Share;
use tocsin_domain::{AccountId, Channel, Lane, WorkerId};
use tocsin_runtime::{Progress, SharedClock, Stopwatch};
use tocsin_store::leases::{LEASE_TERM, Lease, Usage};
use tocsin_store::{Store, StoreError};
use tokio::sync::Notify;

use crate::limiter::{Limiter, Spending};
use crate::places::{Call, Places};
use crate::slots::Slot;
use crate::usage::Meter;

/// Shares are not renewed before their time more often than this.
const HASTEN_AFTER: Duration = Duration::from_millis(200);
/// Names no lease: epochs begin at 1.
const NOT_TAKEN: i64 = 0;

/// One account's share, as long as its lease is not over.
#[derive(Debug)]
pub struct AccountShare {
    pub account: AccountId,
    /// As configured: how the registry knows it.
    pub name: String,
    share: Share,
    /// Names the lease in the next renewal: this share is applied, and no earlier one.
    epoch: i64,
    limiter: Option<Limiter>,
    spending: Spending,
    places: Arc<Places>,
    meter: Arc<Meter>,
    /// Started before the lease was asked for, so that it is over here no later than in the store.
    asked: Stopwatch,
}

/// Why no permit could be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPermit {
    /// No lease, or it is over.
    NoLease,
    /// Every place of the share is taken.
    Full,
    /// The next token comes after this time.
    Wait(Duration),
}

/// The shares, by account. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shares {
    clock: SharedClock,
    accounts: Arc<RwLock<HashMap<AccountId, Arc<AccountShare>>>>,
    /// The renewal is wanted now.
    hasten: Arc<Notify>,
}

impl Shares {
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, accounts: Arc::default(), hasten: Arc::default() }
    }

    /// Renews every share in one round trip, and tells what was used, lacked and heard. A share that did not
    /// change keeps its bucket; a new or changed one begins empty. Where a share shrank there is more to do:
    /// others wait to hear that it was taken.
    pub async fn renew(
        &self,
        store: &Store,
        worker: WorkerId,
        channels: &[Channel],
    ) -> Result<Progress, StoreError> {
        let asked = Stopwatch::start_by(&self.clock);
        let told: HashMap<AccountId, (Usage, u64)> = {
            let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
            accounts.iter().map(|(account, share)| (*account, (share.usage(), share.places.asks()))).collect()
        };
        let usage: Vec<Usage> = told.values().map(|(usage, _)| *usage).collect();
        let leases = store.renew_leases_as(worker, channels, &usage).await?;
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let mut progress = Progress::Idle;
        let renewed = leases
            .into_iter()
            .map(|lease| {
                let known = accounts.remove(&lease.account);
                let (account, calls) = (lease.account, lease.calls);
                let share = AccountShare::renewed(known.as_deref(), lease, asked.clone(), &self.clock);
                if let (Some(known), Some((usage, number))) = (&known, told.get(&account)) {
                    share.places.renewed(*number, &share.share, calls);
                    share.meter.heard(usage.throttled);
                    if known.share.or_more(&share.share) != share.share {
                        progress = Progress::More;
                    }
                }
                (account, Arc::new(share))
            })
            .collect();
        *accounts = renewed;
        Ok(progress)
    }

    /// Resolves when a renewal should not wait for its time: an emergency found no permit, or a provider said
    /// "too fast".
    pub fn hastened(&self) -> &Notify {
        &self.hasten
    }

    /// The provider of `share` said "too fast": the fleet is told.
    pub fn throttled(&self, share: &AccountShare, retry_after: Option<Duration>) {
        // A share may have been renewed since the request began; the meter is the account's.
        share.meter.throttled(retry_after);
        self.hasten(share.account);
    }

    fn hasten(&self, account: AccountId) {
        if self.get(account).is_some_and(|share| share.asked.elapsed() >= HASTEN_AFTER) {
            self.hasten.notify_one();
        }
    }

    #[cfg(test)]
    pub fn grant(&self, lease: Lease) {
        let share = AccountShare::renewed(None, lease, Stopwatch::start_by(&self.clock), &self.clock);
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        accounts.insert(share.account, Arc::new(share));
    }

    /// Every account's, those that are over too.
    pub fn all(&self) -> Vec<Arc<AccountShare>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub fn get(&self, account: AccountId) -> Option<Arc<AccountShare>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).get(&account).cloned()
    }

    /// Takes one token and one place of an account's share for a job of `lane`.
    pub fn permit(&self, account: AccountId, lane: Lane) -> Result<(Arc<AccountShare>, Slot), NoPermit> {
        let share = self.get(account).ok_or(NoPermit::NoLease)?;
        match share.permit(lane) {
            Ok(slot) => {
                share.meter.used(1);
                Ok((share, slot))
            }
            Err(reason) => {
                share.meter.lacked();
                if lane == Lane::Emergency {
                    self.hasten(account);
                }
                Err(reason)
            }
        }
    }
}

impl AccountShare {
    fn renewed(known: Option<&Self>, lease: Lease, asked: Stopwatch, clock: &SharedClock) -> Self {
        let (places, meter, spending) = match known {
            Some(known) => (Arc::clone(&known.places), Arc::clone(&known.meter), known.spending.clone()),
            None => (Arc::new(Places::new(&lease.share)), Arc::new(Meter::new(clock)), Spending::default()),
        };
        let limiter = match known {
            Some(known) if known.share == lease.share && !known.is_over() => known.limiter.clone(),
            _ => Limiter::new(lease.share.rate_per_second, lease.share.burst, spending.clone(), clock),
        };
        let Lease { account, name, share, epoch, .. } = lease;
        Self { account, name, share, epoch, limiter, spending, places, meter, asked }
    }

    /// Is the lease over, by this machine's stricter clock?
    pub fn is_over(&self) -> bool {
        self.asked.elapsed() >= LEASE_TERM
    }

    pub fn share(&self) -> &Share {
        &self.share
    }

    pub fn spending(&self) -> &Spending {
        &self.spending
    }

    /// Charges what a send cost beyond one token (text segments).
    pub fn charge(&self, tokens: u32) {
        self.meter.used(tokens);
        if let Some(limiter) = &self.limiter {
            limiter.charge(tokens);
        }
    }

    /// A granted claim whose request takes a place for longer than it is open: a call, where their number is
    /// limited.
    pub fn call(&self, channel: Channel) -> Option<Call> {
        let counted = channel == Channel::Voice && self.share.concurrency.is_some();
        counted.then(|| self.places.claimed())
    }

    fn usage(&self) -> Usage {
        // A share that shrank is not given on before the requests that were more than it allows have ended.
        let taken = if self.places.overfull() { NOT_TAKEN } else { self.epoch };
        self.meter.report(self.account, taken, &self.share)
    }

    fn permit(&self, lane: Lane) -> Result<Slot, NoPermit> {
        if self.is_over() {
            return Err(NoPermit::NoLease);
        }
        let limiter = self.limiter.as_ref().ok_or(NoPermit::NoLease)?;
        // The place first: it can be given back, a token cannot.
        let slot = self.places.take(lane).ok_or(NoPermit::Full)?;
        match limiter.take() {
            Ok(()) => Ok(slot),
            Err(wait) => {
                slot.put_back();
                Err(NoPermit::Wait(wait))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tocsin_runtime::SystemClock;

    use super::*;

    const ACCOUNT: AccountId = AccountId(1);

    fn lease(concurrency: u32, epoch: i64) -> Lease {
        Lease {
            account: ACCOUNT,
            name: "account".to_owned(),
            share: Share { concurrency: Some(concurrency), general: Some(concurrency), ..Share::default() },
            expires_at: DateTime::UNIX_EPOCH,
            epoch,
            calls: 0,
        }
    }

    #[test]
    fn a_share_that_shrank_is_not_given_on_before_the_requests_beyond_it_have_ended() {
        let shares = Shares::new(Arc::new(SystemClock));
        shares.grant(lease(2, 7));
        let (wide, first) = shares.permit(ACCOUNT, Lane::General).unwrap();
        let (_, _second) = shares.permit(ACCOUNT, Lane::General).unwrap();
        assert_eq!(wide.usage().taken, 7);

        let smaller = lease(1, 8);
        wide.places.renewed(wide.places.asks(), &smaller.share, 0);
        let narrow = AccountShare::renewed(Some(&wide), smaller, Stopwatch::start(), &shares.clock);
        assert_eq!(narrow.usage().taken, NOT_TAKEN);
        drop(first);
        assert_eq!(narrow.usage().taken, 8);
    }
}
