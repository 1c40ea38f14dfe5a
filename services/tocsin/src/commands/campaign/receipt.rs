//! `tocsin campaign receipt`: what a cancel reached, and each of its parts as a list.

use anyhow::Result;
use clap::ValueEnum;
use serde_json::Value;
use uuid::Uuid;

use crate::client::{Client, Receipt, read};
use crate::terminal::{print, say};
use crate::view::page::Reached;
use crate::view::receipt::{List, rows};

pub(super) const EXAMPLES: &str = "\
Examples:
  tocsin campaign receipt 01900000-0000-7000-8000-000000000001
  tocsin campaign receipt 01900000-0000-7000-8000-000000000001 --part contacted
  tocsin campaign receipt 01900000-0000-7000-8000-000000000001 --part never_tried --json | jq '.recipients[].recipient'";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The canceled campaign, from `tocsin campaign list`.
    id: Uuid,
    /// List this part.
    #[arg(long)]
    part: Option<Part>,
    /// How many rows of the part at most.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=5000), requires = "part")]
    limit: u32,
    /// Where to go on: what the page before ended with.
    #[arg(long, requires = "part")]
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Part {
    Contacted,
    InFlightOrUnknown,
    Recalled,
    NeverTried,
}

impl Part {
    fn as_str(self) -> &'static str {
        match self {
            Self::Contacted => "contacted",
            Self::InFlightOrUnknown => "in_flight_or_unknown",
            Self::Recalled => "recalled",
            Self::NeverTried => "never_tried",
        }
    }
}

/// The API's answer, and how it is shown.
pub(super) async fn ask(api: &Client, args: &Args) -> Result<(Value, fn(Value) -> Result<()>)> {
    let path = format!("/v1/campaigns/{}/receipt", args.id);
    let Some(part) = args.part else { return Ok((api.get(&path).await?, summary)) };
    let cursor = args.cursor.as_ref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    let answer = api.get(&format!("{path}/{}?limit={}{cursor}", part.as_str(), args.limit)).await?;
    Ok((answer, list))
}

fn summary(answer: Value) -> Result<()> {
    let receipt: Receipt = read(answer)?;
    print(Reached(&receipt))
}

fn list(answer: Value) -> Result<()> {
    let list: List = read(answer)?;
    if list.recipients.is_empty() && list.next_cursor.is_none() {
        say("nobody");
        return Ok(());
    }
    print(rows(&list.recipients))?;
    if let Some(cursor) = &list.next_cursor {
        say(format_args!("there are more: --cursor {cursor}"));
    }
    Ok(())
}
