//! `throughput`: device jobs on one channel, from the first release to the last record.

mod traced;

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use serde_json::json;
use tocsin_domain::CampaignId;

use self::traced::Pairs;
use super::{Load, delivered_after};
use crate::campaign::{self, Kind};
use crate::ceiling::{self, PassArgs};
use crate::checker;
use crate::district::District;
use crate::findings::Findings;
use crate::options::Options;
use crate::probe::{Attempts, Probe};
use crate::report::{Line, Plot};
use crate::stage::{Role, Setup, Stage, Wait, Wiring};
use crate::stats::{median, per_step, spread};
use crate::usage::{Usage, Used};

/// With the ceiling beside it: the median of three says more than one.
const ROUNDS_WITH_CEILING: usize = 3;
const PLOT_STEP: Duration = Duration::from_millis(250);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Guardians, and so devices and jobs.
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    jobs: usize,
    #[command(flatten)]
    load: Load,
    /// Three rounds, each beside one of `ceiling`.
    #[arg(long)]
    with_ceiling: bool,
    /// Every process is replaced, one after the other, while the campaign runs, as a deploy does.
    #[arg(long, conflicts_with = "with_ceiling")]
    rolling_restart: bool,
    /// Five rounds without traces, each beside one whose processes send them, by the default sampling.
    #[arg(long, conflicts_with_all = ["with_ceiling", "rolling_restart"])]
    with_traces: bool,
    #[command(flatten)]
    pub options: Options,
}

/// One campaign.
struct Round {
    campaign: CampaignId,
    attempts: Attempts,
    used: Used,
    replaced: Vec<Replaced>,
}

/// A process that left for another of its role.
#[derive(Debug, Serialize)]
struct Replaced {
    role: &'static str,
    left_after_ms: u64,
    /// Requests that were still to be made.
    requests_left: u64,
}

impl Round {
    fn seconds(&self) -> f64 {
        (self.attempts.last_settled - self.attempts.first_release).as_seconds_f64()
    }
}

pub async fn run(args: &Args) -> Result<Findings> {
    args.load.of(args.jobs).check()?;
    if args.with_ceiling {
        args.options.target.own_only("throughput --with-ceiling")?;
    }
    if args.rolling_restart {
        args.options.target.own_only("throughput --rolling-restart")?;
    }
    if args.with_traces {
        args.options.target.own_only("throughput --with-traces")?;
    }
    let scenario = delivered_after(args.load.latency_ms);
    let setup = Setup {
        wiring: if args.rolling_restart { Wiring::Doors } else { Wiring::Direct },
        ..args.load.setup()
    };
    let mut stage = Stage::start(&args.options, setup).await?;
    let probe = Probe::connect(&stage.ground.database_url, &stage.tasks).await?;
    let district = stage.district(args.jobs).await?;
    let (mut rounds, mut ceilings) = (Vec::new(), Vec::new());
    let pairs = match args.with_traces {
        true => Some(Pairs::run(&mut stage, &probe, &district, args).await?),
        false => None,
    };
    let single = usize::from(!args.with_traces);
    for _ in 0..if args.with_ceiling { ROUNDS_WITH_CEILING } else { single } {
        if args.with_ceiling {
            let pass = PassArgs {
                scenario: &scenario,
                jobs: args.jobs,
                in_flight: args.load.in_flight,
                usage: None,
            };
            ceilings.push(args.jobs as f64 / ceiling::measure(&stage, pass).await?.seconds);
        }
        rounds.push(round(&mut stage, &probe, &district, args).await?);
    }
    let mut findings = Findings::new("throughput");
    let mut campaigns: Vec<CampaignId> = rounds.iter().map(|round| round.campaign).collect();
    if let Some(pairs) = pairs {
        pairs.tell(args.jobs, &mut findings);
        campaigns.extend(pairs.traced.iter().map(|round| round.campaign));
        campaigns.extend(pairs.plain.iter().map(|round| round.campaign));
        rounds = pairs.plain;
    }
    findings.violations(checker::check(&stage, &campaigns).await?);
    for campaign in campaigns {
        findings.violations(undelivered(&district, campaign).await?);
    }
    for replaced in rounds.iter().flat_map(|round| &round.replaced).filter(|one| one.requests_left == 0) {
        let role = replaced.role;
        findings.violations([format!("all was sent before the {role} was replaced: give more --jobs")]);
    }
    figures(args, &rounds, &ceilings, &mut findings);
    stage.stop().await;
    Ok(findings)
}

async fn round(stage: &mut Stage, probe: &Probe, district: &District, args: &Args) -> Result<Round> {
    let usage = Usage::begin(stage);
    let campaign = campaign::send(district, Kind::General).await?;
    let replaced = if args.rolling_restart { replace_all(stage, district).await? } else { Vec::new() };
    stage.closed("throughput", &[campaign], Wait::for_requests(district.guardians)).await?;
    let used = usage.end();
    Ok(Round { campaign, attempts: probe.attempts(campaign).await?, used, replaced })
}

/// Each role after as much more of the campaign: workers while much is open, the api last.
async fn replace_all(stage: &mut Stage, district: &District) -> Result<Vec<Replaced>> {
    const ORDER: [Role; 4] = [Role::Worker, Role::Planner, Role::Collector, Role::Api];
    let (mut replaced, jobs) = (Vec::new(), district.guardians as u64);
    let within = Wait::for_requests(district.guardians).within;
    for (at, role) in (1..).zip(ORDER) {
        for _ in stage.own_fleet()?.processes_of(role) {
            stage.requests_reach(jobs * at / (2 * ORDER.len() as u64), within).await?;
            let requests_left = jobs.saturating_sub(stage.simulator.requests());
            let left = stage.own_fleet()?.replace(role).await?;
            let left_after_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            replaced.push(Replaced { role: role.name(), left_after_ms, requests_left });
        }
    }
    Ok(replaced)
}

/// Every device was tried once and delivered.
async fn undelivered(district: &District, campaign: CampaignId) -> Result<Vec<String>> {
    let totals = district.client.detail(campaign).await?.totals;
    let jobs = district.guardians as u64;
    let counted =
        [("devices", totals.devices), ("attempts", totals.attempts), ("successful", totals.successful)];
    let wrong = counted.into_iter().filter(|(_, count)| *count != jobs);
    Ok(wrong.map(|(what, count)| format!("campaign {campaign}: {what} {count}, expected {jobs}")).collect())
}

fn figures(args: &Args, rounds: &[Round], ceilings: &[f64], findings: &mut Findings) {
    let speed = |round: &Round| args.jobs as f64 / round.seconds();
    let speeds: Vec<f64> = rounds.iter().map(speed).collect();
    findings
        .figure("jobs", args.jobs)
        .figure("workers", args.load.workers)
        .figure("latency_ms", args.load.latency_ms)
        .figure("in_flight", args.load.in_flight)
        .figure("jobs_per_second", median(speeds.clone()))
        .figure("delivered_seconds", median(rounds.iter().map(Round::seconds).collect()));
    let all = rounds.iter().flat_map(|round| round.attempts.milliseconds.iter().copied()).collect();
    if let Some(spread) = spread(all) {
        findings.figure("p50_ms", spread.p50).figure("p99_ms", spread.p99);
    }
    if !ceilings.is_empty() {
        let ratios: Vec<f64> = speeds.iter().zip(ceilings).map(|(speed, ceiling)| speed / ceiling).collect();
        let table: Vec<_> = speeds
            .iter()
            .zip(ceilings)
            .zip(&ratios)
            .map(|((speed, ceiling), ratio)| json!({ "jobs_per_second": speed, "ceiling": ceiling, "ratio": ratio }))
            .collect();
        findings
            .figure("ceiling_jobs_per_second", median(ceilings.to_vec()))
            .figure("ratio_to_ceiling", median(ratios))
            .figure("rounds", table);
    }
    if args.rolling_restart {
        let replaced: Vec<_> = rounds.iter().flat_map(|round| &round.replaced).collect();
        findings.figure("replaced", replaced);
    }
    if let Some(round) = rounds.last() {
        plots(&round.attempts, findings);
    }
    let mut used = Used::default();
    rounds.iter().for_each(|round| used.add(round.used.clone()));
    used.tell(args.jobs * rounds.len(), findings);
}

/// Of the last round.
fn plots(attempts: &Attempts, findings: &mut Findings) {
    let settled = per_step(&attempts.settled_micros, PLOT_STEP);
    findings
        .plot(Plot {
            title: "Settled outcomes over time",
            x: "seconds since the first",
            y: "per second",
            lines: vec![Line::per_second("outcomes", &settled, PLOT_STEP.as_secs_f64())],
            limit: None,
        })
        .plot(Plot {
            title: "From a claim to its settled outcome",
            x: "milliseconds",
            y: "percent of attempts",
            lines: vec![Line::percentiles("attempts", attempts.milliseconds.clone())],
            limit: None,
        });
}
