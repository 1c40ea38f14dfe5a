//! `loadtest`: whether Tocsin keeps its promises under load, and how fast it is.

mod campaign;
mod ceiling;
mod checker;
mod cli;
mod district;
mod findings;
mod options;
mod probe;
mod progress;
mod report;
mod role;
mod scenarios;
mod stage;
mod stats;
mod table;
mod usage;

use std::process::ExitCode;

use mimalloc::MiMalloc;
use tocsin::exit::Exit;
use tocsin::terminal::{FAULT, coloured, say};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::run().await {
        Ok(code) => code,
        Err(error) => {
            say(format_args!("{}: {error:#}", coloured(FAULT, "error")));
            Exit::of(&error).into()
        }
    }
}
