//! `tocsin callbacks`: what came from providers and told no attempt's outcome, counted from the rows that keep it.

use std::process::ExitCode;

use anyhow::Result;
use chrono::TimeDelta;
use serde_json::json;
use tocsin_runtime::{Clock as _, Config, SystemClock};
use tocsin_store::Store;
use tocsin_store::kept::Kept;

use super::operator::{DataPath, with_store};
use crate::exit::Exit;
use crate::terminal::{print, print_json, table};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// So many days back, today among them.
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=366))]
    days: u16,
    /// Only of this provider account.
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    with_store(config, data, async |store| run_on(args, store).await).await
}

async fn run_on(args: Args, store: &Store) -> Result<ExitCode> {
    let first = SystemClock.now().date_naive() - TimeDelta::days(i64::from(args.days) - 1);
    let mut kept = store.kept_callbacks(first.and_time(chrono::NaiveTime::MIN).and_utc()).await?;
    kept.retain(|kept| args.account.as_ref().is_none_or(|account| *account == kept.account));
    if args.json {
        print_json(&json!({ "since": first, "days": kept.iter().map(to_json).collect::<Vec<_>>() }))?;
    } else if kept.is_empty() {
        print(format_args!("nothing unparsed and no text since {first}\n"))?;
    } else {
        let rows: Vec<[String; 5]> = kept.iter().map(row).collect();
        print(table(["Day", "Account", "Unparsed", "Texts", "For review"], &rows))?;
    }
    Ok(Exit::Done.into())
}

fn row(kept: &Kept) -> [String; 5] {
    [
        kept.day.to_string(),
        kept.account.clone(),
        kept.unparsed.to_string(),
        kept.texts.to_string(),
        kept.for_review.to_string(),
    ]
}

fn to_json(kept: &Kept) -> serde_json::Value {
    json!({ "day": kept.day, "account": kept.account, "unparsed": kept.unparsed, "texts": kept.texts,
        "for_review": kept.for_review })
}
