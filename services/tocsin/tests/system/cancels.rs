//! Many cancels and many workers: every process hears every one, and nobody needs to (promise 3).

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use tocsin_domain::{CampaignId, Channel};
use tocsin_queue::topology::CONTROL_EXCHANGE;
use tocsin_testkit::simulator::{ChannelScenario, Delay, Scenario};
use tocsin_testkit::{TestVhost, wait_until};

use crate::district::{DEVICES, message};
use crate::facts::{DOUBT_IS_OVER, WITHIN};
use crate::fleet::{Fleet, Settings, Worker};

const WORKERS: usize = 8;
const CAMPAIGNS: usize = 22;

/// One request of a worker at a time, and each takes a while: nearly all is unsent when the cancels come, and every
/// worker holds jobs that wait for its next request.
fn settings() -> Settings {
    let email = ChannelScenario { latency: Delay::Fixed(1_000), ..ChannelScenario::default() };
    let scenario = Scenario { email, ..Scenario::default() };
    Settings { scenario, rate_per_second: None, in_flight_max: Some(1) }
}

async fn workers(fleet: &Fleet) -> Result<Vec<Worker>> {
    let mut workers = Vec::with_capacity(WORKERS);
    for _ in 0..WORKERS {
        workers.push(fleet.worker(&[Channel::Email]).await?);
    }
    Ok(workers)
}

async fn campaigns(fleet: &Fleet, count: usize) -> Result<Vec<CampaignId>> {
    let mut campaigns = Vec::with_capacity(count);
    for _ in 0..count {
        campaigns.push(fleet.client.send(&message("general", &[Channel::Email])).await?);
    }
    fleet
        .until("every campaign to be sending", &format!("count(*) = {count} from campaigns where state = 3"))
        .await?;
    Ok(campaigns)
}

/// The campaigns whose cancel this worker heard.
fn heard(worker: &Worker) -> BTreeSet<String> {
    let lines = worker.process.lines("cancel heard");
    let by_it = lines.iter().filter(|line| line["worker.id"] == worker.id.as_str());
    by_it.filter_map(|line| line["campaign.id"].as_str().map(str::to_owned)).collect()
}

async fn canceled_unsent(fleet: &Fleet, campaigns: &[CampaignId]) -> Result<()> {
    for campaign in campaigns {
        fleet.ends_well(*campaign).await?;
    }
    let all = campaigns.len() * DEVICES;
    let sends = fleet.simulator.sends().len();
    ensure!(sends < all / 2, "{sends} of {all} devices were reached in spite of the cancels");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_eight_workers_hears_each_of_22_cancels() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, settings()).await?;
    let _planner = fleet.planner().await?;
    let workers = workers(&fleet).await?;
    let campaigns = campaigns(&fleet, CAMPAIGNS).await?;
    for campaign in &campaigns {
        fleet.client.cancel(*campaign).await?;
    }
    let all: BTreeSet<String> = campaigns.iter().map(CampaignId::to_string).collect();
    for worker in &workers {
        wait_until("the worker to hear every cancel", WITHIN, async || heard(worker) == all)
            .await
            .with_context(|| {
                format!("worker {} heard {} of {}", worker.id, heard(worker).len(), all.len())
            })?;
    }
    canceled_unsent(&fleet, &campaigns).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_nobody_hears_is_obeyed_all_the_same() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, settings()).await?;
    let _planner = fleet.planner().await?;
    let workers = workers(&fleet).await?;
    let campaigns = campaigns(&fleet, 3).await?;
    // The exchange is cut while cancels are under way: one was heard by all.
    let (before, after) = campaigns.split_at(1);
    fleet.client.cancel(before[0]).await?;
    let heard_before: BTreeSet<String> = before.iter().map(CampaignId::to_string).collect();
    for worker in &workers {
        wait_until("the worker to hear the cancel", WITHIN, async || heard(worker) == heard_before).await?;
    }
    unbind_control(&vhost.amqp_url).await?;
    let held = "select count(*) from jobs where state = 2";
    let queued = fleet.ask(held).await?.context("no count")?;
    ensure!(queued != "0", "no job is with the workers when the cancels come");
    for campaign in after {
        fleet.client.cancel(*campaign).await?;
    }
    // The jobs that the workers hold come to a claim, and are refused.
    let refused = || workers.iter().map(|worker| worker.process.lines("claim denied").len()).sum::<usize>();
    wait_until("claims to be denied", WITHIN, async || refused() > 0).await?;
    canceled_unsent(&fleet, &campaigns).await?;
    for worker in &workers {
        ensure!(heard(worker) == heard_before, "worker {} heard a cancel of the cut exchange", worker.id);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_restarted_during_a_cancel_obeys_it() -> Result<()> {
    let vhost = TestVhost::create().await?;
    let fleet = Fleet::start(&vhost.amqp_url, settings()).await?;
    let planner = fleet.planner().await?;
    let mut killed = fleet.worker(&[Channel::Email]).await?;
    let campaigns = campaigns(&fleet, 2).await?;
    fleet.sends_reach(1).await?;
    // Without a planner nothing is swept: the jobs stay queued, and their messages with the broker.
    drop(planner);
    killed.process.kill()?;
    for campaign in &campaigns {
        fleet.client.cancel(*campaign).await?;
    }
    let sends = fleet.simulator.sends().len();
    // It was not there when the cancels were broadcast, and gets the messages of their jobs.
    let restarted = fleet.worker(&[Channel::Email]).await?;
    let screened = "select count(*) from jobs where state = 2";
    let queued = fleet.ask(screened).await?.context("no count")?;
    ensure!(queued != "0", "no job was queued when the worker came back");
    let _planner = fleet.planner().await?;
    let asking = format!("worker_id = '{}' and state in (1, 4)", killed.id);
    fleet.age_attempts(&asking, DOUBT_IS_OVER).await?;
    for campaign in &campaigns {
        fleet.ends_well(*campaign).await?;
    }
    let after = fleet.simulator.sends().len();
    ensure!(after == sends, "{} sends after the cancels", after - sends);
    // It knew them when it took its first job: nothing came to a claim.
    let denied = restarted.process.lines("claim denied").len();
    ensure!(denied == 0, "{denied} claims were asked for jobs of canceled campaigns");
    Ok(())
}

/// Deletes the control exchange, which takes every binding with it, and declares it anew: what is published there
/// from now on reaches no queue that was bound before.
async fn unbind_control(amqp_url: &str) -> Result<()> {
    use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions};
    let connection = lapin::Connection::connect(amqp_url, lapin::ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.exchange_delete(CONTROL_EXCHANGE.into(), ExchangeDeleteOptions::default()).await?;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let (kind, arguments) = (lapin::ExchangeKind::Fanout, lapin::types::FieldTable::default());
    channel.exchange_declare(CONTROL_EXCHANGE.into(), kind, durable, arguments).await?;
    connection.close(200, "done".into()).await?;
    Ok(())
}
