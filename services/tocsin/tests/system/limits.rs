//! Over all workers the sends to an account stay within what it allows (promise 4), by the simulator's record of
//! arrivals.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tocsin::system::{ChannelLimits, System};
use tocsin_domain::Channel;
use tocsin_domain::limits::capacity;
use tocsin_runtime::{Clock as _, SystemClock, Tasks};
use tocsin_store::accounts::{Pace, SenderLimits};
use tocsin_testkit::simulator::{Delay, Record, Scenario};
use tocsin_testkit::{Stalls, wait_until};

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::facts::{WITHIN, closed, promises_hold};
use crate::journeys::stage::{BrokerKind, Stage};

const PHONES: usize = DEVICES - SHARED_PHONES;
/// What a network may carry at one instant: requests sent over this time may arrive together.
const CARRIED: Duration = Duration::from_millis(100);

fn texts(rate_per_second: f64, burst: i32) -> Vec<ChannelLimits> {
    let rate_per_second = Some(rate_per_second);
    vec![ChannelLimits { channel: Channel::Sms, rate_per_second, burst: Some(burst), concurrency: None }]
}

fn arrivals(system: &System) -> Vec<DateTime<Utc>> {
    arrivals_of(system, |_| true)
}

fn arrivals_of(system: &System, is_it: impl Fn(&Record) -> bool) -> Vec<DateTime<Utc>> {
    let mut arrivals: Vec<_> =
        system.simulator.sends().iter().filter(|send| is_it(send)).map(|send| send.arrived_at).collect();
    arrivals.sort_unstable();
    arrivals
}

/// Numbers of the account of a channel, from which it sends from now on.
async fn numbers(system: &System, channel: Channel, numbers: &[(&str, SenderLimits)]) -> Result<()> {
    let accounts = system.store.accounts().await?;
    let account = accounts.iter().find(|account| account.limits.channel == channel);
    let id = account.context("no account of the channel")?.id;
    for (number, limits) in numbers {
        system.store.add_sender(id, number, limits, SystemClock.now()).await?;
    }
    Ok(())
}

fn at_rate(rate_per_second: f64, burst: i32) -> SenderLimits {
    SenderLimits { rate_per_second: Some(rate_per_second), burst: Some(burst), concurrency: None }
}

/// No window of any length saw more than its rate and burst allow. What was on its way when the window began may
/// have arrived within it, and what this machine was too busy to see arrive.
fn within_limits(arrivals: &[DateTime<Utc>], rate: f64, burst: f64, stalls: &Stalls) -> Result<()> {
    let carried = TimeDelta::from_std(CARRIED.max(stalls.worst()))?;
    for (first, from) in arrivals.iter().enumerate() {
        for (last, until) in arrivals.iter().enumerate().skip(first) {
            let seen = (last - first + 1) as f64;
            let seconds = (*until - *from + carried).as_seconds_f64();
            ensure!(
                seen <= rate * seconds + burst,
                "{seen} in {seconds} s, {carried} allowed for: {from} to {until}"
            );
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
    let stalls = Stalls::watch(&Tasks::new());
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
    within_limits(&arrivals(system), rate, f64::from(burst), &stalls)?;
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

const TWO: [&str; 2] = ["+12025550101", "+12025550102"];

/// One number of 3/s, one of 6/s, and an account of 100/s: each number keeps its own, and neither holds up the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_number_of_an_account_stays_within_its_own_limits() -> Result<()> {
    let stage = Stage::set(BrokerKind::RabbitMq, Scenario::default(), texts(100.0, 10)).await?;
    let stalls = Stalls::watch(&Tasks::new());
    let (system, client) = (&stage.system, &stage.client);
    numbers(system, Channel::Sms, &[(TWO[0], at_rate(3.0, 2)), (TWO[1], at_rate(6.0, 2))]).await?;
    let mut campaigns = Vec::new();
    for _ in 0..2 {
        campaigns.push(client.send(&message("general", &[Channel::Sms])).await?);
    }
    for campaign in campaigns {
        closed(&system.store, campaign).await?;
        promises_hold(&system.store, &system.simulator.records(), &system.token_keys, campaign).await?;
    }
    for (number, rate) in TWO.iter().zip([3.0, 6.0]) {
        let arrivals = arrivals_of(system, |send| send.from.as_deref() == Some(number));
        ensure!(arrivals.len() >= PHONES / 3, "{} from {number}", arrivals.len());
        within_limits(&arrivals, rate, 2.0, &stalls)?;
    }
    ensure!(arrivals(system).len() == 2 * PHONES, "from no other number");
    stage.strike().await
}

/// Numbers without a rate, or of a larger one, share their account's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_smallest_of_the_limits_of_a_number_and_its_account_holds() -> Result<()> {
    let stage = Stage::set(BrokerKind::RabbitMq, Scenario::default(), texts(8.0, 3)).await?;
    let stalls = Stalls::watch(&Tasks::new());
    let (system, client) = (&stage.system, &stage.client);
    numbers(system, Channel::Sms, &[(TWO[0], at_rate(50.0, 50)), (TWO[1], SenderLimits::default())]).await?;
    let campaign = client.send(&message("general", &[Channel::Sms])).await?;
    closed(&system.store, campaign).await?;
    let from: BTreeSet<_> = system.simulator.sends().into_iter().filter_map(|send| send.from).collect();
    ensure!(from.len() == 2, "from {from:?}");
    within_limits(&arrivals(system), 8.0, 3.0, &stalls)?;
    stage.strike().await
}

/// The vendor refuses one of two numbers: nobody is lost by it, and the other goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_its_provider_refuses_stops_alone() -> Result<()> {
    let stage = Stage::set(BrokerKind::RabbitMq, Scenario::default(), vec![]).await?;
    let (system, client) = (&stage.system, &stage.client);
    let refused = "+15005550007";
    numbers(system, Channel::Sms, &[(TWO[0], SenderLimits::default()), (refused, SenderLimits::default())])
        .await?;
    let campaign = client.send(&message("general", &[Channel::Sms])).await?;
    closed(&system.store, campaign).await?;
    let facts =
        promises_hold(&system.store, &system.simulator.records(), &system.token_keys, campaign).await?;
    let delivered = crate::facts::outcomes(&facts, Channel::Sms);
    ensure!(delivered[&tocsin_domain::Outcome::Delivered] == PHONES, "{delivered:?}");
    let stopped: Vec<_> =
        system.store.accounts().await?.into_iter().filter(|account| account.stopped).collect();
    let [stopped] = &stopped[..] else { anyhow::bail!("stopped: {stopped:?}") };
    ensure!(stopped.sender.as_ref().is_some_and(|sender| sender.address == refused), "{stopped:?}");
    ensure!(stopped.stop_reason.as_deref().is_some_and(|reason| reason.contains("21606")), "{stopped:?}");
    stage.strike().await
}

/// The longest that a job waits on the queue for its permit on a machine that does much else: what was released at
/// its district's rate may arrive together by as much.
const QUEUED: TimeDelta = TimeDelta::milliseconds(1_500);

fn within_rate_of_release(arrivals: &[DateTime<Utc>], rate: f64) -> Result<()> {
    for (first, from) in arrivals.iter().enumerate() {
        for (last, until) in arrivals.iter().enumerate().skip(first) {
            let seen = (last - first + 1) as f64;
            let seconds = (*until - *from + QUEUED).as_seconds_f64();
            ensure!(seen <= rate * seconds + capacity(rate), "{seen} in {seconds} s: {from} to {until}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_districts_limit_is_kept_by_release_whichever_planner_and_lane() -> Result<()> {
    let stage = Stage::set(BrokerKind::RabbitMq, Scenario::default(), vec![]).await?;
    let (system, client) = (&stage.system, &stage.client);
    client.limit(&json!({ "voice": { "rate_per_second": 6.0, "concurrency": 5 } })).await?;
    let second = system.start_planner();
    let mut campaigns = Vec::new();
    for kind in ["general", "priority"] {
        campaigns.push(client.send(&message(kind, &[Channel::Voice, Channel::Sms])).await?);
    }
    sends_reach(system, PHONES / 2).await?;
    // Another takes over in the middle.
    second.abort();
    let mut most = 0;
    for campaign in campaigns {
        let ended = async || {
            most = most.max(pace(system, Channel::Voice).await.map_or(i64::MAX, |pace| pace.holds));
            let facts = system.store.campaign_facts(campaign).await;
            facts.is_ok_and(|facts| facts.is_some_and(|facts| facts.closed_at.is_some()))
        };
        wait_until("the campaign to be closed", WITHIN, ended).await?;
        promises_hold(&system.store, &system.simulator.records(), &system.token_keys, campaign).await?;
    }
    within_rate_of_release(&arrivals_of(system, |send| send.channel == Channel::Voice), 6.0)?;
    ensure!(most <= 5, "{most} calls at once");
    stage.strike().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaigns_own_limit_is_kept_and_holds_up_no_other() -> Result<()> {
    let stage = Stage::set(BrokerKind::RabbitMq, Scenario::default(), vec![]).await?;
    let (system, client) = (&stage.system, &stage.client);
    let mut limited = message("general", &[Channel::Sms]);
    limited["limits"] = json!({ "sms": { "rate_per_second": 5.0 } });
    let slow = client.send(&limited).await?;
    sends_reach(system, 3).await?;
    let quick = client.send(&message("general", &[Channel::Sms])).await?;
    closed(&system.store, quick).await?;
    let facts = system.store.campaign_facts(slow).await?.context("the slow one")?;
    ensure!(facts.closed_at.is_none(), "the limited one is the slower");
    closed(&system.store, slow).await?;
    let of = |send: &Record| send.token.as_deref().and_then(|token| system.token_keys.read(token).ok());
    let of_slow = |send: &Record| of(send).is_some_and(|(attempt, _)| attempt.job.campaign == slow);
    within_rate_of_release(&arrivals_of(system, of_slow), 5.0)?;
    stage.strike().await
}

/// Eight workers and an account of one a second, which only one of them can have: the others tell it of their jobs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_account_is_used_whichever_worker_gets_its_jobs_and_never_above_its_rate() -> Result<()> {
    let stage = Stage::set(BrokerKind::RabbitMq, Scenario::default(), texts(1.0, 1)).await?;
    let stalls = Stalls::watch(&Tasks::new());
    let (system, client) = (&stage.system, &stage.client);
    for _ in 0..6 {
        system.start_worker(vec![Channel::Sms]);
    }
    let asked = SystemClock.now();
    client.send(&message("general", &[Channel::Sms])).await?;
    sends_reach(system, 21).await?;
    let arrivals = arrivals(system);
    let seconds = (arrivals[20] - arrivals[0]).as_seconds_f64();
    // An idle account: one renewal, and the first token of an empty bucket.
    let released = stage.times("select started_at from campaigns").await?[0];
    let first = (arrivals[0] - released).as_seconds_f64();
    let planned = (released - asked).as_seconds_f64();
    println!(
        "20 sends in {seconds:.1} s, the first {first:.1} s after its release, {planned:.1} s after the call"
    );
    within_limits(&arrivals, 1.0, 1.0, &stalls)?;
    // A claim takes as long as it takes: of these none was held up.
    within_limits(&stage.claims().await?, 1.0, 1.0, &stalls)?;
    ensure!(seconds <= 40.0, "20 sends in {seconds} s");
    ensure!(first <= 3.0, "the first {first} s after its release");
    stage.strike().await
}

/// Whoever has the account changes, and claims take longer than a token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_one_a_second_and_eight_workers_never_two_arrive_within_a_second() -> Result<()> {
    let stage = Stage::set(BrokerKind::RabbitMq, Scenario::default(), texts(1.0, 1)).await?;
    let stalls = Stalls::watch(&Tasks::new());
    let (system, client) = (&stage.system, &stage.client);
    let mut guests: Vec<_> = (0..6).map(|_| system.start_worker(vec![Channel::Sms])).collect();
    client.send(&message("general", &[Channel::Sms])).await?;
    for step in 1..=5 {
        sends_reach(system, step * 4 - 2).await?;
        // What was claimed before it and what after it is answered together.
        stage.hold_up_claims(Duration::from_millis(1_300)).await?;
        sends_reach(system, step * 4).await?;
        guests.push(system.start_worker(vec![Channel::Sms]));
        match step % 2 {
            0 => drop(guests.remove(0).stop(WITHIN).await),
            _ => guests.remove(0).abort(),
        }
    }
    let (arrivals, claims) = (arrivals(system), stage.claims().await?);
    let closest = |times: &[DateTime<Utc>]| times.windows(2).map(|two| two[1] - two[0]).min();
    println!("closest: {:?} of arrivals, {:?} of claims", closest(&arrivals), closest(&claims));
    within_limits(&arrivals, 1.0, 1.0, &stalls)?;
    stage.strike().await
}
