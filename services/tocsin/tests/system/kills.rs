//! kill -9 in the middle of a campaign: of a worker, of the planner, of RabbitMQ. The campaign still ends with every
//! device final, and nothing is sent twice (promises 1 and 2).

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tocsin_domain::trace::TraceId;
use tocsin_domain::{AttemptKey, Channel, JobKey, Outcome};
use tocsin_runtime::Tasks;
use tocsin_testkit::otlp::OtlpReceiver;
use tocsin_testkit::simulator::{ChannelScenario, Delay, Scenario};
use tocsin_testkit::{PrivateRabbit, TestVhost, wait_until};

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

/// What a killed worker had not told yet is lost; what others tell of the same attempts hangs together all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_survives_the_worker_that_wrote_it() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let tasks = Tasks::new();
    let (receiver, collector) = OtlpReceiver::start(&tasks).await?;
    let settings = Settings { scenario: slow(), rate_per_second: None, in_flight_max: Some(12) };
    let fleet = Fleet::traced(&vhost.amqp_url, settings, &collector.grpc).await?;
    let _planner = fleet.planner().await?;
    let mut killed = fleet.worker(&[Channel::Voice]).await?;
    let _survivor = fleet.worker(&[Channel::Voice]).await?;
    let campaign = fleet.client.send(&message("emergency", &[Channel::Voice])).await?;
    fleet.sends_reach(SENT_BEFORE_KILL).await?;
    let asking = format!("exists (select from attempts where worker_id = '{}' and state = 1)", killed.id);
    fleet.until("the worker to have open requests", &asking).await?;
    killed.process.kill()?;
    let of_killed = fleet.attempts_of(&killed.id).await?;
    fleet.until("the other worker to have done the rest", EVERY_JOB_TRIED).await?;
    fleet.age_attempts(&format!("worker_id = '{}' and state in (1, 4)", killed.id), DOUBT_IS_OVER).await?;
    let facts = fleet.ends_well(campaign).await?;

    let trace = |job, number| TraceId::of_attempt(AttemptKey { job: JobKey { campaign, job }, number });
    let mut open = Vec::new();
    let ended = wait_until("the root of every attempt", WITHIN, async || {
        let traces = receiver.traces();
        let has_root = |trace: TraceId| {
            let spans = traces.get(&trace.to_string());
            spans.is_some_and(|spans| spans.iter().any(|span| span.id == trace.root().to_string()))
        };
        open =
            facts.attempts.iter().filter(|attempt| !has_root(trace(attempt.job, attempt.number))).collect();
        open.is_empty() && traces.contains_key(&TraceId::of_campaign(campaign).to_string())
    });
    ended.await.with_context(|| format!("without a root: {open:#?}"))?;
    let campaign_root = TraceId::of_campaign(campaign).root().to_string();
    wait_until("the campaign's root", WITHIN, async || {
        receiver.spans().iter().any(|span| span.id == campaign_root)
    })
    .await?;
    let traces = receiver.connected(WITHIN).await?;
    ensure!(!of_killed.is_empty(), "the killed worker had claimed nothing");
    for (job, number) in of_killed {
        let spans = &traces[&trace(job, number).to_string()];
        let roles: BTreeSet<&str> = spans.iter().map(|span| span.role.as_str()).collect();
        ensure!(roles.contains("planner"), "attempt {job}/{number} is told of by {roles:?} alone");
    }
    Ok(())
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
