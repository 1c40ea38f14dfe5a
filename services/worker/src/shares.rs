//! This worker's shares of the provider accounts: what each permit is taken from.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tocsin_domain::lease::Share;
use tocsin_domain::{AccountId, Channel, WorkerId};
use tocsin_runtime::Stopwatch;
use tocsin_store::leases::{LEASE_TERM, Lease};
use tocsin_store::{Store, StoreError};

use crate::limiter::Limiter;
use crate::slots::{Slot, Slots};

/// One account's share, as long as its lease is not over.
#[derive(Debug)]
pub struct AccountShare {
    pub account: AccountId,
    /// As configured: how the registry knows it.
    pub name: String,
    share: Share,
    limiter: Option<Limiter>,
    slots: Slots,
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
#[derive(Debug, Clone, Default)]
pub struct Shares {
    accounts: Arc<RwLock<HashMap<AccountId, Arc<AccountShare>>>>,
}

impl Shares {
    /// Renews every share in one round trip. A share that did not change keeps its bucket; a new or changed
    /// one begins empty.
    pub async fn renew(
        &self,
        store: &Store,
        worker: WorkerId,
        channels: &[Channel],
    ) -> Result<(), StoreError> {
        let asked = Stopwatch::start();
        let leases = store.renew_leases(worker, channels).await?;
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let renewed = leases
            .into_iter()
            .map(|lease| {
                let known = accounts.remove(&lease.account);
                (lease.account, Arc::new(AccountShare::renewed(known.as_deref(), lease, asked)))
            })
            .collect();
        *accounts = renewed;
        Ok(())
    }

    #[cfg(test)]
    pub fn grant(&self, lease: Lease) {
        let share = AccountShare::renewed(None, lease, Stopwatch::start());
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        accounts.insert(share.account, Arc::new(share));
    }

    pub fn get(&self, account: AccountId) -> Option<Arc<AccountShare>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).get(&account).cloned()
    }

    /// Takes one token and one place of an account's share.
    pub fn permit(&self, account: AccountId) -> Result<(Arc<AccountShare>, Slot), NoPermit> {
        let share = self.get(account).ok_or(NoPermit::NoLease)?;
        let slot = share.permit()?;
        Ok((share, slot))
    }
}

impl AccountShare {
    fn renewed(known: Option<&Self>, lease: Lease, asked: Stopwatch) -> Self {
        let most = lease.share.concurrency.map_or(usize::MAX, |most| most as usize);
        let slots = known.map_or_else(|| Slots::new(most), |known| known.slots.clone());
        slots.set_most(most);
        let limiter = match known {
            Some(known) if known.share == lease.share && !known.is_over() => known.limiter.clone(),
            _ => Limiter::new(lease.share.rate_per_second, lease.share.burst),
        };
        Self { account: lease.account, name: lease.name, share: lease.share, limiter, slots, asked }
    }

    /// Is the lease over, by this machine's stricter clock?
    pub fn is_over(&self) -> bool {
        self.asked.elapsed() >= LEASE_TERM
    }

    /// Charges what a send cost beyond one token (text segments).
    pub fn charge(&self, tokens: u32) {
        if let Some(limiter) = &self.limiter {
            limiter.charge(tokens);
        }
    }

    fn permit(&self) -> Result<Slot, NoPermit> {
        if self.is_over() {
            return Err(NoPermit::NoLease);
        }
        let limiter = self.limiter.as_ref().ok_or(NoPermit::NoLease)?;
        // The place first: it can be given back, a token cannot.
        let slot = self.slots.take().ok_or(NoPermit::Full)?;
        match limiter.take() {
            Ok(()) => Ok(slot),
            Err(wait) => {
                slot.put_back();
                Err(NoPermit::Wait(wait))
            }
        }
    }
}
