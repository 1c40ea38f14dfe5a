//! The command line.

mod help;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, FromArgMatches as _, Parser, Subcommand};
use tocsin_domain::Channel;
use tocsin_runtime::{Config, Tasks, init_telemetry, stop_on_signal};

use crate::commands::{
    account, approval, audit, callbacks, campaign, completions, config, district, forecast, import, keys,
    migrate, sample_district, sender, series, user, webhook,
};
use crate::embedded::DataDirectory;
use crate::{demo, roles, up};

/// How long a role is given to leave after SIGTERM. Kubernetes' default grace period is 30 s.
const LEAVE_WITHIN: Duration = Duration::from_secs(25);

/// Mass notification for school districts: voice calls, texts, email and portal inbox.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    /// Configuration file (TOML), also named by TOCSIN_CONFIG; variables override its keys.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory of the embedded store [default: ~/.local/share/tocsin]
    ///
    /// For where DATABASE_URL is not set. TOCSIN_HOME names it too.
    #[arg(long, global = true, env = "TOCSIN_HOME", hide_env = true, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

/// A variant's place in the help is in `help.rs`.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process. It needs nothing; DATABASE_URL, AMQP_URL name real servers.
    #[command(after_long_help = "\
Examples:
  tocsin up --sample 500
  tocsin up --config tocsin.toml --data /var/lib/tocsin
  tocsin up --listen 0.0.0.0:8080 --sign-in")]
    Up(up::Args),
    /// Serve the REST API.
    #[command(after_long_help = "\
Examples:
  tocsin api
  TOCSIN_API__LISTEN=0.0.0.0:8080 tocsin api")]
    Api,
    /// Expand campaigns, release due jobs, and bring campaigns to their end.
    #[command(after_long_help = "\
Examples:
  tocsin planner --config /etc/tocsin.toml")]
    Planner,
    /// Send jobs over one or more channels.
    #[command(after_long_help = "\
Examples:
  tocsin worker --channel voice
  tocsin worker --channel sms --channel email --channel inbox")]
    Worker(WorkerArgs),
    /// Take the providers' callbacks and apply them.
    #[command(after_long_help = "\
Examples:
  tocsin status-collector --config /etc/tocsin.toml")]
    StatusCollector,
    /// Check the configuration, the accounts above all.
    Config(config::Args),
    /// Bring the database to this program's schema.
    #[command(after_long_help = "\
Examples:
  DATABASE_URL=postgres://tocsin@db.example.org/tocsin tocsin migrate")]
    Migrate(migrate::Args),
    /// Import a directory of schools, people and devices.
    Import(import::Args),
    /// Add and list districts.
    District(district::Args),
    /// Add, list and disable users, and give them passwords.
    User(user::Args),
    /// Make, list and revoke API keys.
    ApiKey(keys::Args),
    /// List, stop and resume provider accounts.
    Account(account::Args),
    /// Add, list, limit, stop and resume what accounts send from.
    Sender(sender::Args),
    /// Send, list, show, cancel and watch campaigns over the REST API.
    Campaign(campaign::Args),
    /// Tell how many devices a message would reach and how long it would take, without sending it.
    #[command(after_long_help = "\
It takes what `tocsin campaign send` takes. Of a message that is scheduled, `tocsin campaign forecast` tells the same.

Examples:
  tocsin forecast --subject \"Early dismissal\" --body \"School closes at noon.\" \\
      --channel voice --channel sms --type emergency --all
  tocsin forecast --subject \"Book fair\" --body-file letter.txt --channel email --school org-school-001 --json")]
    Forecast(Box<forecast::Args>),
    /// List, show and cancel messages that recur, and leave days of them out, over the REST API.
    Series(series::Args),
    /// List, approve and refuse emergencies that wait for a second person, over the REST API.
    Approval(approval::Args),
    /// List, show, test and disable webhooks, over the REST API.
    Webhook(webhook::Args),
    /// Hold the counters against the rows, and correct what has drifted.
    #[command(after_long_help = "\
Examples:
  tocsin audit
  tocsin audit --campaign 01900000-0000-7000-8000-000000000001 --json")]
    Audit(audit::Args),
    /// Count what came from providers and could not be parsed, and the texts to our numbers.
    #[command(after_long_help = "\
They are kept as they came. Days are in UTC; a text for review speaks of stopping without a keyword.

Examples:
  tocsin callbacks
  tocsin callbacks --days 30 --account main-text --json")]
    Callbacks(callbacks::Args),
    /// Run the main job from end to end against simulated providers.
    #[command(after_long_help = "\
Examples:
  tocsin demo
  tocsin demo --students 5000 --json figures.json")]
    Demo(demo::Args),
    /// Write a plausible OneRoster delivery of any size, to try things with.
    #[command(after_long_help = "\
Schools of all levels, families with shared phones and addresses, seven languages, people without a device, and a few
rows that are broken on purpose. Nobody in it is real: mail goes to example.org, phone numbers have no subscribers.

Examples:
  tocsin sample-district --students 2000 --out district
  tocsin sample-district --students 500000 --seed 7 --out large.zip --json")]
    SampleDistrict(sample_district::Args),
    /// Print the completion script of a shell.
    #[command(after_long_help = "\
Examples:
  tocsin completions bash > /etc/bash_completion.d/tocsin
  tocsin completions zsh > ~/.zfunc/_tocsin
  tocsin completions fish > ~/.config/fish/completions/tocsin.fish
  tocsin completions powershell >> $PROFILE")]
    Completions(completions::Args),
}

#[derive(Debug, Args)]
struct WorkerArgs {
    /// A channel to serve: voice, sms, email or inbox. May be given several times.
    #[arg(long = "channel", required = true, value_name = "CHANNEL")]
    channels: Vec<Channel>,
}

impl Cli {
    /// The program's arguments. On a fault, or when help is asked for, this prints and ends the process.
    pub fn of_arguments() -> Self {
        match Self::from_arg_matches(&Self::command().get_matches()) {
            Ok(cli) => cli,
            Err(fault) => fault.exit(),
        }
    }

    /// The command line with its help by task.
    pub fn command() -> clap::Command {
        help::by_task(<Self as clap::CommandFactory>::command())
    }

    pub async fn run(self) -> Result<ExitCode> {
        // Before the first TLS connection. An error means that it is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let file = self.config.as_deref();
        let load = || Config::load(file);
        let data = || self.data.clone().map_or_else(DataDirectory::default_path, Ok);
        match self.command {
            Command::Up(args) => up::run(args, load()?, &data()?).await,
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
            Command::Config(args) => config::run(args, file),
            Command::Migrate(args) => migrate::run(args, &load()?, data).await,
            Command::Import(args) => import::run(args, &load()?, data).await,
            Command::District(args) => district::run(args, &load()?, data).await,
            Command::User(args) => user::run(args, &load()?, data).await,
            Command::ApiKey(args) => keys::run(args, &load()?, data).await,
            Command::Account(args) => account::run(args, &load()?, data).await,
            Command::Sender(args) => sender::run(args, &load()?, data).await,
            Command::Campaign(args) => campaign::run(args, data).await,
            Command::Forecast(args) => forecast::run(*args, data).await,
            Command::Series(args) => series::run(args, data).await,
            Command::Approval(args) => approval::run(args, data).await,
            Command::Webhook(args) => webhook::run(args, data).await,
            Command::Audit(args) => audit::run(args, &load()?, data).await,
            Command::Callbacks(args) => callbacks::run(args, &load()?, data).await,
            Command::Demo(args) => demo::run(args).await,
            Command::SampleDistrict(args) => sample_district::run(args).await,
            Command::Completions(args) => completions::run(&args, Self::command()),
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
