//! A cancel: nothing more is sent, what can be is recalled, and the receipt says what was reached.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tocsin::system::ChannelLimits;
use tocsin_domain::{CampaignId, Channel};
use tocsin_testkit::simulator::{Callbacks, ChannelScenario, Delay, Scenario};
use tocsin_testkit::wait_until;

use crate::district::{DEVICES, SHARED_PHONES, WITHOUT_DEVICE, message};
use crate::facts::{WITHIN, closed, counters_are_the_rows, promises_hold};
use crate::journeys::over_both_brokers;
use crate::journeys::stage::{BrokerKind, Stage};

/// So slow that most is unsent when the first sends have arrived.
const RATE_PER_SECOND: f64 = 2.0;
const SENT_BEFORE_CANCEL: usize = 8;

over_both_brokers!(a_cancel_stops_recalls_and_gives_a_receipt);

async fn a_cancel_stops_recalls_and_gives_a_receipt(broker: BrokerKind) -> Result<()> {
    // Calls take long, so that there is something to recall.
    let callbacks = Callbacks { delay: Delay::Fixed(3_000), ..Callbacks::default() };
    let voice = ChannelScenario { callbacks, ..ChannelScenario::default() };
    let limits = Channel::ALL.map(|channel| ChannelLimits {
        channel,
        rate_per_second: Some(RATE_PER_SECOND),
        burst: Some(1),
        concurrency: None,
    });
    let stage = Stage::set(broker, Scenario { voice, ..Scenario::default() }, limits.to_vec()).await?;
    let (system, client) = (&stage.system, &stage.client);
    let campaign = client.send(&message("general", &Channel::ALL)).await?;
    wait_until("the first sends", WITHIN, async || {
        let sends = system.simulator.sends();
        let calls = sends.iter().filter(|send| send.channel == Channel::Voice).count();
        // Calls are what is recalled, the others what was reached before.
        sends.len() >= SENT_BEFORE_CANCEL && calls > 0 && calls < sends.len()
    })
    .await?;

    let first = client.cancel(campaign).await?;
    let again = client.cancel(campaign).await?;
    ensure!(
        !first["canceled"].is_null() && first["canceled"] == again["canceled"],
        "{first} and then {again}"
    );
    closed(&system.store, campaign).await?;
    let records = system.simulator.records();
    promises_hold(&system.store, &records, &system.token_keys, campaign).await?;
    counters_are_the_rows(client, &system.store, campaign).await?;

    let receipt = client.receipt(campaign).await?;
    ensure!(receipt["state"] == "canceled" && receipt["canceled"] == first["canceled"], "{receipt}");
    let [contacted, unknown, recalled, never_tried] =
        ["contacted", "in_flight_or_unknown", "recalled", "never_tried"].map(|part| count(&receipt, part));
    let (contacted, unknown, recalled, never_tried) = (contacted?, unknown?, recalled?, never_tried?);
    let jobs = (DEVICES * Channel::ALL.len()) as u64;
    ensure!(
        contacted + unknown + recalled + never_tried == jobs + WITHOUT_DEVICE as u64,
        "no partition of {jobs} devices and those without: {receipt}"
    );
    ensure!(contacted > 0 && recalled > 0 && unknown == 0, "{receipt}");
    let duplicates = (2 * SHARED_PHONES) as u64;
    ensure!(never_tried > jobs / 2 && never_tried > duplicates, "{receipt}");
    let shown = client.detail(campaign).await?;
    ensure!(shown["state"] == "canceled" && shown["cancel"]["by"] == "Principal Ortiz", "{shown}");
    a_correction_reaches_exactly_those_contacted(&stage, campaign).await?;
    stage.strike().await
}

async fn a_correction_reaches_exactly_those_contacted(stage: &Stage, campaign: CampaignId) -> Result<()> {
    let (system, client) = (&stage.system, &stage.client);
    let contacted = client.receipt_part(campaign, "contacted").await?;
    let before = system.simulator.sends().len();
    let correction = client.correct(campaign, "School is open after all.").await?;
    closed(&system.store, correction).await?;
    let records = system.simulator.records();
    promises_hold(&system.store, &records, &system.token_keys, correction).await?;
    counters_are_the_rows(client, &system.store, correction).await?;
    let reached = client.recipients(correction).await?;
    ensure!(devices(&reached) == devices(&contacted), "{reached:?}\nand not\n{contacted:?}");
    let inboxes = contacted.iter().filter(|row| row["channel"] == "inbox").count();
    let sent = system.simulator.sends().len() - before;
    ensure!(sent == contacted.len() - inboxes, "{sent} requests for {contacted:?}");
    ensure!(
        client.detail(correction).await?["corrects"] == campaign.to_string(),
        "it says not what it corrects"
    );
    Ok(())
}

fn devices(rows: &[Value]) -> BTreeSet<String> {
    rows.iter().map(|row| format!("{} {} {}", row["recipient"], row["channel"], row["address"])).collect()
}

fn count(receipt: &Value, part: &str) -> Result<u64> {
    receipt[part].as_u64().with_context(|| format!("a receipt without {part}: {receipt}"))
}
