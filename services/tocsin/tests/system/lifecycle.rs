//! How processes begin and leave: when they are ready, what they do between SIGTERM and their end, and what stops them
//! from starting.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tocsin_domain::Channel;
use tocsin_runtime::Stopwatch;
use tocsin_testkit::simulator::{ChannelScenario, Delay, Scenario};
use tocsin_testkit::{TestVhost, wait_until};

use crate::district::message;
use crate::facts::WITHIN;
use crate::fleet::{Fleet, Settings, start};
use crate::process::Process;

/// Requests that take so long that some are always open.
fn slow() -> Settings {
    let channel = ChannelScenario { latency: Delay::Fixed(400), ..ChannelScenario::default() };
    let scenario =
        Scenario { voice: channel.clone(), sms: channel.clone(), email: channel, ..Scenario::default() };
    Settings { scenario, rate_per_second: None, in_flight_max: Some(8) }
}

async fn leaves_in_order(process: &mut Process, within: Duration) -> Result<()> {
    let since = Stopwatch::start();
    let left = process.left().await?;
    ensure!(left.success(), "left with {left}");
    ensure!(since.elapsed() < within, "it took {:?}", since.elapsed());
    Ok(())
}

/// What it lacks, as `/readyz` names it.
async fn lacks(process: &Process, names: &Value) -> Result<()> {
    let what = format!("it to lack {names}");
    wait_until(&what, WITHIN, async || {
        process.readiness().await.is_ok_and(|said| said["not_ready"] == *names)
    })
    .await?;
    ensure!(process.is_live().await, "it is live all the same");
    Ok(())
}

/// Whoever sends requests has to notice first: until then they are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_and_collector_serve_on_for_their_delay_and_leave_while_a_campaign_runs() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let mut fleet = Fleet::start(&vhost.amqp_url, slow()).await?;
    fleet.set("TOCSIN_SHUTDOWN__DELAY_SECONDS", "3");
    // The first two were started without the delay.
    for process in [&mut fleet.api, &mut fleet.collector] {
        process.ask_to_leave()?;
        leaves_in_order(process, Duration::from_secs(25)).await?;
    }
    fleet.replace_doors().await?;
    let _planner = fleet.planner().await?;
    let _worker = fleet.worker(&Channel::ALL).await?;
    let campaign = fleet.client.send(&message("general", &Channel::ALL)).await?;
    fleet.sends_reach(10).await?;

    fleet.api.ask_to_leave()?;
    fleet.collector.ask_to_leave()?;
    for process in [&fleet.api, &fleet.collector] {
        lacks(process, &json!(["stopping"])).await?;
        ensure!(process.scrape().await?.contains("tocsin_draining 1.0\n"), "it does not say that it leaves");
    }
    fleet.client.detail(campaign).await?;
    let taken = fleet.ask("select count(*) from events").await?;
    fleet
        .until(
            "a callback to be taken meanwhile",
            &format!("count(*) > {} from events", taken.unwrap_or_default()),
        )
        .await?;
    for process in [&mut fleet.api, &mut fleet.collector] {
        leaves_in_order(process, Duration::from_secs(28)).await?;
    }
    fleet.replace_doors().await?;
    fleet.ends_well(campaign).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planner_and_worker_leave_in_the_middle_and_are_not_ready_meanwhile() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, slow()).await?;
    let mut planner = fleet.planner().await?;
    let mut worker = fleet.worker(&Channel::ALL).await?;
    wait_until("the worker to be ready", WITHIN, async || worker.process.is_ready().await).await?;
    let campaign = fleet.client.send(&message("emergency", &Channel::ALL)).await?;
    fleet.sends_reach(10).await?;
    worker.process.ask_to_leave()?;
    planner.ask_to_leave()?;
    leaves_in_order(&mut worker.process, Duration::from_secs(25)).await?;
    leaves_in_order(&mut planner, Duration::from_secs(25)).await?;
    let open = fleet.ask("select count(*) from attempts where state in (1, 4)").await?;
    ensure!(open.as_deref() == Some("0"), "{open:?} requests are open");
    let leases = fleet
        .ask(
            "select (select count(*) from leases)
         + (select count(*) from planner_leases where expires_at > clock_timestamp())",
        )
        .await?;
    ensure!(leases.as_deref() == Some("0"), "{leases:?} leases and duties are left");

    let _planner = fleet.planner().await?;
    let _worker = fleet.worker(&Channel::ALL).await?;
    fleet.ends_well(campaign).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_names_what_is_not_there() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, Settings::default()).await?;
    let mut environment = fleet.environment();
    environment.insert("AMQP_URL".to_owned(), "amqp://guest:guest@127.0.0.1:1/%2f".to_owned());
    let served = "health and metrics are served";
    let planner = start(&["planner"], &environment, served).await?;
    let worker = start(&["worker", "--channel", "sms"], &environment, served).await?;
    for process in [&planner, &worker] {
        lacks(process, &json!(["broker"])).await?;
        let scrape = process.scrape().await?;
        ensure!(scrape.contains("tocsin_dependency_up{dependency=\"broker\"} 0.0\n"), "{scrape}");
        ensure!(scrape.contains("tocsin_dependency_up{dependency=\"store\"} 1.0\n"), "{scrape}");
    }
    Ok(())
}

/// A deploy migrates first. A process that is too new for the database says what to do, and does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_role_starts_on_a_schema_that_is_older_than_it_needs() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, Settings::default()).await?;
    let planner = fleet.planner().await?;
    let needed = tocsin_store::schema_version();
    fleet.ask(&format!("delete from refinery_schema_history where version = {needed}")).await?;
    let roles: [&[&str]; 4] =
        [&["api"], &["planner"], &["worker", "--channel", "sms"], &["status-collector"]];
    let mut environment = fleet.environment();
    for listen in ["TOCSIN_API__LISTEN", "TOCSIN_COLLECTOR__LISTEN"] {
        environment.insert(listen.to_owned(), "127.0.0.1:0".to_owned());
    }
    for role in roles {
        let mut process = Process::start(role, &environment)?;
        let left = process.left().await?;
        ensure!(left.code() == Some(1), "{role:?} left with {left}");
        let says = format!("this program needs {needed}: run `tocsin migrate`");
        wait_until("its last words", WITHIN, async || process.has_said(&says)).await?;
    }
    // Whoever runs already says so, too, and goes on.
    lacks(&planner, &json!(["store"])).await?;
    lacks(&fleet.api, &json!(["store"])).await?;
    Ok(())
}
