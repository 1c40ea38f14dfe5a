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

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::fleet::{Fleet, Settings};
use crate::held::{a_claim_waits, claims_are_committed, while_claims_are_held};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thawed_worker_sends_nothing_that_it_claimed_before() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, Settings::default()).await?;
    let _planner = fleet.planner().await?;
    let worker = fleet.worker(&[Channel::Sms]).await?;

    let campaign = while_claims_are_held(&fleet, async || {
        let campaign = fleet.client.send(&message("general", &[Channel::Sms])).await?;
        a_claim_waits(&fleet).await?;
        worker.process.freeze()?;
        Ok(campaign)
    })
    .await?;

    let phones = DEVICES - SHARED_PHONES;
    claims_are_committed(&fleet).await?;
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
