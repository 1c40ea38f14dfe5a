//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use tocsin::exit::Exit;
use tocsin_runtime::{LogFormat, init_telemetry};
use tocsin_testkit::simulator::{self, Scenario};

use crate::findings::Findings;
use crate::options::Options;
use crate::scenarios::{
    callbacks, cancel, ceiling, chaos, emergency, expand, fairness, forecast, growth, latency, memory, pages,
    rate, throughput,
};
use crate::{ceiling as pipeline, role};

/// Holds Tocsin to its promises under load, and measures it.
///
/// By default it makes a database and a vhost of its own on the servers that DATABASE_URL and AMQP_URL name, and starts
/// every role as a process of its own. With --api it measures what runs there.
#[derive(Debug, Parser)]
#[command(version, name = "loadtest")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play the providers: Twilio voice and SMS, Mailgun email, and a mail server.
    ProviderSim {
        #[arg(long, default_value = "127.0.0.1:9100")]
        listen: SocketAddr,
        /// Take mail over SMTP there too.
        #[arg(long, value_name = "ADDR")]
        smtp: Option<SocketAddr>,
        /// How the providers behave (JSON); everything has a default.
        #[arg(long)]
        scenario: Option<PathBuf>,
    },
    /// Run a scenario.
    Run {
        #[command(subcommand)]
        scenario: Run,
    },
    /// A role of Tocsin, started by a scenario.
    #[command(hide = true)]
    Role(role::Args),
    /// The work without the engine, started by a scenario.
    #[command(hide = true)]
    Pipeline(pipeline::Args),
}

#[derive(Debug, Subcommand)]
enum Run {
    /// Device jobs on one channel, with a callback each and no rate limit.
    Throughput(throughput::Args),
    /// The same bytes without the engine.
    Ceiling(ceiling::Args),
    /// Small campaigns on an idle system: from the answered POST to the provider.
    Latency(latency::Args),
    /// An emergency while a large general mailing is in full flow.
    Emergency(emergency::Args),
    /// A large district's mailing beside nine small ones in the same lane.
    Fairness(fairness::Args),
    /// What the forecast said of campaigns, against what they took.
    Forecast(forecast::Args),
    /// Campaigns canceled half-way: what is still sent, and how fast the rest is dropped.
    Cancel(cancel::Args),
    /// An account's limit while workers come and crash, and after the provider said "too fast".
    Rate(rate::Args),
    /// The reports of a whole mailing at once, some twice, out of order, or forged.
    Callbacks(callbacks::Args),
    /// The peak of each role with a small and with a large campaign.
    Memory(memory::Args),
    /// What a job costs in campaigns of three sizes, with history kept.
    Growth(growth::Args),
    /// Lists, counts and reports of a large district.
    Pages(pages::Args),
    /// Kills, cuts and outages by lot while campaigns run.
    Chaos(chaos::Args),
    /// From an audience to recipients and jobs, in the store alone.
    Expand(expand::Args),
}

pub async fn run() -> Result<ExitCode> {
    match Cli::parse().command {
        // It sets up its own log.
        Command::Role(args) => role::run(args).await,
        Command::ProviderSim { listen, smtp, scenario } => {
            log_as_told()?;
            simulator::run(listen, smtp, read(scenario)?).await?;
            Ok(Exit::Done.into())
        }
        Command::Run { scenario } => {
            log_as_told()?;
            scenario.run().await
        }
        Command::Pipeline(args) => {
            log_as_told()?;
            pipeline::run(args).await?;
            Ok(Exit::Done.into())
        }
    }
}

fn log_as_told() -> Result<()> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn,lapin=off".to_owned());
    init_telemetry(LogFormat::Text, &filter)?;
    Ok(())
}

impl Run {
    async fn run(self) -> Result<ExitCode> {
        let (options, findings): (Options, Findings) = match self {
            Self::Throughput(args) => (args.options.clone(), throughput::run(&args).await?),
            Self::Ceiling(args) => (args.options.clone(), ceiling::run(&args).await?),
            Self::Latency(args) => (args.options.clone(), latency::run(&args).await?),
            Self::Cancel(args) => (args.options.clone(), cancel::run(&args).await?),
            Self::Emergency(args) => (args.options.clone(), emergency::run(&args).await?),
            Self::Fairness(args) => (args.options.clone(), fairness::run(&args).await?),
            Self::Forecast(args) => (args.options.clone(), forecast::run(&args).await?),
            Self::Rate(args) => (args.options.clone(), rate::run(&args).await?),
            Self::Callbacks(args) => (args.options.clone(), callbacks::run(&args).await?),
            Self::Memory(args) => (args.options.clone(), memory::run(&args).await?),
            Self::Growth(args) => (args.options.clone(), growth::run(&args).await?),
            Self::Pages(args) => (args.options.clone(), pages::run(&args).await?),
            Self::Chaos(args) => (args.options.clone(), chaos::run(&args).await?),
            Self::Expand(args) => (args.options.clone(), expand::run(&args).await?),
        };
        findings.publish(&options)?;
        Ok(if findings.ok() { Exit::Done } else { Exit::Failed }.into())
    }
}

fn read(file: Option<PathBuf>) -> Result<Scenario> {
    let Some(file) = file else { return Ok(Scenario::default()) };
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no scenario", file.display()))
}
