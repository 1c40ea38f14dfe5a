//! A role as a process of its own: the `tocsin` program inside this one, so that one build is enough.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;
use rustix::process::{Signal, set_parent_process_death_signal};
use tocsin::exit::Exit;
use tocsin_domain::Channel;
use tocsin_runtime::telemetry::Spans;
use tocsin_runtime::{Config, Tasks, init_telemetry, stop_on_signal};

/// As the roles themselves.
const LEAVE_WITHIN: Duration = Duration::from_secs(25);
const SPANS_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Workers in this process, each with a connection to the broker of its own; only for `worker`.
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// As of `tocsin`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    words: Vec<String>,
}

/// Runs the role until it is asked to stop. It never outlives whoever started it.
pub async fn run(args: Args) -> Result<ExitCode> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot bind the role to its parent")?;
    if args.count > 1 {
        return workers(args.count).await;
    }
    let words = std::iter::once("tocsin".to_owned()).chain(args.words);
    tocsin::cli::Cli::try_parse_from(words)?.run().await
}

async fn workers(count: usize) -> Result<ExitCode> {
    let config = Config::load(None)?;
    init_telemetry(config.log.format, &config.log.filter)?;
    let spans = Spans::start(&config.trace, "worker")?;
    let tasks = Tasks::new();
    stop_on_signal(&tasks, Duration::ZERO)?;
    tocsin::roles::start_workers(&config, vec![Channel::Sms], count, &spans, &tasks).await?;
    tasks.stopping().cancelled().await;
    let stopped = tasks.stop(LEAVE_WITHIN).await;
    spans.close(SPANS_WITHIN).await;
    ensure!(stopped.unfinished.is_empty() && stopped.failure.is_none(), "{stopped:?}");
    Ok(Exit::Done.into())
}
