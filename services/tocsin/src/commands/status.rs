//! `tocsin status`: what the installation does at the moment, at a glance.

mod glance;
mod page;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use tocsin_runtime::Config;

use self::glance::{Glance, Letterbox};
use super::operator::{DataPath, with_store};
use crate::exit::Exit;
use crate::terminal::{print, print_json};

/// How often it is looked at anew.
const EVERY: Duration = Duration::from_secs(2);
/// To the upper left corner, and nothing below it.
const CLEAR: &str = "\x1b[H\x1b[J";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Look again every 2 s until Ctrl-C. With --json: one object a line.
    #[arg(long)]
    watch: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    with_store(config, data, async |store| {
        let mut letterbox = Letterbox::of(config);
        loop {
            let glance = Glance::look(store, &mut letterbox).await?;
            match (args.json, args.watch) {
                (true, false) => print_json(&glance.json())?,
                (true, true) => print(format_args!("{}\n", glance.json()))?,
                (false, true) if std::io::stdout().is_terminal() => {
                    print(format_args!("{CLEAR}{}", page::text(&glance)))?;
                }
                (false, _) => print(page::text(&glance))?,
            }
            if !args.watch {
                return Ok(Exit::Done.into());
            }
            tokio::time::sleep(EVERY).await;
        }
    })
    .await
}
