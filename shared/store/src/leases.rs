//! Leases: a worker's time-limited share of each provider account it serves, and of those senders that it has jobs for.
//!
//! The sum of all shares that may still be used never exceeds the account's limits: a share that is over
//! counts on for `send_by`, because a claim granted in its last instant may start its request until then, and
//! a share that shrank counts as it was until its worker names the smaller one (promise 4).

mod health;
mod standing;
mod transaction;

use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::backoff::{self, Backoff};
use tocsin_domain::failover::Answers;
use tocsin_domain::lease::{Limits, Share, grant, grant_on_demand, seated};
use tocsin_domain::{AccountId, Channel, WorkerId};
use tokio_postgres::Row;

pub use tocsin_domain::lease::LEASE_TERM;

pub use self::health::LeasedHealth;
pub(crate) use self::health::standing_of;

use self::health::Judged;
use self::standing::{Standing, calls_of, signed, standings};
use self::transaction::{Locked, Read, SLOWED};
use crate::{Store, StoreError};

const NAME: &str = "renew_leases";

/// A share of one account or sender, valid for [`LEASE_TERM`] from before it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    pub account: AccountId,
    /// The account's, also of a sender.
    pub name: String,
    pub sender: Option<Sender>,
    pub share: Share,
    pub expires_at: DateTime<Utc>,
    /// Named in the next renewal, it says that this share was taken and earlier ones given up.
    pub epoch: i64,
    /// Attempts of this worker that are asking or accepted, where they take places until they end: calls.
    pub calls: u32,
    /// Another worker that may send, if any.
    pub seated: Option<WorkerId>,
    /// Of an account, what its answers are counted by, and what they come to. A sender's is its account's.
    pub health: LeasedHealth,
}

/// What an account sends from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The account that it belongs to. A request takes a token and a place of each.
    pub parent: AccountId,
    pub address: String,
}

/// What a worker says of an account or a sender when it renews its shares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    pub account: AccountId,
    /// The epoch of the lease that it applies.
    pub taken: i64,
    /// Tokens that it used or lacked since it asked last. 0: it is idle.
    pub demand: u32,
    pub used_per_second: f64,
    pub throttled: Option<Throttled>,
    /// The provider's answers since the account came to the health of that epoch, of the last
    /// [`tocsin_domain::failover::WINDOW`]. Of a sender nothing is told: its account answers.
    pub answers: Answers,
    pub health_epoch: i32,
}

impl Usage {
    /// Of an account or a sender that a job waits for, and of which there is no lease yet.
    pub fn wanted(account: AccountId) -> Self {
        Self {
            account,
            taken: 0,
            demand: 1,
            used_per_second: 0.0,
            throttled: None,
            answers: Answers::default(),
            health_epoch: 0,
        }
    }
}

/// The provider said "too fast".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttled {
    pub retry_after: Option<Duration>,
}

impl Store {
    /// As [`Store::renew_leases_as`], of a worker that could use whatever it gets and has taken what it got.
    pub async fn renew_leases(
        &self,
        worker: WorkerId,
        channels: &[Channel],
    ) -> Result<Vec<Lease>, StoreError> {
        self.renew(worker, channels, None).await
    }

    /// Renews the worker's shares of the accounts and senders that `usage` names and that are not stopped, and of the
    /// accounts of such senders, in one transaction. A worker that lost an account (stopped, reassigned) finds it
    /// missing from the answer. Of what `usage` does not name the worker holds nothing and needs nothing.
    ///
    /// What providers told the worker is heard first: an account that was throttled is slowed for all.
    pub async fn renew_leases_as(
        &self,
        worker: WorkerId,
        channels: &[Channel],
        usage: &[Usage],
    ) -> Result<Vec<Lease>, StoreError> {
        self.renew(worker, channels, Some(usage)).await
    }

    async fn renew(
        &self,
        worker: WorkerId,
        channels: &[Channel],
        usage: Option<&[Usage]>,
    ) -> Result<Vec<Lease>, StoreError> {
        let numbers: Vec<i16> = channels.iter().map(|channel| channel.number()).collect();
        let named: Option<Vec<i32>> = usage.map(|all| all.iter().map(|usage| usage.account.0).collect());
        let locked = Locked::begin(self.client().await?);
        let Read { accounts: found, leases, held } = locked.read(worker, &numbers, named.as_deref()).await?;
        let ids: Vec<i32> = found.iter().map(|account| account.get("id")).collect();
        let Some(now) = leases.first().map(|row| row.get::<_, DateTime<Utc>>("now")) else {
            return Ok(Vec::new());
        };
        let mut accounts: Vec<Known> = found.iter().map(Known::read).collect::<Result<_, _>>()?;
        let mut standings_of: Vec<Standing> = Vec::with_capacity(accounts.len());
        for account in &mut accounts {
            let usage = usage.map(|all| all.iter().find(|usage| usage.account.0 == account.id));
            let calls = if account.counts_calls { calls_of(account.id, &held) } else { Vec::new() };
            let mut standing = standings(account.id, account.health.epoch, worker, usage, &leases, calls);
            let throttled = usage.flatten().and_then(|usage| usage.throttled);
            if let Some(throttled) = throttled
                && account.hear(throttled, standing.used_per_second, now)
            {
                account.write(&locked, now).await?;
            }
            if account.health.judge(&account.name, standing.answers, now) {
                account.health.write(account.id, &locked).await?;
                // They were given at the health before.
                standing.own_answers = Answers::default();
            }
            standings_of.push(standing);
        }
        let shares = grant_all(&accounts, &mut standings_of, now);
        let written = write(locked, worker, &ids, &accounts, &standings_of, &shares, now).await?;
        Ok(written
            .into_iter()
            .filter_map(|found| {
                let id: i32 = found.get("account_id");
                let position = ids.iter().position(|known| *known == id)?;
                let (account, standing) = (&accounts[position], &standings_of[position]);
                // Locked with its senders, or none of them would be here.
                let of = account.sender.as_ref().map_or(id, |sender| sender.parent.0);
                let parent = ids.iter().position(|known| *known == of)?;
                let of_account = &accounts[parent];
                let (name, health) = (of_account.name.clone(), of_account.health.leased());
                // Who has the account gets the sender as soon as it is told of a job.
                let asked = if shares[parent].is_empty() { &standings_of[parent] } else { standing };
                Some(Lease {
                    account: AccountId(id),
                    name,
                    sender: account.sender.clone(),
                    share: shares[position].clone(),
                    expires_at: found.get("expires_at"),
                    epoch: found.get("epoch"),
                    calls: standing.calls,
                    seated: seated(&asked.asker, &asked.others),
                    health,
                })
            })
            .collect())
    }

    /// Gives the worker's shares up: it has stopped asking, and its last claim is past `send_by`.
    pub async fn drop_leases(&self, worker: WorkerId) -> Result<u64, StoreError> {
        self.count(
            "drop_leases",
            "-- store.drop_leases
             delete from leases where worker_id = $1",
            &[&worker.0],
        )
        .await
    }
}

/// An account or a sender, locked for this renewal.
struct Known {
    id: i32,
    name: String,
    sender: Option<Sender>,
    limits: Limits,
    backoff: Option<Backoff>,
    held_until: Option<DateTime<Utc>>,
    health: Judged,
    /// Do attempts take places until they end, and not only while their requests are open?
    counts_calls: bool,
}

impl Known {
    fn read(found: &Row) -> Result<Self, StoreError> {
        let unsigned = |column: &str| found.get::<_, Option<i32>>(column).map(i32::unsigned_abs);
        let concurrency = unsigned("concurrency");
        Ok(Self {
            id: found.get("id"),
            name: found.get("name"),
            sender: found
                .get::<_, Option<i32>>("parent_id")
                .map(|parent| Sender { parent: AccountId(parent), address: found.get("address") }),
            limits: Limits {
                rate_per_second: found.get("rate_per_second"),
                burst: unsigned("burst"),
                concurrency,
                reserve: found.get::<_, i32>("reserve").unsigned_abs(),
            },
            backoff: backoff_of(found),
            held_until: found.get("held_until"),
            health: Judged::read(found)?,
            counts_calls: concurrency.is_some() && found.get::<_, i16>("channel") == Channel::Voice.number(),
        })
    }

    /// Slows the account if that has not been done in this period. Returns whether anything changed.
    fn hear(&mut self, throttled: Throttled, used_per_second: f64, now: DateTime<Utc>) -> bool {
        let own = self.limits.rate_per_second;
        let fallen = backoff::throttled(own, self.backoff.as_ref(), used_per_second, now);
        let until = throttled.retry_after.map(|wait| backoff::held_until(wait, now));
        let held_longer = until.is_some() && until > self.held_until;
        if let Some(fallen) = &fallen {
            tracing::warn!(
                account.id = self.id,
                sender = self.sender.is_some(),
                rate_per_second = fallen.rate_per_second,
                "the provider throttled the account or sender: it is slowed for all workers"
            );
        }
        let changed = fallen.is_some() || held_longer;
        self.backoff = fallen.or(self.backoff);
        self.held_until = self.held_until.max(until);
        changed
    }

    async fn write(&self, locked: &Locked, now: DateTime<Utc>) -> Result<(), StoreError> {
        let (rate, full, since) = match &self.backoff {
            None => (None, None, None),
            Some(last) => (Some(last.rate_per_second), Some(last.full_per_second), Some(last.since)),
        };
        locked.query(SLOWED, &[&self.id, &rate, &full, &since, &self.held_until, &now]).await.map(drop)
    }

    fn grant(&self, standing: &Standing, now: DateTime<Utc>) -> Share {
        if self.held_until.is_some_and(|until| now < until) {
            return Share::NOTHING;
        }
        let own = self.limits.rate_per_second;
        let rate_per_second = backoff::effective_rate(own, self.backoff.as_ref(), now);
        let rate_per_second = self.health.limited(rate_per_second);
        let limits = Limits { rate_per_second, ..self.limits.clone() };
        let grant = if self.sender.is_some() { grant_on_demand } else { grant };
        grant(&limits, &standing.asker, &standing.others, now)
    }
}

/// The worker's shares. Without anything of an account its senders are of no use to it, and counted as not needed:
/// with their seats at different workers nobody could send. An account's id is below its senders'.
fn grant_all(accounts: &[Known], standings: &mut [Standing], now: DateTime<Utc>) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::with_capacity(accounts.len());
    for (account, standing) in accounts.iter().zip(standings) {
        let of_parent = account
            .sender
            .as_ref()
            .and_then(|sender| accounts.iter().zip(&shares).find(|(known, _)| known.id == sender.parent.0));
        if of_parent.is_some_and(|(_, share)| share.is_empty()) {
            (standing.demand, standing.asker.busy) = (0, false);
        }
        shares.push(account.grant(standing, now));
    }
    shares
}

/// The last fall of an account's rate, as its row has it.
pub(crate) fn backoff_of(found: &Row) -> Option<Backoff> {
    Some(Backoff {
        rate_per_second: found.get::<_, Option<f64>>("backoff_rate")?,
        full_per_second: found.get::<_, Option<f64>>("backoff_full")?,
        since: found.get::<_, Option<DateTime<Utc>>>("backoff_since")?,
    })
}

async fn write(
    locked: Locked,
    worker: WorkerId,
    ids: &[i32],
    accounts: &[Known],
    standings: &[Standing],
    shares: &[Share],
    now: DateTime<Utc>,
) -> Result<Vec<Row>, StoreError> {
    let counted: Vec<Share> =
        shares.iter().zip(standings).map(|(share, standing)| share.or_more(&standing.before)).collect();
    let part = |shares: &[Share], part: fn(&Share) -> Option<u32>| -> Vec<Option<i32>> {
        shares.iter().map(|share| part(share).map(signed)).collect()
    };
    let rates =
        |shares: &[Share]| -> Vec<Option<f64>> { shares.iter().map(|share| share.rate_per_second).collect() };
    let demands: Vec<i32> = standings.iter().map(|standing| signed(standing.demand)).collect();
    let whole = |part: fn(&Standing) -> u32| -> Vec<i32> {
        standings.iter().map(|standing| signed(part(standing))).collect()
    };
    let epochs: Vec<i32> = accounts.iter().map(|account| account.health.epoch).collect();
    let used: Vec<f64> = standings.iter().map(|standing| standing.own_used_per_second).collect();
    let turns: Vec<Option<DateTime<Utc>>> =
        standings.iter().zip(shares).map(|(standing, share)| standing.turn_at(share, now)).collect();
    locked
        .write(&[
            &ids,
            &worker.0,
            &rates(shares),
            &part(shares, |share| share.burst),
            &part(shares, |share| share.concurrency),
            &part(shares, |share| share.general),
            &rates(&counted),
            &part(&counted, |share| share.burst),
            &part(&counted, |share| share.concurrency),
            &part(&counted, |share| share.general),
            &demands,
            &used,
            &turns,
            &LEASE_TERM.as_secs_f64(),
            &whole(|standing| standing.own_answers.all),
            &whole(|standing| standing.own_answers.failed),
            &epochs,
        ])
        .await
}
