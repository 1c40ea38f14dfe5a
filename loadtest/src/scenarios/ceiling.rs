//! `ceiling`: the same bytes without the engine.

use anyhow::Result;

use super::delivered_after;
use crate::ceiling::{self, PassArgs};
use crate::findings::Findings;
use crate::options::{Options, Sizes};
use crate::stage::Stage;
use crate::usage::Usage;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    jobs: usize,
    /// From a request to its answer, and from there to its callback.
    #[arg(long, default_value_t = 50, value_name = "MS")]
    latency_ms: u64,
    /// Requests open at once.
    #[arg(long, default_value_t = 400, value_name = "N")]
    in_flight: usize,
    #[command(flatten)]
    pub options: Options,
}

pub async fn run(args: &Args) -> Result<Findings> {
    Sizes { jobs: args.jobs, workers: 1, in_flight: args.in_flight }.check()?;
    args.options.target.own_only("ceiling")?;
    let scenario = delivered_after(args.latency_ms);
    let stage = Stage::bare(&args.options, scenario.clone()).await?;
    let usage = Usage::begin(&stage);
    let pass =
        PassArgs { scenario: &scenario, jobs: args.jobs, in_flight: args.in_flight, usage: Some(&usage) };
    let seconds = ceiling::measure(&stage, pass).await?.seconds;
    let used = usage.end();
    let mut findings = Findings::new("ceiling");
    findings
        .figure("jobs", args.jobs)
        .figure("latency_ms", args.latency_ms)
        .figure("in_flight", args.in_flight)
        .figure("jobs_per_second", args.jobs as f64 / seconds)
        .figure("delivered_seconds", seconds);
    used.tell(args.jobs, &mut findings);
    stage.stop().await;
    Ok(findings)
}
