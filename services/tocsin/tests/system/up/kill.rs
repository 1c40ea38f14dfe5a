//! kill -9 of `tocsin up` in the middle of a campaign, and a start on the same directory that finishes it. The
//! providers are simulated in the test's own process, so that their record outlives the kill.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tocsin::embedded;
use tocsin_domain::Channel;
use tocsin_providers::{Secret, TokenKeys};
use tocsin_testkit::simulator::{ChannelScenario, Delay, Scenario, Simulator, SimulatorConfig};
use tocsin_testkit::wait_until;

use super::stage::Place;
use crate::client::Client;
use crate::district::{self, message};
use crate::facts::{self, WITHIN};
use crate::fleet::{accounts_toml, credentials};

/// Enough to be in the middle: there are a hundred in all.
const SENT_BEFORE_KILL: usize = 20;
/// Slow enough that the kill is in the middle.
const RATE_PER_SECOND: f64 = 15.0;
/// Longer than `send_by`, request deadline, margin and doubt, and than any provider may stay silent.
const ALL_IS_OVER: Duration = Duration::from_secs(40 * 60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_up_finishes_its_campaign_after_the_next_start() -> Result<()> {
    let mut place = Place::new()?;
    let simulator = simulator(&place).await?;
    let accounts = place.folder().join("tocsin.toml");
    std::fs::write(&accounts, accounts_toml(&simulator.base_url, Some(RATE_PER_SECOND)))?;
    place.environment.insert("TOCSIN_CONFIG".to_owned(), accounts.display().to_string());
    place.environment.insert("TOCSIN_PUBLIC_URL".to_owned(), place.url());
    let key = place.with_store(async |embedded| district::found(&embedded.store).await).await?;
    let client = Client::new(&place.url(), key)?;

    let mut killed = place.up(&["--sign-in"]).await?;
    let campaign = client.send(&message("general", &Channel::ALL)).await?;
    let what = format!("{SENT_BEFORE_KILL} sends to arrive");
    wait_until(&what, WITHIN, async || simulator.sends().len() >= SENT_BEFORE_KILL).await?;
    killed.kill()?;
    let sent_before = simulator.sends().len();

    // Posts that met nobody are tried again for a second, so they may come to rest here.
    let mut second = place.up(&["--sign-in"]).await?;
    let untried = async || match client.detail(campaign).await {
        Ok(detail) => detail["totals"]["devices"].as_u64() > Some(0) && waiting(&detail) == Some(0),
        Err(_) => false,
    };
    wait_until("every device to be tried", WITHIN, untried).await?;
    simulator.callbacks_done(WITHIN).await?;
    ensure!(simulator.sends().len() > sent_before, "the campaign was over before the kill");
    leave(&mut second).await?;

    // What was asked when the process was killed, and whose report met nobody, ends by its time.
    place.run_sql(&let_time_pass()).await?;
    let mut third = place.up(&["--sign-in"]).await?;
    let ended = async || match client.detail(campaign).await {
        Ok(detail) => detail["totals"]["open"] == 0 && !detail["ended_at"].is_null(),
        Err(_) => false,
    };
    wait_until("the campaign to end", WITHIN, ended).await?;
    leave(&mut third).await?;

    let secret = embedded::callback_secret(&place.data)?;
    let token_keys = TokenKeys::new(&Secret::new(secret), None);
    let records = simulator.records();
    place
        .with_store(async |embedded| {
            facts::promises_hold(&embedded.store, &records, &token_keys, campaign).await
        })
        .await?;
    Ok(())
}

/// Devices that no attempt was made for yet, and that are not ended either.
fn waiting(detail: &serde_json::Value) -> Option<u64> {
    let totals = &detail["totals"];
    let number = |name: &str| totals[name].as_u64();
    let tried = number("attempts")? + number("not_dispatched")?;
    Some(number("devices")?.saturating_sub(tried))
}

async fn leave(up: &mut crate::process::Process) -> Result<()> {
    up.ask_to_leave()?;
    let status = up.left().await?;
    ensure!(status.success(), "it left with {status}");
    Ok(())
}

fn let_time_pass() -> String {
    let age = format!("interval '{} s'", ALL_IS_OVER.as_secs());
    // States 1, 2 and 4: asking, accepted, unknown.
    format!(
        "begin;
         update attempts set claimed_at = claimed_at - {age}, send_by = send_by - {age} where state in (1, 2, 4);
         update claim_batches set check_at = check_at - {age};
         commit"
    )
}

async fn simulator(place: &Place) -> Result<Simulator> {
    let channel = ChannelScenario { latency: Delay::Fixed(300), ..ChannelScenario::default() };
    let scenario = Scenario {
        voice: channel.clone(),
        sms: channel.clone(),
        email: channel,
        credentials: credentials(),
        mailgun_webhook: Some(format!("{}/callbacks/email/{{token}}", place.url())),
        ..Scenario::default()
    };
    Simulator::start(SimulatorConfig { listen: None, scenario }).await.context("the simulator")
}
