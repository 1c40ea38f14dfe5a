//! One fresh, migrated database for each test.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};
use tocsin_runtime::{Clock as _, SystemClock};
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

use crate::address::with_path;

const DEFAULT_URL: &str = "postgres://postgres@127.0.0.1:5432/postgres";
/// Begins the name of every test's database; behind it the seconds since 1970 in hexadecimal, for the sweep.
const PREFIX: &str = "tocsin_test_";
/// Older databases are left over from a process that was killed.
const LEFTOVER_AFTER_SECONDS: i64 = 3600;
/// Held on the maintenance database while a template is made: roles belong to the whole server, so migrations of two
/// databases at once would trip over each other.
const TEMPLATE_LOCK: i64 = 7_461_001;

static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A database of this test alone, copied from a migrated template. Dropping the value drops the database, whoever is
/// still connected.
#[derive(Debug)]
pub struct TestDatabase {
    pub url: String,
    pub name: String,
    maintenance: String,
}

impl TestDatabase {
    /// On the server that `TEST_DATABASE_URL`, else `DATABASE_URL` names, else on this machine's. The user of that
    /// address must be allowed to create databases and roles.
    pub async fn create() -> Result<Self> {
        let maintenance = maintenance();
        let template = TEMPLATE.get_or_try_init(|| template(&maintenance)).await?;
        let database = Self::made(maintenance, &format!("template {template}")).await?;
        database.is_itself().await?;
        Ok(database)
    }

    /// One without any schema, to restore a dump into.
    pub async fn empty() -> Result<Self> {
        Self::made(maintenance(), "").await
    }

    async fn made(maintenance: String, from: &str) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let seconds = SystemClock.now().timestamp();
        let name = format!("{PREFIX}{seconds:08x}_{}_{number}", std::process::id());
        let create = format!("create database {name} {from}");
        connected(&maintenance, async |client| Ok(client.batch_execute(&create).await?))
            .await
            .context("cannot create a test's database")?;
        Ok(Self { url: with_path(&maintenance, &name)?, name, maintenance })
    }

    /// A database of its own, and no copy of the template on which roles would refuse to start.
    async fn is_itself(&self) -> Result<()> {
        let own = "update installation set database_oid = (select oid from pg_database where datname = current_database())";
        connected(&self.url, async |client| Ok(client.batch_execute(own).await?)).await
    }
}

fn maintenance() -> String {
    let named = std::env::var("TEST_DATABASE_URL").or_else(|_| std::env::var("DATABASE_URL"));
    named.unwrap_or_else(|_| DEFAULT_URL.to_owned())
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (maintenance, name) = (self.maintenance.clone(), self.name.clone());
        // A thread of its own, because a drop cannot wait inside the test's runtime.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(drop_database(&maintenance, &name))
        });
        match dropping.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "test database left for the next sweep"),
            Err(_) => tracing::warn!("test database left for the next sweep"),
        }
    }
}

async fn drop_database(maintenance: &str, name: &str) -> Result<()> {
    let statement = format!("drop database if exists {name} with (force)");
    connected(maintenance, async |client| Ok(client.batch_execute(&statement).await?)).await
}

/// The name of the template for the present migrations, made when it is missing. Once per process, it also sweeps
/// what killed processes left.
async fn template(maintenance: &str) -> Result<String> {
    let name = format!("tocsin_template_{}", tocsin_store::migrations_fingerprint());
    connected(maintenance, async |client| {
        client.execute("select pg_advisory_lock($1)", &[&TEMPLATE_LOCK]).await?;
        sweep(client).await?;
        // Being marked a template is the last step of making one, so what is not is half made.
        let made = client
            .query_opt("select 1 from pg_database where datname = $1 and datistemplate", &[&name])
            .await?
            .is_some();
        if !made {
            client.batch_execute(&format!("drop database if exists {name} with (force)")).await?;
            client.batch_execute(&format!("create database {name}")).await?;
            tocsin_store::migrate(&with_path(maintenance, &name)?).await?;
            let mark = format!("alter database {name} with is_template true allow_connections false");
            client.batch_execute(&mark).await?;
        }
        Ok(name.clone())
    })
    .await
    .context(
        "cannot prepare the test databases' template: the user needs the right to create databases and roles",
    )
}

async fn sweep(client: &Client) -> Result<()> {
    let rows = client.query("select datname::text from pg_database", &[]).await?;
    let oldest = SystemClock.now().timestamp() - LEFTOVER_AFTER_SECONDS;
    for row in rows {
        let name: String = row.try_get(0)?;
        if created(&name).is_some_and(|seconds| seconds < oldest) {
            client.batch_execute(&format!("drop database if exists {name} with (force)")).await?;
        }
    }
    Ok(())
}

/// When a test made this database, in seconds since 1970; None for any other database.
fn created(name: &str) -> Option<i64> {
    let (seconds, _) = name.strip_prefix(PREFIX)?.split_once('_')?;
    i64::from_str_radix(seconds, 16).ok()
}

/// Does `work` on a connection of its own.
async fn connected<T>(url: &str, work: impl AsyncFnOnce(&Client) -> Result<T>) -> Result<T> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context(
        "cannot connect to PostgreSQL: start one with `scripts/services run -- …`, or set DATABASE_URL",
    )?;
    let work = async {
        let result = work(&client).await;
        // The connection ends when its client is gone.
        drop(client);
        result
    };
    // A connection that breaks shows as an error of the work.
    let (result, _) = tokio::join!(work, connection);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn exists(maintenance: &str, name: &str) -> bool {
        let query = "select 1 from pg_database where datname = $1";
        connected(maintenance, async |client| Ok(client.query_opt(query, &[&name]).await?.is_some()))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn tests_get_databases_of_their_own_that_go_with_them() {
        let (first, second) = tokio::try_join!(TestDatabase::create(), TestDatabase::create()).unwrap();
        assert_ne!(first.name, second.name);
        connected(&first.url, async |client| Ok(client.batch_execute("create table mine ()").await?))
            .await
            .unwrap();
        let query = "select to_regclass('mine') is null";
        let apart =
            connected(&second.url, async |client| Ok(client.query_one(query, &[]).await?.get::<_, bool>(0)));
        assert!(apart.await.unwrap());

        let (maintenance, name) = (first.maintenance.clone(), first.name.clone());
        assert!(exists(&maintenance, &name).await);
        drop(first);
        assert!(!exists(&maintenance, &name).await);
    }

    #[tokio::test]
    async fn a_database_in_use_is_dropped_all_the_same() {
        let database = TestDatabase::create().await.unwrap();
        let (maintenance, name) = (database.maintenance.clone(), database.name.clone());
        let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await.unwrap();
        let dropping = async { drop(database) };
        let (_, ended) = tokio::join!(dropping, connection);
        assert!(ended.is_err() && client.is_closed());
        assert!(!exists(&maintenance, &name).await);
    }

    #[test]
    fn only_tests_databases_have_an_age() {
        assert_eq!(created("tocsin_test_6b49d200_17_3"), Some(0x6b49_d200));
        for other in ["postgres", "tocsin", "tocsin_test_", "tocsin_test_zz_1_1", "tocsin_template_6b49d200"]
        {
            assert_eq!(created(other), None, "{other}");
        }
    }
}
