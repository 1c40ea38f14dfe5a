//! Statements held back at a named point: the worker waits for the store, and nothing of what it asked is committed.

use anyhow::Result;
use tokio_postgres::NoTls;

use crate::fleet::Fleet;

/// Where a statement of a worker can be held back.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// The statement's name in the store.
    statement: &'static str,
    hold: &'static str,
    let_go: &'static str,
}

/// A claim waits in its last part, where it writes its batch.
pub const CLAIM: Point = Point {
    statement: "claim",
    hold: "
        create function held() returns trigger language plpgsql as
          $$ begin perform pg_advisory_xact_lock_shared(1); return null; end $$;
        create trigger held before insert on claim_batches for each statement execute function held();
        select pg_advisory_lock(1)",
    let_go: "select pg_advisory_unlock(1)",
};

/// What a campaign says is read between the acknowledgement of a claim's messages and the last look.
pub const CONTENTS: Point = Point {
    statement: "campaign_brief",
    hold: "begin; lock table contents in access exclusive mode",
    let_go: "commit",
};

/// Outcomes wait to be written; those of workers alone.
pub const RECORD: Point = Point {
    statement: "take",
    hold: "
        create function held() returns trigger language plpgsql as
          $$ begin
            if current_setting('application_name') = 'worker' then perform pg_advisory_xact_lock_shared(1); end if;
            return null;
          end $$;
        create trigger held before update on attempts for each statement execute function held();
        select pg_advisory_lock(1)",
    let_go: "select pg_advisory_unlock(1)",
};

impl Point {
    /// Statements of workers that the store is working on, or keeps waiting.
    fn under_way(self) -> String {
        format!(
            "pg_stat_activity where datname = current_database() and state = 'active'
               and application_name = 'worker' and query like '-- store.{}\n%'",
            self.statement
        )
    }

    /// No such statement goes on while `meanwhile` runs; all that wait go on when it is through.
    pub async fn held<T>(self, fleet: &Fleet, meanwhile: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        let (lock, connection) = tokio_postgres::connect(fleet.database_url(), NoTls).await?;
        let held = async move {
            lock.batch_execute(self.hold).await?;
            let done = meanwhile().await?;
            lock.batch_execute(self.let_go).await?;
            // The connection, and the lock with it, ends when its client is gone.
            Ok(done)
        };
        tokio::join!(held, connection).0
    }

    /// Waits until a statement is held back.
    pub async fn reached(self, fleet: &Fleet) -> Result<()> {
        let waits = format!("exists (select from {} and wait_event_type = 'Lock')", self.under_way());
        fleet.until(&format!("a {} to wait for the lock", self.statement), &waits).await
    }

    /// Waits until none is under way.
    pub async fn passed(self, fleet: &Fleet) -> Result<()> {
        let passed = format!("not exists (select from {})", self.under_way());
        fleet.until(&format!("no {} to be under way", self.statement), &passed).await
    }
}

/// Waits until claims are committed and none is under way.
pub async fn claims_are_committed(fleet: &Fleet) -> Result<()> {
    fleet.until("attempts to be on record", "exists (select from attempts)").await?;
    CLAIM.passed(fleet).await
}
