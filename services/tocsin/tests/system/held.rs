//! Claims held back at a named point: the statement is under way, and nothing of it is committed.

use anyhow::Result;
use tokio_postgres::NoTls;

use crate::fleet::Fleet;

/// A claim waits in its last part, where it writes its batch.
const HOLD: &str = "
create function held() returns trigger language plpgsql as
  $$ begin perform pg_advisory_xact_lock_shared(1); return null; end $$;
create trigger held before insert on claim_batches for each statement execute function held();
select pg_advisory_lock(1)";
const LET_GO: &str = "select pg_advisory_unlock(1)";
/// Claims that the store is working on, or keeps waiting.
const UNDER_WAY: &str = "pg_stat_activity where datname = current_database() and state = 'active'
  and query like '-- store.claim\n%'";

/// No claim is committed while `meanwhile` runs; all that wait go on when it is through.
pub async fn while_claims_are_held<T>(
    fleet: &Fleet,
    meanwhile: impl AsyncFnOnce() -> Result<T>,
) -> Result<T> {
    let (lock, connection) = tokio_postgres::connect(fleet.database_url(), NoTls).await?;
    let held = async move {
        lock.batch_execute(HOLD).await?;
        let done = meanwhile().await?;
        lock.batch_execute(LET_GO).await?;
        // The connection, and the lock with it, ends when its client is gone.
        Ok(done)
    };
    tokio::join!(held, connection).0
}

/// Waits until a claim is held back.
pub async fn a_claim_waits(fleet: &Fleet) -> Result<()> {
    let waits = format!("exists (select from {UNDER_WAY} and wait_event_type = 'Lock')");
    fleet.until("a claim to wait for the lock", &waits).await
}

/// Waits until claims are committed and none is under way.
pub async fn claims_are_committed(fleet: &Fleet) -> Result<()> {
    let committed = format!("exists (select from attempts) and not exists (select from {UNDER_WAY})");
    fleet.until("the claims to be committed", &committed).await
}
