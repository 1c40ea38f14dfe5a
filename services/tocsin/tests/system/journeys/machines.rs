//! Answering machines: who answered is told beside the call, late or never, and the policy decides what then.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tocsin_domain::{CampaignId, Channel, Outcome};
use tocsin_testkit::promises;
use tocsin_testkit::simulator::{Callbacks, ChannelScenario, Delay, Fate, Kind, Scenario};
use tocsin_testkit::wait_until;

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::facts::{WITHIN, closed, counters_are_the_rows, outcomes, promises_hold};
use crate::journeys::over_both_brokers;
use crate::journeys::stage::{BrokerKind, Stage};

const PHONES: usize = DEVICES - SHARED_PHONES;
/// The shortest there is.
const WAIT_SECONDS: u64 = 10;
/// Longer than the wait for a detection.
const DETECTION_IS_DUE: Duration = Duration::from_secs(21);

over_both_brokers!(a_machine_told_late_is_called_again_and_the_last_call_leaves_the_message);
over_both_brokers!(a_detection_that_never_comes_is_asked_for_before_a_person_is_assumed);

/// Machines answer the first call and a person the second.
fn scenario(callbacks: Callbacks) -> Scenario {
    let fates = [Fate::Machine, Fate::Human].map(|fate| BTreeMap::from([(fate, 1.0)])).to_vec();
    Scenario {
        voice: ChannelScenario { fates, callbacks, ..ChannelScenario::default() },
        ..Scenario::default()
    }
}

async fn send(stage: &Stage) -> Result<CampaignId> {
    let mut body = message("general", &[Channel::Voice]);
    body["redial"] = json!({"machines": "redial", "attempts_max": 2, "wait_seconds": WAIT_SECONDS});
    stage.client.send(&body).await
}

async fn a_machine_told_late_is_called_again_and_the_last_call_leaves_the_message(
    broker: BrokerKind,
) -> Result<()> {
    let late = Callbacks { detection_late: 1.0, detection_delay: Delay::Fixed(300), ..Callbacks::default() };
    let stage = Stage::set(broker, scenario(late), Vec::new()).await?;
    let campaign = send(&stage).await?;
    outcomes_become(&stage, campaign, Outcome::AnsweringMachine).await?;
    stage.shift_clock(Duration::from_secs(WAIT_SECONDS + 1)).await?;
    ends_with_a_person_each(stage, campaign, 0).await
}

async fn a_detection_that_never_comes_is_asked_for_before_a_person_is_assumed(
    broker: BrokerKind,
) -> Result<()> {
    let lost = Callbacks { detection_lost: 1.0, ..Callbacks::default() };
    let stage = Stage::set(broker, scenario(lost), Vec::new()).await?;
    let campaign = send(&stage).await?;
    outcomes_become(&stage, campaign, Outcome::CallEnded).await?;
    stage.shift_clock(DETECTION_IS_DUE).await?;
    // The provider's own record of the call knows it.
    outcomes_become(&stage, campaign, Outcome::AnsweringMachine).await?;
    stage.shift_clock(DETECTION_IS_DUE + Duration::from_secs(WAIT_SECONDS + 1)).await?;
    ends_with_a_person_each(stage, campaign, PHONES).await
}

async fn ends_with_a_person_each(stage: Stage, campaign: CampaignId, look_ups: usize) -> Result<()> {
    closed(&stage.system.store, campaign).await?;
    let records = stage.system.simulator.records();
    ensure!(stage.system.simulator.sends().len() == 2 * PHONES, "each phone is called twice");
    let asked = records.iter().filter(|record| record.kind == Kind::LookUp).count();
    ensure!(asked == look_ups, "{asked} look-ups");
    let facts = promises_hold(&stage.system.store, &records, &stage.system.token_keys, campaign).await?;
    let voice = outcomes(&facts, Channel::Voice);
    ensure!(voice.get(&Outcome::LivePerson) == Some(&PHONES), "voice came to {voice:?}");
    counters_are_the_rows(&stage.client, &stage.system.store, campaign).await?;
    stage.strike().await
}

/// Waits until the first attempts have come to `outcome`.
async fn outcomes_become(stage: &Stage, campaign: CampaignId, outcome: Outcome) -> Result<()> {
    wait_until(&format!("attempts to come to {outcome}"), WITHIN, async || {
        let facts = promises::facts(&stage.system.store, campaign).await;
        facts.is_ok_and(|facts| {
            facts.attempts.len() == PHONES
                && facts.attempts.iter().all(|attempt| attempt.outcome == Some(outcome))
        })
    })
    .await?;
    Ok(())
}
