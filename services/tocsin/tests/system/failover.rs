//! Two accounts of one channel: one fails, and the other does its work; it comes back by steps; its provider refuses it,
//! and nothing waits for it. Nothing is lost and nothing sent twice, by the records of both providers (promises 1 and 2).

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tocsin_domain::failover::Health;
use tocsin_domain::{CampaignId, Channel, Outcome};
use tocsin_providers::{AccountSettings, Secret};
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_store::accounts::Account;
use tocsin_testkit::promises::Facts;
use tocsin_testkit::simulator::{Delay, Record, Scenario, Simulator, SimulatorConfig};
use tocsin_testkit::wait_until;

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::facts::{WITHIN, closed, outcomes, promises_hold};
use crate::journeys::stage::{BrokerKind, Stage};

const PHONES: usize = DEVICES - SHARED_PHONES;
/// Campaigns that are sent until one of their messages is the first of an account on trial.
const TRIALS_MAX: usize = 10;
/// Of the simulator that the system starts with.
const FIRST: &str = "sms";

/// A system whose texts two providers may send.
struct Two {
    stage: Stage,
    second: Simulator,
}

impl Two {
    async fn set(first: Scenario) -> Result<Self> {
        let second = Simulator::start(SimulatorConfig::default()).await?;
        let account = second.account(Channel::Sms).context("texts have a vendor")?;
        let other = AccountSettings { name: "sms-2".to_owned(), ..account };
        let stage = Stage::set_beside(BrokerKind::RabbitMq, first, Vec::new(), vec![other]).await?;
        Ok(Self { stage, second })
    }

    fn first(&self) -> &Simulator {
        &self.stage.system.simulator
    }

    /// How many requests to text somebody each of them had.
    fn sends(&self) -> (usize, usize) {
        (self.first().sends().len(), self.second.sends().len())
    }

    fn records(&self) -> Vec<Record> {
        [self.first().records(), self.second.records()].concat()
    }

    async fn send(&self) -> Result<CampaignId> {
        self.stage.client.send(&message("general", &[Channel::Sms])).await
    }

    async fn ends(&self, campaign: CampaignId) -> Result<Facts> {
        let system = &self.stage.system;
        closed(&system.store, campaign).await?;
        promises_hold(&system.store, &self.records(), &system.token_keys, campaign).await
    }

    /// Sends a campaign, and requires that everybody had the text. Returns how many were sent by each.
    async fn everybody_is_reached(&self) -> Result<(usize, usize)> {
        let before = self.sends();
        let facts = self.ends(self.send().await?).await?;
        let reached = outcomes(&facts, Channel::Sms).get(&Outcome::Delivered).copied();
        ensure!(reached == Some(PHONES), "{:?}", outcomes(&facts, Channel::Sms));
        let after = self.sends();
        Ok((after.0 - before.0, after.1 - before.1))
    }

    async fn account(&self) -> Result<Account> {
        let accounts = self.stage.system.store.accounts().await?;
        accounts.into_iter().find(|account| account.limits.name == FIRST).context("no such account")
    }

    async fn first_becomes(&self, what: &str, is_so: impl Fn(&Account) -> bool) -> Result<()> {
        let mut seen = None;
        let reached = wait_until(what, WITHIN, async || {
            seen = self.account().await.ok();
            seen.as_ref().is_some_and(&is_so)
        });
        reached.await.with_context(|| format!("found {seen:?}"))
    }

    async fn strike(self) -> Result<()> {
        self.second.stop().await;
        self.stage.strike().await
    }
}

fn failing() -> Scenario {
    let mut scenario = Scenario::default();
    scenario.sms.faults.server_error = 1.0;
    scenario
}

fn rests(account: &Account) -> bool {
    account.health.given() == Health::Resting
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_answers_with_errors_gives_way_and_comes_back_by_steps() -> Result<()> {
    let two = Two::set(failing()).await?;
    let campaign = two.send().await?;
    two.first_becomes("the account to rest", rests).await?;
    // In doubt is only what was asked before that was known, and nobody is asked twice.
    two.stage.end_doubt().await?;
    let facts = two.ends(campaign).await?;
    let reached = outcomes(&facts, Channel::Sms).get(&Outcome::Delivered).copied().unwrap_or_default();
    let (asked_first, asked_second) = two.sends();
    ensure!(reached == asked_second && asked_first + asked_second == PHONES, "{:?}", two.sends());

    ensure!(two.everybody_is_reached().await? == (0, PHONES), "nothing goes to an account that rests");

    two.first().set_scenario(Scenario::default())?;
    // By the store's clock: it has rested, and then has been long enough on each step.
    let steps = [(32, Health::Quarter), (50, Health::Half), (68, Health::Full)];
    for (seconds, health) in steps {
        two.stage.shift_clock(Duration::from_secs(seconds)).await?;
        let (mut by_first, mut by_second) = two.everybody_is_reached().await?;
        if health == Health::Quarter {
            // Until its workers have heard that it may be tried they give back what is released to it.
            for _ in 0..TRIALS_MAX {
                if by_first > 0 {
                    break;
                }
                (by_first, by_second) = two.everybody_is_reached().await?;
            }
            ensure!(by_first > 0 && by_first < by_second, "on trial: {by_first} and {by_second}");
            two.stage.shift_clock(Duration::from_secs(seconds + 16)).await?;
        }
        two.first_becomes("the next step", |account| account.health.health >= health).await?;
    }
    let (by_first, by_second) = two.everybody_is_reached().await?;
    ensure!(by_first >= PHONES / 4 && by_second >= PHONES / 4, "they share: {by_first} and {by_second}");
    two.strike().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_answers_slowly_gives_way_before_its_answers_come() -> Result<()> {
    let mut slow = Scenario::default();
    slow.sms.latency = Delay::Fixed(9_000);
    let two = Two::set(slow).await?;
    let campaign = two.send().await?;
    two.first_becomes("the account to rest", rests).await?;
    ensure!(two.everybody_is_reached().await? == (0, PHONES));
    let facts = two.ends(campaign).await?;
    ensure!(outcomes(&facts, Channel::Sms).get(&Outcome::Delivered) == Some(&PHONES), "a slow answer is one");
    two.strike().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_waits_for_an_account_that_its_provider_refuses() -> Result<()> {
    let two = Two::set(Scenario::default()).await?;
    let mut refusing = Scenario::default();
    refusing.credentials.twilio_token = Secret::new("another one by now");
    two.first().set_scenario(refusing)?;
    let (by_first, by_second) = two.everybody_is_reached().await?;
    ensure!(by_first > 0 && by_second == PHONES, "whoever was refused was reached by the other");
    let account = two.account().await?;
    ensure!(account.stopped, "{account:?}");
    ensure!(account.stop_reason.is_some_and(|reason| reason.contains("refuses the account")));
    ensure!(two.everybody_is_reached().await? == (0, PHONES));
    // Put right, it sends again.
    two.first().set_scenario(Scenario::default())?;
    two.stage.system.store.resume_account(FIRST, SystemClock.now()).await?;
    let (by_first, _) = two.everybody_is_reached().await?;
    ensure!(by_first > 0);
    two.strike().await
}
