//! `chaos`: for a bounded time one thing after the other is broken, by lot, while campaigns run.

mod faults;
mod recovery;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde::Serialize;
use tocsin_domain::{CampaignId, Channel};
use tocsin_runtime::{Clock as _, Stopwatch, SystemClock};
use tocsin_testkit::Stalls;
use tocsin_testkit::promises::{self, COMMIT_MARGIN, Cause, Repeat};
use tocsin_testkit::{simulator, wait_until};

use self::faults::{Fault, deck, strike};
use super::delivered_after;
use crate::campaign::{self, Kind};
use crate::checker::{self, Broken};
use crate::district::{District, Guardians};
use crate::findings::Findings;
use crate::options::{Options, Sizes, positive};
use crate::probe::Probe;
use crate::progress::Progress;
use crate::report::{Line, Plot};
use crate::stage::{Limits, Servers, Setup, Stage, Wait, Wiring, Workers};
use crate::stats::per_step;

const IN_FLIGHT: usize = 200;
const LATENCY_MS: u64 = 50;
/// A fault lasts, and the calm before the next one. A server that is started again takes its time beside that.
const FAULT_SECONDS: std::ops::Range<f64> = 0.5..2.0;
const CALM_SECONDS: std::ops::Range<f64> = 0.2..1.0;
/// People warned just before each fault, so that every fault meets an emergency.
const WARNED: usize = 40;
/// Of the callbacks' last retries and what they bring.
const CALLBACKS_WITHIN: Duration = Duration::from_secs(60);
const TRIED_WITHIN: Duration = Duration::from_secs(240);
/// An emergency's doubt takes 50 s, in which it is looked up; then it is sent again.
const DOUBTS_WITHIN: Duration = Duration::from_secs(150);
/// For calls to the API, which may have just been away.
const CALL_WITHIN: Duration = Duration::from_secs(30);
const PLOT_STEP: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Jobs of the campaign that is sent whole, and of the one that is canceled.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    jobs: usize,
    #[arg(long, default_value_t = 3, value_name = "N")]
    workers: usize,
    /// How long things are broken; the account's limit is such that the jobs last as long. Once begun, a fault is mended.
    #[arg(long, default_value_t = 60.0, value_name = "S")]
    seconds: f64,
    #[command(flatten)]
    pub options: Options,
}

/// One fault as it happened.
#[derive(Debug, Serialize)]
struct Happened {
    fault: Fault,
    at_seconds: f64,
    lasted_seconds: f64,
    /// From its end to the first second close to the limit; None where none came before the next fault was due.
    recovery_seconds: Option<f64>,
    #[serde(skip)]
    from: DateTime<Utc>,
    #[serde(skip)]
    to: DateTime<Utc>,
}

/// What was sent while things broke.
struct Campaigns {
    kept: CampaignId,
    canceled: CampaignId,
    emergencies: Vec<CampaignId>,
}

impl Campaigns {
    fn all(&self) -> Vec<CampaignId> {
        [self.kept, self.canceled].into_iter().chain(self.emergencies.iter().copied()).collect()
    }
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
        servers: Servers::Own,
        ..Setup::default()
    };
    let mut stage = Stage::start(&args.options, setup).await?;
    let (whole, half) = (stage.district(args.jobs).await?, stage.district(args.jobs).await?);
    let mut campaigns = Campaigns {
        kept: campaign::send(&whole, Kind::General).await?,
        canceled: campaign::send(&half, Kind::General).await?,
        emergencies: Vec::new(),
    };
    let stalls = Stalls::watch(&stage.tasks);
    let happened = break_things(&mut stage, args, &half, &mut campaigns, rate).await?;

    // Made only now, for its connection would not have lived.
    let probe = Probe::connect(&stage.ground.database_url, &stage.tasks).await?;
    probe.all_tried(TRIED_WITHIN).await?;
    stage.simulator.callbacks_done(CALLBACKS_WITHIN).await?;
    probe.no_doubts(&campaigns.emergencies, DOUBTS_WITHIN).await?;
    probe.end_doubts().await?;
    let all = campaigns.all();
    stage.closed("chaos", &all, Wait::for_requests(args.jobs)).await?;
    let broken = checker::examine(&stage, &all, COMMIT_MARGIN + stalls.worst()).await?;
    let records = stage.simulator.records();
    let repeats =
        promises::repeats(&stage.store, &records, &stage.token_keys, &campaigns.emergencies).await?;
    let sends = records.iter().filter(|record| record.kind == simulator::Kind::Send);
    let sends: Vec<i64> = sends.map(|record| record.arrived_at.timestamp_micros()).collect();
    let mut findings = findings(args, &broken, &repeats, &happened);
    findings.violations(broken.lines()).plot(requests_over_time(&sends, rate, &happened));
    if let Some(why) = &stage.ground.shared_because {
        findings.note(format!(
            "no servers of the run's own ({why}): cut connections stand for restarts of PostgreSQL and RabbitMQ"
        ));
    }
    stage.stop().await;
    Ok(findings)
}

/// Breaks one thing after the other, mends each, and cancels the second campaign in the middle.
async fn break_things(
    stage: &mut Stage,
    args: &Args,
    half: &District,
    campaigns: &mut Campaigns,
    rate: f64,
) -> Result<Vec<Happened>> {
    let mut random = StdRng::seed_from_u64(args.options.seed);
    let began = Stopwatch::start();
    let progress = Progress::new("chaos", args.seconds as usize);
    let (mut happened, mut left) = (Vec::new(), Vec::new());
    let mut cancel_due = true;
    while began.elapsed().as_secs_f64() < args.seconds {
        tokio::time::sleep(Duration::from_secs_f64(random.random_range(CALM_SECONDS))).await;
        if cancel_due && began.elapsed().as_secs_f64() > args.seconds / 2.0 {
            cancel(half, campaigns.canceled).await?;
            cancel_due = false;
        }
        // Each once before any comes again.
        if left.is_empty() {
            left = deck(stage);
            left.shuffle(&mut random);
        }
        let fault = left.pop().context("no faults")?;
        campaigns.emergencies.push(warn(stage, args.jobs, happened.len()).await?);
        let lasting = Duration::from_secs_f64(random.random_range(FAULT_SECONDS));
        let (at_seconds, from) = (began.elapsed().as_secs_f64(), SystemClock.now());
        strike(stage, fault, lasting, args.options.seed).await?;
        let (lasted_seconds, to) = (began.elapsed().as_secs_f64() - at_seconds, SystemClock.now());
        let recovery_seconds = recovery::watch(&stage.simulator, rate).await;
        happened.push(Happened { fault, at_seconds, lasted_seconds, recovery_seconds, from, to });
        progress.at(began.elapsed().as_secs() as usize);
    }
    if cancel_due {
        cancel(half, campaigns.canceled).await?;
    }
    Ok(happened)
}

/// An emergency to people who are in no other campaign, so that a look-up of one of them is about this one alone.
async fn warn(stage: &Stage, others: usize, number: usize) -> Result<CampaignId> {
    let first = others + number * WARNED;
    let mut sent = None;
    wait_until("an emergency to be posted", CALL_WITHIN, async || {
        let posting = async {
            let guardians = Guardians { numbers: first..first + WARNED, channels: &[Channel::Sms] };
            let district = stage.district_of(guardians).await?;
            campaign::send(&district, Kind::Emergency).await
        };
        sent = posting.await.ok();
        sent.is_some()
    })
    .await?;
    sent.context("no emergency was posted")
}

/// A cancel that was not answered may have been heard: it is asked for again, which changes nothing then.
async fn cancel(district: &District, campaign: CampaignId) -> Result<()> {
    wait_until("the cancel to be answered", CALL_WITHIN, async || {
        district.client.cancel(campaign, "load test", "chaos").await.is_ok()
    })
    .await?;
    Ok(())
}

fn findings(args: &Args, broken: &Broken, repeats: &[Repeat], happened: &[Happened]) -> Findings {
    let mut causes: BTreeMap<Cause, usize> = BTreeMap::new();
    repeats.iter().for_each(|repeat| *causes.entry(repeat.cause).or_default() += 1);
    let without_doubt = repeats.iter().filter(|repeat| !repeat.cause.is_doubt());
    let recoveries: Vec<f64> = happened.iter().filter_map(|happened| happened.recovery_seconds).collect();
    let mut findings = Findings::new("chaos");
    findings
        .figure("jobs", args.jobs)
        .figure("workers", args.workers)
        .figure("lost", broken.promises.lost.len())
        .figure("duplicates", broken.promises.sent_twice.len())
        .figure("emergencies_repeated", repeats.len())
        .figure("repeated_because", causes)
        .figure("sent_after_cancel", broken.promises.sent_after_cancel.len())
        .figure("drift", broken.drift.len())
        .figure("recovery_seconds", recoveries.iter().copied().reduce(f64::max))
        .figure("faults", happened)
        .violations(without_doubt.map(|repeat| {
            format!("attempt {} repeats an emergency that the provider had told of", repeat.attempt)
        }));
    if recoveries.len() < happened.len() {
        findings.note(
            "a recovery_seconds is null where no second came close to the limit in time; that of the run is the longest",
        );
    }
    findings
}

/// With the times at which something was broken.
fn requests_over_time(sends: &[i64], rate: f64, happened: &[Happened]) -> Plot {
    let first = sends.first().copied().unwrap_or_default();
    let seconds = |at: DateTime<Utc>| (at.timestamp_micros() - first) as f64 / 1e6;
    let broken = happened.iter().map(|happened| (seconds(happened.from), seconds(happened.to))).collect();
    Plot {
        title: "Requests over time, the limit, and when something was broken",
        x: "seconds since the first",
        y: "per second",
        lines: vec![
            Line::per_second("requests", &per_step(sends, PLOT_STEP), PLOT_STEP.as_secs_f64()),
            Line::shaded("something is broken", broken),
        ],
        limit: Some(rate),
    }
}
