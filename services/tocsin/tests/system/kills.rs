//! kill -9 in the middle of a campaign: of a worker, of the planner, of RabbitMQ. The campaign still ends with every
//! device final, and nothing is sent twice (promises 1 and 2).

use std::time::Duration;

use anyhow::{Result, ensure};
use tocsin_domain::{Channel, Outcome};
use tocsin_testkit::simulator::{ChannelScenario, Delay, Scenario};
use tocsin_testkit::{PrivateRabbit, TestVhost};

use crate::district::message;
use crate::facts::{DOUBT_IS_OVER, EVERY_JOB_TRIED, WITHIN};
use crate::fleet::{Fleet, Settings};

/// Enough to be in the middle.
const SENT_BEFORE_KILL: usize = 10;
/// Longer than any provider may stay silent after it has accepted.
const SILENCE_IS_OVER: Duration = Duration::from_secs(31 * 60);

/// Requests that take so long that some are always open.
fn slow() -> Scenario {
    let channel = ChannelScenario { latency: Delay::Fixed(700), ..ChannelScenario::default() };
    Scenario { voice: channel.clone(), sms: channel.clone(), email: channel, ..Scenario::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_workers_open_calls_are_made_again_in_an_emergency() -> Result<()> {
    let silent = a_worker_is_killed("emergency").await?;
    ensure!(silent == 0, "{silent} devices of an emergency were not tried again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_workers_open_calls_end_as_unknown_otherwise() -> Result<()> {
    a_worker_is_killed("general").await?;
    Ok(())
}

/// Returns how many jobs ended in doubt: nobody knows whether they were sent.
async fn a_worker_is_killed(message_type: &str) -> Result<usize> {
    let vhost = TestVhost::create().await?;
    let settings = Settings { scenario: slow(), rate_per_second: None, in_flight_max: Some(12) };
    let fleet = Fleet::start(&vhost.amqp_url, settings).await?;
    let _planner = fleet.planner().await?;
    let mut killed = fleet.worker(&Channel::ALL).await?;
    let _survivor = fleet.worker(&Channel::ALL).await?;
    let campaign = fleet.client.send(&message(message_type, &Channel::ALL)).await?;
    fleet.sends_reach(SENT_BEFORE_KILL).await?;
    let asking = format!("exists (select from attempts where worker_id = '{}' and state = 1)", killed.id);
    fleet.until("the worker to have open requests", &asking).await?;
    killed.process.kill()?;

    fleet.until("the other worker to have done the rest", EVERY_JOB_TRIED).await?;
    let open = format!("worker_id = '{}' and state in (1, 4)", killed.id);
    fleet.age_attempts(&open, DOUBT_IS_OVER).await?;
    let facts = fleet.ends_well(campaign).await?;
    let silent = facts.jobs.iter().filter(|job| job.outcome == Some(Outcome::silent(job.channel)));
    Ok(silent.count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_planner_goes_on_where_one_was_killed() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let settings = Settings { scenario: slow(), rate_per_second: Some(5.0), in_flight_max: None };
    let fleet = Fleet::start(&vhost.amqp_url, settings).await?;
    let mut killed = fleet.planner().await?;
    fleet.until("the first planner to have every duty", "count(*) = 12 from planner_leases").await?;
    let _successor = fleet.planner().await?;
    let _worker = fleet.worker(&Channel::ALL).await?;
    let campaign = fleet.client.send(&message("general", &Channel::ALL)).await?;
    fleet.sends_reach(SENT_BEFORE_KILL).await?;
    let unreleased = fleet.ask("select count(*) from jobs where state = 1").await?;
    ensure!(unreleased.as_deref() != Some("0"), "everything was released before the planner was killed");
    killed.kill()?;
    fleet.ends_well(campaign).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_loses_no_work() -> Result<()> {
    let mut rabbit = PrivateRabbit::start().await?;
    let settings = Settings { scenario: slow(), rate_per_second: Some(8.0), in_flight_max: None };
    let fleet = Fleet::start(&rabbit.amqp_url, settings).await?;
    let _planner = fleet.planner().await?;
    let _workers = [fleet.worker(&Channel::ALL).await?, fleet.worker(&Channel::ALL).await?];
    let campaign = fleet.client.send(&message("general", &Channel::ALL)).await?;
    fleet.sends_reach(SENT_BEFORE_KILL).await?;
    rabbit.kill().await?;
    let open = fleet.ask("select count(*) from jobs where state <> 4").await?;
    ensure!(open.as_deref() != Some("0"), "the campaign was over before the broker was killed");
    rabbit.restart().await?;
    fleet.until("the workers to have done the rest", EVERY_JOB_TRIED).await?;
    // Callbacks that came while the broker was away were refused. A provider posts them again a few times, and then
    // is silent.
    fleet.simulator.callbacks_done(WITHIN).await?;
    fleet.age_attempts("state = 2", SILENCE_IS_OVER).await?;
    fleet.ends_well(campaign).await?;
    Ok(())
}
