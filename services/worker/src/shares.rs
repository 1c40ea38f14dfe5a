//! This worker's shares of the provider accounts and of their senders: what each permit is taken from.

mod share;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tocsin_domain::{AccountId, Channel, Lane, WorkerId};
use tocsin_providers::Whose;
use tocsin_runtime::{Progress, SharedClock, Stopwatch};
use tocsin_store::leases::{Lease, Usage};
use tocsin_store::{Store, StoreError};
use tokio::sync::Notify;

use self::share::Told;
pub use self::share::{AccountShare, NoPermit};
use crate::slots::Slot;

/// Shares are not renewed before their time more often than this for an emergency, or for what a provider said.
const HASTEN_AFTER: Duration = Duration::from_millis(200);
/// The same for other jobs, where nobody has a share.
const HASTEN_ALL_AFTER: Duration = Duration::from_millis(500);
/// A token and a place of a share, and of its account's where it is a sender's.
#[derive(Debug)]
pub struct Permit {
    pub share: Arc<AccountShare>,
    pub places: Vec<Slot>,
}

/// The shares, by account and sender. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shares {
    clock: SharedClock,
    accounts: Arc<RwLock<HashMap<AccountId, Arc<AccountShare>>>>,
    /// Accounts and senders that jobs wait for and that are not leased.
    wanted: Arc<Mutex<Wanted>>,
    /// The renewal is wanted now.
    hasten: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Wanted {
    now: BTreeSet<AccountId>,
    /// Those that the last renewal asked for in vain: stopped, perhaps. They wait for the next one's time.
    in_vain: BTreeSet<AccountId>,
}

impl Shares {
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, accounts: Arc::default(), wanted: Arc::default(), hasten: Arc::default() }
    }

    /// Renews in one transaction the shares that this worker has use for, or had lately, and tells what was used, lacked
    /// and heard. A share keeps what is in its bucket, as far as it fits when it changed; a new one begins empty: else a
    /// slow number whose share changes sooner than a token comes would never have one. Where a share shrank
    /// there is more to do: others wait to hear that it was taken. What is not renewed is given up at once, and runs out
    /// in the store.
    pub async fn renew(
        &self,
        store: &Store,
        worker: WorkerId,
        channels: &[Channel],
    ) -> Result<Progress, StoreError> {
        let asked = Stopwatch::start_by(&self.clock);
        let told: BTreeMap<AccountId, Told> = {
            let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
            accounts.iter().map(|(account, share)| (*account, share.told())).collect()
        };
        let wanted = std::mem::take(&mut self.wanted().now);
        let accounts_of_senders: HashSet<AccountId> = told.values().filter_map(|told| told.parent).collect();
        let mut usage: Vec<Usage> = told
            .values()
            .filter(|told| !told.unused || accounts_of_senders.contains(&told.usage.account))
            .map(|told| told.usage)
            .collect();
        usage.extend(
            wanted
                .iter()
                .filter(|account| !told.contains_key(account))
                .map(|account| Usage::wanted(*account)),
        );
        let leases = match &usage[..] {
            [] => Vec::new(),
            usage => store.renew_leases_as(worker, channels, usage).await?,
        };
        self.wanted().in_vain =
            wanted.into_iter().filter(|id| leases.iter().all(|lease| lease.account != *id)).collect();
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let known = std::mem::take(&mut *accounts);
        let mut progress = Progress::Idle;
        let (senders, of_accounts): (Vec<Lease>, Vec<Lease>) =
            leases.into_iter().partition(|lease| lease.sender.is_some());
        for lease in of_accounts.into_iter().chain(senders) {
            let account = lease.account;
            let (calls, told) = (lease.calls, told.get(&account));
            if told.is_some_and(|told| told.over) && lease.share.is_empty() {
                continue;
            }
            let known = known.get(&account);
            let renewed =
                AccountShare::renewed(known.map(Arc::as_ref), lease, &accounts, asked.clone(), &self.clock);
            let Some(share) = renewed else {
                continue;
            };
            match (known, told) {
                (Some(known), Some(told)) => {
                    share.places.renewed(told.number, &share.share, calls);
                    share.meter.heard(told.usage.throttled);
                    if known.share.or_more(&share.share) != share.share {
                        progress = Progress::More;
                    }
                }
                // Calls that it began under an earlier share go on.
                _ => share.places.renewed(share.places.asks(), &share.share, calls),
            }
            accounts.insert(account, Arc::new(share));
        }
        for (account, gone) in &known {
            if !accounts.contains_key(account) {
                gone.give_up();
            }
        }
        Ok(progress)
    }

    /// Resolves when a renewal should not wait for its time: an emergency found no permit, nobody has a share, or
    /// a provider said "too fast".
    pub fn hastened(&self) -> &Notify {
        &self.hasten
    }

    /// The provider said "too fast" of a request with `share`: the fleet is told.
    pub fn throttled(&self, share: &AccountShare, whose: Whose, retry_after: Option<Duration>) {
        let slowed = match (&share.sender, whose) {
            (Some(sender), Whose::Account) => &sender.account,
            (Some(_), Whose::Sender) | (None, _) => share,
        };
        // A share may have been renewed since the request began; the meter is the account's.
        slowed.meter.throttled(retry_after);
        self.hasten(slowed.account, HASTEN_AFTER);
    }

    /// The provider refuses the account or the sender, which was stopped for it: nothing more is sent with it here, and
    /// nothing that was claimed for it.
    pub fn stopped(&self, account: AccountId) {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|_, share| {
            let kept = share.account != account && share.of_account().account != account;
            if !kept {
                share.give_up();
            }
            kept
        });
        drop(accounts);
        self.wanted().in_vain.insert(account);
    }

    /// Is there no use in waiting for a permit? It is stopped, or another account does its work: its jobs go back to
    /// their rows at once.
    pub fn is_out(&self, account: AccountId) -> bool {
        match self.get(account) {
            Some(share) => share.rests(),
            None => self.wanted().in_vain.contains(&account),
        }
    }

    /// A job of the account found nobody who could send it.
    pub fn lacked(&self, account: AccountId) {
        if let Some(share) = self.get(account) {
            share.lacked();
        }
    }

    fn hasten(&self, account: AccountId, after: Duration) {
        if self.get(account).is_some_and(|share| share.asked.elapsed() >= after) {
            self.hasten.notify_one();
        }
    }

    #[cfg(test)]
    pub fn grant(&self, lease: Lease) {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let asked = Stopwatch::start_by(&self.clock);
        if let Some(share) = AccountShare::renewed(None, lease, &accounts, asked, &self.clock) {
            accounts.insert(share.account, Arc::new(share));
        }
    }

    /// Every account's and sender's, those that are over too.
    pub fn all(&self) -> Vec<Arc<AccountShare>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub fn get(&self, account: AccountId) -> Option<Arc<AccountShare>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).get(&account).cloned()
    }

    /// Takes one token and one place of a share, and of its account's, for a job of `lane`.
    pub fn permit(&self, account: AccountId, lane: Lane) -> Result<Permit, NoPermit> {
        let Some(share) = self.get(account) else {
            self.want(account);
            return Err(NoPermit::NoLease);
        };
        match share.permit(lane) {
            Ok(places) => {
                share.each(|share| share.meter.used(1));
                Ok(Permit { share, places })
            }
            Err((lacking, reason @ NoPermit::Elsewhere(_))) => {
                // Of a sender it has only what it has use for: else it would give it up and want it by turns.
                match lacking.sender {
                    Some(_) => lacking.meter.lacked(),
                    None => lacking.meter.met(),
                }
                Err(reason)
            }
            Err((lacking, reason)) => {
                lacking.lacked();
                if lane == Lane::Emergency {
                    self.hasten(lacking.account, HASTEN_AFTER);
                } else if lacking.share.is_empty() {
                    self.hasten(lacking.account, HASTEN_ALL_AFTER);
                }
                Err(reason)
            }
        }
    }

    /// Is it another worker that may send from it?
    pub fn is_elsewhere(&self, account: AccountId) -> bool {
        self.get(account).is_some_and(|share| share.seat().or(share.of_account().seat()).is_some())
    }

    /// A job waits for an account or a sender that this worker has no lease of: it is asked for at once, and if that was
    /// in vain, with the renewals that come.
    fn want(&self, account: AccountId) {
        let mut wanted = self.wanted();
        if wanted.now.insert(account) && !wanted.in_vain.contains(&account) {
            self.hasten.notify_one();
        }
    }

    fn wanted(&self) -> std::sync::MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
