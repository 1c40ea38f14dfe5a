//! Connections: one pool, every session in the role that its process may act in.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, QueueMode, RecyclingMethod, Runtime,
};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use crate::StoreError;

/// How long a caller waits for a free connection, or for a new one.
const CONNECTION_WAIT: Duration = Duration::from_secs(5);
/// The same where one connection serves every role: a long transaction (the import of a roster) makes all
/// others wait, and that is no outage.
const SOLE_CONNECTION_WAIT: Duration = Duration::from_secs(60);

/// Keyed statements only: a session of the engine never plans a scan because a table has no statistics
/// yet, and plans each statement once (docs/adr/0004-plans.md).
pub const ENGINE_SESSION: &str = "set role tocsin_engine; set plan_cache_mode = force_generic_plan; \
     set enable_hashjoin = off; set enable_mergejoin = off; set enable_seqscan = off; \
     set enable_bitmapscan = off; set jit = off; set client_min_messages = warning";
pub const TENANT_SESSION: &str = "set role tocsin_app; set jit = off; set client_min_messages = warning";

/// Those connections that know their statements serve first, so that others may stand unused for hours. What lies between
/// (address translation, a load balancer) is reminded of them, and one whose other end is gone is found out before a burst
/// needs it: after this time without a word, and so many questions after each other that nobody answers.
const QUIET: Duration = Duration::from_secs(30);
const QUIET_AGAIN: Duration = Duration::from_secs(10);
const UNANSWERED_MAX: u32 = 3;
/// A server that vanishes while it is written to is given up after this time.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// A process that is frozen inside a transaction must not keep its locks: a lease renewal locks the
/// account, and every other worker would wait for it.
const IDLE_TRANSACTION: &str = "set idle_in_transaction_session_timeout = '3s'";

/// What a process may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Planner, workers, collector, and the single process: every district.
    Engine,
    /// The api: one district per transaction, and nothing without one.
    Tenants,
}

/// A pool of connections to the store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Pool,
    access: Access,
    /// Microseconds since 1970. None: the database is asked.
    told_now: Option<Arc<AtomicI64>>,
}

impl Store {
    /// Makes the pool; connects with the first statement. `connections` may be 1: no method holds two.
    pub fn open(url: &str, connections: usize, access: Access) -> Result<Self, StoreError> {
        let config = tokio_postgres::Config::from_str(url)
            .map(kept_alive)
            .map_err(|source| StoreError::Address(redacted(url), source))?;
        let session = match access {
            Access::Engine => ENGINE_SESSION,
            Access::Tenants => TENANT_SESSION,
        };
        let session: Arc<str> = format!("{session}; {IDLE_TRANSACTION}").into();
        let manager =
            Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let wait = if connections > 1 { CONNECTION_WAIT } else { SOLE_CONNECTION_WAIT };
        let pool = Pool::builder(manager)
            .max_size(connections.max(1))
            // A session plans each statement once and then knows it: those that know most serve first.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(wait))
            .create_timeout(Some(CONNECTION_WAIT))
            .post_create(Hook::async_fn(move |client, _| {
                let session = Arc::clone(&session);
                Box::pin(async move { client.batch_execute(&session).await.map_err(HookError::Backend) })
            }))
            .build()?;
        Ok(Self { pool, access, told_now: None })
    }

    /// For whoever moves the database's clock by hand and knows what it shows, in microseconds since 1970: the
    /// simulation (docs/SIMULATION.md). It saves asking.
    #[doc(hidden)]
    pub fn telling_time(self, micros: Arc<AtomicI64>) -> Self {
        Self { told_now: Some(micros), ..self }
    }

    pub(crate) fn told_now(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.told_now.as_ref()?.load(Ordering::Relaxed))
    }

    pub fn access(&self) -> Access {
        self.access
    }

    /// Ends every connection: those in use when they are given back. Whoever asks for one from now on gets an
    /// error.
    pub fn close(&self) {
        self.pool.close();
    }

    /// Is the database there, with the schema that this program needs, or a newer one? Migrations are safe for
    /// the release before: its processes go on, and start, while the new ones take over.
    pub async fn check(&self) -> Result<(), StoreError> {
        let needed = crate::schema_version();
        let client = self.client().await?;
        let found = match client.query_one("-- store.check\nselect schema_version()", &[]).await {
            Ok(row) => row.get(0),
            // Not there before the first migration.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_FUNCTION) => 0,
            Err(error) => return Err(StoreError::statement("check")(error)),
        };
        if found >= needed { Ok(()) } else { Err(StoreError::SchemaVersion { found, needed }) }
    }

    pub(crate) async fn client(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(StoreError::Connect)
    }

    /// Runs one prepared statement and returns its rows. `statement` is its name, as in its first line.
    pub(crate) async fn rows(
        &self,
        statement: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let client = self.client().await?;
        let prepared = client.prepare_cached(sql).await.map_err(StoreError::statement(statement))?;
        client.query(&prepared, parameters).await.map_err(StoreError::statement(statement))
    }

    /// As [`Store::rows`], for a statement whose count of changed rows is its answer.
    pub(crate) async fn count(
        &self,
        statement: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        let client = self.client().await?;
        let prepared = client.prepare_cached(sql).await.map_err(StoreError::statement(statement))?;
        client.execute(&prepared, parameters).await.map_err(StoreError::statement(statement))
    }
}

/// What the address itself says of it goes first.
fn kept_alive(mut config: tokio_postgres::Config) -> tokio_postgres::Config {
    let unsaid = tokio_postgres::Config::new();
    if config.get_keepalives_idle() == unsaid.get_keepalives_idle() {
        config.keepalives_idle(QUIET);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(QUIET_AGAIN);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(UNANSWERED_MAX);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNACKNOWLEDGED);
    }
    config
}

/// An address without its password, for messages.
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "(not a URL)".to_owned() };
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split_once(':').map_or(user, |(name, _)| name);
            format!("{scheme}://{user}@{host}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_stand_unused_are_kept_alive_as_the_address_says_or_else_often() {
        let read = |url: &str| kept_alive(url.parse().unwrap());
        let plain = read("postgres://tocsin@db/tocsin");
        assert_eq!(
            (plain.get_keepalives_idle(), plain.get_keepalives_retries()),
            (QUIET, Some(UNANSWERED_MAX))
        );
        assert_eq!(plain.get_keepalives_interval(), Some(QUIET_AGAIN));
        assert_eq!(plain.get_tcp_user_timeout(), Some(&UNACKNOWLEDGED));
        let said = read("postgres://tocsin@db/tocsin?keepalives_idle=600&tcp_user_timeout=90");
        assert_eq!(said.get_keepalives_idle(), Duration::from_secs(600));
        assert_eq!(said.get_tcp_user_timeout(), Some(&Duration::from_secs(90)));
    }
}
