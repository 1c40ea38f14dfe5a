//! `tocsin forget`: a person erased.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use tocsin_runtime::{Clock as _, Config, SystemClock};
use tocsin_store::Store;

use super::operator::{DataPath, confirmed, district_named, operator_name, with_store};
use crate::exit::{Exit, Failure};
use crate::terminal::{print, print_json};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The person's source id, as the roster and the person's page have it.
    person: String,
    #[arg(long, value_name = "NAME")]
    district: String,
    /// Do it.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    confirmed(args.yes, "who is erased cannot be brought back")?;
    with_store(config, data, async |store| run_on(args, store).await).await
}

/// Fails (exit code 1) while open campaigns hold the person, so that it is run again.
async fn run_on(args: Args, store: &Store) -> Result<ExitCode> {
    let district = district_named(store, &args.district).await?;
    let whom = store.forget(district.id, &args.person, &operator_name(), SystemClock.now()).await?;
    let Some(whom) = whom else {
        let what = format!(
            "no person {:?} in {:?}: give the source id, as on the person's page",
            args.person, args.district
        );
        return Err(Failure::refused(what).into());
    };
    let erased = store.erase(whom).await?;
    if args.json {
        print_json(
            &json!({ "campaigns": erased.campaigns, "recipients": erased.recipients, "open": erased.open }),
        )?;
    } else {
        print(format_args!(
            "erased from the directory and from {} rows of {} campaigns\n",
            erased.recipients, erased.campaigns
        ))?;
        if erased.open > 0 {
            print(format_args!(
                "{} open campaigns still hold the person: run it again when they are closed\n",
                erased.open
            ))?;
        }
    }
    Ok(if erased.open == 0 { Exit::Done } else { Exit::Failed }.into())
}
