//! `cancel`: a campaign is canceled when a quarter of it is sent. What is still sent, and how fast the rest goes.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tocsin_domain::CampaignId;
use tocsin_runtime::Stopwatch;
use tocsin_testkit::Stalls;
use tocsin_testkit::promises::COMMIT_MARGIN;

use super::{arrivals, delivered_after, milliseconds};
use crate::campaign::{self, Kind};
use crate::checker;
use crate::district::District;
use crate::findings::Findings;
use crate::options::{Options, Sizes, positive};
use crate::probe::Probe;
use crate::stage::{Role, Setup, Stage, Wait, Wiring, Workers};
use crate::stats::{Spread, spread};

const IN_FLIGHT: usize = 400;
const LATENCY_MS: u64 = 20;
const QUARTER_WITHIN: Duration = Duration::from_secs(120);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Jobs of each canceled campaign.
    #[arg(long, default_value_t = 8_000, value_name = "N")]
    jobs: usize,
    /// Only with so many workers, in place of 1, 8 and 32.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Campaigns canceled in each case.
    #[arg(long, default_value_t = 3, value_name = "N")]
    repeats: usize,
    #[command(flatten)]
    pub options: Options,
}

/// What is done to the system beside the cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Fault {
    None,
    /// No worker hears of the cancel: the api's connection to the broker is cut before.
    ControlCut,
    /// A worker is killed with the cancel, and another started.
    WorkerRestarted,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    workers: usize,
    fault: Fault,
}

/// One canceled campaign.
struct Canceled {
    campaign: CampaignId,
    /// None where the store cannot be told to note it: a deployment's.
    claims_after_commit: Option<i64>,
    last_send_after_commit_ms: f64,
    call_ms: f64,
    /// From the time that the cancel's statement read until its commit was seen.
    commit_ms: f64,
    canceled_seconds: f64,
    never_tried: i64,
    dropped_per_second: f64,
}

#[derive(Debug, Serialize)]
struct Row {
    workers: usize,
    fault: Fault,
    claims_after_commit: Option<i64>,
    last_send_after_commit_ms: Option<Spread>,
    call_ms_max: f64,
    canceled_seconds: f64,
    dropped_per_second: f64,
    never_tried: i64,
    commit_ms_max: f64,
    stalled_ms: f64,
}

pub async fn run(args: &Args) -> Result<Findings> {
    let workers = args.workers.unwrap_or(1);
    Sizes { jobs: args.jobs, workers, in_flight: IN_FLIGHT }.check()?;
    positive("--repeats", args.repeats as f64)?;
    let deployment = args.options.target.api.is_some();
    let mut findings = Findings::new("cancel");
    let mut rows = Vec::new();
    for case in cases(args.workers, deployment) {
        rows.push(run_case(args, case, &mut findings).await?);
    }
    let claims: Option<i64> = rows.iter().map(|row| row.claims_after_commit).sum();
    if claims.is_none() {
        findings
            .note("claims_after_commit is null: a deployment's store notes no time of the claim's statement");
    }
    findings
        .figure("jobs", args.jobs)
        .figure("repeats", args.repeats)
        .figure("claims_after_commit", claims)
        .figure("cases", rows);
    Ok(findings)
}

/// A deployment's workers are as they are.
fn cases(workers: Option<usize>, deployment: bool) -> Vec<Case> {
    let plain = |workers| Case { workers, fault: Fault::None };
    match (workers, deployment) {
        (workers, true) => vec![plain(workers.unwrap_or(1))],
        (Some(workers), false) => vec![plain(workers), Case { workers, fault: Fault::ControlCut }],
        (None, false) => vec![
            plain(1),
            plain(8),
            plain(32),
            Case { workers: 8, fault: Fault::ControlCut },
            Case { workers: 8, fault: Fault::WorkerRestarted },
        ],
    }
}

async fn run_case(args: &Args, case: Case, findings: &mut Findings) -> Result<Row> {
    let wiring = if case.fault == Fault::ControlCut { Wiring::ApiToBroker } else { Wiring::Direct };
    let setup = Setup {
        scenario: delivered_after(LATENCY_MS),
        workers: Workers::of(case.workers),
        in_flight: IN_FLIGHT,
        wiring,
        ..Setup::default()
    };
    let mut stage = Stage::start(&args.options, setup).await?;
    let probe = Probe::connect(&stage.ground.database_url, &stage.tasks).await?;
    if stage.ground.is_own() {
        probe.stamp_claims().await?;
    }
    let district = stage.district(args.jobs).await?;
    let stalls = Stalls::watch(&stage.tasks);
    let mut repeats = Vec::with_capacity(args.repeats);
    for _ in 0..args.repeats {
        repeats.push(cancel(&mut stage, &probe, &district, case).await?);
    }
    let campaigns: Vec<CampaignId> = repeats.iter().map(|repeat| repeat.campaign).collect();
    let name = format!("{} workers, {:?}", case.workers, case.fault);
    let row = row(case, &repeats, stalls.worst());
    let busy = Duration::from_secs_f64((row.commit_ms_max + row.stalled_ms) / 1_000.0);
    let broken = checker::examine(&stage, &campaigns, COMMIT_MARGIN + busy).await?;
    findings.violations(broken.lines().into_iter().map(|what| format!("{name}: {what}")));
    stage.stop().await;
    if row.claims_after_commit.is_some_and(|claims| claims > 0) {
        findings.violations([format!("{name}: claims were granted that began after the cancel's commit")]);
    }
    Ok(row)
}

async fn cancel(stage: &mut Stage, probe: &Probe, district: &District, case: Case) -> Result<Canceled> {
    let before = stage.simulator.requests();
    let campaign = campaign::send(district, Kind::General).await?;
    stage.requests_reach(before + district.guardians as u64 / 4, QUARTER_WITHIN).await?;
    // Only a case that cuts it has a wire.
    if let Some(wire) = stage.fleet.as_ref().and_then(|fleet| fleet.wires.api_to_broker.as_ref()) {
        wire.cut();
    }
    let started = Stopwatch::start();
    let calling = async {
        let pressed = district.client.press_cancel(campaign, "load test", Some("load test")).await;
        pressed.map(|_| started.elapsed())
    };
    let (call, committed_at) = tokio::join!(calling, probe.cancel_committed(campaign));
    let (call, committed_at) = (call?, committed_at?);
    if case.fault == Fault::WorkerRestarted {
        let fleet = stage.own_fleet()?;
        fleet.kill(Role::Worker)?;
        fleet.add(Role::Worker).await?;
    }
    stage.closed("cancel", &[campaign], Wait::for_requests(district.guardians)).await?;
    if let Some(wire) = stage.fleet.as_ref().and_then(|fleet| fleet.wires.api_to_broker.as_ref()) {
        wire.mend();
    }
    let times = probe.cancel_times(campaign).await?;
    let arrivals = arrivals(&stage.simulator.sends(), &stage.token_keys);
    let last = arrivals.get(&campaign).and_then(|sends| sends.iter().max());
    let claims = match stage.ground.is_own() {
        true => Some(probe.claims_asked_after(campaign, committed_at).await?),
        false => None,
    };
    let seconds = |to| milliseconds(times.canceled_at, to) / 1_000.0;
    Ok(Canceled {
        campaign,
        claims_after_commit: claims,
        last_send_after_commit_ms: last.map_or(0.0, |last| milliseconds(times.canceled_at, *last)).max(0.0),
        call_ms: call.as_secs_f64() * 1_000.0,
        commit_ms: milliseconds(times.canceled_at, committed_at).max(0.0),
        canceled_seconds: seconds(times.ended_at),
        never_tried: times.never_tried,
        dropped_per_second: times.never_tried as f64 / seconds(times.swept_at).max(f64::EPSILON),
    })
}

fn row(case: Case, repeats: &[Canceled], stalled: Duration) -> Row {
    let worst = |of: fn(&Canceled) -> f64| repeats.iter().map(of).fold(0.0, f64::max);
    let least = |of: fn(&Canceled) -> f64| repeats.iter().map(of).fold(f64::INFINITY, f64::min);
    Row {
        workers: case.workers,
        fault: case.fault,
        claims_after_commit: repeats.iter().map(|repeat| repeat.claims_after_commit).sum(),
        last_send_after_commit_ms: spread(
            repeats.iter().map(|repeat| repeat.last_send_after_commit_ms).collect(),
        ),
        call_ms_max: worst(|repeat| repeat.call_ms),
        canceled_seconds: worst(|repeat| repeat.canceled_seconds),
        dropped_per_second: least(|repeat| repeat.dropped_per_second),
        never_tried: repeats.iter().map(|repeat| repeat.never_tried).sum(),
        commit_ms_max: worst(|repeat| repeat.commit_ms),
        stalled_ms: stalled.as_secs_f64() * 1_000.0,
    }
}
