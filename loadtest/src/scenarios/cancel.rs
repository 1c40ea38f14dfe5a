//! `cancel`: a campaign is canceled when a quarter of it is sent. What is still sent, and how fast the rest goes.

use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
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
use crate::report::{Line, Plot};
use crate::stage::{Limits, Role, Setup, Stage, Wait, Wire, Wiring, Workers};
use crate::stats::{Spread, spread};

const IN_FLIGHT: usize = 400;
const LATENCY_MS: u64 = 20;
const BEFORE: Duration = Duration::from_millis(500);
const AFTER: Duration = Duration::from_secs(1);
const PLOT_STEP: Duration = Duration::from_millis(50);
const CANCELED_WITHIN: Duration = Duration::from_secs(60);
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
    /// Texts a second that the account allows; without it as many as this machine can send.
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
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
    /// A worker process is killed with the cancel, and another started.
    WorkerRestarted,
}

impl Fault {
    fn words(self) -> &'static str {
        match self {
            Self::None => "no fault",
            Self::ControlCut => "control cut",
            Self::WorkerRestarted => "restarted",
        }
    }
}

/// Workers, and what is done to them one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lineup {
    workers: usize,
    /// In this order: an api that was cut off needs a while to find back.
    faults: Vec<Fault>,
}

/// One canceled campaign.
struct Canceled {
    campaign: CampaignId,
    /// None where the store cannot be told to note it: a deployment's.
    claims_after_commit: Option<i64>,
    last_send_after_commit_ms: f64,
    call_ms: f64,
    /// From the time that the cancel's statement read until its commit, or until it was seen.
    commit_ms: f64,
    canceled_seconds: f64,
    never_tried: i64,
    dropped_per_second: f64,
    around_commit: Vec<usize>,
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
    #[serde(skip)]
    last_sends_ms: Vec<f64>,
    #[serde(skip)]
    around_commit: Vec<usize>,
}

pub async fn run(args: &Args) -> Result<Findings> {
    let workers = args.workers.unwrap_or(1);
    Sizes { jobs: args.jobs, workers, in_flight: IN_FLIGHT }.check()?;
    positive("--repeats", args.repeats as f64)?;
    if let Some(rate) = args.rate {
        positive("--rate", rate)?;
        args.options.target.own_only("cancel --rate")?;
    }
    let deployment = args.options.target.api.is_some();
    let mut findings = Findings::new("cancel");
    let mut rows = Vec::new();
    for lineup in lineups(args.workers, deployment) {
        rows.extend(run_lineup(args, &lineup, &mut findings).await?);
    }
    let claims: Option<i64> = rows.iter().map(|row| row.claims_after_commit).sum();
    let last_sends = rows.iter().flat_map(|row| row.last_sends_ms.iter().copied()).collect();
    if claims.is_none() {
        findings
            .note("claims_after_commit is null: a deployment's store notes no time of the claim's statement");
    }
    findings
        .figure("jobs", args.jobs)
        .figure("repeats", args.repeats)
        .figure("rate_per_second", args.rate)
        .figure("claims_after_commit", claims)
        .figure("last_send_after_commit_ms", spread(last_sends))
        .figure("cases", rows);
    Ok(findings)
}

/// A deployment's workers are as they are.
fn lineups(workers: Option<usize>, deployment: bool) -> Vec<Lineup> {
    if deployment {
        return vec![Lineup { workers: workers.unwrap_or(1), faults: vec![Fault::None] }];
    }
    let workers = workers.map_or(vec![1, 8, 32], |workers| vec![workers]);
    let faults = vec![Fault::None, Fault::WorkerRestarted, Fault::ControlCut];
    workers.into_iter().map(|workers| Lineup { workers, faults: faults.clone() }).collect()
}

async fn run_lineup(args: &Args, lineup: &Lineup, findings: &mut Findings) -> Result<Vec<Row>> {
    let setup = Setup {
        scenario: delivered_after(LATENCY_MS),
        workers: Workers::of(lineup.workers),
        in_flight: IN_FLIGHT,
        limits: Limits { rate_per_second: args.rate, burst: None },
        wiring: Wiring::ApiToBroker,
        ..Setup::default()
    };
    let mut stage = Stage::start(&args.options, setup).await?;
    let probe = Probe::connect(&stage.ground.database_url, &stage.tasks).await?;
    if stage.ground.is_own() {
        probe.stamp_claims().await?;
    }
    let district = stage.district(args.jobs).await?;
    let mut rows = Vec::with_capacity(lineup.faults.len());
    for &fault in &lineup.faults {
        let case = Case { workers: lineup.workers, fault };
        rows.push(run_case(args, &mut stage, &probe, &district, case, findings).await?);
    }
    findings.plot(around_commit(&rows));
    stage.stop().await;
    Ok(rows)
}

#[derive(Debug, Clone, Copy)]
struct Case {
    workers: usize,
    fault: Fault,
}

async fn run_case(
    args: &Args,
    stage: &mut Stage,
    probe: &Probe,
    district: &District,
    case: Case,
    findings: &mut Findings,
) -> Result<Row> {
    let stalls = Stalls::watch(&stage.tasks);
    let mut repeats = Vec::with_capacity(args.repeats);
    for _ in 0..args.repeats {
        repeats.push(cancel(stage, probe, district, case).await?);
    }
    let campaigns: Vec<CampaignId> = repeats.iter().map(|repeat| repeat.campaign).collect();
    let name = format!("{} workers, {:?}", case.workers, case.fault);
    let row = row(case, &repeats, stalls.worst());
    let busy = Duration::from_secs_f64((row.commit_ms_max + row.stalled_ms) / 1_000.0);
    let broken = checker::examine(stage, &campaigns, COMMIT_MARGIN + busy).await?;
    findings.violations(broken.lines().into_iter().map(|what| format!("{name}: {what}")));
    if row.claims_after_commit.is_some_and(|claims| claims > 0) {
        findings.violations([format!("{name}: claims were granted that began after the cancel's commit")]);
    }
    Ok(row)
}

/// Of the last repeat of each case.
fn around_commit(rows: &[Row]) -> Plot {
    let (before, after) = (BEFORE.as_secs_f64(), AFTER.as_secs_f64());
    let line = |row: &Row| {
        let name = format!("{} workers, {}", row.workers, row.fault.words());
        Line::per_second(name, &row.around_commit, PLOT_STEP.as_secs_f64())
    };
    let canceled = Line::shaded("canceled", vec![(before, before + after)]);
    Plot {
        title: "Requests around the cancel's commit",
        x: "seconds",
        y: "per second",
        lines: rows.iter().map(line).chain([canceled]).collect(),
        limit: None,
    }
}

/// How many of a campaign's requests came in each step from some time before the commit to some time after it.
fn counted_around(commit: DateTime<Utc>, sends: &[DateTime<Utc>]) -> Vec<usize> {
    let steps = (BEFORE + AFTER).as_millis() / PLOT_STEP.as_millis();
    let mut counts = vec![0; steps as usize];
    for send in sends {
        let since = *send - commit + TimeDelta::milliseconds(BEFORE.as_millis() as i64);
        let step = usize::try_from(since.num_milliseconds()).map(|ms| ms / PLOT_STEP.as_millis() as usize);
        if let Some(count) = step.ok().and_then(|step| counts.get_mut(step)) {
            *count += 1;
        }
    }
    counts
}

async fn cancel(stage: &mut Stage, probe: &Probe, district: &District, case: Case) -> Result<Canceled> {
    let before = stage.simulator.requests();
    let campaign = campaign::send(district, Kind::General).await?;
    stage.requests_reach(before + district.guardians as u64 / 4, QUARTER_WITHIN).await?;
    if case.fault == Fault::ControlCut {
        control_wire(stage)?.cut();
    }
    let started = Stopwatch::start();
    let calling = async {
        let pressed = district.client.press_cancel(campaign, "load test", Some("load test")).await;
        pressed.map(|_| started.elapsed())
    };
    let (call, committed) = tokio::join!(calling, probe.cancel_committed(campaign));
    let (call, committed) = (call?, committed?);
    if case.fault == Fault::WorkerRestarted {
        let fleet = stage.own_fleet()?;
        fleet.kill(Role::Worker)?;
        fleet.add(Role::Worker).await?;
        // What was claimed by the one that was killed and never sent is in doubt for minutes: nobody can tell of it.
        probe.canceled(campaign, CANCELED_WITHIN).await?;
        probe.end_doubts().await?;
    }
    stage.closed("cancel", &[campaign], Wait::for_requests(district.guardians)).await?;
    if case.fault == Fault::ControlCut {
        control_wire(stage)?.mend();
    }
    let times = probe.cancel_times(campaign).await?;
    let arrivals = arrivals(&stage.simulator, &stage.token_keys);
    let sends = arrivals.get(&campaign).map(Vec::as_slice).unwrap_or_default();
    let last = sends.iter().max();
    let claims = match stage.ground.is_own() {
        true => Some(probe.claims_asked_after(campaign, committed.seen_at).await?),
        false => None,
    };
    let seconds = |to| milliseconds(times.canceled_at, to) / 1_000.0;
    let committed_at = committed.at.unwrap_or(times.canceled_at);
    Ok(Canceled {
        campaign,
        claims_after_commit: claims,
        last_send_after_commit_ms: last.map_or(0.0, |last| milliseconds(committed_at, *last)).max(0.0),
        call_ms: call.as_secs_f64() * 1_000.0,
        commit_ms: milliseconds(times.canceled_at, committed.at.unwrap_or(committed.seen_at)).max(0.0),
        canceled_seconds: seconds(times.ended_at),
        never_tried: times.never_tried,
        dropped_per_second: times.never_tried as f64 / seconds(times.swept_at).max(f64::EPSILON),
        around_commit: counted_around(committed_at, sends),
    })
}

/// Over which the api tells the workers of a cancel.
fn control_wire(stage: &mut Stage) -> Result<&Wire> {
    stage.own_fleet()?.wires.api_to_broker.as_ref().context("no wire")
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
        last_sends_ms: repeats.iter().map(|repeat| repeat.last_send_after_commit_ms).collect(),
        around_commit: repeats.last().map(|repeat| repeat.around_commit.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_workers_meets_every_fault_and_a_deployment_none() {
        let everything = vec![Fault::None, Fault::WorkerRestarted, Fault::ControlCut];
        let lineup = |workers, faults: &[Fault]| Lineup { workers, faults: faults.to_vec() };
        let all = [1, 8, 32].map(|workers| lineup(workers, &everything));
        assert_eq!(lineups(None, false), all);
        assert_eq!(lineups(Some(5), false), [lineup(5, &everything)]);
        assert_eq!(lineups(Some(5), true), [lineup(5, &[Fault::None])]);
    }

    #[test]
    fn requests_are_counted_before_and_after_the_commit() {
        let at = |ms: i64| DateTime::from_timestamp_millis(1_000_000 + ms).unwrap();
        let counts = counted_around(at(0), &[-501, -500, -451, -1, 0, 999, 1_000].map(at));
        assert_eq!(counts.len(), 30);
        assert_eq!(
            (counts[0], counts[9], counts[10], counts[29], counts.iter().sum::<usize>()),
            (2, 1, 1, 1, 5)
        );
    }
}
