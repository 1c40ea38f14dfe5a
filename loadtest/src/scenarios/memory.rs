//! `memory`: the peak of each role with a small and with a large campaign.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;
use tocsin_domain::CampaignId;

use super::delivered_after;
use crate::campaign::{self, Kind};
use crate::checker;
use crate::findings::Findings;
use crate::options::{Options, Sizes, positive};
use crate::report::{Line, Plot};
use crate::stage::{Role, Setup, Stage, Wait, Workers};
use crate::usage::{Usage, Used};

const IN_FLIGHT: usize = 400;
const LATENCY_MS: u64 = 50;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Jobs of the large campaign.
    #[arg(long, default_value_t = 60_000, default_value_if("full", "true", "1000000"), value_name = "N")]
    jobs: usize,
    /// Jobs of the small one.
    #[arg(long, default_value_t = 6_000, default_value_if("full", "true", "10000"), value_name = "N")]
    small_jobs: usize,
    #[arg(long, default_value_t = 1, value_name = "N")]
    workers: usize,
    /// The sizes that the target speaks of, 10,000 and 1,000,000, where --small-jobs and --jobs say no other.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    pub options: Options,
}

pub async fn run(args: &Args) -> Result<Findings> {
    Sizes { jobs: args.jobs, workers: args.workers, in_flight: IN_FLIGHT }.check()?;
    positive("--small-jobs", args.small_jobs as f64)?;
    args.options.target.own_only("memory")?;
    let mut findings = Findings::new("memory");
    let small = peak(args, args.small_jobs, &mut findings).await?;
    let large = peak(args, args.jobs, &mut findings).await?;
    let roles = Role::ALL.map(Role::name);
    let ratios: BTreeMap<&str, f64> = roles
        .into_iter()
        .filter_map(|role| {
            let megabytes = |used: &Used| used.rss_mb.get(role).copied().flatten();
            Some((role, megabytes(&large)? / megabytes(&small)?))
        })
        .collect();
    let line = |role: &'static str| {
        let point = |jobs: usize, used: &Used| Some((jobs as f64, used.rss_mb.get(role).copied().flatten()?));
        let points = [point(args.small_jobs, &small), point(args.jobs, &large)];
        Line::through(role, points.into_iter().flatten().collect())
    };
    findings.plot(Plot {
        title: "Peak of each role by the size of the campaign",
        x: "jobs",
        y: "MB",
        lines: roles.map(line).into(),
        limit: None,
    });
    findings
        .figure("ratio", ratios.values().copied().max_by(f64::total_cmp))
        .figure("ratio_by_role", &ratios)
        .figure(
            "sizes",
            [
                json!({ "jobs": args.small_jobs, "rss_mb": small.rss_mb }),
                json!({ "jobs": args.jobs, "rss_mb": large.rss_mb }),
            ],
        );
    Ok(findings)
}

/// In processes that have done nothing before.
async fn peak(args: &Args, jobs: usize, findings: &mut Findings) -> Result<Used> {
    let setup = Setup {
        scenario: delivered_after(LATENCY_MS),
        workers: Workers::of(args.workers),
        in_flight: IN_FLIGHT,
        ..Setup::default()
    };
    let mut stage = Stage::start(&args.options, setup).await?;
    let district = stage.district(jobs).await?;
    let usage = Usage::begin(&stage);
    let campaign: CampaignId = campaign::send(&district, Kind::General).await?;
    stage.closed("memory", &[campaign], Wait::for_requests(jobs)).await?;
    let used = usage.end();
    findings.violations(checker::check(&stage, &[campaign]).await?);
    stage.stop().await;
    Ok(used)
}
