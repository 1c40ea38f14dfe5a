//! A worker frozen between its claim's commit and the answer, for longer than `send_by` and its lease: thawed, it
//! sends nothing of that claim (promises 2 and 4).
//!
//! No time is guessed. The test makes every claim wait for a lock before it is written, waits until the store shows
//! one waiting, freezes the worker, and only then lets the claim commit: its answer waits in a socket that nobody
//! reads.

use anyhow::{Context as _, Result, ensure};
use tocsin_domain::{Channel, Outcome};
use tocsin_store::audit::AttemptFact;
use tocsin_testkit::TestVhost;
use tokio_postgres::NoTls;

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::fleet::{Fleet, Settings};

/// A claim waits in its last part, when the statement is under way and nothing of it is committed.
const HOLD_CLAIMS: &str = "
create function held() returns trigger language plpgsql as
  $$ begin perform pg_advisory_xact_lock_shared(1); return null; end $$;
create trigger held before insert on claim_batches for each statement execute function held();
select pg_advisory_lock(1)";
const LET_CLAIMS_GO: &str = "select pg_advisory_unlock(1)";
/// Claims that the store is working on, or keeps waiting.
const CLAIMS: &str = "pg_stat_activity where datname = current_database() and state = 'active'
  and query like '-- store.claim\n%'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thawed_worker_sends_nothing_that_it_claimed_before() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, Settings::default()).await?;
    let _planner = fleet.planner().await?;
    let worker = fleet.worker(&[Channel::Sms]).await?;

    let (lock, connection) = tokio_postgres::connect(fleet.database_url(), NoTls).await?;
    let frozen = async {
        lock.batch_execute(HOLD_CLAIMS).await?;
        let campaign = fleet.client.send(&message("general", &[Channel::Sms])).await?;
        let waiting = format!("exists (select from {CLAIMS} and wait_event_type = 'Lock')");
        fleet.until("the claim to wait for the lock", &waiting).await?;
        worker.process.freeze()?;
        lock.batch_execute(LET_CLAIMS_GO).await?;
        drop(lock);
        anyhow::Ok(campaign)
    };
    let campaign = tokio::join!(frozen, connection).0?;

    let phones = DEVICES - SHARED_PHONES;
    let claimed =
        format!("exists (select from attempts where state = 1) and not exists (select from {CLAIMS})");
    fleet.until("the claim to be committed", &claimed).await?;
    let claims: usize = fleet.ask("select count(*) from attempts").await?.context("no count")?.parse()?;
    let over = format!(
        "not exists (select from attempts where send_by >= tocsin_now())
         and not exists (select from leases where worker_id = '{}' and expires_at >= tocsin_now())",
        worker.id
    );
    fleet.until("send_by and the lease to be over", &over).await?;
    ensure!(fleet.simulator.sends().is_empty(), "a frozen worker sent something");
    worker.process.thaw()?;

    // The same worker sends all of it later, under new claims.
    let facts = fleet.ends_well(campaign).await?;
    let sends = fleet.simulator.sends().len();
    ensure!(sends == phones, "{sends} sends to {phones} phones");
    let not_asked = |attempt: &&AttemptFact| attempt.outcome == Some(Outcome::NotAsked);
    let given_up = facts.attempts.iter().filter(not_asked).count();
    ensure!(given_up == claims, "{given_up} of {claims} claims are recorded as not asked");
    let delivered = facts.attempts.iter().filter(|attempt| attempt.outcome == Some(Outcome::Delivered));
    ensure!(delivered.count() == phones, "not every phone has its text: {:?}", facts.attempts);
    Ok(())
}
