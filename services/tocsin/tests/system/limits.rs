//! Over all workers the sends to an account stay within what it allows (promise 4), by the simulator's record of
//! arrivals.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use tocsin::system::{ChannelLimits, System};
use tocsin_domain::Channel;
use tocsin_store::accounts::Pace;
use tocsin_testkit::simulator::{Delay, Scenario};
use tocsin_testkit::wait_until;

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::facts::{WITHIN, closed, promises_hold};
use crate::journeys::stage::{BrokerKind, Stage};

const PHONES: usize = DEVICES - SHARED_PHONES;
/// From a permit to the arrival of its request, on a machine that does much else.
const ON_THE_WAY: TimeDelta = TimeDelta::milliseconds(700);

fn texts(rate_per_second: f64, burst: i32) -> Vec<ChannelLimits> {
    let rate_per_second = Some(rate_per_second);
    vec![ChannelLimits { channel: Channel::Sms, rate_per_second, burst: Some(burst), concurrency: None }]
}

fn arrivals(system: &System) -> Vec<DateTime<Utc>> {
    let mut arrivals: Vec<_> = system.simulator.sends().iter().map(|send| send.arrived_at).collect();
    arrivals.sort_unstable();
    arrivals
}

/// No window of any length saw more than its rate and burst allow. What was on its way when the window began may
/// have arrived within it.
fn within_limits(arrivals: &[DateTime<Utc>], rate: f64, burst: f64) -> Result<()> {
    for (first, from) in arrivals.iter().enumerate() {
        for (last, until) in arrivals.iter().enumerate().skip(first) {
            let seen = (last - first + 1) as f64;
            let seconds = (*until - *from + ON_THE_WAY).as_seconds_f64();
            ensure!(seen <= rate * seconds + burst, "{seen} sends arrived in {seconds} s: {from} to {until}");
        }
    }
    Ok(())
}

async fn sends_reach(system: &System, sends: usize) -> Result<()> {
    let what = format!("{sends} sends to arrive");
    wait_until(&what, WITHIN, async || system.simulator.sends().len() >= sends).await?;
    Ok(())
}

async fn pace(system: &System, channel: Channel) -> Result<Pace> {
    let accounts = system.store.accounts().await?;
    let account = accounts.into_iter().find(|account| account.limits.channel == channel);
    Ok(account.context("no account of the channel")?.pace)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_window_of_a_second_exceeds_rate_and_burst_while_workers_come_and_go() -> Result<()> {
    let (rate, burst) = (10.0, 4);
    let stage = Stage::set(BrokerKind::RabbitMq, Scenario::default(), texts(rate, burst)).await?;
    let (system, client) = (&stage.system, &stage.client);
    let mut campaigns = Vec::new();
    for _ in 0..6 {
        campaigns.push(client.send(&message("general", &[Channel::Sms])).await?);
    }
    let mut guests = Vec::new();
    for step in 1..=6 {
        guests.push(system.start_worker(vec![Channel::Sms]));
        sends_reach(system, step * PHONES / 2).await?;
        // One is killed, another leaves in order.
        if step % 3 == 2 {
            guests.remove(0).abort();
        } else if step % 3 == 0 {
            guests.remove(0).stop(WITHIN).await;
        }
    }
    for campaign in campaigns {
        closed(&system.store, campaign).await?;
        promises_hold(&system.store, &system.simulator.records(), &system.token_keys, campaign).await?;
    }
    within_limits(&arrivals(system), rate, f64::from(burst))?;
    stage.strike().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_that_is_throttled_slows_down_and_uses_up_no_try() -> Result<()> {
    let mut busy = Scenario::default();
    busy.sms.faults.throttled = 1.0;
    let stage = Stage::set(BrokerKind::RabbitMq, busy, texts(100.0, 10)).await?;
    let (system, client) = (&stage.system, &stage.client);
    system.start_worker(vec![Channel::Sms]);
    let campaign = client.send(&message("general", &[Channel::Sms])).await?;
    let slowed =
        async || pace(system, Channel::Sms).await.is_ok_and(|pace| pace.rate_per_second < Some(100.0));
    wait_until("the account to be slowed", WITHIN, slowed).await?;
    // Three workers, some thirty answers: one fall.
    let fallen = pace(system, Channel::Sms).await?.rate_per_second;
    ensure!(fallen == Some(50.0), "slowed to {fallen:?}");
    system.simulator.set_scenario(Scenario::default())?;
    closed(&system.store, campaign).await?;
    let facts =
        promises_hold(&system.store, &system.simulator.records(), &system.token_keys, campaign).await?;
    let delivered = crate::facts::outcomes(&facts, Channel::Sms);
    ensure!(delivered[&tocsin_domain::Outcome::Delivered] == PHONES, "{delivered:?}");
    let recovered =
        async || pace(system, Channel::Sms).await.is_ok_and(|pace| pace.rate_per_second == Some(100.0));
    wait_until("the account to recover", Duration::from_secs(60), recovered).await?;
    stage.strike().await
}

/// A call rings, is answered and ends well after its request was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_all_workers_stay_within_the_concurrency_until_they_end() -> Result<()> {
    let concurrency = 4;
    let mut scenario = Scenario::default();
    scenario.voice.callbacks.delay = Delay::Fixed(300);
    let limits = ChannelLimits {
        channel: Channel::Voice,
        rate_per_second: None,
        burst: None,
        concurrency: Some(concurrency),
    };
    let stage = Stage::set(BrokerKind::RabbitMq, scenario, vec![limits]).await?;
    let (system, client) = (&stage.system, &stage.client);
    system.start_worker(vec![Channel::Voice]);
    let campaign = client.send(&message("general", &[Channel::Voice])).await?;
    let mut most = 0;
    let ended = async || {
        most = most.max(pace(system, Channel::Voice).await.map_or(i64::MAX, |pace| pace.holds));
        let facts = system.store.campaign_facts(campaign).await;
        facts.is_ok_and(|facts| facts.is_some_and(|facts| facts.closed_at.is_some()))
    };
    wait_until("the campaign to be closed", WITHIN, ended).await?;
    ensure!((2..=i64::from(concurrency)).contains(&most), "{most} calls at once");
    promises_hold(&system.store, &system.simulator.records(), &system.token_keys, campaign).await?;
    stage.strike().await
}
