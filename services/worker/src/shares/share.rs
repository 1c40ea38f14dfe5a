//! One share: what was leased of an account or a sender, and what is taken from it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tocsin_domain::failover::Answers;
use tocsin_domain::lease::Share;
use tocsin_domain::{AccountId, Channel, JobKey, Lane, WorkerId};
use tocsin_runtime::{SharedClock, Stopwatch};
use tocsin_store::leases::{LEASE_TERM, Lease, LeasedHealth, Usage};

use crate::gate::{self, Gate};
use crate::limiter::{Limiter, Spending};
use crate::places::{Call, Places};
use crate::slots::Slot;
use crate::usage::{IDLE_AFTER, Meter};

/// A share that was of no use for so long is not renewed. Until then an idle worker keeps a small one, and its bucket is
/// full when the next job comes.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// A sender is kept for as long as so many of its tokens take, from its last use on.
const KEPT_FOR_TOKENS: f64 = 2.0;
/// Names no lease: epochs begin at 1.
pub(super) const NOT_TAKEN: i64 = 0;

/// One share, of an account or of a sender, as long as its lease is not over.
#[derive(Debug)]
pub struct AccountShare {
    pub account: AccountId,
    /// The account's as configured, also of a sender: how the registry knows it.
    pub name: String,
    pub sender: Option<SenderOf>,
    pub(super) share: Share,
    /// Names the lease in the next renewal: this share is applied, and no earlier one.
    pub(super) epoch: i64,
    pub(super) limiter: Option<Limiter>,
    pub(super) spending: Spending,
    pub(super) gate: Arc<Gate>,
    pub(super) places: Arc<Places>,
    pub(super) meter: Arc<Meter>,
    /// Another worker that may send.
    pub(super) seated: Option<WorkerId>,
    /// The account's, also of a sender.
    health: LeasedHealth,
    /// Started before the lease was asked for, so that it is over here no later than in the store.
    pub(super) asked: Stopwatch,
}

/// What a sender sends from, and the share of the account that its requests take part of, too.
#[derive(Debug)]
pub struct SenderOf {
    pub address: String,
    pub(super) account: Arc<AccountShare>,
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
    /// The account fails, and another does its work.
    Rests,
}

/// What one renewal tells of a share.
pub(super) struct Told {
    pub usage: Usage,
    pub number: u64,
    /// A sender of which nothing is held, owed or needed: it need not be named again.
    pub over: bool,
    /// An account that this worker has had no use for lately: it is not named at all.
    pub unused: bool,
    /// The account of a sender.
    pub parent: Option<AccountId>,
}

impl AccountShare {
    /// None: a sender whose account is not among `accounts`.
    pub(super) fn renewed(
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
        let (places, meter) = match known {
            Some(known) => (Arc::clone(&known.places), Arc::clone(&known.meter)),
            None => (Arc::new(Places::new(&lease.share)), Arc::new(Meter::new(clock))),
        };
        let (gate, spending) = match known {
            Some(known) => (Arc::clone(&known.gate), known.spending.clone()),
            None => (Arc::new(Gate::new(clock)), Spending::default()),
        };
        let goes_on = known.is_some_and(|known| !known.is_over());
        gate.set(&lease.share, goes_on);
        let limiter = match known {
            Some(known) if known.share == lease.share && goes_on => known.limiter.clone(),
            known => {
                let before = known.filter(|_| goes_on).and_then(|known| known.limiter.as_ref());
                let tokens = before.map_or(0.0, Limiter::pour_out);
                Limiter::new(&lease.share, tokens, spending.clone(), clock)
            }
        };
        let Lease { account, name, share, epoch, seated, health, .. } = lease;
        meter.health_is(health.epoch);
        Some(Self {
            account,
            name,
            sender,
            share,
            epoch,
            limiter,
            spending,
            gate,
            places,
            meter,
            seated,
            health,
            asked,
        })
    }

    /// Is the lease over, by this machine's stricter clock?
    pub fn is_over(&self) -> bool {
        self.asked.elapsed() >= LEASE_TERM
    }

    /// Does another account do the work of its account?
    pub(super) fn rests(&self) -> bool {
        self.health.rests
    }

    /// How its account does at the moment, to be named with what comes of a request that begins now.
    pub fn health_epoch(&self) -> i32 {
        self.of_account().meter.health_epoch()
    }

    /// What came of requests over its account, which began at the health of `epoch`.
    pub fn answered(&self, epoch: i32, answers: Answers) {
        self.of_account().meter.answered(epoch, answers);
    }

    /// Its account was refused for this job. Was it for another one before, and has taken nothing since?
    pub fn refused(&self, job: JobKey) -> bool {
        self.of_account().meter.refused(job)
    }

    /// Its account took something.
    pub fn accepted(&self) {
        self.of_account().meter.accepted();
    }

    pub fn share(&self) -> &Share {
        &self.share
    }

    pub fn spending(&self) -> &Spending {
        &self.spending
    }

    /// Who may send in this one's stead.
    pub(super) fn seat(&self) -> Option<WorkerId> {
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
            share.gate.charge(tokens);
            if let Some(limiter) = &share.limiter {
                limiter.charge(tokens);
            }
        });
    }

    /// Waits until so many requests may start together, and takes what they need. To be followed by the last look at
    /// once.
    pub async fn turn(&self, requests: u32) {
        let account = self.sender.as_ref().map(|sender| &*sender.account.gate);
        gate::through(&self.gate, account, requests).await;
    }

    /// It is not this worker's any more.
    pub(super) fn give_up(&self) {
        self.gate.close();
    }

    /// Has this worker nothing of it any more, whatever it had when it took the permit? Others may have it by now.
    pub fn is_given_up(&self) -> bool {
        self.gate.is_closed() || self.of_account().gate.is_closed()
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

    pub(super) fn each(&self, mut act: impl FnMut(&Self)) {
        act(self);
        if let Some(sender) = &self.sender {
            act(&sender.account);
        }
    }

    pub(super) fn told(&self) -> Told {
        if let Some(limiter) = &self.limiter {
            limiter.pay();
        }
        let usage = self.usage();
        let needed = usage.demand > 0 || usage.throttled.is_some();
        // An empty share has no places: it is overfull while a request is open.
        let kept = self.places.overfull() || self.spending.debt() > 0;
        let (is_sender, free) = (self.sender.is_some(), !needed && !kept);
        let unused = free && self.meter.unused_for() >= KEPT_FOR && !self.places.are_taken();
        Told {
            usage,
            number: self.places.asks(),
            over: is_sender && self.share.is_empty() && free,
            unused: !is_sender && unused,
            parent: self.sender.as_ref().map(|sender| sender.account.account),
        }
    }

    pub(super) fn usage(&self) -> Usage {
        // A share that shrank is not given on before the requests that were more than it allows have ended.
        let taken = if self.places.overfull() { NOT_TAKEN } else { self.epoch };
        let usage = self.meter.report(self.account, taken, self.idle_after());
        // A sender is kept until its debt is paid.
        let owes = self.sender.is_some() && !self.share.is_empty() && self.spending.debt() > 0;
        Usage { demand: usage.demand.max(u32::from(owes)), ..usage }
    }

    /// A sender is had on demand, and whoever takes it up again begins with an empty bucket. Where its tokens come further
    /// apart than jobs are thought to pause, each job would find it so and might go back to its row before the token comes.
    fn idle_after(&self) -> Duration {
        let rate = self.share.rate_per_second.filter(|rate| self.sender.is_some() && *rate > 0.0);
        let tokens = rate.and_then(|rate| Duration::try_from_secs_f64(KEPT_FOR_TOKENS / rate).ok());
        tokens.unwrap_or(IDLE_AFTER).clamp(IDLE_AFTER, KEPT_FOR)
    }

    /// Without anything of its account a sender is not had, either.
    pub(super) fn lacked(&self) {
        self.meter.lacked();
        if let Some(sender) = &self.sender
            && sender.account.share.is_empty()
        {
            sender.account.meter.lacked();
        }
    }

    /// Of a sender both shares or none: what one gave is given back where the other has none. The error names the
    /// one that has none.
    pub(super) fn permit(&self, lane: Lane) -> Result<Vec<Slot>, (&Self, NoPermit)> {
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
        if self.rests() {
            return Err(NoPermit::Rests);
        }
        if let Some(worker) = self.seat() {
            return Err(NoPermit::Elsewhere(worker));
        }
        let limiter = self.limiter.as_ref().ok_or(NoPermit::NoLease)?;
        if let Some(wait) = self.gate.backlog() {
            return Err(NoPermit::Wait(wait));
        }
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
