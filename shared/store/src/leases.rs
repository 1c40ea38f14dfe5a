//! Leases: a worker's time-limited share of each provider account it serves, and of those senders that it has jobs for.
//!
//! The sum of all shares that may still be used never exceeds the account's limits: a share that is over
//! counts on for `send_by`, because a claim granted in its last instant may start its request until then, and
//! a share that shrank counts as it was until its worker names the smaller one (promise 4).

mod standing;

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::Transaction;
use tocsin_domain::backoff::{self, Backoff};
use tocsin_domain::lease::{Limits, Share, grant, grant_on_demand, seated};
use tocsin_domain::policy::SEND_BY;
use tocsin_domain::{AccountId, Channel, WorkerId};
use tokio_postgres::Row;

pub use tocsin_domain::lease::LEASE_TERM;

use self::standing::{Standing, calls_of, signed, standings};
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

    /// Renews the worker's shares of every account of `channels` that is not stopped, and of the senders that
    /// `usage` names, in one transaction. A worker that lost an account (stopped, reassigned) finds it missing
    /// from the answer. Of an account that `usage` does not name the worker holds nothing and needs nothing.
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
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(StoreError::statement(NAME))?;
        let named: Option<Vec<i32>> = usage.map(|all| all.iter().map(|usage| usage.account.0).collect());
        let found = query(&transaction, ACCOUNTS_LOCKED, &[&numbers, &named]).await?;
        let ids: Vec<i32> = found.iter().map(|account| account.get("id")).collect();
        let leases = query(&transaction, LEASES, &[&ids, &worker.0, &SEND_BY.as_secs_f64()]).await?;
        let Some(now) = leases.first().map(|row| row.get::<_, DateTime<Utc>>("now")) else {
            return Ok(Vec::new());
        };
        let mut accounts: Vec<Known> = found.iter().map(Known::read).collect();
        let counts_calls = accounts.iter().any(|account| account.counts_calls);
        let held = if counts_calls { query(&transaction, HELD, &[&ids]).await? } else { Vec::new() };
        let mut standings_of: Vec<Standing> = Vec::with_capacity(accounts.len());
        for account in &mut accounts {
            let usage = usage.map(|all| all.iter().find(|usage| usage.account.0 == account.id));
            let calls = if account.counts_calls { calls_of(account.id, &held) } else { Vec::new() };
            let standing = standings(account.id, worker, usage, &leases, calls);
            let throttled = usage.flatten().and_then(|usage| usage.throttled);
            if let Some(throttled) = throttled
                && account.hear(throttled, standing.used_per_second, now)
            {
                account.write(&transaction, now).await?;
            }
            standings_of.push(standing);
        }
        let shares = grant_all(&accounts, &mut standings_of, now);
        let written = write(&transaction, worker, &ids, &standings_of, &shares, now).await?;
        transaction.commit().await.map_err(StoreError::statement(NAME))?;
        Ok(written
            .into_iter()
            .filter_map(|found| {
                let id: i32 = found.get("account_id");
                let position = ids.iter().position(|known| *known == id)?;
                let (account, standing) = (&accounts[position], &standings_of[position]);
                // Locked with its senders, or none of them would be here.
                let of = account.sender.as_ref().map_or(id, |sender| sender.parent.0);
                let parent = ids.iter().position(|known| *known == of)?;
                let name = accounts[parent].name.clone();
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
    /// Do attempts take places until they end, and not only while their requests are open?
    counts_calls: bool,
}

impl Known {
    fn read(found: &Row) -> Self {
        let unsigned = |column: &str| found.get::<_, Option<i32>>(column).map(i32::unsigned_abs);
        let concurrency = unsigned("concurrency");
        Self {
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
            counts_calls: concurrency.is_some() && found.get::<_, i16>("channel") == Channel::Voice.number(),
        }
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

    async fn write(&self, transaction: &Transaction<'_>, now: DateTime<Utc>) -> Result<(), StoreError> {
        let (rate, full, since) = match &self.backoff {
            None => (None, None, None),
            Some(last) => (Some(last.rate_per_second), Some(last.full_per_second), Some(last.since)),
        };
        query(transaction, SLOWED, &[&self.id, &rate, &full, &since, &self.held_until, &now]).await.map(drop)
    }

    fn grant(&self, standing: &Standing, now: DateTime<Utc>) -> Share {
        if self.held_until.is_some_and(|until| now < until) {
            return Share::NOTHING;
        }
        let own = self.limits.rate_per_second;
        let rate_per_second = backoff::effective_rate(own, self.backoff.as_ref(), now);
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

async fn query(
    transaction: &Transaction<'_>,
    sql: &str,
    parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Vec<Row>, StoreError> {
    let statement = transaction.prepare_cached(sql).await.map_err(StoreError::statement(NAME))?;
    transaction.query(&statement, parameters).await.map_err(StoreError::statement(NAME))
}

async fn write(
    transaction: &Transaction<'_>,
    worker: WorkerId,
    ids: &[i32],
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
    let used: Vec<f64> = standings.iter().map(|standing| standing.own_used_per_second).collect();
    let turns: Vec<Option<DateTime<Utc>>> =
        standings.iter().zip(shares).map(|(standing, share)| standing.turn_at(share, now)).collect();
    query(
        transaction,
        WRITE,
        &[
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
        ],
    )
    .await
}

/// The lock makes renewals of one account take turns: the sum is computed over what is committed. $2 null names
/// every sender.
const ACCOUNTS_LOCKED: &str = "-- store.renew_leases accounts
select id, parent_id, name, address, channel, rate_per_second, burst, concurrency, reserve, backoff_rate,
  backoff_full, backoff_since, held_until
from provider_accounts a
where channel = any($1) and stopped_at is null
  and (parent_id is null or (($2::int[] is null or id = any($2))
    and not exists (select from provider_accounts p where p.id = a.parent_id and p.stopped_at is not null)))
order by id
for no key update";

/// The worker's own, and all that still count. One row at least, for the time.
const LEASES: &str = "-- store.renew_leases leases
select t.now, l.account_id, l.worker_id, l.epoch, l.rate_per_second, l.burst, l.concurrency, l.general,
  l.counted_rate, l.counted_burst, l.counted_concurrency, l.counted_general, l.demand, l.used_per_second,
  l.turn_at, l.expires_at > t.now as live, l.expires_at + $3 * interval '1 second' > t.now as counts
from (select tocsin_now() as now) t
left join (select unnest($1::int[]) as id) u on true
left join leases l on l.account_id = u.id
  and (l.worker_id = $2 or l.expires_at + $3 * interval '1 second' > t.now)";

/// An account holds what its senders hold.
const HELD: &str = "-- store.renew_leases held
select h.account_id, a.parent_id, h.worker_id, sum(h.attempts)::int as attempts
from held h join provider_accounts a on a.id = h.account_id
where a.id = any($1) or a.parent_id = any($1)
group by 1, 2, 3 having sum(h.attempts) > 0";

const SLOWED: &str = "-- store.renew_leases slowed
update provider_accounts set backoff_rate = $2, backoff_full = $3, backoff_since = $4, held_until = $5,
  updated_at = $6
where id = $1";

/// Leases of workers long gone are removed on the way.
const WRITE: &str = "-- store.renew_leases write
with gone as (
  delete from leases where account_id = any($1) and worker_id <> $2
    and expires_at < tocsin_now() - interval '1 minute'
)
insert into leases as l (account_id, worker_id, epoch, rate_per_second, burst, concurrency, general,
  counted_rate, counted_burst, counted_concurrency, counted_general, demand, used_per_second, turn_at,
  expires_at)
select u.account_id, $2, 1, u.rate, u.burst, u.concurrency, u.general, u.counted_rate, u.counted_burst,
  u.counted_concurrency, u.counted_general, u.demand, u.used, u.turn_at,
  tocsin_now() + $14 * interval '1 second'
from unnest($1::int[], $3::float8[], $4::int[], $5::int[], $6::int[], $7::float8[], $8::int[], $9::int[],
    $10::int[], $11::int[], $12::float8[], $13::timestamptz[])
  u(account_id, rate, burst, concurrency, general, counted_rate, counted_burst, counted_concurrency,
    counted_general, demand, used, turn_at)
order by u.account_id
on conflict (account_id, worker_id) do update set epoch = l.epoch + 1,
  rate_per_second = excluded.rate_per_second, burst = excluded.burst, concurrency = excluded.concurrency,
  general = excluded.general, counted_rate = excluded.counted_rate, counted_burst = excluded.counted_burst,
  counted_concurrency = excluded.counted_concurrency, counted_general = excluded.counted_general,
  demand = excluded.demand, used_per_second = excluded.used_per_second, turn_at = excluded.turn_at,
  expires_at = excluded.expires_at
returning account_id, expires_at, epoch";
