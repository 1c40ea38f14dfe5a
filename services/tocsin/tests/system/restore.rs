//! The drill of docs/runbook/backup-and-restore.md, with its commands: a campaign is half sent, the database is dumped, more is
//! sent, and then the dump is all that is left. Nothing is sent twice by itself, and what is decided is done.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tocsin_domain::{CampaignId, Channel, Outcome};
use tocsin_testkit::simulator::{ChannelScenario, Delay, Scenario};
use tocsin_testkit::{PrivatePostgres, TestDatabase, TestVhost, wait_until};

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::facts::WITHIN;
use crate::fleet::{Fleet, Settings};

const PHONES: usize = DEVICES - SHARED_PHONES;
/// When the dump is made, and when the database is lost.
const SENT_BEFORE_DUMP: usize = 6;
const SENT_BEFORE_LOSS: usize = 14;

/// A program of PostgreSQL's, run to its end.
fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let path = PrivatePostgres::program(program)?;
    let output =
        Command::new(path).args(arguments).output().with_context(|| format!("cannot run {program}"))?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A fleet that was restored from a dump made in the midst of a campaign, before anything runs on it.
struct Restored {
    fleet: Fleet,
    campaign: CampaignId,
    sent: usize,
    _vhost: TestVhost,
    _folder: TempDir,
}

async fn restored(message_type: &str) -> Result<Restored> {
    let vhost = TestVhost::create().await?;
    let sms = ChannelScenario { latency: Delay::Fixed(50), ..ChannelScenario::default() };
    let scenario = Scenario { sms, ..Scenario::default() };
    let settings = Settings { scenario, rate_per_second: Some(3.0), in_flight_max: None };
    let mut fleet = Fleet::start(&vhost.amqp_url, settings).await?;
    let mut planner = fleet.planner().await?;
    let mut worker = fleet.worker(&[Channel::Sms]).await?;
    let campaign = fleet.client.send(&message(message_type, &[Channel::Sms])).await?;
    fleet.sends_reach(SENT_BEFORE_DUMP).await?;

    let folder = TempDir::new()?;
    let dump = folder.path().join("tocsin.dump");
    let dump = dump.to_str().context("a folder whose name is no text")?;
    run("pg_dump", &["--format=custom", "--file", dump, fleet.database_url()])?;

    fleet.sends_reach(SENT_BEFORE_LOSS).await?;
    worker.process.kill()?;
    planner.kill()?;
    let sent = fleet.simulator.sends().len();
    ensure!(sent < PHONES, "the campaign was over before the database was lost");
    let database = TestDatabase::empty().await?;
    run("pg_restore", &["--exit-on-error", "--dbname", &database.url, dump])?;
    fleet.goes_on_with(database)?;
    Ok(Restored { fleet, campaign, sent, _vhost: vhost, _folder: folder })
}

impl Restored {
    /// Roles refuse to start, and so do ticks by hand send nothing; then the operator recovers. Returns how many jobs are
    /// unknown.
    async fn recover(&mut self) -> Result<u64> {
        let refused = self.fleet.tocsin(&["planner"])?;
        ensure!(
            refused.status.code() == Some(3),
            "a planner starts on a restored database: {}",
            refused.status
        );
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(said.contains("tocsin recover"), "{said}");
        // In the dump the killed roles were alive a moment ago.
        let mut recovered = Value::Null;
        wait_until("no role to be taken for alive", WITHIN, async || {
            let output = self.fleet.tocsin(&["recover", "--json"]);
            let Some(done) = output.ok().filter(|output| output.status.success()) else { return false };
            recovered = serde_json::from_slice(&done.stdout).unwrap_or_default();
            true
        })
        .await?;
        ensure!(recovered["done"] == "recovered", "{recovered}");
        let listed = &recovered["undecided"][0];
        ensure!(listed["id"] == self.campaign.to_string(), "{recovered}");
        listed["unknown"].as_u64().context("no count of unknown jobs")
    }

    fn decide(&self, decision: &str) -> Result<Value> {
        self.fleet.tocsin_json(&["recover", "--campaign", &self.campaign.to_string(), decision])
    }

    fn sends(&self) -> usize {
        self.fleet.simulator.sends().len()
    }
}

/// A day of the fleet's planner: long enough for whatever would send by itself.
async fn lets_time_pass(fleet: &Fleet) -> Result<()> {
    fleet.age_attempts("state in (1, 2, 4)", std::time::Duration::from_secs(3_600)).await?;
    fleet
        .until(
            "every attempt to have been looked at",
            "count(*) = 0 from claim_batches where check_at <= now()",
        )
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_sends_nothing_twice_by_itself_not_even_in_an_emergency() -> Result<()> {
    let mut restored = restored("emergency").await?;
    let unknown = restored.recover().await?;
    ensure!(unknown as usize >= PHONES - restored.sent, "{unknown} unknown of {PHONES}");
    restored.fleet.starts_again().await?;
    let (planner, worker) = (restored.fleet.planner().await?, restored.fleet.worker(&[Channel::Sms]).await?);
    lets_time_pass(&restored.fleet).await?;
    ensure!(
        restored.sends() == restored.sent,
        "{} sends after the restore",
        restored.sends() - restored.sent
    );

    restored.decide("--leave")?;
    restored
        .fleet
        .until("the campaign to end", "count(*) = 1 from campaigns where closed_at is not null")
        .await?;
    ensure!(restored.sends() == restored.sent, "what was left is sent");
    let audit = restored.fleet.tocsin_json(&["audit", "--campaign", &restored.campaign.to_string()])?;
    ensure!(audit["corrected"] == Value::Array(Vec::new()), "{audit}");
    drop((planner, worker));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_sends_again_after_a_restore_reaches_everybody() -> Result<()> {
    let mut restored = restored("general").await?;
    let unknown = restored.recover().await? as usize;
    restored.fleet.starts_again().await?;
    let (planner, worker) = (restored.fleet.planner().await?, restored.fleet.worker(&[Channel::Sms]).await?);
    let decided = restored.decide("--send-again")?;
    // Some may have been told of meanwhile, by callbacks that waited on the broker.
    let again = decided["decided"][0]["jobs"].as_u64().context("no count of jobs")? as usize;
    ensure!(again <= unknown && again >= PHONES - restored.sent, "{again} of {unknown}");
    restored
        .fleet
        .until("the campaign to end", "count(*) = 1 from campaigns where closed_at is not null")
        .await?;
    // One that is told of after the decision, and before its turn, is not sent again: then it was delivered, as all were.
    let (before, sends) = (restored.sent, restored.sends());
    ensure!(sends > before && sends <= before + again, "{sends} sends, {before} before and {again} again");
    let (claimed_again, delivered, duplicate) =
        (sends - before, Outcome::Delivered.number(), Outcome::Duplicate.number());
    let each = format!(
        "count(*) = {claimed_again} and not exists (select from jobs where outcome is distinct from {delivered}
           and outcome is distinct from {duplicate})
         from attempts where number > 1"
    );
    restored.fleet.until("each to be sent again once, or told of, and delivered", &each).await?;
    let reached: std::collections::BTreeSet<String> =
        restored.fleet.simulator.sends().into_iter().filter_map(|send| send.to).collect();
    ensure!(reached.len() == PHONES, "{} of {PHONES} phones", reached.len());
    drop((planner, worker));
    Ok(())
}
