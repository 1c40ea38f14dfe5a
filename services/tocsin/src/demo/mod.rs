//! `tocsin demo`: the main job from end to end, for somebody who sees it for the first time.
//!
//! A roster comes in, two campaigns go out over all four channels to simulated providers, one of them is
//! canceled half-way, and the simulator's own record is held against the store. All that it makes is its own
//! and goes with it: the store, the broker, the roster's folder.

mod ground;
mod messages;
mod report;
pub(crate) mod roster;
mod run;
pub(crate) mod scenario;
mod stage;

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use tocsin_runtime::{LogFormat, init_telemetry, on_signal};

use crate::terminal::print;
use stage::Stage;

/// What is logged where RUST_LOG does not say. The AMQP client reports each closing of a connection as an
/// error of its own; whoever lost the connection says so, too, and heals it.
const LOG_FILTER: &str = "warn,lapin=off";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Students of the sample roster; guardians and staff come on top.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(50..=20_000))]
    students: u32,
    /// Write both campaigns' counters and the checks there, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keep everything open at the end, to look at both campaigns, until Ctrl-C.
    #[arg(long)]
    serve: bool,
}

/// Plays the demo. The exit code is 0 when every check holds, else 1.
pub async fn run(args: Args) -> Result<ExitCode> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| LOG_FILTER.to_owned());
    init_telemetry(LogFormat::Text, &filter)?;
    // Before anything runs: a file that cannot be written would waste the whole run.
    let json = args
        .json
        .as_ref()
        .map(|path| File::create(path).with_context(|| format!("--json: cannot write {}", path.display())));
    let json = json.transpose()?;

    print("Tocsin demo: a roster in, four channels out, every device accounted for\n\n")?;
    // Before anything is made: a signal that ended the process would leave it behind.
    let interrupted = on_signal().context("cannot listen for the interrupt")?;
    let stage = Stage::set().await?;
    let shown = interrupted.run_until_cancelled(show(&stage, &args, json)).await;
    let shown = shown.unwrap_or_else(|| Err(anyhow!("interrupted: nothing is left behind")));
    if args.serve && shown.is_ok() {
        interrupted.cancelled().await;
    }
    let struck = stage.strike().await;
    match shown {
        Ok(code) => struck.map(|()| code),
        Err(error) => {
            // Its own failure would hide the one that matters.
            if let Err(also) = struck {
                tracing::warn!(%also, "the roles did not leave in order");
            }
            Err(error)
        }
    }
}

async fn show(stage: &Stage, args: &Args, json: Option<File>) -> Result<ExitCode> {
    let report = run::play(stage, args.students).await?;
    if let Some(file) = json {
        serde_json::to_writer_pretty(file, &report.json()).context("--json: cannot be written")?;
    }
    if args.serve {
        print(format_args!(
            "\nEverything stays open: {}/ (Ctrl-C ends it, and nothing is left behind)\n",
            stage.system.api_url
        ))?;
    }
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
