//! `tocsin`: wiring only.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use tocsin::cli::Cli;
use tocsin::exit::Exit;
use tocsin::terminal::{FAULT, coloured, say};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::of_arguments();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(format_args!("error: cannot start: {error}"));
            return Exit::Failed.into();
        }
    };
    match runtime.block_on(cli.run()) {
        Ok(code) => code,
        Err(error) => match Exit::of(&error) {
            Exit::Done => Exit::Done.into(),
            exit => {
                // The whole chain on one line: what failed, then why.
                say(format_args!("{}: {error:#}", coloured(FAULT, "error")));
                exit.into()
            }
        },
    }
}
