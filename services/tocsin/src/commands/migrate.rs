//! `tocsin migrate`.

use std::process::ExitCode;

use anyhow::Result;
use tocsin_runtime::Config;

/// Brings the schema up to date, as the user of the configured address, who becomes its owner.
pub async fn run(config: &Config) -> Result<ExitCode> {
    let version = tocsin_store::migrate(config.require_database_url()?).await?;
    println!("the database's schema is version {version}");
    Ok(ExitCode::SUCCESS)
}
