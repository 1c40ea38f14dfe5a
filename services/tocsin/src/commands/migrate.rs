//! `tocsin migrate`.

use std::process::ExitCode;

use anyhow::Result;
use tocsin_runtime::Config;

use super::store::{DataPath, with_store};

/// Brings the schema up to date, as the user of the configured address, who becomes its owner.
pub async fn run(config: &Config, data: impl DataPath) -> Result<ExitCode> {
    let version = match config.database_url {
        Some(_) => tocsin_store::migrate(config.require_database_url()?).await?,
        // Opening an embedded store migrates it.
        None => with_store(config, data, async |_| Ok(tocsin_store::schema_version())).await?,
    };
    println!("the database's schema is version {version}");
    Ok(ExitCode::SUCCESS)
}
