//! What an embedded store needs beside the others: its one process begins where the one before it ended, and
//! nobody vacuums for it.

use chrono::{DateTime, Utc};

use crate::{Store, StoreError};

/// A table with fewer dead rows is left alone.
const DEAD_ROWS_MIN: i64 = 2_000;

impl Store {
    /// Takes over from the process that had this store before: that one is gone, which the caller knows by a
    /// lock. Its duties and its shares of accounts are free at once. What it had asked stays open until its
    /// time, for the providers may still report it.
    pub async fn begin_alone(&self) -> Result<(), StoreError> {
        const NAME: &str = "begin_alone";
        self.count(NAME, "-- store.begin_alone shares\ndelete from leases", &[]).await?;
        self.count(
            NAME,
            "-- store.begin_alone duties
             update planner_leases set expires_at = tocsin_now() where expires_at > tocsin_now()",
            &[],
        )
        .await?;
        Ok(())
    }

    /// The broker has just begun and is empty: every job that is queued is due again at once. Returns how
    /// many releases that concerns.
    pub async fn forget_messages(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        self.count(
            "forget_messages",
            "-- store.forget_messages
             update release_batches set requeue_at = $1 where requeue_at > $1",
            &[&now],
        )
        .await
    }

    /// Vacuums the table with the most dead rows, if any has many; returns its name. One table a call, for
    /// the session does nothing else meanwhile. Needs the privileges of `pg_maintain` (PostgreSQL 17).
    pub async fn vacuum_next(&self) -> Result<Option<String>, StoreError> {
        let rows = self.rows("vacuum_next", MOST_DEAD_ROWS, &[&DEAD_ROWS_MIN]).await?;
        let Some(table) = rows.first().map(|found| found.get::<_, String>("name")) else { return Ok(None) };
        let client = self.client().await?;
        // The name comes quoted. Truncating would wait for a lock on the whole table.
        let vacuum = format!("-- store.vacuum\nvacuum (skip_locked, truncate off) {table}");
        client.batch_execute(&vacuum).await.map_err(StoreError::statement("vacuum"))?;
        Ok(Some(table))
    }
}

/// A table counts when a fifth of it is dead, as autovacuum would have it.
const MOST_DEAD_ROWS: &str = "-- store.vacuum_next
select format('%I.%I', schemaname, relname) as name
from pg_stat_all_tables
where n_dead_tup >= $1 and n_dead_tup >= n_live_tup / 5 and schemaname in ('public', 'pg_catalog')
order by n_dead_tup desc limit 1";
