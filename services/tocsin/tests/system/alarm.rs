//! RabbitMQ's own alarm, raised on a node that is the test's alone: it is told of, and nothing is lost when it is over.

use anyhow::{Result, ensure};
use tocsin_domain::Channel;
use tocsin_testkit::{PrivateRabbit, wait_until};

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::facts::WITHIN;
use crate::fleet::{Fleet, Settings};
use crate::process::Process;

const PHONES: usize = DEVICES - SHARED_PHONES;

const WELL: &str = "tocsin_broker_alarm 0.0";
const ALARM: &str = "tocsin_broker_alarm 1.0";

struct Planner<'a>(&'a Process);

impl Planner<'_> {
    async fn shows(&self, line: &str) -> bool {
        self.0.scrape().await.is_ok_and(|scrape| scrape.lines().any(|shown| shown == line))
    }

    async fn comes_to_show(&self, line: &str) -> Result<()> {
        wait_until(line, WITHIN, async || self.shows(line).await).await?;
        Ok(())
    }

    fn sessions(&self) -> usize {
        self.0.lines("broker session opened").len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_takes_nothing_is_told_of_and_nothing_is_lost_when_it_does_again() -> Result<()> {
    let rabbit = PrivateRabbit::start().await?;
    let fleet = Fleet::start(&rabbit.amqp_url, Settings::default()).await?;
    let process = fleet.planner().await?;
    let planner = Planner(&process);
    let worker = fleet.worker(&[Channel::Sms]).await?;
    planner.comes_to_show(WELL).await?;

    // At a quiet hour too: nobody publishes anything.
    rabbit.raise_memory_alarm().await?;
    planner.comes_to_show(ALARM).await?;

    // The api goes on, and so does the planner, which would not be mended by leaving it alone. Nothing is released.
    let campaign = fleet.client.send(&message("general", &[Channel::Sms])).await?;
    let tried = "exists (select from jobs where generation > 0)";
    fleet.until("its jobs to be released, and taken back", tried).await?;
    let before = planner.sessions();
    wait_until("the planner to have tried anew", WITHIN, async || planner.sessions() > before + 1).await?;
    ensure!(planner.shows(ALARM).await, "the alarm is forgotten with a session");
    for process in [&process, &worker.process] {
        ensure!(process.is_ready().await, "{}", process.readiness().await?);
    }
    ensure!(fleet.simulator.sends().is_empty(), "{} sends", fleet.simulator.sends().len());

    rabbit.clear_memory_alarm().await?;
    planner.comes_to_show(WELL).await?;
    fleet.ends_well(campaign).await?;
    ensure!(fleet.simulator.sends().len() == PHONES, "{} sends", fleet.simulator.sends().len());
    Ok(())
}
