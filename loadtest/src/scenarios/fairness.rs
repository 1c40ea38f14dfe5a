//! `fairness`: a large district's mailing beside nine small ones in the same lane.

use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use tocsin_domain::CampaignId;
use tocsin_runtime::{Clock as _, SystemClock};

use super::{arrivals, delivered_after, milliseconds, rates};
use crate::campaign::{self, Kind};
use crate::checker;
use crate::district::District;
use crate::findings::Findings;
use crate::options::{Options, Sizes, positive};
use crate::report::{Line, Plot};
use crate::stage::{Setup, Stage, Wait, Workers};

const SMALL_DISTRICTS: usize = 9;
const FLOWING_WITHIN: Duration = Duration::from_secs(600);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Jobs of the large district.
    #[arg(long, default_value_t = 30_000, default_value_if("full", "true", "100000"), value_name = "N")]
    jobs: usize,
    /// Jobs of each of the nine small ones.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    small_jobs: usize,
    #[arg(long, default_value_t = 1, value_name = "N")]
    workers: usize,
    #[arg(long, default_value_t = 50, value_name = "MS")]
    latency_ms: u64,
    #[arg(long, default_value_t = 400, value_name = "N")]
    in_flight: usize,
    /// The size that the target speaks of, 100,000 for the large district, where --jobs says no other.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    pub options: Options,
}

struct Posted {
    campaign: CampaignId,
    answered_at: DateTime<Utc>,
}

pub async fn run(args: &Args) -> Result<Findings> {
    Sizes { jobs: args.jobs, workers: args.workers, in_flight: args.in_flight }.check()?;
    positive("--small-jobs", args.small_jobs as f64)?;
    let setup = Setup {
        scenario: delivered_after(args.latency_ms),
        workers: Workers::of(args.workers),
        in_flight: args.in_flight,
        ..Setup::default()
    };
    let mut stage = Stage::start(&args.options, setup).await?;
    let mut small = Vec::with_capacity(SMALL_DISTRICTS);
    for _ in 0..SMALL_DISTRICTS {
        small.push(stage.district(args.small_jobs).await?);
    }
    let large = stage.district(args.jobs).await?;

    // All nine at once without the large one: what they cost each other is not its doing.
    let alone = try_join_all(small.iter().map(post)).await?;
    let alone_ids: Vec<CampaignId> = alone.iter().map(|posted| posted.campaign).collect();
    stage
        .closed("without the large", &alone_ids, Wait::for_requests(SMALL_DISTRICTS * args.small_jobs))
        .await?;

    let before = stage.simulator.requests();
    let mailing = post(&large).await?;
    let flowing = (args.in_flight as u64 * 4).min(args.jobs as u64 / 4).max(1);
    stage.requests_reach(before + flowing, FLOWING_WITHIN).await?;
    let beside = try_join_all(small.iter().map(post)).await?;
    let beside_ids: Vec<CampaignId> = beside.iter().map(|posted| posted.campaign).collect();
    stage
        .closed("beside the large", &beside_ids, Wait::for_requests(SMALL_DISTRICTS * args.small_jobs))
        .await?;
    let left = large.client.detail(mailing.campaign).await?.totals.open;
    stage.closed("the rest", &[mailing.campaign], Wait::for_requests(args.jobs)).await?;

    let mut findings = Findings::new("fairness");
    let all: Vec<CampaignId> = alone_ids.into_iter().chain(beside_ids).chain([mailing.campaign]).collect();
    findings.violations(checker::check(&stage, &all).await?);
    if left == 0 {
        findings.note("the large mailing was over before the small ones: take more --jobs");
    }
    let arrivals = arrivals(&stage.simulator, &stage.token_keys);
    let worst = |all: &[Posted]| {
        let seconds = all.iter().filter_map(|posted| {
            let last = arrivals.get(&posted.campaign)?.iter().max()?;
            Some(milliseconds(posted.answered_at, *last) / 1_000.0)
        });
        seconds.max_by(f64::total_cmp).context("nothing arrived")
    };
    let of = |campaign: CampaignId| arrivals.get(&campaign).map(Vec::as_slice).unwrap_or_default();
    let waits = |all: &[Posted]| {
        let of_one = |posted: &Posted| {
            let (from, arrived) = (posted.answered_at, of(posted.campaign));
            arrived.iter().map(move |at| milliseconds(from, *at).max(0.0)).collect::<Vec<_>>()
        };
        all.iter().flat_map(of_one).collect::<Vec<f64>>()
    };
    let small_ones = beside.iter().map(|posted| of(posted.campaign)).collect();
    let from = beside.iter().map(|posted| posted.answered_at).min().context("no small district")?;
    findings
        .plot(rates(
            "Requests from the small districts' POST on",
            from,
            [("nine small districts", small_ones), ("large district", vec![of(mailing.campaign)])],
        ))
        .plot(Plot {
            title: "From the answered POST of the small districts to their requests",
            x: "milliseconds",
            y: "percent of requests",
            lines: vec![
                Line::percentiles("without the large one", waits(&alone)),
                Line::percentiles("beside it", waits(&beside)),
            ],
            limit: None,
        });
    let (alone_seconds, beside_seconds) = (worst(&alone)?, worst(&beside)?);
    findings
        .figure("jobs", args.jobs)
        .figure("small_jobs", args.small_jobs)
        .figure("large_left", left)
        .figure("alone_seconds", alone_seconds)
        .figure("beside_seconds", beside_seconds)
        .figure("ratio", beside_seconds / alone_seconds);
    stage.stop().await;
    Ok(findings)
}

async fn post(district: &District) -> Result<Posted> {
    let campaign = campaign::send(district, Kind::General).await?;
    Ok(Posted { campaign, answered_at: SystemClock.now() })
}
