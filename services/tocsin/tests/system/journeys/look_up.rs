//! Look-ups: what became of an attempt of which nothing was heard is asked of its provider.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use tocsin_domain::{AttemptState, CampaignId, Channel, Outcome};
use tocsin_testkit::promises;
use tocsin_testkit::simulator::{Callbacks, ChannelScenario, Fate, Faults, Kind, Scenario};
use tocsin_testkit::wait_until;

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::facts::{WITHIN, closed, counters_are_the_rows, outcomes, promises_hold};
use crate::journeys::over_both_brokers;
use crate::journeys::stage::{BrokerKind, Stage};

const PHONES: usize = DEVICES - SHARED_PHONES;
/// After their claims, when unknown attempts are looked up first.
const LOOKED_UP_AFTER: Duration = Duration::from_secs(21);
/// What was claimed less long ago is not asked about: its report may be on the way.
const REPORTS_MAY_BE_ON_THE_WAY: Duration = Duration::from_secs(11);
/// When the doubt of an emergency is nearly over, and its second look-up is due.
const LOOKED_UP_AGAIN_AFTER: Duration = Duration::from_secs(45);
const DOUBT_IS_OVER: Duration = Duration::from_secs(90);
/// Longer than calls and texts may stay silent after they were accepted.
const SILENCE_IS_OVER: Duration = Duration::from_secs(15 * 60 + 1);

over_both_brokers!(an_attempt_whose_answer_was_lost_is_found_by_a_look_up_and_not_sent_again);
over_both_brokers!(a_silent_accepted_attempt_is_looked_up_before_it_ends);
over_both_brokers!(whoever_wants_to_know_has_the_providers_asked_before_anything_is_overdue);
over_both_brokers!(an_emergency_that_is_not_to_be_found_is_tried_again_after_doubt);

/// Every request is carried out and its answer dropped, and no report ever comes.
async fn an_attempt_whose_answer_was_lost_is_found_by_a_look_up_and_not_sent_again(
    broker: BrokerKind,
) -> Result<()> {
    let lost = |fate| channel(fate, Faults { dropped: 1.0, ..Faults::default() });
    let scenario = Scenario {
        voice: lost(Fate::Human),
        sms: lost(Fate::Delivered),
        email: lost(Fate::Delivered),
        ..Scenario::default()
    };
    let stage = Stage::set(broker, scenario, Vec::new()).await?;
    let channels = [Channel::Voice, Channel::Sms, Channel::Email];
    let campaign = stage.client.send(&message("emergency", &channels)).await?;
    attempts_become(&stage, campaign, AttemptState::Unknown, 2 * PHONES + DEVICES).await?;
    stage.shift_clock(LOOKED_UP_AFTER).await?;
    closed(&stage.system.store, campaign).await?;

    let sends = stage.system.simulator.sends().len();
    ensure!(sends == 2 * PHONES + DEVICES, "{sends} requests");
    let records = stage.system.simulator.records();
    let facts = promises_hold(&stage.system.store, &records, &stage.system.token_keys, campaign).await?;
    for (channel, outcome) in [
        (Channel::Voice, Outcome::LivePerson),
        (Channel::Sms, Outcome::Delivered),
        (Channel::Email, Outcome::Delivered),
    ] {
        let came_to = outcomes(&facts, channel);
        let found = if channel == Channel::Email { DEVICES } else { PHONES };
        ensure!(came_to.get(&outcome) == Some(&found), "{channel} came to {came_to:?}");
    }
    counters_are_the_rows(&stage.client, &stage.system.store, campaign).await?;
    stage.strike().await
}

/// Every request is answered, and no report ever comes.
async fn a_silent_accepted_attempt_is_looked_up_before_it_ends(broker: BrokerKind) -> Result<()> {
    let silent = |fate| channel(fate, Faults::default());
    let scenario =
        Scenario { voice: silent(Fate::Human), sms: silent(Fate::Undelivered), ..Scenario::default() };
    let stage = Stage::set(broker, scenario, Vec::new()).await?;
    let campaign = stage.client.send(&message("general", &[Channel::Voice, Channel::Sms])).await?;
    attempts_become(&stage, campaign, AttemptState::Accepted, 2 * PHONES).await?;
    stage.system.simulator.callbacks_done(WITHIN).await?;
    ensure!(look_ups(&stage) == 0, "looked up before anybody was silent for long");
    stage.shift_clock(SILENCE_IS_OVER).await?;
    closed(&stage.system.store, campaign).await?;

    let records = stage.system.simulator.records();
    let facts = promises_hold(&stage.system.store, &records, &stage.system.token_keys, campaign).await?;
    let expected = |outcome| BTreeMap::from([(Outcome::Duplicate, SHARED_PHONES), (outcome, PHONES)]);
    let (voice, sms) = (outcomes(&facts, Channel::Voice), outcomes(&facts, Channel::Sms));
    ensure!(voice == expected(Outcome::LivePerson), "voice came to {voice:?}");
    ensure!(sms == expected(Outcome::Undelivered), "sms came to {sms:?}");
    ensure!(look_ups(&stage) == 2 * PHONES, "{} look-ups", look_ups(&stage));
    stage.strike().await
}

/// Every request is answered, and no report ever comes (requirement 183).
async fn whoever_wants_to_know_has_the_providers_asked_before_anything_is_overdue(
    broker: BrokerKind,
) -> Result<()> {
    let silent = |fate| channel(fate, Faults::default());
    let scenario =
        Scenario { voice: silent(Fate::Human), sms: silent(Fate::Delivered), ..Scenario::default() };
    let stage = Stage::set(broker, scenario, Vec::new()).await?;
    let campaign = stage.client.send(&message("general", &[Channel::Voice, Channel::Sms])).await?;
    attempts_become(&stage, campaign, AttemptState::Accepted, 2 * PHONES).await?;
    stage.shift_clock(REPORTS_MAY_BE_ON_THE_WAY).await?;
    ensure!(look_ups(&stage) == 0, "looked up before anybody asked");
    let first = stage.client.refresh(campaign).await?;
    ensure!(first["refresh_asked_at"].is_string(), "{first}");
    let again = stage.client.refresh(campaign).await?;
    ensure!(again == first, "asked twice within a minute: {first}, {again}");
    closed(&stage.system.store, campaign).await?;

    ensure!(look_ups(&stage) == 2 * PHONES, "{} look-ups", look_ups(&stage));
    let records = stage.system.simulator.records();
    let facts = promises_hold(&stage.system.store, &records, &stage.system.token_keys, campaign).await?;
    for (channel, outcome) in [(Channel::Voice, Outcome::LivePerson), (Channel::Sms, Outcome::Delivered)] {
        let came_to = outcomes(&facts, channel);
        ensure!(came_to.get(&outcome) == Some(&PHONES), "{channel} came to {came_to:?}");
    }
    counters_are_the_rows(&stage.client, &stage.system.store, campaign).await?;
    let over = stage.client.refresh(campaign).await?;
    ensure!(over == first, "what is over is not asked about: {over}");
    stage.strike().await
}

/// The provider fails each first request without carrying it out, which nobody can know from its answer.
async fn an_emergency_that_is_not_to_be_found_is_tried_again_after_doubt(broker: BrokerKind) -> Result<()> {
    let failing = channel(Fate::Human, Faults { server_error: 1.0, ..Faults::default() });
    let scenario = Scenario { voice: failing, ..Scenario::default() };
    let stage = Stage::set(broker, scenario, Vec::new()).await?;
    let simulator = &stage.system.simulator;
    let campaign = stage.client.send(&message("emergency", &[Channel::Voice])).await?;
    attempts_become(&stage, campaign, AttemptState::Unknown, PHONES).await?;
    let healthy =
        ChannelScenario { fates: vec![BTreeMap::from([(Fate::Human, 1.0)])], ..ChannelScenario::default() };
    simulator.set_scenario(Scenario { voice: healthy, ..Scenario::default() })?;
    for (after, looks) in [(LOOKED_UP_AFTER, PHONES), (LOOKED_UP_AGAIN_AFTER, 2 * PHONES)] {
        stage.shift_clock(after).await?;
        wait_until("the look-ups", WITHIN, async || look_ups(&stage) >= looks).await?;
    }
    ensure!(simulator.sends().len() == PHONES, "tried again while in doubt");
    stage.shift_clock(DOUBT_IS_OVER).await?;
    closed(&stage.system.store, campaign).await?;

    ensure!(look_ups(&stage) == 2 * PHONES, "{} look-ups", look_ups(&stage));
    ensure!(simulator.sends().len() == 2 * PHONES, "{} calls", simulator.sends().len());
    let facts =
        promises_hold(&stage.system.store, &simulator.records(), &stage.system.token_keys, campaign).await?;
    let voice = outcomes(&facts, Channel::Voice);
    ensure!(voice.get(&Outcome::LivePerson) == Some(&PHONES), "voice came to {voice:?}");
    stage.strike().await
}

/// Nothing is ever reported.
fn channel(fate: Fate, faults: Faults) -> ChannelScenario {
    ChannelScenario {
        fates: vec![BTreeMap::from([(fate, 1.0)])],
        faults,
        callbacks: Callbacks { lost: 1.0, ..Callbacks::default() },
        ..ChannelScenario::default()
    }
}

fn look_ups(stage: &Stage) -> usize {
    stage.system.simulator.records().iter().filter(|record| record.kind == Kind::LookUp).count()
}

async fn attempts_become(
    stage: &Stage,
    campaign: CampaignId,
    state: AttemptState,
    count: usize,
) -> Result<()> {
    wait_until(&format!("{count} attempts to be {state}"), WITHIN, async || {
        let facts = promises::facts(&stage.system.store, campaign).await;
        facts.is_ok_and(|facts| {
            facts.attempts.len() == count && facts.attempts.iter().all(|attempt| attempt.state == state)
        })
    })
    .await?;
    Ok(())
}
