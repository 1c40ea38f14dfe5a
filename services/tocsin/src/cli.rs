//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use tocsin_domain::Channel;
use tocsin_runtime::{Config, Tasks, init_telemetry, stop_on_signal};

use crate::commands::{audit, campaign, district, import, migrate};
use crate::{demo, roles};

/// How long a role is given to leave after SIGTERM. Kubernetes' default grace period is 30 s.
const LEAVE_WITHIN: Duration = Duration::from_secs(25);

/// Mass notification for school districts: voice calls, texts, email and portal inbox.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    /// Configuration file (TOML). TOCSIN_CONFIG names it too; the environment overrides its keys.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the REST API.
    Api,
    /// Expand campaigns, release due jobs, and bring campaigns to their end.
    Planner,
    /// Send jobs over one or more channels.
    Worker(WorkerArgs),
    /// Take the providers' callbacks and apply them.
    StatusCollector,
    /// Bring the database to this program's schema.
    Migrate,
    /// Import a directory of schools, people and devices.
    Import(import::Args),
    /// Add and list districts.
    District(district::Args),
    /// Make API keys.
    ApiKey(district::KeyArgs),
    /// Send, list, show, cancel and watch campaigns over the REST API.
    Campaign(campaign::Args),
    /// Hold the counters against the rows, and correct what has drifted.
    Audit(audit::Args),
    /// Run the main job from end to end against simulated providers.
    Demo(demo::Args),
}

#[derive(Debug, Args)]
struct WorkerArgs {
    /// A channel to serve: voice, sms, email or inbox. May be given several times.
    #[arg(long = "channel", required = true, value_name = "CHANNEL")]
    channels: Vec<Channel>,
}

impl Cli {
    pub async fn run(self) -> Result<ExitCode> {
        // Before the first TLS connection. An error means that it is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let file = self.config.as_deref();
        let load = || Config::load(file);
        match self.command {
            Command::Api => serve(load()?, async |config, tasks| roles::start_api(config, tasks).await).await,
            Command::Planner => {
                serve(load()?, async |config, tasks| roles::start_planner(config, tasks).await).await
            }
            Command::Worker(args) => {
                let mut channels = args.channels;
                channels.sort_unstable();
                channels.dedup();
                serve(load()?, async |config, tasks| roles::start_worker(config, channels, tasks).await).await
            }
            Command::StatusCollector => {
                serve(load()?, async |config, tasks| roles::start_collector(config, tasks).await).await
            }
            Command::Migrate => migrate::run(&load()?).await,
            Command::Import(args) => import::run(args, &load()?).await,
            Command::District(args) => district::run(args, &load()?).await,
            Command::ApiKey(args) => district::run_key(args, &load()?).await,
            Command::Campaign(args) => campaign::run(args).await,
            Command::Audit(args) => audit::run(args, &load()?).await,
            Command::Demo(args) => demo::run(args).await,
        }
    }
}

/// Starts a role and runs it until it is asked to stop, or fails.
async fn serve(config: Config, start: impl AsyncFnOnce(&Config, &Tasks) -> Result<()>) -> Result<ExitCode> {
    init_telemetry(config.log.format, &config.log.filter)?;
    let tasks = Tasks::new();
    stop_on_signal(&tasks)?;
    start(&config, &tasks).await?;
    tasks.stopping().cancelled().await;
    let stopped = tasks.stop(LEAVE_WITHIN).await;
    if !stopped.unfinished.is_empty() {
        tracing::error!(tasks = ?stopped.unfinished, "did not leave in time");
    }
    match stopped.failure {
        Some(failure) => bail!("{} failed: {}", failure.task, failure.why),
        None if stopped.unfinished.is_empty() => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::FAILURE),
    }
}
