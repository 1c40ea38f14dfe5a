//! `make sim`: runs seeds, and tells of each that fails how to see it again.

use std::convert::Infallible;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use simulation::{Database, Failure, Report, run};
use tocsin_runtime::Stopwatch;

/// Runs the simulation of the promises on the PostgreSQL of DATABASE_URL.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Just this one.
    #[arg(long)]
    seed: Option<u64>,
    /// Run each twice, and hold the two against each other.
    #[arg(long)]
    twice: bool,
    /// Stop at the first that fails.
    #[arg(long)]
    first: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    tokio::select! {
        biased;
        done = run_seeds(Arguments::parse()) => done,
        never = stay_awake() => match never {},
    }
}

/// A seed is a thousand and more round trips, one after another. To be woken for each costs a fifth of its time, and
/// nothing else is to be done meanwhile.
async fn stay_awake() -> Infallible {
    loop {
        tokio::task::yield_now().await;
    }
}

async fn run_seeds(arguments: Arguments) -> Result<ExitCode> {
    let (from, seeds) = arguments.seed.map_or((arguments.from, arguments.seeds), |seed| (seed, 1));
    let database = Database::create().await?;
    let mut all = Report::default();
    let (since, mut ran, mut failed) = (Stopwatch::start(), 0_u32, 0);
    for seed in from..from + seeds {
        ran += 1;
        let ran_once = run(&database, seed).await;
        if arguments.twice && !again(&database, seed, &ran_once).await {
            println!("seed {seed} was another run when it was run again\n");
            failed += 1;
        }
        match ran_once {
            Ok(report) => all += report,
            Err(failure) => {
                println!("{failure}\n");
                failed += 1;
                if arguments.first {
                    break;
                }
            }
        }
    }
    println!("{all:?}");
    let each = since.elapsed().checked_div(ran).unwrap_or_default();
    println!("{ran} seeds from {from}, {failed} failed, {} ms each", each.as_millis());
    database.close().await;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Is the seed the same run again?
async fn again(database: &Database, seed: u64, before: &Result<Report, Failure>) -> bool {
    match (before, run(database, seed).await) {
        (Ok(before), Ok(after)) => *before == after,
        (Err(before), Err(after)) => before.to_string() == after.to_string(),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}
