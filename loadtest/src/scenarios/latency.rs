//! `latency`: small campaigns on an idle system, from the answered POST to the provider's door.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::json;
use tocsin_domain::CampaignId;

use super::{arrivals, delivered_after, waits};
use crate::campaign::{self, Kind, Posted};
use crate::checker;
use crate::district::District;
use crate::findings::Findings;
use crate::options::{Options, Sizes, numbers_of_nobody, positive};
use crate::report::{Line, Plot};
use crate::stage::{Setup, Stage, Wait, Workers};
use crate::stats::spread;

const IN_FLIGHT: usize = 400;
/// Posted before, and not measured: connections, plans and caches are then as they are in a running system.
const WARM_UP: usize = 20;
/// From one recipient to the next, a prime: they lie all over the district, and come again after everybody else.
const STRIDE: usize = 15_485_863;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Campaigns of one recipient each.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    jobs: usize,
    #[arg(long, default_value_t = 1, value_name = "N")]
    workers: usize,
    /// Guardians of the district, of whom each campaign goes to another one.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    people: usize,
    /// Campaigns posted in a second.
    #[arg(long, default_value_t = 100.0, value_name = "N")]
    per_second: f64,
    #[command(flatten)]
    pub options: Options,
}

pub async fn run(args: &Args) -> Result<Findings> {
    Sizes { jobs: args.jobs, workers: args.workers, in_flight: IN_FLIGHT }.check()?;
    positive("--per-second", args.per_second)?;
    numbers_of_nobody("--people", args.people)?;
    let setup = Setup {
        scenario: delivered_after(0),
        workers: Workers::of(args.workers),
        in_flight: IN_FLIGHT,
        ..Setup::default()
    };
    let mut stage = Stage::start(&args.options, setup).await?;
    let district = stage.district(args.people).await?;
    let warm = post_all(&district, WARM_UP, args.per_second).await?;
    let warm: Vec<CampaignId> = warm.iter().map(|posted| posted.campaign).collect();
    stage.closed("warm-up", &warm, Wait::for_requests(WARM_UP)).await?;

    let posted = post_all(&district, args.jobs, args.per_second).await?;
    let campaigns: Vec<CampaignId> = posted.iter().map(|posted| posted.campaign).collect();
    stage.closed("latency", &campaigns, Wait::for_requests(args.jobs)).await?;
    let mut findings = Findings::new("latency");
    findings.violations(checker::check(&stage, &campaigns).await?);
    let arrivals = arrivals(&stage.simulator, &stage.token_keys);
    // The request may be there before the client has its answer.
    let first =
        |posted: &Posted| arrivals.get(&posted.campaign).and_then(|all| all.get(..1)).unwrap_or_default();
    let waits: Vec<f64> = posted.iter().flat_map(|posted| waits(posted, first(posted))).collect();
    findings.plot(Plot {
        title: "From the answered POST to the provider",
        x: "milliseconds",
        y: "percent of campaigns",
        lines: vec![Line::percentiles("campaigns", waits.clone())],
        limit: None,
    });
    let waits = spread(waits).context("nothing arrived")?;
    let posts = spread(posted.iter().map(|posted| posted.took.as_secs_f64() * 1_000.0).collect());
    findings
        .figure("campaigns", args.jobs)
        .figure("people", args.people)
        .figure("per_second", args.per_second)
        .figure("workers", args.workers)
        .figure("p50_ms", waits.p50)
        .figure("p99_ms", waits.p99)
        .figure("max_ms", waits.max)
        .figure("post_ms", posts);
    stage.stop().await;
    Ok(findings)
}

/// Posts on a schedule, whether or not those before were answered.
async fn post_all(district: &District, count: usize, per_second: f64) -> Result<Vec<Posted>> {
    let mut due = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
    let mut under_way = FuturesUnordered::new();
    let mut posted = Vec::with_capacity(count);
    let mut begun = 0;
    while posted.len() < count {
        tokio::select! {
            _ = due.tick(), if begun < count => {
                let audience = json!({ "people": [district.guardian(begun * STRIDE)] });
                begun += 1;
                under_way.push(async move { campaign::post_to(district, Kind::General, &audience).await });
            }
            Some(answer) = under_way.next() => posted.push(answer?),
        }
    }
    Ok(posted)
}
