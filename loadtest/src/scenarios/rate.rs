//! `rate`: an account's limit while workers come, crash and come again, and after the provider said "too fast".

use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde_json::json;
use tocsin_runtime::{Clock as _, SystemClock};
use tocsin_testkit::Stalls;
use tocsin_testkit::simulator::{Faults, Scenario};

use super::delivered_after;
use crate::campaign::{self, Kind};
use crate::checker;
use crate::findings::Findings;
use crate::options::{Options, Sizes, positive};
use crate::probe::Probe;
use crate::progress::Progress;
use crate::report::{Line, Plot};
use crate::stage::{Limits, Role, Setup, Stage, Wait, Workers};
use crate::stats::{per_step, windows as windows_of, worst_window};

const IN_FLIGHT: usize = 400;
const LATENCY_MS: u64 = 50;
const SECOND: Duration = Duration::from_secs(1);
const PLOT_STEP: Duration = Duration::from_millis(500);
const WINDOW_STEP: Duration = Duration::from_millis(50);
/// What a network may carry at one instant: requests sent over this time may arrive together.
const CARRIED: Duration = Duration::from_millis(100);
const MANY: usize = 8;
const FEW: usize = 3;
/// A worker that has come finds its share within this time, and a dead one's is given on: its lease has 5 s, and counts
/// for two more.
const SETTLED_AFTER: Duration = Duration::from_secs(8);
const STORM: Duration = Duration::from_secs(2);
const RECOVERED: f64 = 0.95;
const FIRST_WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// At the most; the run ends when the rate has recovered.
    #[arg(long, default_value_t = 75_000, value_name = "N")]
    jobs: usize,
    #[arg(long, default_value_t = 1_000.0, value_name = "N")]
    limit: f64,
    #[arg(long, default_value_t = 100, value_name = "N")]
    burst: u32,
    /// For each number of workers: 1, 8, 3, 8.
    #[arg(long, default_value_t = 11.0, value_name = "S")]
    step_seconds: f64,
    /// Time to recover from the storm of 429s.
    #[arg(long, default_value_t = 35.0, value_name = "S")]
    recovery_max_seconds: f64,
    #[command(flatten)]
    pub options: Options,
}

/// A time with a constant number of workers.
struct Step {
    workers: usize,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

pub async fn run(args: &Args) -> Result<Findings> {
    Sizes { jobs: args.jobs, workers: MANY, in_flight: IN_FLIGHT }.check()?;
    positive("--limit", args.limit)?;
    positive("--burst", f64::from(args.burst))?;
    positive("--step-seconds", args.step_seconds)?;
    positive("--recovery-max-seconds", args.recovery_max_seconds)?;
    args.options.target.own_only("rate")?;
    let setup = Setup {
        scenario: delivered_after(LATENCY_MS),
        limits: Limits { rate_per_second: Some(args.limit), burst: Some(args.burst) },
        workers: Workers { processes: 1, each: 1 },
        in_flight: IN_FLIGHT,
        ..Setup::default()
    };
    let mut stage = Stage::start(&args.options, setup).await?;
    let probe = Probe::connect(&stage.ground.database_url, &stage.tasks).await?;
    let district = stage.district(args.jobs).await?;
    let campaign = campaign::send(&district, Kind::General).await?;
    stage.requests_reach(1, FIRST_WITHIN).await?;

    let stalls = Stalls::watch(&stage.tasks);
    let steps = change_workers(&mut stage, Duration::from_secs_f64(args.step_seconds)).await?;
    let storm_ended_at = storm(&stage, args.options.seed).await?;
    let recovery = recovery(&stage, args, storm_ended_at).await;
    let stalled = stalls.worst();
    let left = district.client.detail(campaign).await?.totals.open;
    district.client.cancel(campaign, "load test", "measured").await?;
    probe.end_doubts().await?;
    stage.closed("the rest", &[campaign], Wait::for_requests(args.jobs)).await?;
    let mut findings = Findings::new("rate");
    findings.violations(checker::check(&stage, &[campaign]).await?);
    let sends: Vec<i64> =
        stage.simulator.sends().iter().map(|send| send.arrived_at.timestamp_micros()).collect();
    let claims = probe.claimed_micros(campaign).await?;
    windows(args, &sends, &claims, stalled, &mut findings);
    figures(args, &sends, &steps, recovery, &mut findings);
    if left == 0 {
        findings.note("the campaign was over before the rate had recovered: take more --jobs");
    }
    stage.stop().await;
    Ok(findings)
}

/// From one worker to eight, five of which are killed, and to eight again.
async fn change_workers(stage: &mut Stage, each: Duration) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let progress = Progress::new("rate: workers", 4);
    for workers in [1, MANY, FEW, MANY] {
        let fleet = stage.own_fleet()?;
        while fleet.processes_of(Role::Worker).len() > workers {
            fleet.kill(Role::Worker)?;
        }
        while fleet.processes_of(Role::Worker).len() < workers {
            fleet.add(Role::Worker).await?;
        }
        let from = SystemClock.now();
        tokio::time::sleep(each).await;
        steps.push(Step { workers, from, to: SystemClock.now() });
        progress.at(steps.len());
    }
    Ok(steps)
}

/// For two seconds everything is answered 429. Returns when it was over.
async fn storm(stage: &Stage, seed: u64) -> Result<DateTime<Utc>> {
    let calm = Scenario { seed, ..delivered_after(LATENCY_MS) };
    let mut busy = calm.clone();
    busy.sms.faults = Faults { throttled: 1.0, ..Faults::default() };
    stage.simulator.set_scenario(busy)?;
    tokio::time::sleep(STORM).await;
    stage.simulator.set_scenario(calm)?;
    Ok(SystemClock.now())
}

/// Seconds from the storm's end until a whole second came close to the limit; None if none did in time.
async fn recovery(stage: &Stage, args: &Args, storm_ended_at: DateTime<Utc>) -> Option<f64> {
    let near = args.limit * RECOVERED;
    let watching = async {
        loop {
            let before = stage.simulator.requests();
            tokio::time::sleep(SECOND).await;
            if (stage.simulator.requests() - before) as f64 >= near {
                return (SystemClock.now() - storm_ended_at).as_seconds_f64();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs_f64(args.recovery_max_seconds), watching).await.ok()
}

/// The busiest second, against what may be sent in one. What arrived within a second less than what the network carries
/// was sent within a second.
fn windows(args: &Args, sends: &[i64], claims: &[i64], stalled: Duration, findings: &mut Findings) {
    let judged = SECOND.saturating_sub(CARRIED.max(stalled));
    let worst = worst_window(sends, judged);
    if !is_within(worst, args) {
        let (limit, burst) = (args.limit, args.burst);
        findings.violations([format!(
            "{worst} requests arrived within {judged:?}, of a second that has less than {limit} and {burst} more"
        )]);
    }
    if stalled > CARRIED {
        findings.note("this machine was too busy to judge by the arrivals: the simulator itself stood still (stalled_ms)");
    }
    findings
        .figure("limit", args.limit)
        .figure("burst", args.burst)
        .figure("requests", sends.len())
        .figure("worst_window", worst_window(sends, SECOND))
        .figure("judged_window_ms", judged.as_secs_f64() * 1_000.0)
        .figure("worst_claim_window", worst_window(claims, SECOND))
        .figure("stalled_ms", stalled.as_secs_f64() * 1_000.0);
    findings.plot(Plot {
        title: "Requests over time, and the limit",
        x: "seconds since the first",
        y: "per second",
        lines: vec![Line::per_second("requests", &per_step(sends, PLOT_STEP), PLOT_STEP.as_secs_f64())],
        limit: Some(args.limit),
    });
    let counts = windows_of(sends, SECOND, WINDOW_STEP).into_iter().enumerate();
    let seconds = WINDOW_STEP.as_secs_f64();
    findings.plot(Plot {
        title: "Requests within the second that ends then, and what is allowed",
        x: "seconds since the first",
        y: "requests",
        lines: vec![Line::through(
            "requests",
            counts.map(|(step, count)| (step as f64 * seconds, count as f64)).collect(),
        )],
        limit: Some(args.limit + f64::from(args.burst)),
    });
}

/// May so many be sent in a second? A window that does not hold its end has fewer than its rate and its burst: of one a
/// second, one.
fn is_within(requests: usize, args: &Args) -> bool {
    requests == 0 || (requests as f64) < args.limit + f64::from(args.burst)
}

fn figures(args: &Args, sends: &[i64], steps: &[Step], recovery: Option<f64>, findings: &mut Findings) {
    let rows: Vec<_> = steps
        .iter()
        .map(|step| {
            let whole = utilisation(sends, step.from, step.to, args.limit);
            let settled = utilisation(sends, step.from + SETTLED_AFTER, step.to, args.limit);
            json!({ "workers": step.workers, "utilisation": whole, "utilisation_settled": settled })
        })
        .collect();
    let (from, to) = (steps.first().map(|step| step.from), steps.last().map(|step| step.to));
    let whole = from.zip(to).map(|(from, to)| utilisation(sends, from, to, args.limit));
    findings.figure("utilisation", whole).figure("recovery_seconds", recovery).figure("steps", rows);
    if recovery.is_none() {
        findings.note("recovery_seconds is null: the rate did not come back in the time given");
    }
}

/// The part of what the limit allows that was used.
fn utilisation(sends: &[i64], from: DateTime<Utc>, to: DateTime<Utc>, limit: f64) -> f64 {
    let within = from.timestamp_micros()..to.timestamp_micros();
    let used = sends.iter().filter(|at| within.contains(at)).count();
    used as f64 / ((to - from).as_seconds_f64() * limit).max(f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utilisation_is_what_was_sent_of_what_might_have_been() {
        let at = |ms: i64| DateTime::from_timestamp_millis(ms).unwrap();
        let sends: Vec<i64> = (0..150).map(|number| number * 10_000).collect();
        assert_eq!(utilisation(&sends, at(0), at(1_000), 100.0), 1.0);
        assert_eq!(utilisation(&sends, at(1_000), at(2_000), 100.0), 0.5);
        assert_eq!(utilisation(&[], at(0), at(1_000), 100.0), 0.0);
    }
}
