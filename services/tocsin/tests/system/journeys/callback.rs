//! Callbacks: early, twice, in the wrong order, and after the end.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use tocsin_domain::{Channel, Outcome};
use tocsin_testkit::promises;
use tocsin_testkit::simulator::{Callbacks, ChannelScenario, Delay, Fate, Scenario};
use tocsin_testkit::wait_until;

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::facts::{WITHIN, closed, counters_are_the_rows, outcomes, promises_hold};
use crate::journeys::over_both_brokers;
use crate::journeys::stage::{BrokerKind, Stage};

const CHANNELS: [Channel; 3] = [Channel::Voice, Channel::Sms, Channel::Email];

over_both_brokers!(early_duplicate_and_late_reports_end_in_one_state);

/// Calls are reported before their request is answered, texts in the wrong order, everything twice; and every mail
/// bounces after it was delivered, when the campaign may have ended.
async fn early_duplicate_and_late_reports_end_in_one_state(broker: BrokerKind) -> Result<()> {
    let odd = Callbacks { duplicate: 1.0, delay: Delay::Uniform(1, 100), ..Callbacks::default() };
    let scenario = Scenario {
        voice: channel(Fate::Human, Callbacks { early: 1.0, ..odd.clone() }),
        sms: channel(Fate::Delivered, Callbacks { reorder: 1.0, ..odd.clone() }),
        email: channel(Fate::DelayedBounce, Callbacks { delay: Delay::Fixed(1_000), ..odd }),
        ..Scenario::default()
    };
    let stage = Stage::set(broker, scenario, Vec::new()).await?;
    let (system, client) = (&stage.system, &stage.client);
    let campaign = client.send(&message("priority", &CHANNELS)).await?;
    closed(&system.store, campaign).await?;
    system.simulator.callbacks_done(WITHIN).await?;

    let phones = DEVICES - SHARED_PHONES;
    let expected = BTreeMap::from([
        (
            Channel::Voice,
            BTreeMap::from([(Outcome::Duplicate, SHARED_PHONES), (Outcome::LivePerson, phones)]),
        ),
        (Channel::Sms, BTreeMap::from([(Outcome::Duplicate, SHARED_PHONES), (Outcome::Delivered, phones)])),
        (Channel::Email, BTreeMap::from([(Outcome::HardBounce, DEVICES)])),
    ]);
    // What was posted last is applied a little after it was answered.
    let mut came_to = BTreeMap::new();
    wait_until("every report to be applied", Duration::from_secs(20), async || {
        if let Ok(facts) = promises::facts(&system.store, campaign).await {
            came_to = CHANNELS.map(|channel| (channel, outcomes(&facts, channel))).into();
        }
        came_to == expected
    })
    .await
    .map_err(|error| anyhow::anyhow!("{error}: {came_to:#?}"))?;

    let records = system.simulator.records();
    let facts = promises_hold(&system.store, &records, &system.token_keys, campaign).await?;
    // No report led to another attempt.
    ensure!(facts.attempts.len() == 2 * phones + DEVICES, "{} attempts", facts.attempts.len());
    counters_are_the_rows(client, &system.store, campaign).await?;
    stage.strike().await
}

fn channel(fate: Fate, callbacks: Callbacks) -> ChannelScenario {
    let fates = vec![BTreeMap::from([(fate, 1.0)])];
    ChannelScenario { latency: Delay::Uniform(1, 30), fates, callbacks, ..ChannelScenario::default() }
}
