//! `tocsin stop` and `tocsin go`: nothing more is sent, by the whole installation or for one district, until it goes on.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use tocsin_runtime::Config;
use tocsin_store::Store;

use super::operator::{DataPath, district_named, operator_name, with_store};
use crate::exit::Exit;
use crate::terminal::{print, print_json};

#[derive(Debug, clap::Args)]
pub struct StopArgs {
    /// Only this district's messages. Without it: every district's.
    #[arg(long, value_name = "NAME")]
    district: Option<String>,
    /// Why: shown by `tocsin status`, on the district's pages, and for each device that waits.
    #[arg(long)]
    reason: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct GoArgs {
    /// Only this district's messages. Without it: what was stopped for every district.
    #[arg(long, value_name = "NAME")]
    district: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn stop(args: StopArgs, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    with_store(config, data, async |store| stop_on(args, store).await).await
}

pub async fn go(args: GoArgs, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    with_store(config, data, async |store| go_on(args, store).await).await
}

async fn stop_on(args: StopArgs, store: &Store) -> Result<ExitCode> {
    let district = named(store, args.district.as_deref()).await?;
    let changed = store.stop_sending(district, &operator_name(), &args.reason).await?;
    tell(args.district.as_deref(), "stopped", changed, args.json)
}

async fn go_on(args: GoArgs, store: &Store) -> Result<ExitCode> {
    let district = named(store, args.district.as_deref()).await?;
    let changed = store.resume_sending(district, &operator_name()).await?;
    let told = tell(args.district.as_deref(), "sending", changed, args.json)?;
    let still = store.stops().await?;
    if !args.json && !still.is_empty() {
        let whom = if still.iter().any(|stop| stop.district.is_none()) {
            "every district"
        } else {
            "some districts"
        };
        print(format_args!("{whom} still stopped by another stop: see `tocsin status`\n"))?;
    }
    Ok(told)
}

async fn named(store: &Store, name: Option<&str>) -> Result<Option<tocsin_domain::DistrictId>> {
    match name {
        None => Ok(None),
        Some(name) => Ok(Some(district_named(store, name).await?.id)),
    }
}

fn tell(district: Option<&str>, state: &str, changed: bool, as_json: bool) -> Result<ExitCode> {
    if as_json {
        print_json(&json!({ "district": district, "state": state, "changed": changed }))?;
    } else {
        let whom = district.map_or_else(|| "every district".to_owned(), |name| format!("district {name:?}"));
        let already = if changed { "" } else { ", as it was before" };
        print(format_args!("{whom} is {state}{already}\n"))?;
    }
    Ok(Exit::Done.into())
}
