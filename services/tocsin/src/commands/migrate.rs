//! `tocsin migrate`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use tocsin_runtime::Config;

use super::operator::{DataPath, with_store};
use crate::exit::Exit;
use crate::terminal::{print, print_json};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Brings the schema up to date, as the user of the configured address, who becomes its owner.
pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    let version = match config.database_url {
        Some(_) => tocsin_store::migrate(config.require_database_url()?).await?,
        // Opening an embedded store migrates it.
        None => with_store(config, data, async |_| Ok(tocsin_store::schema_version())).await?,
    };
    if args.json {
        print_json(&json!({ "schema_version": version }))?;
    } else {
        print(format_args!("the database's schema is version {version}\n"))?;
    }
    Ok(Exit::Done.into())
}
