//! `loadtest`: how fast Tocsin is, and the provider simulator by itself.

mod campaign;
mod district;
mod expand;
mod measure;
mod throughput;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use tocsin_runtime::{LogFormat, init_telemetry};
use tocsin_testkit::simulator::{self, Scenario};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures Tocsin, on servers found by DATABASE_URL and AMQP_URL (`make loadtest` sets them).
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play the providers: Twilio voice and SMS, Mailgun email.
    ProviderSim {
        #[arg(long, default_value = "127.0.0.1:9100")]
        listen: SocketAddr,
        /// How the providers behave (JSON); everything has a default.
        #[arg(long)]
        scenario: Option<PathBuf>,
    },
    /// Run a scenario.
    Run {
        #[command(subcommand)]
        scenario: Run,
    },
}

#[derive(Debug, Subcommand)]
enum Run {
    /// Device jobs on one channel, with a callback each and no rate limit.
    Throughput(throughput::Args),
    /// From an audience to recipients and jobs, in the store alone.
    Expand(expand::Args),
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn,lapin=error".to_owned());
    init_telemetry(LogFormat::Text, &filter)?;
    match cli.command {
        Command::ProviderSim { listen, scenario } => simulator::run(listen, read(scenario)?).await,
        Command::Run { scenario: Run::Throughput(args) } => throughput::run(args).await,
        Command::Run { scenario: Run::Expand(args) } => expand::run(args).await,
    }
}

fn read(file: Option<PathBuf>) -> Result<Scenario> {
    let Some(file) = file else { return Ok(Scenario::default()) };
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no scenario", file.display()))
}
