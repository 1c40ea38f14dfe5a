//! `throughput`: device jobs on one channel, from release to record.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tocsin::system::{Stores, System, SystemOptions};
use tocsin_domain::{CampaignId, Channel};
use tocsin_queue::{Broker, MemoryBroker, RabbitBroker};
use tocsin_store::Tenant;
use tocsin_store::tenant::campaigns::CampaignSummary;
use tocsin_testkit::simulator::{CallbackEvents, Callbacks, ChannelScenario, Delay, Scenario};
use tocsin_testkit::{TestDatabase, TestVhost, wait_until};

use crate::{campaign, district, measure};

/// The longest that a run may take.
const RUN_MAX: Duration = Duration::from_secs(600);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, default_value_t = 20_000)]
    jobs: usize,
    /// How long the provider takes to answer.
    #[arg(long, default_value_t = 50)]
    latency_ms: u64,
    /// Requests open at once, over all workers.
    #[arg(long, default_value_t = 400)]
    in_flight: usize,
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Use the broker in memory instead of RabbitMQ.
    #[arg(long)]
    memory_broker: bool,
    /// Write the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Figures {
    scenario: &'static str,
    ok: bool,
    violations: Vec<String>,
    jobs: usize,
    latency_ms: u64,
    in_flight: usize,
    /// From the first release to the last record.
    seconds: f64,
    jobs_per_second: f64,
    /// Of this process: every role and the simulator.
    cpu_seconds_per_1000: f64,
    peak_rss_mb: f64,
}

pub async fn run(args: Args) -> Result<()> {
    let database = TestDatabase::create().await?;
    let vhost = TestVhost::create().await?;
    let broker: Arc<dyn Broker> = match args.memory_broker {
        true => Arc::new(MemoryBroker::new()),
        false => Arc::new(RabbitBroker::new(&vhost.amqp_url)?),
    };
    let system = System::start(SystemOptions {
        stores: Stores::open(&database.url, 16)?,
        broker,
        scenario: scenario(args.latency_ms),
        limits: Vec::new(),
        workers: args.workers,
        in_flight_max: args.in_flight / args.workers.max(1),
    })
    .await?;
    let district = district::make(&system.store, args.jobs).await?;
    let tenant = system.store.tenant(district);
    let cpu = measure::cpu_time();
    let campaign = campaign::send(&tenant).await?;
    let closed = wait_for_close(&tenant, campaign).await?;
    let cpu = measure::cpu_time() - cpu;
    let sends = system.simulator.sends().len();
    let violations = violations(&args, &tenant, campaign, sends).await?;
    let figures = figures(&args, &closed, violations, cpu)?;
    system.stop().await?;
    println!("{}", serde_json::to_string_pretty(&figures)?);
    if let Some(file) = &args.json {
        std::fs::write(file, serde_json::to_vec_pretty(&figures)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    anyhow::ensure!(figures.ok, "the run broke a promise: {:?}", figures.violations);
    Ok(())
}

fn scenario(latency_ms: u64) -> Scenario {
    let sms = ChannelScenario {
        latency: Delay::Fixed(latency_ms),
        callbacks: Callbacks {
            events: CallbackEvents::Final,
            delay: Delay::Fixed(latency_ms),
            ..Callbacks::default()
        },
        ..ChannelScenario::default()
    };
    Scenario { sms, ..Scenario::default() }
}

async fn wait_for_close(tenant: &Tenant, campaign: CampaignId) -> Result<CampaignSummary> {
    let mut closed = None;
    wait_until("the campaign is closed", RUN_MAX, async || {
        closed = tenant.campaign(campaign).await.ok().flatten().filter(|found| found.closed_at.is_some());
        closed.is_some()
    })
    .await?;
    closed.context("the campaign is closed")
}

fn figures(args: &Args, closed: &CampaignSummary, violations: Vec<String>, cpu: Duration) -> Result<Figures> {
    let started = closed.started_at.context("the campaign was never started")?;
    let ended = closed.ended_at.context("the campaign never ended")?;
    let seconds = (ended - started).as_seconds_f64();
    let jobs = args.jobs as f64;
    Ok(Figures {
        scenario: "throughput",
        ok: violations.is_empty(),
        violations,
        jobs: args.jobs,
        latency_ms: args.latency_ms,
        in_flight: args.in_flight,
        seconds,
        jobs_per_second: jobs / seconds,
        cpu_seconds_per_1000: cpu.as_secs_f64() / jobs * 1_000.0,
        peak_rss_mb: measure::peak_rss_mb()?,
    })
}

/// Every job was tried once and delivered, and the provider was asked as often as the store says.
async fn violations(args: &Args, tenant: &Tenant, campaign: CampaignId, sends: usize) -> Result<Vec<String>> {
    let counts = tenant.counts(campaign).await?;
    let sms = counts.channels.iter().find(|counts| counts.channel == Channel::Sms);
    let jobs = i64::try_from(args.jobs)?;
    let expected = [
        ("devices", sms.map(|sms| sms.devices)),
        ("attempts", sms.map(|sms| sms.attempts)),
        ("successful", sms.map(|sms| sms.successful)),
        ("requests", Some(i64::try_from(sends)?)),
    ];
    Ok(expected
        .into_iter()
        .filter(|(_, found)| *found != Some(jobs))
        .map(|(what, found)| format!("{what}: {found:?}, expected {jobs}"))
        .collect())
}
