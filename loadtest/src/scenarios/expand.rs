//! `expand`: how fast an audience becomes recipients and jobs, in the store alone.

use anyhow::{Context as _, Result};
use tocsin_runtime::{Clock as _, Stopwatch, SystemClock};
use tocsin_store::expand::Chunk;
use tocsin_testkit::simulator::Scenario;

use crate::campaign::{self, Kind};
use crate::findings::Findings;
use crate::options::{Options, Sizes, positive};
use crate::stage::Stage;
use crate::usage::Usage;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Guardians, and so devices and jobs.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    jobs: usize,
    /// People in one statement, and so in one transaction. The planner's own default.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    chunk: u32,
    #[command(flatten)]
    pub options: Options,
}

/// Expands one campaign, chunk by chunk, as the planner does. No planner runs.
pub async fn run(args: &Args) -> Result<Findings> {
    Sizes { jobs: args.jobs, workers: 1, in_flight: 1 }.check()?;
    positive("--chunk", f64::from(args.chunk))?;
    args.options.target.own_only("expand")?;
    let stage = Stage::bare(&args.options, Scenario::default()).await?;
    let district = stage.district(args.jobs).await?;
    campaign::store(&stage.store, &district, Kind::General).await?;
    let usage = Usage::begin(&stage);
    let started = Stopwatch::start();
    let mut chunks = 0_usize;
    let made = loop {
        let due = stage.store.expansions_due(SystemClock.now(), 1).await?;
        let expansion = due.first().context("the campaign is not due")?;
        chunks += 1;
        let chunk = stage.store.expand(expansion, i64::from(args.chunk), SystemClock.now()).await?;
        if let Chunk::Complete { .. } = chunk {
            break stage.facts(expansion.campaign).await?.jobs_made;
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    let used = usage.end();
    let mut findings = Findings::new("expand");
    if usize::try_from(made) != Ok(args.jobs) {
        findings.violations([format!("{made} jobs were made, expected {}", args.jobs)]);
    }
    findings
        .figure("jobs", args.jobs)
        .figure("chunks", chunks)
        .figure("seconds", seconds)
        .figure("devices_per_second", args.jobs as f64 / seconds);
    used.tell(args.jobs, &mut findings);
    stage.stop().await;
    Ok(findings)
}
