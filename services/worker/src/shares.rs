//! This worker's shares of the provider accounts and of their senders: what each permit is taken from.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tocsin_domain::lease::Share;
use tocsin_domain::{AccountId, Channel, Lane, WorkerId};
use tocsin_providers::Whose;
use tocsin_runtime::{Progress, SharedClock, Stopwatch};
use tocsin_store::leases::{LEASE_TERM, Lease, Usage};
use tocsin_store::{Store, StoreError};
use tokio::sync::Notify;

use crate::limiter::{Limiter, Spending};
use crate::places::{Call, Places};
use crate::slots::Slot;
use crate::usage::Meter;

/// Shares are not renewed before their time more often than this for an emergency, or for what a provider said.
const HASTEN_AFTER: Duration = Duration::from_millis(200);
/// The same for other jobs, where nobody has a share.
const HASTEN_ALL_AFTER: Duration = Duration::from_millis(500);
/// Names no lease: epochs begin at 1.
const NOT_TAKEN: i64 = 0;

/// One share, of an account or of a sender, as long as its lease is not over.
#[derive(Debug)]
pub struct AccountShare {
    pub account: AccountId,
    /// The account's as configured, also of a sender: how the registry knows it.
    pub name: String,
    pub sender: Option<SenderOf>,
    share: Share,
    /// Names the lease in the next renewal: this share is applied, and no earlier one.
    epoch: i64,
    limiter: Option<Limiter>,
    spending: Spending,
    places: Arc<Places>,
    meter: Arc<Meter>,
    /// Another worker that may send.
    seated: Option<WorkerId>,
    /// Started before the lease was asked for, so that it is over here no later than in the store.
    asked: Stopwatch,
}

/// What a sender sends from, and the share of the account that its requests take part of, too.
#[derive(Debug)]
pub struct SenderOf {
    pub address: String,
    account: Arc<AccountShare>,
}

/// Why no permit could be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPermit {
    /// No lease, or it is over.
    NoLease,
    /// This worker may not send, and that one may.
    Elsewhere(WorkerId),
    /// Every place of the share is taken.
    Full,
    /// The next token comes after this time.
    Wait(Duration),
}

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
    /// Senders that jobs wait for and that are not leased.
    wanted: Arc<Mutex<Wanted>>,
    /// The renewal is wanted now.
    hasten: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Wanted {
    now: HashSet<AccountId>,
    /// Those that the last renewal asked for in vain: stopped, perhaps. They wait for the next one's time.
    in_vain: HashSet<AccountId>,
}

/// What one renewal tells of a share.
struct Told {
    usage: Usage,
    number: u64,
    /// A sender of which nothing is held, owed or needed: it need not be named again.
    over: bool,
}

impl Shares {
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, accounts: Arc::default(), wanted: Arc::default(), hasten: Arc::default() }
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
        let told: HashMap<AccountId, Told> = {
            let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
            accounts.iter().map(|(account, share)| (*account, share.told())).collect()
        };
        let wanted = std::mem::take(&mut self.wanted().now);
        let mut usage: Vec<Usage> = told.values().map(|told| told.usage).collect();
        usage.extend(wanted.iter().filter(|account| !told.contains_key(account)).map(|account| Usage {
            account: *account,
            taken: NOT_TAKEN,
            demand: 1,
            used_per_second: 0.0,
            throttled: None,
        }));
        let leases = store.renew_leases_as(worker, channels, &usage).await?;
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
            if let (Some(known), Some(told)) = (known, told) {
                share.places.renewed(told.number, &share.share, calls);
                share.meter.heard(told.usage.throttled);
                if known.share.or_more(&share.share) != share.share {
                    progress = Progress::More;
                }
            }
            accounts.insert(account, Arc::new(share));
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
                if lacking.sender.is_some() {
                    lacking.meter.lacked();
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

    /// A job waits for a sender that this worker has no lease of.
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

impl AccountShare {
    /// None: a sender whose account is not among `accounts`.
    fn renewed(
        known: Option<&Self>,
        lease: Lease,
        accounts: &HashMap<AccountId, Arc<Self>>,
        asked: Stopwatch,
        clock: &SharedClock,
    ) -> Option<Self> {
        let sender = match lease.sender {
            None => None,
            Some(sender) => {
                let account = Arc::clone(accounts.get(&sender.parent)?);
                Some(SenderOf { address: sender.address, account })
            }
        };
        let (places, meter, spending) = match known {
            Some(known) => (Arc::clone(&known.places), Arc::clone(&known.meter), known.spending.clone()),
            None => (Arc::new(Places::new(&lease.share)), Arc::new(Meter::new(clock)), Spending::default()),
        };
        let limiter = match known {
            Some(known) if known.share == lease.share && !known.is_over() => known.limiter.clone(),
            _ => Limiter::new(lease.share.rate_per_second, lease.share.burst, spending.clone(), clock),
        };
        let Lease { account, name, share, epoch, seated, .. } = lease;
        Some(Self { account, name, sender, share, epoch, limiter, spending, places, meter, seated, asked })
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

    /// Who may send in this one's stead.
    fn seat(&self) -> Option<WorkerId> {
        self.seated.filter(|_| self.share.is_empty())
    }

    /// The account itself, of a sender too.
    pub fn of_account(&self) -> &Self {
        self.sender.as_ref().map_or(self, |sender| &sender.account)
    }

    /// Charges what a send cost beyond one token (text segments).
    pub fn charge(&self, tokens: u32) {
        self.each(|share| {
            share.meter.used(tokens);
            if let Some(limiter) = &share.limiter {
                limiter.charge(tokens);
            }
        });
    }

    /// A granted claim whose request takes places for longer than it is open: a call, where their number is
    /// limited.
    pub fn calls(&self, channel: Channel) -> Vec<Call> {
        let mut calls = Vec::new();
        self.each(|share| {
            if channel == Channel::Voice && share.share.concurrency.is_some() {
                calls.push(share.places.claimed());
            }
        });
        calls
    }

    fn each(&self, mut act: impl FnMut(&Self)) {
        act(self);
        if let Some(sender) = &self.sender {
            act(&sender.account);
        }
    }

    fn told(&self) -> Told {
        if let Some(limiter) = &self.limiter {
            limiter.pay();
        }
        let usage = self.usage();
        let needed = usage.demand > 0 || usage.throttled.is_some();
        // An empty share has no places: it is overfull while a request is open.
        let kept = self.places.overfull() || self.spending.debt() > 0;
        let over = self.sender.is_some() && self.share.is_empty() && !needed && !kept;
        Told { usage, number: self.places.asks(), over }
    }

    fn usage(&self) -> Usage {
        // A share that shrank is not given on before the requests that were more than it allows have ended.
        let taken = if self.places.overfull() { NOT_TAKEN } else { self.epoch };
        let usage = self.meter.report(self.account, taken);
        // A sender is kept until its debt is paid.
        let owes = self.sender.is_some() && !self.share.is_empty() && self.spending.debt() > 0;
        Usage { demand: usage.demand.max(u32::from(owes)), ..usage }
    }

    /// Without anything of its account a sender is not had, either.
    fn lacked(&self) {
        self.meter.lacked();
        if let Some(sender) = &self.sender
            && sender.account.share.is_empty()
        {
            sender.account.meter.lacked();
        }
    }

    /// Of a sender both shares or none: what one gave is given back where the other has none. The error names the
    /// one that has none.
    fn permit(&self, lane: Lane) -> Result<Vec<Slot>, (&Self, NoPermit)> {
        let own = self.take(lane).map_err(|reason| (self, reason))?;
        let Some(sender) = &self.sender else { return Ok(vec![own]) };
        match sender.account.take(lane) {
            Ok(of_account) => Ok(vec![own, of_account]),
            Err(reason) => {
                own.put_back();
                if let Some(limiter) = &self.limiter {
                    limiter.put_back();
                }
                Err((&sender.account, reason))
            }
        }
    }

    fn take(&self, lane: Lane) -> Result<Slot, NoPermit> {
        if self.is_over() {
            return Err(NoPermit::NoLease);
        }
        if let Some(worker) = self.seat() {
            return Err(NoPermit::Elsewhere(worker));
        }
        let limiter = self.limiter.as_ref().ok_or(NoPermit::NoLease)?;
        // The place first: it can be given back at once.
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
    use tocsin_store::leases::Sender;

    use super::*;
    use crate::test_clock::TestClock;

    const ACCOUNT: AccountId = AccountId(1);

    fn shares() -> Shares {
        Shares::new(Arc::new(SystemClock))
    }

    fn lease(concurrency: u32, epoch: i64) -> Lease {
        Lease {
            account: ACCOUNT,
            name: "account".to_owned(),
            sender: None,
            share: Share { concurrency: Some(concurrency), general: Some(concurrency), ..Share::default() },
            expires_at: DateTime::UNIX_EPOCH,
            epoch,
            calls: 0,
            seated: None,
        }
    }

    #[test]
    fn a_share_that_shrank_is_not_given_on_before_the_requests_beyond_it_have_ended() {
        let shares = shares();
        shares.grant(lease(2, 7));
        let Permit { share: wide, places: first } = shares.permit(ACCOUNT, Lane::General).unwrap();
        let _second = shares.permit(ACCOUNT, Lane::General).unwrap();
        assert_eq!(wide.usage().taken, 7);

        let smaller = lease(1, 8);
        wide.places.renewed(wide.places.asks(), &smaller.share, 0);
        let narrow =
            AccountShare::renewed(Some(&wide), smaller, &HashMap::new(), Stopwatch::start(), &shares.clock)
                .unwrap();
        assert_eq!(narrow.usage().taken, NOT_TAKEN);
        drop(first);
        assert_eq!(narrow.usage().taken, 8);
    }

    const SENDERS: [AccountId; 2] = [AccountId(2), AccountId(3)];

    fn sender(account: AccountId, share: Share) -> Lease {
        let of = Sender { parent: ACCOUNT, address: "+15005550006".to_owned() };
        Lease { account, sender: Some(of), share, ..lease(0, 1) }
    }

    /// The account has so many places; one sender has one, the other no limit of its own.
    fn with_senders(places: u32) -> Shares {
        let shares = shares();
        shares.grant(lease(places, 1));
        shares.grant(sender(SENDERS[0], Share { concurrency: Some(1), ..Share::default() }));
        shares.grant(sender(SENDERS[1], Share::default()));
        shares
    }

    fn refused(shares: &Shares, account: AccountId) -> NoPermit {
        shares.permit(account, Lane::General).unwrap_err()
    }

    #[test]
    fn a_permit_of_a_sender_takes_of_its_account_too_and_the_smaller_limit_holds() {
        let shares = with_senders(3);
        let first = shares.permit(SENDERS[0], Lane::General).unwrap();
        assert_eq!(first.places.len(), 2);
        assert_eq!(refused(&shares, SENDERS[0]), NoPermit::Full, "the sender's own");
        let others = [(); 2].map(|()| shares.permit(SENDERS[1], Lane::General).unwrap());
        assert_eq!(refused(&shares, SENDERS[1]), NoPermit::Full, "the account's");
        drop(others);
        assert!(shares.permit(SENDERS[1], Lane::General).is_ok());
    }

    #[test]
    fn what_a_sender_gave_is_given_back_where_its_account_has_none() {
        let shares = with_senders(1);
        let limited = Share { rate_per_second: Some(5.0), concurrency: Some(1), ..Share::default() };
        shares.grant(sender(SENDERS[0], limited));
        let held = shares.permit(SENDERS[1], Lane::General).unwrap();
        while refused(&shares, SENDERS[0]) != NoPermit::Full {}
        drop(held);
        assert!(shares.permit(SENDERS[0], Lane::General).is_ok(), "its place and its token");
    }

    /// With a share that is dropped the worker forgets its open requests and its debt.
    #[test]
    fn a_sender_is_kept_while_requests_are_open_or_tokens_are_owed() {
        let clock = Arc::new(TestClock::default());
        let shares = Shares::new(clock.clone());
        shares.grant(lease(2, 1));
        let limited = Share { rate_per_second: Some(1.0), concurrency: Some(1), ..Share::default() };
        shares.grant(sender(SENDERS[0], limited.clone()));
        let with = |known: &AccountShare, share: &Share| {
            known.places.renewed(known.places.asks(), share, 0);
            let accounts = shares.accounts.read().unwrap();
            let lease = sender(SENDERS[0], share.clone());
            AccountShare::renewed(
                Some(known),
                lease,
                &accounts,
                Stopwatch::start_by(&shares.clock),
                &shares.clock,
            )
            .unwrap()
        };
        clock.advance(1_000);
        let Permit { share: first, places } = shares.permit(SENDERS[0], Lane::General).unwrap();
        first.charge(2);
        clock.advance(4_000);
        let told = first.told();
        assert_eq!((told.usage.demand, told.over), (2 + 1, false));
        assert_eq!(first.told().usage.demand, 1, "it owes a token still");
        let none = with(&first, &Share::NOTHING);
        clock.advance(4_000);
        assert_eq!((none.told().usage.demand, none.told().over), (0, false), "a request is open");
        drop(places);
        assert!(!none.told().over, "a token is owed");
        let again = with(&none, &limited);
        clock.advance(1_000);
        assert!(!again.told().over);
        assert_eq!(again.spending.debt(), 0, "paid, without a job that waits for it");
        assert!(with(&again, &Share::NOTHING).told().over);

        let again = with(&again, &limited);
        let place = again.places.take(Lane::General);
        let none = with(&again, &Share::NOTHING);
        assert!(!none.told().over, "a request is open");
        drop(place);
        assert!(none.told().over);
    }

    /// Who was told of a sender's jobs has no use for the account, where that is what is missing here.
    #[test]
    fn a_sender_lacks_its_account_where_there_is_nothing_of_it() {
        for (share, demand) in [(Share::NOTHING, 1), (Share::default(), 0)] {
            let shares = shares();
            shares.grant(Lease { share: share.clone(), ..lease(0, 1) });
            shares.grant(sender(SENDERS[0], Share::NOTHING));
            shares.lacked(SENDERS[0]);
            assert_eq!(shares.get(SENDERS[0]).unwrap().usage().demand, 1);
            assert_eq!(shares.get(ACCOUNT).unwrap().usage().demand, demand, "{share:?}");
        }
    }

    #[test]
    fn segments_weigh_on_the_sender_and_on_its_account() {
        let limited = Share { rate_per_second: Some(100.0), ..Share::default() };
        let shares = shares();
        shares.grant(Lease { share: limited.clone(), ..lease(1, 1) });
        shares.grant(sender(SENDERS[0], limited));
        let share = shares.get(SENDERS[0]).unwrap();
        share.charge(3);
        assert_eq!([share.spending.debt(), share.of_account().spending.debt()], [3, 3]);
    }

    #[test]
    fn a_limit_that_was_exceeded_slows_the_one_whose_it_is() {
        for (whose, slowed, spared) in
            [(Whose::Sender, SENDERS[0], ACCOUNT), (Whose::Account, ACCOUNT, SENDERS[0])]
        {
            let shares = with_senders(1);
            let share = shares.get(SENDERS[0]).unwrap();
            shares.throttled(&share, whose, None);
            let told = |account| shares.get(account).unwrap().usage().throttled.is_some();
            assert!(told(slowed) && !told(spared), "{whose:?}");
        }
    }

    #[test]
    fn whoever_may_not_send_says_who_may_and_lacks_nothing() {
        let shares = shares();
        let other = WorkerId(uuid::Uuid::from_u128(7));
        shares.grant(Lease { share: Share::NOTHING, seated: Some(other), ..lease(0, 1) });
        assert_eq!(refused(&shares, ACCOUNT), NoPermit::Elsewhere(other));
        assert_eq!(shares.get(ACCOUNT).unwrap().usage().demand, 0);
        shares.grant(Lease { seated: Some(other), ..sender(SENDERS[0], Share::NOTHING) });
        assert_eq!(refused(&shares, SENDERS[0]), NoPermit::Elsewhere(other));
        assert_eq!(shares.get(SENDERS[0]).unwrap().usage().demand, 1, "a sender's are had on demand");
        shares.grant(Lease { share: Share::NOTHING, ..lease(0, 1) });
        assert_eq!(refused(&shares, ACCOUNT), NoPermit::NoLease);
        assert_eq!(shares.get(ACCOUNT).unwrap().usage().demand, 1, "nobody may");
    }
}
