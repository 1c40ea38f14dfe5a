//! `chaos`: for a bounded time one thing after the other is broken, by lot, while campaigns run.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde::Serialize;
use tocsin_domain::{CampaignId, Channel, Lane};
use tocsin_queue::{Broker as _, Queue, RabbitBroker};
use tocsin_runtime::Stopwatch;
use tocsin_testkit::Stalls;
use tocsin_testkit::promises::COMMIT_MARGIN;
use tocsin_testkit::simulator::{Faults, Scenario};

use super::delivered_after;
use crate::campaign::{self, Kind};
use crate::checker::{self, Broken};
use crate::district::District;
use crate::findings::Findings;
use crate::options::{Options, Sizes, positive};
use crate::probe::Probe;
use crate::progress::Progress;
use crate::stage::{Limits, Role, Setup, Stage, Wait, Wiring, Workers};

const IN_FLIGHT: usize = 200;
const LATENCY_MS: u64 = 50;
/// A fault lasts, and the calm after it.
const FAULT_SECONDS: std::ops::Range<f64> = 0.5..2.5;
const CALM_SECONDS: std::ops::Range<f64> = 1.0..2.5;
/// Of the callbacks' last retries and what they bring.
const CALLBACKS_WITHIN: Duration = Duration::from_secs(60);
const TRIED_WITHIN: Duration = Duration::from_secs(180);
const RECOVERED: f64 = 0.8;
const RECOVERY_WITHIN: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Jobs of the campaign that is sent whole, and of the one that is canceled.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    jobs: usize,
    #[arg(long, default_value_t = 3, value_name = "N")]
    workers: usize,
    /// How long things are broken. The account's limit is such that the jobs last as long.
    #[arg(long, default_value_t = 40.0, value_name = "S")]
    seconds: f64,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Fault {
    KillApi,
    KillCollector,
    KillPlanner,
    KillWorker,
    CutBroker,
    EmptyBroker,
    CutDatabase,
    ProviderDown,
    ProviderHangs,
    ProviderDropsAnswers,
}

const FAULTS: [Fault; 10] = [
    Fault::KillApi,
    Fault::KillCollector,
    Fault::KillPlanner,
    Fault::KillWorker,
    Fault::CutBroker,
    Fault::EmptyBroker,
    Fault::CutDatabase,
    Fault::ProviderDown,
    Fault::ProviderHangs,
    Fault::ProviderDropsAnswers,
];

/// One fault as it happened.
#[derive(Debug, Serialize)]
struct Happened {
    fault: Fault,
    at_seconds: f64,
    lasted_seconds: f64,
}

pub async fn run(args: &Args) -> Result<Findings> {
    Sizes { jobs: args.jobs, workers: args.workers, in_flight: IN_FLIGHT }.check()?;
    positive("--seconds", args.seconds)?;
    args.options.target.own_only("chaos")?;
    let rate = (args.jobs as f64 / args.seconds).max(1.0);
    let setup = Setup {
        scenario: delivered_after(LATENCY_MS),
        limits: Limits { rate_per_second: Some(rate), burst: None },
        workers: Workers::of(args.workers),
        in_flight: IN_FLIGHT,
        wiring: Wiring::All,
        call_places: None,
    };
    let mut stage = Stage::start(&args.options, setup).await?;
    let probe = Probe::connect(&stage.ground.database_url, &stage.tasks).await?;
    let (whole, half) = (stage.district(args.jobs).await?, stage.district(args.jobs).await?);
    let kept = campaign::send(&whole, Kind::General).await?;
    let canceled = campaign::send(&half, Kind::General).await?;
    let stalls = Stalls::watch(&stage.tasks);
    let happened = break_things(&mut stage, args, &half, canceled).await?;
    let recovery = recovery(&stage, rate).await;

    probe.all_tried(TRIED_WITHIN).await?;
    stage.simulator.callbacks_done(CALLBACKS_WITHIN).await?;
    probe.end_doubts().await?;
    stage.closed("chaos", &[kept, canceled], Wait::for_requests(args.jobs)).await?;
    let broken = checker::examine(&stage, &[kept, canceled], COMMIT_MARGIN + stalls.worst()).await?;
    let findings = findings(args, broken, recovery, happened);
    stage.stop().await;
    Ok(findings)
}

/// Breaks one thing after the other, mends each, and cancels the second campaign in the middle.
async fn break_things(
    stage: &mut Stage,
    args: &Args,
    district: &District,
    canceled: CampaignId,
) -> Result<Vec<Happened>> {
    let mut random = StdRng::seed_from_u64(args.options.seed);
    let began = Stopwatch::start();
    let progress = Progress::new("chaos", args.seconds as usize);
    let mut happened = Vec::new();
    let mut deck = Vec::new();
    let mut cancel_due = true;
    while began.elapsed().as_secs_f64() < args.seconds {
        tokio::time::sleep(Duration::from_secs_f64(random.random_range(CALM_SECONDS))).await;
        if cancel_due && began.elapsed().as_secs_f64() > args.seconds / 2.0 {
            district.client.cancel(canceled, "load test", "chaos").await?;
            cancel_due = false;
        }
        // Each once before any comes again.
        if deck.is_empty() {
            deck.extend(FAULTS);
            deck.shuffle(&mut random);
        }
        let fault = deck.pop().context("no faults")?;
        let lasting = Duration::from_secs_f64(random.random_range(FAULT_SECONDS));
        let at_seconds = began.elapsed().as_secs_f64();
        strike(stage, fault, lasting, args.options.seed).await?;
        let lasted_seconds = began.elapsed().as_secs_f64() - at_seconds;
        happened.push(Happened { fault, at_seconds, lasted_seconds });
        progress.at(began.elapsed().as_secs() as usize);
    }
    if cancel_due {
        district.client.cancel(canceled, "load test", "chaos").await?;
    }
    Ok(happened)
}

/// One fault from its beginning to its end.
async fn strike(stage: &mut Stage, fault: Fault, lasting: Duration, seed: u64) -> Result<()> {
    match fault {
        Fault::KillApi => kill(stage, Role::Api, lasting).await,
        Fault::KillCollector => kill(stage, Role::Collector, lasting).await,
        Fault::KillPlanner => kill(stage, Role::Planner, lasting).await,
        Fault::KillWorker => kill(stage, Role::Worker, lasting).await,
        Fault::CutBroker | Fault::CutDatabase => {
            let wires = &stage.own_fleet()?.wires;
            let wire = if fault == Fault::CutBroker { &wires.broker } else { &wires.database };
            let wire = wire.as_ref().context("no wire")?;
            wire.cut();
            tokio::time::sleep(lasting).await;
            wire.mend();
            Ok(())
        }
        Fault::EmptyBroker => {
            let session = RabbitBroker::new(&stage.ground.amqp_url)?.connect("chaos").await?;
            session.purge(Queue::Jobs(Channel::Sms, Lane::General)).await?;
            session.close().await;
            Ok(())
        }
        Fault::ProviderDown => {
            ail(stage, Faults { server_error: 1.0, ..Faults::default() }, lasting, seed).await
        }
        Fault::ProviderHangs => ail(stage, Faults { hang: 0.5, ..Faults::default() }, lasting, seed).await,
        Fault::ProviderDropsAnswers => {
            ail(stage, Faults { dropped: 0.5, ..Faults::default() }, lasting, seed).await
        }
    }
}

async fn kill(stage: &mut Stage, role: Role, away: Duration) -> Result<()> {
    let fleet = stage.own_fleet()?;
    fleet.kill(role)?;
    tokio::time::sleep(away).await;
    fleet.add(role).await
}

async fn ail(stage: &Stage, faults: Faults, lasting: Duration, seed: u64) -> Result<()> {
    let well = Scenario { seed, ..delivered_after(LATENCY_MS) };
    let mut ill = well.clone();
    ill.sms.faults = faults;
    stage.simulator.set_scenario(ill)?;
    tokio::time::sleep(lasting).await;
    stage.simulator.set_scenario(well)
}

/// Seconds until a whole second came close to the limit again; None where there was nothing left to do, or in vain.
async fn recovery(stage: &Stage, rate: f64) -> Option<f64> {
    let ended = Stopwatch::start();
    let watching = async {
        loop {
            let before = stage.simulator.requests();
            tokio::time::sleep(SECOND).await;
            if (stage.simulator.requests() - before) as f64 >= rate * RECOVERED {
                return ended.elapsed().as_secs_f64();
            }
        }
    };
    tokio::time::timeout(RECOVERY_WITHIN, watching).await.ok()
}

fn findings(args: &Args, broken: Broken, recovery: Option<f64>, happened: Vec<Happened>) -> Findings {
    let mut findings = Findings::new("chaos");
    findings
        .figure("jobs", args.jobs)
        .figure("workers", args.workers)
        .figure("lost", broken.promises.lost.len())
        .figure("duplicates", broken.promises.sent_twice.len())
        .figure("sent_after_cancel", broken.promises.sent_after_cancel.len())
        .figure("drift", broken.drift.len())
        .figure("recovery_seconds", recovery)
        .figure("faults", happened)
        .violations(broken.lines());
    if recovery.is_none() {
        findings.note("recovery_seconds is null: no second came close to the limit after the last fault");
    }
    findings
}
