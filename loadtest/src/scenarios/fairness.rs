//! `fairness`: a large district's mailing beside nine small ones in the same lane.

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use tocsin_domain::CampaignId;

use super::{FLOWING_WITHIN, Load, arrivals, milliseconds, rates, waits};
use crate::campaign::{self, Kind, Posted};
use crate::checker;
use crate::district::District;
use crate::findings::Findings;
use crate::options::{Options, positive};
use crate::report::{Line, Plot};
use crate::stage::{Stage, Wait};

const SMALL_DISTRICTS: usize = 9;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Jobs of the large district.
    #[arg(long, default_value_t = 30_000, default_value_if("full", "true", "100000"), value_name = "N")]
    jobs: usize,
    /// Jobs of each of the nine small ones.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    small_jobs: usize,
    #[command(flatten)]
    load: Load,
    /// The size that the target speaks of, 100,000 for the large district, where --jobs says no other.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    pub options: Options,
}

pub async fn run(args: &Args) -> Result<Findings> {
    args.load.of(args.jobs).check()?;
    positive("--small-jobs", args.small_jobs as f64)?;
    let mut stage = Stage::start(&args.options, args.load.setup()).await?;
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
    stage.requests_reach(before + args.load.flowing_after(args.jobs), FLOWING_WITHIN).await?;
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
    let waits_of_all = |all: &[Posted]| -> Vec<f64> {
        all.iter().flat_map(|posted| waits(posted, of(posted.campaign))).collect()
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
                Line::percentiles("without the large one", waits_of_all(&alone)),
                Line::percentiles("beside it", waits_of_all(&beside)),
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
    campaign::post(district, Kind::General).await
}
