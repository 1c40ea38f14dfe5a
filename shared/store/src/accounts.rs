//! Provider accounts: their limits. Where they are and their secrets is configuration, never here.

pub mod by_hand;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tocsin_domain::failover::Health;
use tocsin_domain::{AccountId, Channel, DistrictId, backoff};

use crate::leases::{Sender, backoff_of, standing_of};
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
    /// The part of `concurrency` that general jobs never get.
    pub reserve: i32,
    /// Attempts that the provider may hold, asking or accepted. None: no limit.
    pub depth: Option<i32>,
    pub weight: i32,
}

/// An account as stored, or a sender of one. What a job is released to is a sender, or an account without any.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    pub id: AccountId,
    /// None: it is an account.
    pub sender: Option<Sender>,
    pub limits: AccountLimits,
    /// A stopped account sends nothing.
    pub stopped: bool,
    /// Why, while it is stopped.
    pub stop_reason: Option<String>,
    pub pace: Pace,
    /// The account's, also of a sender.
    pub health: AccountHealth,
}

/// Whether an account fails, and whether that moves its traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountHealth {
    pub health: Health,
    /// None: it never failed.
    pub since: Option<DateTime<Utc>>,
    /// Is there another account of the channel, for the same districts, that is better? Where there is none it is used
    /// as if it were sound.
    pub gives_way: bool,
}

impl AccountHealth {
    pub const SOUND: Self = Self { health: Health::Full, since: None, gives_way: false };

    /// What it is given.
    pub fn given(&self) -> Health {
        if self.gives_way { self.health } else { Health::Full }
    }
}

/// Limits of a sender's own, where None is no limit but its account's; or of an account.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
pub struct SenderLimits {
    pub rate_per_second: Option<f64>,
    pub burst: Option<i32>,
    pub concurrency: Option<i32>,
}

/// How fast an account may be used at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    /// Its own rate, or less since its provider throttled it. None: no limit.
    pub rate_per_second: Option<f64>,
    /// Its provider asked to be left alone for a while.
    pub held: bool,
    /// Attempts that the provider holds: asking or accepted.
    pub holds: i64,
}

impl Account {
    /// The account that a sender belongs to.
    pub fn parent(&self) -> Option<AccountId> {
        self.sender.as_ref().map(|sender| sender.parent)
    }
}

impl Store {
    /// Brings the stored accounts in line with the configured ones, by name. Limits that an operator set hold on, and the
    /// configured ones are kept for afterwards. An account that is not
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
                    &limits.reserve,
                    &limits.depth,
                    &limits.weight,
                    &now,
                ],
            )
            .await?;
        }
        Ok(())
    }

    /// Of the configured accounts, by name, whether messages over them can have files.
    pub async fn configure_files(&self, with: &[String], without: &[String]) -> Result<(), StoreError> {
        let sql = "-- store.configure_files
                   update provider_accounts set carries_files = name = any($1)
                   where name = any($1::text[] || $2::text[]) and carries_files <> (name = any($1))";
        self.count("configure_files", sql, &[&with, &without]).await?;
        Ok(())
    }

    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        read_accounts(self.rows("accounts", ACCOUNTS, &[]).await?)
    }

    /// Adds a sender to an account, and returns its name. None: the account has it already.
    pub async fn add_sender(
        &self,
        account: AccountId,
        address: &str,
        limits: &SenderLimits,
        now: DateTime<Utc>,
    ) -> Result<Option<String>, StoreError> {
        let SenderLimits { rate_per_second, burst, concurrency } = limits;
        let rows = self
            .rows(
                "add_sender",
                ADD_SENDER,
                &[&account.0, &address, rate_per_second, burst, concurrency, &now],
            )
            .await?;
        Ok(rows.first().map(|found| found.get("name")))
    }

    /// Replaces the limits of a sender. Returns whether there is one of that id.
    pub async fn limit_sender(
        &self,
        sender: AccountId,
        limits: &SenderLimits,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let SenderLimits { rate_per_second, burst, concurrency } = limits;
        let changed = self
            .count(
                "limit_sender",
                "-- store.limit_sender
                 update provider_accounts set rate_per_second = $2, burst = $3, concurrency = $4, updated_at = $5
                 where id = $1 and parent_id is not null",
                &[&sender.0, rate_per_second, burst, concurrency, &now],
            )
            .await?;
        Ok(changed == 1)
    }

    /// Stops an account or a sender: a configuration fault (wrong secret, suspended) would only burn jobs.
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

    /// Lets a stopped account or sender, by its name, serve again. Whatever it failed at before is forgotten.
    pub async fn resume_account(&self, name: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let changed = self
            .count(
                "resume_account",
                "-- store.resume_account
                 update provider_accounts set stopped_at = null, stop_reason = null, updated_at = $2,
                   health = 5, health_since = null, falls = 0, health_epoch = health_epoch + 1
                 where name = $1 and stopped_at is not null",
                &[&name, &now],
            )
            .await?;
        Ok(changed == 1)
    }
}

pub(crate) fn read_accounts(rows: Vec<tokio_postgres::Row>) -> Result<Vec<Account>, StoreError> {
    const NAME: &str = "accounts";
    rows.into_iter()
        .map(|found| {
            let own: Option<f64> = found.get("rate_per_second");
            let (now, held_until): (DateTime<Utc>, Option<DateTime<Utc>>) =
                (found.get("now"), found.get("held_until"));
            let parent: Option<i32> = found.get("parent_id");
            let health = standing_of(NAME, &found)?.health_at(now);
            Ok(Account {
                id: AccountId(found.get("id")),
                sender: parent
                    .map(|parent| Sender { parent: AccountId(parent), address: found.get("address") }),
                limits: AccountLimits {
                    name: found.get("name"),
                    district: found.get::<_, Option<uuid::Uuid>>("district_id").map(DistrictId),
                    channel: row::channel(NAME, found.get("channel"))?,
                    rate_per_second: own,
                    burst: found.get("burst"),
                    concurrency: found.get("concurrency"),
                    reserve: found.get("reserve"),
                    depth: found.get("depth"),
                    weight: found.get("weight"),
                },
                stopped: found.get("stopped"),
                stop_reason: found.get("stop_reason"),
                pace: Pace {
                    rate_per_second: backoff::effective_rate(own, backoff_of(&found).as_ref(), now),
                    held: held_until.is_some_and(|until| now < until),
                    holds: found.get("holds"),
                },
                health: AccountHealth {
                    health,
                    since: found.get("health_since"),
                    gives_way: found.get::<_, i16>("best_other") > health.number(),
                },
            })
        })
        .collect()
}

/// The best health among the other accounts of `a`'s channel and districts that may send; 0 where there is none.
macro_rules! best_other {
    () => {
        "(select coalesce(max(b.health), 0::smallint) from provider_accounts b
    where b.channel = a.channel and b.parent_id is null and b.id <> a.id and b.stopped_at is null
      and b.district_id is not distinct from a.district_id
      and (b.held_until is null or b.held_until <= tocsin_now())
      and (not exists (select from provider_accounts n where n.parent_id = b.id)
        or exists (select from provider_accounts n where n.parent_id = b.id and n.stopped_at is null)))"
    };
}
pub(crate) use best_other;

pub(crate) const ACCOUNTS: &str = concat!("-- store.accounts
with holding as materialized (
  select h.account_id, a.parent_id, sum(h.attempts)::bigint as attempts
  from held h join provider_accounts a on a.id = h.account_id group by 1, 2
), parents as materialized (
  select a.id, a.health, a.health_since, a.falls, ",
    best_other!(),
    " as best_other
  from provider_accounts a where a.parent_id is null
)
select s.id, s.parent_id, s.address, s.name, s.district_id, s.channel, s.rate_per_second, s.burst, s.concurrency,
  s.reserve, s.depth, s.weight, s.backoff_rate, s.backoff_full, s.backoff_since, s.held_until,
  s.stopped_at is not null as stopped, s.stop_reason, tocsin_now() as now,
  coalesce(own.attempts, 0) + coalesce(senders.attempts, 0) as holds,
  a.health, a.health_since, a.falls, a.best_other
from provider_accounts s
join parents a on a.id = coalesce(s.parent_id, s.id)
left join holding own on own.account_id = s.id
left join (select parent_id, sum(attempts)::bigint as attempts from holding group by 1) senders
  on senders.parent_id = s.id
order by s.id");

/// Named after its account, so that no account has that name: a slash is none of its characters.
const ADD_SENDER: &str = "-- store.add_sender
insert into provider_accounts
  (parent_id, address, name, district_id, channel, rate_per_second, burst, concurrency, updated_at)
select id, $2, name || '/' || $2, district_id, channel, $3, $4, $5, $6
from provider_accounts where id = $1 and parent_id is null
on conflict (name) do nothing
returning name";

/// What a sender has of its account changes with it.
const CONFIGURE_ACCOUNT: &str = "-- store.configure_accounts
with senders as (
  update provider_accounts s set district_id = $2, channel = $3, updated_at = $10
  from provider_accounts a where a.name = $1 and s.parent_id = a.id
    and (s.district_id, s.channel) is distinct from ($2, $3)
)
insert into provider_accounts as a
  (name, district_id, channel, rate_per_second, burst, concurrency, reserve, depth, weight, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (name) do update set district_id = excluded.district_id, channel = excluded.channel,
  rate_per_second = case when a.limited_at is null then excluded.rate_per_second else a.rate_per_second end,
  burst = case when a.limited_at is null then excluded.burst else a.burst end,
  concurrency = case when a.limited_at is null then excluded.concurrency else a.concurrency end,
  configured = case when a.limited_at is not null then jsonb_build_object('rate_per_second',
    excluded.rate_per_second, 'burst', excluded.burst, 'concurrency', excluded.concurrency) end,
  reserve = excluded.reserve, depth = excluded.depth, weight = excluded.weight, updated_at = excluded.updated_at
where a.limited_at is not null
  or (a.district_id, a.channel, a.rate_per_second, a.burst, a.concurrency, a.reserve, a.depth, a.weight)
  is distinct from (excluded.district_id, excluded.channel, excluded.rate_per_second, excluded.burst,
    excluded.concurrency, excluded.reserve, excluded.depth, excluded.weight)";
