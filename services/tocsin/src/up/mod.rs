//! `tocsin up`: every role in one process, on a machine with nothing else.
//!
//! Without configuration the store is embedded and the broker in memory; DATABASE_URL and AMQP_URL switch
//! either half to a real server. Whatever can be refused is refused before anything is made.

mod banner;
mod ground;
mod keys;
mod leave;
mod plan;
mod roles;
mod sample;
mod upkeep;

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use tocsin_api::PageAccess;
use tocsin_runtime::telemetry::Spans;
use tocsin_runtime::{Config, Stopwatch, Tasks, init_telemetry, metrics, stop_on_signal};
use tokio::net::TcpListener;

use crate::credentials;
use crate::embedded::DataDirectory;
use crate::exit::Failure;
use crate::terminal::print;

use ground::{Ground, Servers};
use leave::Running;
use plan::{Entry, Plan, Providers};
use roles::Roles;

/// Quieter than a role's: a line for every request would bury what is said to the person at the terminal.
const QUIETER: &str = "tocsin_api=warn,tocsin_worker=warn,tocsin_status_collector=warn,refinery_core=warn,\
                       pglite_oxide=warn,wasmer=warn,wasmer_wasix=warn,virtual_fs=warn";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the page, the REST API and the providers' callbacks are served. Default: api.listen.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Begin with a sample district of so many students and simulated providers: nobody is contacted.
    #[arg(long, value_name = "STUDENTS", value_parser = clap::value_parser!(u32).range(50..=20_000))]
    sample: Option<u32>,
    /// Ask who it is on the page (`tocsin user add`). Needed where others reach this process, as providers do.
    #[arg(long)]
    sign_in: bool,
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(args: Args, config: Config, data: &Path) -> Result<ExitCode> {
    let since = Stopwatch::start();
    init_telemetry(config.log.format, &format!("{QUIETER},{}", config.log.filter))?;
    metrics::begin(env!("CARGO_PKG_VERSION"), "up");
    let plan = Plan::new(&args, &config)?;
    let listener = listen(plan.listen).await?;
    let servers = Servers::reach(&config).await?;
    let mut directory = DataDirectory::open(data)?;
    let providers = Providers::choose(&plan, &config, &directory)?;
    let ground = Ground::open(servers, &mut directory).await?;
    let started = start(&plan, &config, &ground, &mut directory, providers, listener).await;
    let system = match started {
        Ok(system) => system,
        Err(error) => {
            ground.close().await;
            return Err(error);
        }
    };
    directory.keep();
    tell(&system.banner);
    tracing::info!(elapsed_ms = since.elapsed().as_millis() as u64, "up");
    let left = system.run().await;
    // Last, when nobody uses it any more.
    ground.close().await;
    left
}

/// Whether anybody reads it or not, the process serves.
fn tell(text: impl Display) {
    if let Err(error) = print(text) {
        tracing::debug!(%error, "nobody reads what is said");
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        let what = "stop what uses it, or choose another with --listen, as 127.0.0.1:8090";
        Failure::usage(format!("cannot listen on {address}: {what}"))
    })
}

async fn start(
    plan: &Plan,
    config: &Config,
    ground: &Ground,
    directory: &mut DataDirectory,
    providers: Providers,
    listener: TcpListener,
) -> Result<Running> {
    let store = &ground.stores.engine;
    let (tasks, applying) = (Tasks::new(), Tasks::new());
    if let Some(otlp) = &config.metrics.otlp {
        metrics::start_pushing(otlp, env!("CARGO_PKG_VERSION"), "up", &tasks)?;
    }
    let hurry = stop_on_signal(&tasks, config.shutdown.delay())?;
    let address = listener.local_addr().context("the address listened on")?;
    let url = plan::local_url(address);
    let public_url = config.public_url.clone().unwrap_or_else(|| url.clone());
    let simulator = match providers {
        Providers::Simulated { students } => {
            let preparing = sample::prepare(store, directory, students);
            let prepared = tasks.stopping().run_until_cancelled(preparing).await;
            prepared.context("stopped while the sample district was made: start it again")??;
            Some(sample::simulator(&public_url).await?)
        }
        Providers::Configured | Providers::InboxOnly => None,
    };
    let page = match plan.access {
        Entry::Open => PageAccess::Open(store.clone()),
        Entry::SignIn => PageAccess::SignIn(crate::issuers::sign_in(config)?),
    };
    let registry = providers.registry(config, simulator.as_ref())?;
    if matches!(providers, Providers::Configured) {
        credentials::start(config, &registry, &tasks);
    }
    let webhooks = keys::webhooks(config, directory.path())?;
    let roles = Roles {
        config,
        ground,
        registry,
        token_keys: keys::token_keys(config, directory.path())?,
        public_url,
        page,
        outbound: crate::roles::outbound(webhooks.clone())?,
        webhooks,
        spans: Spans::start(&config.trace, "up")?,
    };
    store.configure_accounts(&providers.limits(config, store).await?, ground::now()).await?;
    crate::roles::configure_files(config, store).await?;
    let key = keys::api_key(store, directory.path()).await?;
    let health = roles.start(listener, &tasks, &applying);
    crate::roles::serve_health(config, health, &tasks).await?;
    upkeep::start(ground, &tasks);
    let banner = banner::banner(&banner::Facts {
        url: &url,
        ground,
        directory: directory.path(),
        providers,
        access: plan.access,
        key: &key,
    });
    let leave_within = config.shutdown.deadline();
    let (spans, memory) = (roles.spans, ground.memory.clone());
    Ok(Running { tasks, applying, hurry, leave_within, simulator, memory, spans, banner })
}
