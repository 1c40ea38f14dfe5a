//! Leases: a worker's time-limited share of each provider account it serves.
//!
//! The sum of all shares that may still be used never exceeds the account's limits: a share that is over
//! counts on for `send_by`, because a claim granted in its last instant may start its request until then
//! (promise 4).

use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::lease::{Limits, Share, grant};
use tocsin_domain::policy::SEND_BY;
use tocsin_domain::{AccountId, Channel, WorkerId};

use crate::{Store, StoreError};

/// How long a share is valid without renewal, by the store's clock.
pub const LEASE_TERM: Duration = Duration::from_secs(5);

/// A share of one account, valid for [`LEASE_TERM`] from before it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    pub account: AccountId,
    pub name: String,
    pub share: Share,
    pub expires_at: DateTime<Utc>,
}

impl Store {
    /// Renews the worker's shares of every account of `channels` that is not stopped, in one transaction.
    /// A worker that lost an account (stopped, reassigned) finds it missing from the answer.
    pub async fn renew_leases(
        &self,
        worker: WorkerId,
        channels: &[Channel],
    ) -> Result<Vec<Lease>, StoreError> {
        const NAME: &str = "renew_leases";
        let numbers: Vec<i16> = channels.iter().map(|channel| channel.number()).collect();
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(StoreError::statement(NAME))?;
        let statement =
            transaction.prepare_cached(ACCOUNTS_LOCKED).await.map_err(StoreError::statement(NAME))?;
        let accounts =
            transaction.query(&statement, &[&numbers]).await.map_err(StoreError::statement(NAME))?;
        let ids: Vec<i32> = accounts.iter().map(|found| found.get("id")).collect();
        let statement =
            transaction.prepare_cached(OTHER_SHARES).await.map_err(StoreError::statement(NAME))?;
        let others = transaction
            .query(&statement, &[&ids, &worker.0, &SEND_BY.as_secs_f64()])
            .await
            .map_err(StoreError::statement(NAME))?;
        let shares: Vec<Share> = accounts
            .iter()
            .map(|account| {
                let id: i32 = account.get("id");
                let beside: Vec<Share> = others
                    .iter()
                    .filter(|other| other.get::<_, i32>("account_id") == id)
                    .map(share_of)
                    .collect();
                let live = others
                    .iter()
                    .filter(|other| other.get::<_, i32>("account_id") == id && other.get("live"))
                    .count();
                let demanders = u32::try_from(live + 1).unwrap_or(u32::MAX);
                grant(&limits_of(account), &beside, demanders)
            })
            .collect();
        let rates: Vec<Option<f64>> = shares.iter().map(|share| share.rate_per_second).collect();
        let bursts: Vec<Option<i32>> = shares.iter().map(|share| share.burst.map(signed)).collect();
        let concurrencies: Vec<Option<i32>> =
            shares.iter().map(|share| share.concurrency.map(signed)).collect();
        let statement = transaction.prepare_cached(WRITE).await.map_err(StoreError::statement(NAME))?;
        let written = transaction
            .query(&statement, &[&ids, &worker.0, &rates, &bursts, &concurrencies, &LEASE_TERM.as_secs_f64()])
            .await
            .map_err(StoreError::statement(NAME))?;
        transaction.commit().await.map_err(StoreError::statement(NAME))?;
        Ok(written
            .into_iter()
            .filter_map(|found| {
                let id: i32 = found.get("account_id");
                let position = ids.iter().position(|known| *known == id)?;
                Some(Lease {
                    account: AccountId(id),
                    name: accounts[position].get("name"),
                    share: shares[position].clone(),
                    expires_at: found.get("expires_at"),
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

fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn share_of(found: &tokio_postgres::Row) -> Share {
    Share {
        rate_per_second: found.get("rate_per_second"),
        burst: found.get::<_, Option<i32>>("burst").map(i32::unsigned_abs),
        concurrency: found.get::<_, Option<i32>>("concurrency").map(i32::unsigned_abs),
    }
}

fn limits_of(found: &tokio_postgres::Row) -> Limits {
    Limits {
        rate_per_second: found.get("rate_per_second"),
        burst: found.get::<_, Option<i32>>("burst").map(i32::unsigned_abs),
        concurrency: found.get::<_, Option<i32>>("concurrency").map(i32::unsigned_abs),
    }
}

/// The lock makes renewals of one account take turns: the sum is computed over what is committed.
const ACCOUNTS_LOCKED: &str = "-- store.renew_leases accounts
select id, name, rate_per_second, burst, concurrency from provider_accounts
where channel = any($1) and stopped_at is null
order by id
for no key update";

const OTHER_SHARES: &str = "-- store.renew_leases others
select l.account_id, l.rate_per_second, l.burst, l.concurrency, l.expires_at > t.now as live
from (select tocsin_now() as now) t
cross join unnest($1::int[]) u(account_id)
join leases l on l.account_id = u.account_id
where l.worker_id <> $2 and l.expires_at + $3 * interval '1 second' > t.now";

/// Leases of workers long gone are removed on the way.
const WRITE: &str = "-- store.renew_leases write
with gone as (
  delete from leases where account_id = any($1) and worker_id <> $2
    and expires_at < tocsin_now() - interval '1 minute'
)
insert into leases as l (account_id, worker_id, epoch, rate_per_second, burst, concurrency, expires_at)
select u.account_id, $2, 1, u.rate, u.burst, u.concurrency, tocsin_now() + $6 * interval '1 second'
from unnest($1::int[], $3::float8[], $4::int[], $5::int[]) u(account_id, rate, burst, concurrency)
order by u.account_id
on conflict (account_id, worker_id) do update set epoch = l.epoch + 1,
  rate_per_second = excluded.rate_per_second, burst = excluded.burst, concurrency = excluded.concurrency,
  expires_at = excluded.expires_at
returning account_id, expires_at";
