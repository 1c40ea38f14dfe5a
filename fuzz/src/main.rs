//! `make fuzz`: every parser for a while; what breaks one is kept in its corpus, so that a test finds it again.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use fuzz::{Mutator, Target, seeds, survives, targets};
use tocsin_runtime::Stopwatch;

/// Feeds changed captures to every parser of outside bytes.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long each is fed.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this one.
    #[arg(long)]
    target: Option<String>,
    /// Where the numbers begin; another one makes other inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Just this input, its panic shown; with --target.
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let chosen: Vec<Target> = targets()?
        .into_iter()
        .filter(|target| arguments.target.as_ref().is_none_or(|name| name == target.name))
        .collect();
    ensure!(!chosen.is_empty(), "there is no such target: see the folders in fuzz/corpus");
    if let Some(path) = arguments.input {
        let input = std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        chosen.iter().for_each(|target| (target.run)(&input));
        println!("it survives");
        return Ok(ExitCode::SUCCESS);
    }
    // What panics is told of below, with its input.
    std::panic::set_hook(Box::new(|_| {}));
    let mut failed = false;
    for target in &chosen {
        failed |= !feed(target, arguments.seed, Duration::from_secs(arguments.seconds))?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// False: an input broke it.
fn feed(target: &Target, seed: u64, time: Duration) -> Result<bool> {
    let mut mutator = Mutator::new(seed, seeds(target.name)?);
    let since = Stopwatch::start();
    let mut inputs = 0_u64;
    while since.elapsed() < time {
        let input = mutator.next_input();
        inputs += 1;
        if !survives(target, &input) {
            let path = fuzz::folder(target.name).join(format!("broke-{seed}-{inputs}"));
            std::fs::write(&path, &input)?;
            println!("{}: broken by {}", target.name, path.display());
            println!("  see it: cargo run -p fuzz -- --target {} --input {}", target.name, path.display());
            return Ok(false);
        }
    }
    println!("{}: {inputs} inputs survived", target.name);
    Ok(true)
}
