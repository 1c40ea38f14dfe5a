//! A campaign: expanded, released, claimed, sent, called back, redialed, closed.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use tocsin_domain::{Channel, Outcome};
use tocsin_testkit::simulator::{ChannelScenario, Delay, Fate, Scenario};

use crate::district::{DEVICES, GUARDIANS, SHARED_PHONES, WITHOUT_DEVICE, message};
use crate::facts::{WITHIN, closed, counters_are_the_rows, outcomes, promises_hold};
use crate::journeys::over_both_brokers;
use crate::journeys::stage::{BrokerKind, Stage};

over_both_brokers!(every_device_ends_with_one_outcome);

/// Every first call finds the line busy; some texts are not delivered, some mails bounce.
async fn every_device_ends_with_one_outcome(broker: BrokerKind) -> Result<()> {
    let scenario = Scenario {
        voice: busy_at_first(),
        sms: channel(&[&[(Fate::Delivered, 0.8), (Fate::Undelivered, 0.2)]]),
        email: channel(&[&[(Fate::Delivered, 0.8), (Fate::Bounced, 0.2)]]),
        ..Scenario::default()
    };
    let stage = Stage::set(broker, scenario, Vec::new()).await?;
    let (system, client) = (&stage.system, &stage.client);
    let campaign = client.send(&message("general", &Channel::ALL)).await?;
    closed(&system.store, campaign).await?;
    system.simulator.callbacks_done(WITHIN).await?;

    let records = system.simulator.records();
    let facts = promises_hold(&system.store, &records, &system.token_keys, campaign).await?;
    ensure!(facts.recipients.len() == GUARDIANS, "{} recipients", facts.recipients.len());
    let no_device = facts.recipients.iter().filter(|recipient| recipient.no_device).count();
    ensure!(no_device == WITHOUT_DEVICE, "{no_device} recipients without a device");

    // Each call was made twice, for a busy line is redialed; a shared phone rang for the first row only.
    let phones = DEVICES - SHARED_PHONES;
    let voice = outcomes(&facts, Channel::Voice);
    let expected = BTreeMap::from([(Outcome::Duplicate, SHARED_PHONES), (Outcome::LivePerson, phones)]);
    ensure!(voice == expected, "voice came to {voice:?}");
    let calls = system.simulator.sends().iter().filter(|send| send.channel == Channel::Voice).count();
    ensure!(calls == 2 * phones, "{calls} calls to {phones} phones");
    let inbox = outcomes(&facts, Channel::Inbox);
    ensure!(inbox == BTreeMap::from([(Outcome::InboxDelivered, DEVICES)]), "inbox came to {inbox:?}");
    for channel in Channel::ALL {
        let jobs = facts.jobs.iter().filter(|job| job.channel == channel).count();
        ensure!(jobs == DEVICES, "{jobs} jobs on {channel}");
    }

    counters_are_the_rows(client, &system.store, campaign).await?;
    let detail = client.detail(campaign).await?;
    ensure!(detail["state"] == "sent" && detail["no_device"] == WITHOUT_DEVICE, "shown as {detail}");
    // Whoever has no device has a row of their own.
    let rows = client.recipients(campaign).await?;
    let no_device = rows.iter().filter(|row| row["status_code"] == "no_device").count();
    ensure!(no_device == WITHOUT_DEVICE, "{no_device} rows without a device");
    ensure!(rows.len() == WITHOUT_DEVICE + DEVICES * Channel::ALL.len(), "{} rows", rows.len());
    stage.strike().await
}

/// Every first call finds the line busy, and every second one a person.
pub fn busy_at_first() -> ChannelScenario {
    channel(&[&[(Fate::Busy, 1.0)], &[(Fate::Human, 1.0)]])
}

fn channel(fates: &[&[(Fate, f64)]]) -> ChannelScenario {
    let mut scenario = ChannelScenario {
        latency: Delay::Uniform(1, 30),
        fates: fates.iter().map(|weights| weights.iter().copied().collect()).collect(),
        ..ChannelScenario::default()
    };
    scenario.callbacks.delay = Delay::Uniform(1, 100);
    scenario
}
