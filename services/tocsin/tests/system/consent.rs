//! Consent through every role: a person's STOP, and what is left of an emergency that the provider refuses.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::Value;
use tocsin_domain::{Channel, Outcome};
use tocsin_testkit::simulator::{ChannelScenario, Fate, PersonText, Scenario};
use tocsin_testkit::wait_until;
use uuid::Uuid;

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::facts::{WITHIN, closed, counters_are_the_rows, outcomes, promises_hold};
use crate::journeys::stage::{BrokerKind, Stage};

/// Guardian 0's phone, which guardian 1 shares.
const PHONE: &str = "+12022000000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inbound_stop_stops_the_next_text_and_a_start_lets_it_go() -> Result<()> {
    let stage = Stage::set(BrokerKind::RabbitMq, Scenario::default(), Vec::new()).await?;
    let phones = DEVICES - SHARED_PHONES;
    let texts = |delivered, opted_out: Option<usize>| -> BTreeMap<Outcome, usize> {
        let all = [
            (Outcome::Delivered, Some(delivered)),
            (Outcome::OptOut, opted_out),
            (Outcome::Duplicate, Some(SHARED_PHONES)),
        ];
        all.into_iter().filter_map(|(outcome, count)| Some((outcome, count?))).collect()
    };
    for (body, state, expected) in
        [("Stop.", "opted_out", texts(phones - 1, Some(1))), ("Yes", "opted_in", texts(phones, None))]
    {
        let text = PersonText {
            webhook: stage.system.inbound_url(Channel::Sms),
            from: PHONE.to_owned(),
            body: body.to_owned(),
            message_sid: Some(format!("SM{}", Uuid::now_v7().simple())),
            opt_out_type: None,
        };
        // The first text opens the collector's session with the broker. What is not taken within its deadline is posted
        // to the number's fallback, which is the same address (docs/PROVIDERS.md).
        let mut answer = None;
        wait_until("the text to be taken", WITHIN, async || {
            answer = stage.system.simulator.text(&text).await.ok();
            answer.as_ref().is_some_and(|answer| answer.status != 503)
        })
        .await?;
        let taken = answer.as_ref().is_some_and(|it| it.status == 200 && it.content_type == "text/xml");
        ensure!(taken, "{answer:?}");
        let known = async || {
            let consent = stage.client.consent(PHONE).await;
            consent.is_ok_and(|consent| consent["state"] == state)
        };
        wait_until(&format!("the phone to be {state}"), WITHIN, known).await?;
        let campaign = stage.client.send(&message("priority", &[Channel::Sms])).await?;
        closed(&stage.system.store, campaign).await?;
        let records = stage.system.simulator.records();
        let facts = promises_hold(&stage.system.store, &records, &stage.system.token_keys, campaign).await?;
        ensure!(
            outcomes(&facts, Channel::Sms) == expected,
            "after {body:?}: {:?}",
            outcomes(&facts, Channel::Sms)
        );
        let asked = records.iter().filter(|record| record.to.as_deref() == Some(PHONE)).count();
        ensure!(
            asked == usize::from(state == "opted_in"),
            "the phone was texted {asked} times after {body:?}"
        );
        counters_are_the_rows(&stage.client, &stage.system.store, campaign).await?;
    }
    stage.strike().await
}

/// The provider knows of opt-outs that we don't: the first emergency learns of them, the second does not ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_an_emergency_text_is_refused_by_an_opt_out_the_persons_other_devices_are_left_and_the_log_says_so()
-> Result<()> {
    let refused = ChannelScenario {
        fates: vec![BTreeMap::from([(Fate::OptedOut, 1.0)])],
        ..ChannelScenario::default()
    };
    let scenario = Scenario { sms: refused, ..Scenario::default() };
    let stage = Stage::set(BrokerKind::Memory, scenario, Vec::new()).await?;
    let channels = [Channel::Voice, Channel::Sms, Channel::Email];
    for round in 1..=2 {
        let campaign = stage.client.send(&message("emergency", &channels)).await?;
        closed(&stage.system.store, campaign).await?;
        let records = stage.system.simulator.records();
        promises_hold(&stage.system.store, &records, &stage.system.token_keys, campaign).await?;
        let rows = stage.client.recipients(campaign).await?;
        let of = |row: &Value, name: &str| row[name].as_str().unwrap_or("-").to_owned();
        let of_person: Vec<_> = rows
            .iter()
            .filter(|row| row["recipient"] == rows[0]["recipient"] && row["duplicate"] == false)
            .filter(|row| [PHONE, "guardian0@example.org"].contains(&of(row, "address").as_str()))
            .map(|row| (of(row, "channel"), of(row, "status_code"), of(row, "provider_code")))
            .collect();
        let text =
            ("sms".to_owned(), "opt_out".to_owned(), if round == 1 { "21610" } else { "-" }.to_owned());
        ensure!(of_person.contains(&text), "round {round}: {of_person:?}");
        let reached = |channel: &str, code: &str| of_person.iter().any(|(c, s, _)| c == channel && s == code);
        ensure!(
            reached("voice", "completed") && reached("email", "delivered"),
            "round {round}: {of_person:?}"
        );
        counters_are_the_rows(&stage.client, &stage.system.store, campaign).await?;
    }
    let texts = stage.system.simulator.sends().iter().filter(|record| record.channel == Channel::Sms).count();
    ensure!(
        texts == DEVICES - SHARED_PHONES,
        "{texts} texts were asked for: the second round must ask for none"
    );
    let consent = stage.client.consent(PHONE).await?;
    ensure!(consent["state"] == "opted_out" && consent["source"] == "provider", "{consent}");
    stage.strike().await
}
