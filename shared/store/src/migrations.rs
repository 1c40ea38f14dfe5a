//! The schema's versions, embedded in the program.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr as _;

use deadpool_postgres::PoolError;

use crate::StoreError;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// One migrator at a time: the number is arbitrary, and the same in every release.
const MIGRATION_LOCK: i64 = 740_101;

/// Brings the database at `url` to this program's schema, as the user of that address, who becomes the
/// owner. Returns the version reached. Safe to call from several processes at once.
pub async fn migrate(url: &str) -> Result<i32, StoreError> {
    migrate_then(url, "").await
}

/// As [`migrate`], for an embedded store (PostgreSQL 17): its engine vacuums by itself.
pub async fn migrate_embedded(url: &str) -> Result<i32, StoreError> {
    migrate_then(url, "grant pg_maintain to tocsin_engine").await
}

async fn migrate_then(url: &str, last: &str) -> Result<i32, StoreError> {
    let config = tokio_postgres::Config::from_str(url)
        .map_err(|source| StoreError::Address(crate::pool::redacted(url), source))?;
    let (mut client, connection) = config
        .connect(tokio_postgres::NoTls)
        .await
        .map_err(|source| StoreError::Connect(PoolError::Backend(source)))?;
    let migrate = async move {
        client
            .execute("select pg_advisory_lock($1)", &[&MIGRATION_LOCK])
            .await
            .map_err(StoreError::statement("migrate"))?;
        embedded::migrations::runner().run_async(&mut client).await.map_err(StoreError::Migrate)?;
        client.batch_execute(last).await.map_err(StoreError::statement("migrate"))?;
        Ok(needed_version())
    };
    // The lock goes with the session: dropping the client ends the connection.
    let (result, _) = tokio::join!(migrate, connection);
    result
}

/// The schema version that this program was built with.
pub fn schema_version() -> i32 {
    needed_version()
}

fn needed_version() -> i32 {
    embedded::migrations::runner().get_migrations().iter().map(|step| step.version()).max().unwrap_or(0)
}

/// Changes whenever a migration does: names test templates.
pub fn fingerprint() -> String {
    let mut hasher = DefaultHasher::new();
    for step in embedded::migrations::runner().get_migrations() {
        step.checksum().hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}
