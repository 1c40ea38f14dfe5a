//! Calls that ask to be confirmed: whoever presses 0 is counted, and is called no more.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::json;
use tocsin_domain::{Channel, Outcome};
use tocsin_testkit::simulator::{ChannelScenario, Fate, Scenario};

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::facts::{closed, counters_are_the_rows, outcomes, promises_hold};
use crate::journeys::over_both_brokers;
use crate::journeys::stage::{BrokerKind, Stage};

const PHONES: usize = DEVICES - SHARED_PHONES;

over_both_brokers!(whoever_presses_0_is_confirmed_and_counted);

async fn whoever_presses_0_is_confirmed_and_counted(broker: BrokerKind) -> Result<()> {
    let fates = vec![BTreeMap::from([(Fate::Confirmed, 1.0)])];
    let voice = ChannelScenario { fates, ..ChannelScenario::default() };
    let stage = Stage::set(broker, Scenario { voice, ..Scenario::default() }, Vec::new()).await?;
    let mut asking = message("general", &[Channel::Voice]);
    asking["redial"] = json!({"confirm": true});
    for (body, expected, confirmed) in [
        (asking, Outcome::Confirmed, PHONES as u64),
        (message("general", &[Channel::Voice]), Outcome::LivePerson, 0),
    ] {
        let campaign = stage.client.send(&body).await?;
        closed(&stage.system.store, campaign).await?;
        let records = stage.system.simulator.records();
        let facts = promises_hold(&stage.system.store, &records, &stage.system.token_keys, campaign).await?;
        let voice = outcomes(&facts, Channel::Voice);
        ensure!(voice.get(&expected) == Some(&PHONES), "voice came to {voice:?}");
        counters_are_the_rows(&stage.client, &stage.system.store, campaign).await?;
        let counted = &stage.client.detail(campaign).await?["totals"]["confirmed"];
        ensure!(counted.as_u64() == Some(confirmed), "{counted} are counted as confirmed");
    }
    stage.strike().await
}
