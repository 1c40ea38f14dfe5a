//! The command line.

mod help;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, FromArgMatches as _, Parser, Subcommand};
use tocsin_domain::Channel;
use tocsin_runtime::telemetry::Spans;
use tocsin_runtime::{Config, Tasks, init_telemetry, metrics, stop_on_signal};

use crate::commands::{
    account, approval, audit, callbacks, campaign, completions, config, dead, district, forecast, forget,
    import, keys, migrate, recover, retain, sample_district, sender, series, status, stop, tick, user,
    webhook, why,
};
use crate::embedded::DataDirectory;
use crate::{demo, roles, up};

/// A collector that is away does not hold up an exit for longer.
const SPANS_WITHIN: Duration = Duration::from_secs(3);

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
    /// List, show, cancel and skip messages that recur, over the REST API.
    Series(series::Args),
    /// List, show, approve and refuse emergencies that wait for a second person.
    Approval(approval::Args),
    /// List, test and disable a district's webhooks, send events again; over the REST API.
    Webhook(webhook::Args),
    /// Show what the installation does at the moment: roles, stops, accounts, queues, campaigns.
    #[command(after_long_help = "\
Examples:
  tocsin status
  tocsin status --watch
  tocsin status --json | jq .dead_letters")]
    Status(status::Args),
    /// Stop sending at once, for every district or for one. Nothing is lost.
    ///
    /// `tocsin go` lets it go on. No claim that starts after it is granted, on any worker, and what workers have claimed
    /// already they withhold once they are told, for which AMQP_URL must be set. What providers hold already goes on; to
    /// take back a message, cancel it.
    #[command(after_long_help = "\
Examples:
  tocsin stop --reason \"wrong list imported\"
  tocsin stop --district Springfield --reason \"asked for by the superintendent\"")]
    Stop(stop::StopArgs),
    /// Let sending go on that was stopped.
    #[command(after_long_help = "\
Examples:
  tocsin go
  tocsin go --district Springfield")]
    Go(stop::GoArgs),
    /// List, pause, resume and limit provider accounts.
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
    /// Tell why a device is not tried yet, or what happened to it.
    #[command(after_long_help = why::EXAMPLES)]
    Why(why::Args),
    /// List, show, requeue and drop dead letters: messages that nobody could read.
    Dead(dead::Args),
    /// Run one tick of the planner by hand.
    #[command(after_long_help = "\
Examples:
  tocsin tick housekeeping
  tocsin tick audit --drain
  tocsin tick release")]
    Tick(tick::Args),
    /// After a restore from a backup: find what may have been sent since, and decide on it.
    ///
    /// Run it before any role starts. Open jobs of campaigns that were sending become unknown, and nothing of them is sent
    /// until it is decided. Without a flag it lists what waits for a decision.
    #[command(after_long_help = "\
Examples:
  tocsin recover
  tocsin recover --restored
  tocsin recover --campaign 01900000-0000-7000-8000-000000000001 --send-again
  tocsin recover --campaign all --leave")]
    Recover(recover::Args),
    /// Drop the months of which every campaign is closed for long: recipients go, counts stay.
    #[command(after_long_help = "\
Of such a campaign the log keeps its line, its text and its counts. Recipients, devices, attempts, reports and inbox
messages are gone, and cannot be brought back but from a backup.

Examples:
  tocsin retain --older-than 400d --dry-run
  tocsin retain --older-than 400d --yes")]
    Retain(retain::Args),
    /// Erase a person, from the directory and from every closed campaign. Counts stay.
    #[command(after_long_help = "\
A phone that opted out stays opted out. Campaigns that are open still hold the person: run it again when they are closed.
A roster that still has the person brings it back: take it out there first.

Examples:
  tocsin forget parent-0042 --district Springfield --yes")]
    Forget(forget::Args),
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
            Command::Api => {
                serve(load()?, "api", async |config, spans, tasks| {
                    roles::start_api(config, spans, tasks).await
                })
                .await
            }
            Command::Planner => {
                serve(load()?, "planner", async |config, spans, tasks| {
                    roles::start_planner(config, spans, tasks).await
                })
                .await
            }
            Command::Worker(args) => {
                let mut channels = args.channels;
                channels.sort_unstable();
                channels.dedup();
                serve(load()?, "worker", async |config, spans, tasks| {
                    roles::start_worker(config, channels, spans, tasks).await
                })
                .await
            }
            Command::StatusCollector => {
                serve(load()?, "status-collector", async |config, spans, tasks| {
                    roles::start_collector(config, spans, tasks).await
                })
                .await
            }
            Command::Config(args) => config::run(args, file),
            Command::Migrate(args) => migrate::run(args, &load()?, data).await,
            Command::Import(args) => import::run(args, &load()?, data).await,
            Command::District(args) => district::run(args, &load()?, data).await,
            Command::User(args) => user::run(args, &load()?, data).await,
            Command::ApiKey(args) => keys::run(args, &load()?, data).await,
            Command::Series(args) => series::run(args, data).await,
            Command::Approval(args) => approval::run(args, data).await,
            Command::Webhook(args) => webhook::run(args, data).await,
            Command::Status(args) => status::run(args, &load()?, data).await,
            Command::Stop(args) => stop::stop(args, &load()?, data).await,
            Command::Go(args) => stop::go(args, &load()?, data).await,
            Command::Dead(args) => dead::run(args, &load()?).await,
            Command::Tick(args) => tick::run(args, &load()?, data).await,
            Command::Retain(args) => retain::run(args, &load()?, data).await,
            Command::Forget(args) => forget::run(args, &load()?, data).await,
            Command::Recover(args) => recover::run(args, &load()?, data).await,
            Command::Account(args) => account::run(args, &load()?, data).await,
            Command::Sender(args) => sender::run(args, &load()?, data).await,
            Command::Campaign(args) => campaign::run(args, data).await,
            Command::Forecast(args) => forecast::run(*args, data).await,
            Command::Why(args) => why::run(args, data).await,
            Command::Audit(args) => audit::run(args, &load()?, data).await,
            Command::Callbacks(args) => callbacks::run(args, &load()?, data).await,
            Command::Demo(args) => demo::run(args).await,
            Command::SampleDistrict(args) => sample_district::run(args).await,
            Command::Completions(args) => completions::run(&args, Self::command()),
        }
    }
}

/// Starts a role and runs it until it is asked to stop, or fails.
async fn serve(
    config: Config,
    role: &'static str,
    start: impl AsyncFnOnce(&Config, &Spans, &Tasks) -> Result<()>,
) -> Result<ExitCode> {
    init_telemetry(config.log.format, &config.log.filter)?;
    metrics::begin(env!("CARGO_PKG_VERSION"), role);
    let spans = Spans::start(&config.trace, role)?;
    let tasks = Tasks::new();
    // Nobody sends requests to the others: what they take from the broker, they stop to take at once.
    let is_sent_requests = matches!(role, "api" | "status-collector");
    stop_on_signal(&tasks, if is_sent_requests { config.shutdown.delay() } else { Duration::ZERO })?;
    if let Some(otlp) = &config.metrics.otlp {
        metrics::start_pushing(otlp, env!("CARGO_PKG_VERSION"), role, &tasks)?;
    }
    start(&config, &spans, &tasks).await?;
    tasks.stopping().cancelled().await;
    let stopped = tasks.stop(config.shutdown.deadline()).await;
    // Last: what the tasks did on their way out is in them.
    spans.close(SPANS_WITHIN).await;
    if !stopped.unfinished.is_empty() {
        tracing::error!(tasks = ?stopped.unfinished, "did not leave in time");
    }
    match stopped.failure {
        Some(failure) => bail!("{} failed: {}", failure.task, failure.why),
        None if stopped.unfinished.is_empty() => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::FAILURE),
    }
}
