//! A worker is killed, or frozen for longer than its lease and `send_by`, at every step of a job's way: while it waits
//! for a permit, claims, settles, takes its last look, sends, records. Every device ends with one outcome, nobody is
//! sent anything twice, and of what was claimed nothing is sent too late (promises 1 and 2).
//!
//! No time is guessed: that a step is reached is seen in the store or at the provider.

use anyhow::{Context as _, Result, ensure};
use tocsin_domain::{CampaignId, Channel, Outcome};
use tocsin_testkit::TestVhost;
use tocsin_testkit::promises::Facts;
use tocsin_testkit::simulator::{ChannelScenario, Delay, Scenario};

use crate::district::{DEVICES, SHARED_PHONES, message};
use crate::facts::{DOUBT_IS_OVER, EVERY_JOB_TRIED};
use crate::fleet::{Fleet, Settings, Worker};
use crate::held::{CLAIM, CONTENTS, Point, RECORD, claims_are_committed};
use crate::process::Process;

const PHONES: usize = DEVICES - SHARED_PHONES;

/// Where the worker is when something happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Jobs wait for a place: one request is open, and no more may be.
    Permit,
    /// The claim is under way, and not committed.
    Claim,
    /// The messages of a committed claim are acknowledged, and no request is begun.
    LastLook,
    /// Requests are open.
    Send,
    /// Requests are answered, and no outcome is written.
    Record,
}

impl Step {
    /// Where requests shall be open when the worker is stopped, they take long.
    fn settings(self) -> Settings {
        let (latency, in_flight_max) = match self {
            Self::Permit => (Delay::Fixed(600), 1),
            Self::Send => (Delay::Fixed(2_000), 8),
            Self::Claim | Self::LastLook | Self::Record => (Delay::Fixed(0), 8),
        };
        let sms = ChannelScenario { latency, ..ChannelScenario::default() };
        let scenario = Scenario { sms, ..Scenario::default() };
        Settings { scenario, rate_per_second: None, in_flight_max: Some(in_flight_max) }
    }

    fn point(self) -> Option<Point> {
        match self {
            Self::Permit | Self::Send => None,
            Self::Claim => Some(CLAIM),
            Self::LastLook => Some(CONTENTS),
            Self::Record => Some(RECORD),
        }
    }
}

/// A system whose one worker was stopped at a step.
struct Stopped {
    fleet: Fleet,
    worker: Worker,
    campaign: CampaignId,
    _planner: Process,
    _vhost: TestVhost,
}

impl Stopped {
    async fn at(step: Step, stop: impl AsyncFnOnce(&mut Process) -> Result<()>) -> Result<Self> {
        let vhost = TestVhost::create().await?;
        let fleet = Fleet::start(&vhost.amqp_url, step.settings()).await?;
        let mut worker = fleet.worker(&[Channel::Sms]).await?;
        // Nothing comes of it as long as there is no planner.
        let campaign = fleet.client.send(&message("general", &[Channel::Sms])).await?;
        let planner = match step.point() {
            None => {
                let planner = fleet.planner().await?;
                fleet.sends_reach(1).await?;
                stop(&mut worker.process).await?;
                planner
            }
            Some(point) => {
                let until_reached = async || {
                    let planner = fleet.planner().await?;
                    point.reached(&fleet).await?;
                    stop(&mut worker.process).await?;
                    Ok(planner)
                };
                point.held(&fleet, until_reached).await?
            }
        };
        Ok(Self { fleet, worker, campaign, _planner: planner, _vhost: vhost })
    }

    /// Another worker does what is left to do, and what the killed one had claimed settles.
    async fn another_does_the_rest(&self) -> Result<Facts> {
        let fleet = &self.fleet;
        let _survivor = fleet.worker(&[Channel::Sms]).await?;
        fleet.until("the other worker to have done the rest", EVERY_JOB_TRIED).await?;
        let open = format!("worker_id = '{}' and state in (1, 4)", self.worker.id);
        fleet.age_attempts(&open, DOUBT_IS_OVER).await?;
        fleet.ends_well(self.campaign).await
    }

    /// The worker is frozen until nothing that it was granted is valid any more, thaws, and does what is left to do.
    async fn thaws_too_late(&self) -> Result<Facts> {
        let fleet = &self.fleet;
        let over = format!(
            "not exists (select from attempts where state = 1 and send_by >= tocsin_now())
             and not exists (select from leases where worker_id = '{}' and expires_at >= tocsin_now())",
            self.worker.id
        );
        fleet.until("send_by and the lease to be over", &over).await?;
        self.worker.process.thaw()?;
        fleet.ends_well(self.campaign).await
    }

    async fn claimed(&self) -> Result<usize> {
        self.attempts("state is not null").await
    }

    /// What has no answer on record.
    async fn asking(&self) -> Result<usize> {
        self.attempts("state = 1").await
    }

    async fn attempts(&self, which: &str) -> Result<usize> {
        let count =
            format!("select count(*) from attempts where worker_id = '{}' and {which}", self.worker.id);
        Ok(self.fleet.ask(&count).await?.context("no count")?.parse()?)
    }
}

async fn killed_at(step: Step) -> Result<Stopped> {
    Stopped::at(step, async |worker| worker.kill()).await
}

async fn frozen_at(step: Step) -> Result<Stopped> {
    Stopped::at(step, async |worker| worker.freeze()).await
}

fn ended_as(facts: &Facts, outcome: Outcome) -> usize {
    facts.jobs.iter().filter(|job| job.outcome == Some(outcome)).count()
}

fn attempts_as(facts: &Facts, outcome: Outcome) -> usize {
    facts.attempts.iter().filter(|attempt| attempt.outcome == Some(outcome)).count()
}

/// Every phone has one text, at the first request.
fn every_phone_has_its_text(stopped: &Stopped, facts: &Facts) -> Result<()> {
    let sends = stopped.fleet.simulator.sends().len();
    ensure!(sends == PHONES, "{sends} sends to {PHONES} phones");
    let delivered = ended_as(facts, Outcome::Delivered);
    ensure!(delivered == PHONES, "{delivered} of {PHONES} phones have their text");
    Ok(())
}

/// What was claimed and never asked ends without a status: nobody can say that it was not asked.
fn claims_are_unknown(stopped: &Stopped, claimed: usize, facts: &Facts) -> Result<()> {
    let unknown = ended_as(facts, Outcome::NoCallStatus);
    ensure!(unknown == claimed, "{unknown} devices are unknown, {claimed} were claimed");
    let sends = stopped.fleet.simulator.sends().len();
    ensure!(sends == PHONES - claimed, "{sends} sends, {claimed} of {PHONES} were claimed and never asked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_jobs_wait_for_a_permit() -> Result<()> {
    let stopped = killed_at(Step::Permit).await?;
    let claimed = stopped.claimed().await?;
    ensure!(claimed == 1, "{claimed} claims with one place");
    let facts = stopped.another_does_the_rest().await?;
    every_phone_has_its_text(&stopped, &facts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_claim_is_under_way() -> Result<()> {
    let stopped = killed_at(Step::Claim).await?;
    // Whether the store commits what it was asked or rolls it back, each claim on record is an attempt in doubt, and
    // whoever has none is sent their text.
    CLAIM.passed(&stopped.fleet).await?;
    let claimed = stopped.claimed().await?;
    let facts = stopped.another_does_the_rest().await?;
    claims_are_unknown(&stopped, claimed, &facts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_a_claims_commit_and_its_answer() -> Result<()> {
    let mut stopped = frozen_at(Step::Claim).await?;
    claims_are_committed(&stopped.fleet).await?;
    let claimed = stopped.claimed().await?;
    ensure!(claimed > 0, "nothing is claimed");
    stopped.worker.process.kill()?;
    // The messages were not acknowledged: the other worker gets them, and is denied.
    let facts = stopped.another_does_the_rest().await?;
    claims_are_unknown(&stopped, claimed, &facts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_last_look() -> Result<()> {
    let stopped = killed_at(Step::LastLook).await?;
    let claimed = stopped.claimed().await?;
    ensure!(claimed > 0, "nothing is claimed");
    let facts = stopped.another_does_the_rest().await?;
    claims_are_unknown(&stopped, claimed, &facts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_requests_are_open() -> Result<()> {
    let stopped = killed_at(Step::Send).await?;
    ensure!(stopped.asking().await? > 0, "no request is open");
    let facts = stopped.another_does_the_rest().await?;
    let unknown = ended_as(&facts, Outcome::NoCallStatus);
    let delivered = ended_as(&facts, Outcome::Delivered);
    ensure!(delivered + unknown == PHONES, "{delivered} delivered and {unknown} unknown of {PHONES}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_outcomes_are_recorded() -> Result<()> {
    let stopped = killed_at(Step::Record).await?;
    // What the provider had accepted, its callbacks tell.
    let facts = stopped.another_does_the_rest().await?;
    let unknown = ended_as(&facts, Outcome::NoCallStatus);
    let sends = stopped.fleet.simulator.sends().len();
    ensure!(ended_as(&facts, Outcome::Delivered) == sends, "{sends} sends, {unknown} unknown");
    ensure!(sends + unknown == PHONES, "{sends} sends and {unknown} unknown of {PHONES}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_while_jobs_wait_for_a_permit() -> Result<()> {
    let stopped = frozen_at(Step::Permit).await?;
    let facts = stopped.thaws_too_late().await?;
    every_phone_has_its_text(&stopped, &facts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_while_a_claim_is_under_way() -> Result<()> {
    let stopped = frozen_at(Step::Claim).await?;
    claims_are_committed(&stopped.fleet).await?;
    let claimed = stopped.claimed().await?;
    let facts = stopped.thaws_too_late().await?;
    let not_asked = attempts_as(&facts, Outcome::NotAsked);
    ensure!(not_asked == claimed, "{not_asked} of {claimed} claims are recorded as not asked");
    every_phone_has_its_text(&stopped, &facts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_before_the_last_look() -> Result<()> {
    let stopped = frozen_at(Step::LastLook).await?;
    let claimed = stopped.claimed().await?;
    ensure!(claimed > 0, "nothing is claimed");
    let facts = stopped.thaws_too_late().await?;
    let not_asked = attempts_as(&facts, Outcome::NotAsked);
    ensure!(not_asked >= claimed, "{not_asked} of {claimed} claims are recorded as not asked");
    every_phone_has_its_text(&stopped, &facts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_while_requests_are_open() -> Result<()> {
    let stopped = frozen_at(Step::Send).await?;
    let facts = stopped.thaws_too_late().await?;
    every_phone_has_its_text(&stopped, &facts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_before_outcomes_are_recorded() -> Result<()> {
    let stopped = frozen_at(Step::Record).await?;
    let facts = stopped.thaws_too_late().await?;
    every_phone_has_its_text(&stopped, &facts)
}
