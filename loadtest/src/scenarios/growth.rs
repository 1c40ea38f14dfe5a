//! `growth`: does a job cost more when the campaign is larger, and history lies beside it?

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::delivered_after;
use crate::campaign::{self, Kind};
use crate::checker;
use crate::findings::Findings;
use crate::options::{Options, Sizes};
use crate::probe::Probe;
use crate::report::{Line, Plot};
use crate::stage::{Setup, Stage, Wait, Workers};
use crate::usage::Usage;

const IN_FLIGHT: usize = 400;
const LATENCY_MS: u64 = 50;
const SIZES: usize = 3;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Jobs of the largest campaign; before it one of a hundredth and one of a tenth, which are kept.
    #[arg(long, default_value_t = 60_000, default_value_if("full", "true", "1000000"), value_name = "N")]
    jobs: usize,
    #[arg(long, default_value_t = 1, value_name = "N")]
    workers: usize,
    /// The sizes that the target speaks of, 10,000, 100,000 and 1,000,000, where --jobs says no other.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, Serialize)]
struct Size {
    jobs: usize,
    /// From the first release to the last settled outcome.
    seconds: f64,
    jobs_per_second: f64,
    cpu_seconds_per_1000: f64,
}

pub async fn run(args: &Args) -> Result<Findings> {
    Sizes { jobs: args.jobs, workers: args.workers, in_flight: IN_FLIGHT }.check()?;
    args.options.target.own_only("growth")?;
    let setup = Setup {
        scenario: delivered_after(LATENCY_MS),
        workers: Workers::of(args.workers),
        in_flight: IN_FLIGHT,
        ..Setup::default()
    };
    let mut stage = Stage::start(&args.options, setup).await?;
    let probe = Probe::connect(&stage.ground.database_url, &stage.tasks).await?;
    let (mut sizes, mut campaigns) = (Vec::with_capacity(SIZES), Vec::with_capacity(SIZES));
    for divisor in [100, 10, 1] {
        let jobs = (args.jobs / divisor).max(1);
        let district = stage.district(jobs).await?;
        let usage = Usage::begin(&stage);
        let campaign = campaign::send(&district, Kind::General).await?;
        stage.closed("growth", &[campaign], Wait::for_requests(jobs)).await?;
        let used = usage.end();
        let attempts = probe.attempts(campaign).await?;
        let seconds = (attempts.last_settled - attempts.first_release).as_seconds_f64();
        let cpu = used.engine_seconds() / jobs as f64 * 1_000.0;
        sizes.push(Size { jobs, seconds, jobs_per_second: jobs as f64 / seconds, cpu_seconds_per_1000: cpu });
        campaigns.push(campaign);
    }
    let mut findings = Findings::new("growth");
    findings.violations(checker::check(&stage, &campaigns).await?);
    let (first, last) = sizes.first().zip(sizes.last()).context("no sizes")?;
    findings.figure("ratio", last.cpu_seconds_per_1000 / first.cpu_seconds_per_1000);
    findings.note(
        "cpu_seconds_per_1000 holds the expansion, and what idle ticks cost meanwhile: of a small size much",
    );
    let over_size = |title, y, of: fn(&Size) -> f64| Plot {
        title,
        x: "jobs of the campaign",
        y,
        lines: vec![Line::through("sizes", sizes.iter().map(|size| (size.jobs as f64, of(size))).collect())],
        limit: None,
    };
    let cost = over_size("Processor time by size", "s per 1,000", |size| size.cpu_seconds_per_1000);
    let speed = over_size("Speed by size", "jobs/s", |size| size.jobs_per_second);
    findings.plot(cost).plot(speed);
    findings.figure("sizes", sizes);
    stage.stop().await;
    Ok(findings)
}
