//! SIGTERM in the middle of a campaign, as a deploy or a scale-in sends it: whoever leaves finishes what it has asked
//! and leaves nothing open.

use anyhow::{Result, ensure};
use tocsin_domain::Channel;
use tocsin_testkit::TestVhost;
use tocsin_testkit::simulator::{ChannelScenario, Delay, Scenario};

use crate::district::message;
use crate::fleet::{Fleet, Settings, Worker};
use crate::held::{CLAIM, claims_are_committed};

/// Enough to be in the middle.
const SENT_BEFORE_LEAVING: usize = 10;

async fn left_nothing_open(fleet: &Fleet, worker: &mut Worker) -> Result<()> {
    let left = worker.process.left().await?;
    ensure!(left.success(), "the worker left with {left}");
    let open = fleet.ask("select count(*) from attempts where state in (1, 4)").await?;
    ensure!(open.as_deref() == Some("0"), "the worker left {open:?} requests open");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_are_replaced_leave_nothing_open() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let channel = ChannelScenario { latency: Delay::Fixed(700), ..ChannelScenario::default() };
    let scenario =
        Scenario { voice: channel.clone(), sms: channel.clone(), email: channel, ..Scenario::default() };
    let settings = Settings { scenario, rate_per_second: None, in_flight_max: Some(8) };
    let fleet = Fleet::start(&vhost.amqp_url, settings).await?;
    let mut planner = fleet.planner().await?;
    let mut worker = fleet.worker(&Channel::ALL).await?;
    let campaign = fleet.client.send(&message("general", &Channel::ALL)).await?;
    fleet.sends_reach(SENT_BEFORE_LEAVING).await?;

    worker.process.ask_to_leave()?;
    left_nothing_open(&fleet, &mut worker).await?;
    let untried = fleet.ask("select count(*) from jobs where state in (1, 2)").await?;
    ensure!(untried.as_deref() != Some("0"), "the campaign was over before the worker left");
    planner.ask_to_leave()?;
    let left = planner.left().await?;
    ensure!(left.success(), "the planner left with {left}");

    let _planner = fleet.planner().await?;
    let _worker = fleet.worker(&Channel::ALL).await?;
    fleet.ends_well(campaign).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_under_way_is_seen_through_by_a_worker_that_is_to_leave() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, Settings::default()).await?;
    let _planner = fleet.planner().await?;
    let mut worker = fleet.worker(&[Channel::Sms]).await?;
    let campaign = CLAIM
        .held(&fleet, async || {
            let campaign = fleet.client.send(&message("general", &[Channel::Sms])).await?;
            CLAIM.reached(&fleet).await?;
            worker.process.ask_to_leave()?;
            worker.process.logged("stopping").await?;
            Ok(campaign)
        })
        .await?;
    claims_are_committed(&fleet).await?;
    left_nothing_open(&fleet, &mut worker).await?;

    let _worker = fleet.worker(&[Channel::Sms]).await?;
    fleet.ends_well(campaign).await?;
    Ok(())
}
