//! Calls over a gateway that nobody wrote an adapter for, through every role.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::json;
use tocsin_domain::{Channel, Outcome};
use tocsin_testkit::TestVhost;
use tocsin_testkit::promises::facts;
use tocsin_testkit::simulator::GatewayServer;

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::facts::{WITHIN, closed, counters_are_the_rows, outcomes};
use crate::fleet::Fleet;

const PHONES: usize = DEVICES - SHARED_PHONES;

/// Every first call finds the line busy (code 1), and a person answers the second (code 5).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_line_is_called_again_over_a_gateway_and_answered_in_the_end() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let calls = vec![vec![json!("Sent"), json!(1)], vec![json!("5")]];
    let gateway = GatewayServer::start(calls).await?;
    let fleet = Fleet::with_accounts_of(&vhost.amqp_url, gateway.account_toml(Channel::Voice)).await?;
    let _planner = fleet.planner().await?;
    let _worker = fleet.worker(&[Channel::Voice]).await?;

    let campaign = fleet.client.send(&message("general", &[Channel::Voice])).await?;
    closed(&fleet.store, campaign).await?;
    gateway.reports_done(WITHIN).await?;

    let ended = facts(&fleet.store, campaign).await?;
    let expected = BTreeMap::from([(Outcome::Duplicate, SHARED_PHONES), (Outcome::LivePerson, PHONES)]);
    ensure!(outcomes(&ended, Channel::Voice) == expected, "{:?}", outcomes(&ended, Channel::Voice));
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for call in gateway.messages() {
        *calls.entry(call.said["to"].to_string()).or_default() += 1;
        ensure!(call.said["channel"] == "voice" && call.said["text"].is_string(), "{}", call.said);
    }
    ensure!(calls.len() == PHONES && calls.values().all(|calls| *calls == 2), "{calls:?}");
    let busy = "count(*) from attempts where number = 1 and provider_code = '1'";
    ensure!(
        fleet.ask(&format!("select {busy}")).await? == Some(PHONES.to_string()),
        "the codes are not kept"
    );
    counters_are_the_rows(&fleet.client, &fleet.store, campaign).await?;
    Ok(())
}
