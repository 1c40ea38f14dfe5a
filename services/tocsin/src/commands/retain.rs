//! `tocsin retain`: months of which everything is closed for long, dropped.

use std::process::ExitCode;

use anyhow::Result;
use chrono::TimeDelta;
use serde_json::{Value, json};
use tocsin_runtime::Config;
use tocsin_store::Store;
use tocsin_store::retention::Month;

use super::operator::{DataPath, confirmed, with_store};
use crate::exit::Exit;
use crate::terminal::{print, print_json, table};

/// Webhooks tell of devices for so long.
const DAYS_MIN: u32 = 32;
const DAYS_MAX: u32 = 36_500;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Closed for at least so many days, as 400d.
    #[arg(long, value_name = "DAYS", default_value = "400d", value_parser = days)]
    older_than: u32,
    /// List what would be dropped, and drop nothing.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn days(text: &str) -> Result<u32, String> {
    match text.strip_suffix('d').unwrap_or(text).parse() {
        Ok(days) if (DAYS_MIN..=DAYS_MAX).contains(&days) => Ok(days),
        _ => Err(format!("give a number of days from {DAYS_MIN}, as 400d")),
    }
}

pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    if !args.dry_run {
        confirmed(args.yes, "what is dropped is gone (--dry-run lists it)")?;
    }
    with_store(config, data, async |store| run_on(args, store).await).await
}

async fn run_on(args: Args, store: &Store) -> Result<ExitCode> {
    let cutoff = store.now().await? - TimeDelta::days(i64::from(args.older_than));
    let months = store.droppable_months(cutoff).await?;
    if !args.dry_run {
        for month in &months {
            store.drop_month(month, cutoff).await?;
        }
    }
    if args.json {
        let of = |month: &Month| -> Value {
            json!({ "month": month.name, "campaigns": month.campaigns, "bytes": month.bytes })
        };
        let months: Vec<Value> = months.iter().map(of).collect();
        print_json(&json!({ "closed_before": cutoff, "dropped": !args.dry_run, "months": months }))?;
    } else if months.is_empty() {
        print(format_args!(
            "no month of which everything was closed before {}\n",
            cutoff.format("%Y-%m-%d")
        ))?;
    } else {
        let row = |month: &Month| {
            [month.name.clone(), month.campaigns.to_string(), (month.bytes / 1024 / 1024).to_string()]
        };
        let rows: Vec<[String; 3]> = months.iter().map(row).collect();
        print(table([if args.dry_run { "Would go" } else { "Dropped" }, "Campaigns", "MB"], &rows))?;
    }
    Ok(Exit::Done.into())
}
