//! Provider accounts: their limits. Where they are and their secrets is configuration, never here.

use chrono::{DateTime, Utc};
use tocsin_domain::{AccountId, Channel, DistrictId};

use crate::{Store, StoreError, row};

/// An account as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountLimits {
    pub name: String,
    pub district: Option<DistrictId>,
    pub channel: Channel,
    /// In the unit that the provider counts. None: no limit.
    pub rate_per_second: Option<f64>,
    pub burst: Option<i32>,
    pub concurrency: Option<i32>,
    pub weight: i32,
}

/// An account as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    pub id: AccountId,
    pub limits: AccountLimits,
    /// A stopped account sends nothing.
    pub stopped: bool,
    /// Why, while it is stopped.
    pub stop_reason: Option<String>,
}

impl Store {
    /// Brings the stored accounts in line with the configured ones, by name. An account that is not
    /// configured any more stays for its history and serves nobody: no worker asks for its share.
    pub async fn configure_accounts(
        &self,
        accounts: &[AccountLimits],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        for limits in accounts {
            self.count(
                "configure_accounts",
                CONFIGURE_ACCOUNT,
                &[
                    &limits.name,
                    &limits.district.map(|district| district.0),
                    &limits.channel.number(),
                    &limits.rate_per_second,
                    &limits.burst,
                    &limits.concurrency,
                    &limits.weight,
                    &now,
                ],
            )
            .await?;
        }
        Ok(())
    }

    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        const NAME: &str = "accounts";
        let rows = self
            .rows(
                NAME,
                "-- store.accounts
                 select id, name, district_id, channel, rate_per_second, burst, concurrency, weight,
                   stopped_at is not null as stopped, stop_reason
                 from provider_accounts order by id",
                &[],
            )
            .await?;
        rows.into_iter()
            .map(|found| {
                Ok(Account {
                    id: AccountId(found.get("id")),
                    limits: AccountLimits {
                        name: found.get("name"),
                        district: found.get::<_, Option<uuid::Uuid>>("district_id").map(DistrictId),
                        channel: row::channel(NAME, found.get("channel"))?,
                        rate_per_second: found.get("rate_per_second"),
                        burst: found.get("burst"),
                        concurrency: found.get("concurrency"),
                        weight: found.get("weight"),
                    },
                    stopped: found.get("stopped"),
                    stop_reason: found.get("stop_reason"),
                })
            })
            .collect()
    }

    /// Stops an account: a configuration fault (wrong secret, suspended) would only burn jobs.
    pub async fn stop_account(
        &self,
        account: AccountId,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let changed = self
            .count(
                "stop_account",
                "-- store.stop_account
                 update provider_accounts set stopped_at = $3, stop_reason = $2, updated_at = $3
                 where id = $1 and stopped_at is null",
                &[&account.0, &reason, &now],
            )
            .await?;
        Ok(changed == 1)
    }

    /// Lets a stopped account serve again.
    pub async fn resume_account(&self, name: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let changed = self
            .count(
                "resume_account",
                "-- store.resume_account
                 update provider_accounts set stopped_at = null, stop_reason = null, updated_at = $2
                 where name = $1 and stopped_at is not null",
                &[&name, &now],
            )
            .await?;
        Ok(changed == 1)
    }
}

const CONFIGURE_ACCOUNT: &str = "-- store.configure_accounts
insert into provider_accounts as a
  (name, district_id, channel, rate_per_second, burst, concurrency, weight, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (name) do update set district_id = excluded.district_id, channel = excluded.channel,
  rate_per_second = excluded.rate_per_second, burst = excluded.burst, concurrency = excluded.concurrency,
  weight = excluded.weight, updated_at = excluded.updated_at
where (a.district_id, a.channel, a.rate_per_second, a.burst, a.concurrency, a.weight)
  is distinct from (excluded.district_id, excluded.channel, excluded.rate_per_second, excluded.burst,
    excluded.concurrency, excluded.weight)";
