//! `emergency`: a thousand people are to be warned while a large general mailing is in full flow.

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};

use super::{FLOWING_WITHIN, Load, arrivals, milliseconds, rates, waits};
use crate::campaign::{self, Kind, Posted};
use crate::checker;
use crate::district::District;
use crate::findings::Findings;
use crate::options::{Options, positive};
use crate::probe::Probe;
use crate::report::{Line, Plot};
use crate::stage::{Stage, Wait};
use crate::stats::spread;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Jobs of the general backlog.
    #[arg(long, default_value_t = 50_000, default_value_if("full", "true", "1000000"), value_name = "N")]
    jobs: usize,
    /// Jobs of the emergency.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    emergency_jobs: usize,
    #[command(flatten)]
    load: Load,
    /// The size that the target speaks of, a backlog of 1,000,000, where --jobs says no other. It takes long.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    pub options: Options,
}

pub async fn run(args: &Args) -> Result<Findings> {
    args.load.of(args.jobs).check()?;
    positive("--emergency-jobs", args.emergency_jobs as f64)?;
    let mut stage = Stage::start(&args.options, args.load.setup()).await?;
    let probe = Probe::connect(&stage.ground.database_url, &stage.tasks).await?;
    let small = stage.district(args.emergency_jobs).await?;
    let large = stage.district(args.jobs).await?;
    // The first one warms connections, plans and caches, as in a running system.
    alone(&mut stage, &small).await?;
    let idle = alone(&mut stage, &small).await?;

    let before = stage.simulator.requests();
    let backlog = campaign::send(&large, Kind::General).await?;
    stage.requests_reach(before + args.load.flowing_after(args.jobs), FLOWING_WITHIN).await?;
    let urgent = campaign::post(&small, Kind::Emergency).await?;
    stage.closed("emergency", &[urgent.campaign], Wait::for_requests(args.emergency_jobs)).await?;
    let left = large.client.detail(backlog).await?.totals.open;
    large.client.cancel(backlog, "load test", "measured").await?;
    stage.closed("the backlog's end", &[backlog], Wait::for_requests(args.jobs)).await?;

    let (stages, idle_stages) = (probe.stages(urgent.campaign).await?, probe.stages(idle.campaign).await?);
    let mut findings = Findings::new("emergency");
    let campaigns = [idle.campaign, urgent.campaign, backlog];
    findings.violations(checker::check(&stage, &campaigns).await?);
    if left == 0 {
        findings.note("the backlog was over before the emergency: take more --jobs");
    }
    let arrivals = arrivals(&stage.simulator, &stage.token_keys);
    let of = |campaign| arrivals.get(campaign).map(Vec::as_slice).unwrap_or_default();
    let idle_waits = waits(&idle, of(&idle.campaign));
    let urgent_waits = waits(&urgent, of(&urgent.campaign));
    findings.plot(Plot {
        title: "From the answered POST of the emergency to its requests",
        x: "milliseconds",
        y: "percent of requests",
        lines: vec![
            Line::percentiles("alone", idle_waits.clone()),
            Line::percentiles("beside a backlog", urgent_waits.clone()),
        ],
        limit: None,
    });
    findings.plot(rates(
        "Requests from the emergency's POST on",
        urgent.answered_at,
        [("emergency", vec![of(&urgent.campaign)]), ("general backlog", vec![of(&backlog)])],
    ));
    let idle_wait = spread(idle_waits).context("nothing arrived")?;
    let wait = spread(urgent_waits).context("nothing arrived")?;
    let (meanwhile, gives_way) = given_way(&urgent, of(&urgent.campaign), of(&backlog));
    findings
        .figure("backlog_jobs", args.jobs)
        .figure("backlog_left", left)
        .figure("emergency_jobs", args.emergency_jobs)
        .figure("first_attempt_p50_ms", wait.p50)
        .figure("first_attempt_p99_ms", wait.p99)
        .figure("idle_p50_ms", idle_wait.p50)
        .figure("idle_p99_ms", idle_wait.p99)
        .figure("ratio", wait.p99 / idle_wait.p99)
        .figure("general_sends_meanwhile", meanwhile)
        .figure("gives_way_ms", gives_way)
        .figure("stages", stages)
        .figure("idle_stages", idle_stages);
    stage.stop().await;
    Ok(findings)
}

async fn alone(stage: &mut Stage, district: &District) -> Result<Posted> {
    let posted = campaign::post(district, Kind::Emergency).await?;
    stage.closed("emergency alone", &[posted.campaign], Wait::for_requests(district.guardians)).await?;
    Ok(posted)
}

/// General requests between the answered POST and the emergency's last request, and when the last of those before
/// the emergency's middle came: how long general work takes to give way.
fn given_way(posted: &Posted, urgent: &[DateTime<Utc>], general: &[DateTime<Utc>]) -> (usize, f64) {
    let (Some(last), Some(middle)) = (urgent.iter().max(), urgent.get(urgent.len() / 2)) else {
        return (0, 0.0);
    };
    let after_post = |at: &&DateTime<Utc>| **at >= posted.answered_at;
    let meanwhile = general.iter().filter(after_post).filter(|at| *at <= last).count();
    let late = general.iter().filter(after_post).filter(|at| *at <= middle).max();
    (meanwhile, late.map_or(0.0, |late| milliseconds(posted.answered_at, *late)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tocsin_domain::CampaignId;

    use super::*;

    #[test]
    fn general_work_has_given_way_with_its_last_request_before_the_emergencys_middle() {
        let at = |ms: i64| DateTime::from_timestamp_millis(1_000_000 + ms).unwrap();
        let posted =
            Posted { campaign: CampaignId(uuid::Uuid::nil()), answered_at: at(0), took: Duration::ZERO };
        let urgent: Vec<_> = [20, 30, 40, 50, 60].map(at).into();
        let general: Vec<_> = [-5, 5, 25, 55, 90].map(at).into();
        assert_eq!(given_way(&posted, &urgent, &general), (3, 25.0));
        assert_eq!(given_way(&posted, &[], &general), (0, 0.0));
    }
}
