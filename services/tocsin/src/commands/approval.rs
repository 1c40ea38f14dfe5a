//! `tocsin approval`: emergencies that wait for a second person, over the REST API.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;
use uuid::Uuid;

use super::operator::DataPath;
use super::over_api::{Access, List, show_entry};
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what waits for a second person, and what was decided.
    #[command(after_long_help = "\
Examples:
  tocsin approval list --state waiting")]
    List {
        /// waiting, approved, declined or expired.
        #[arg(long)]
        state: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5000))]
        limit: u32,
    },
    /// Show what is asked for.
    #[command(after_long_help = "\
Examples:
  tocsin approval show 01900000-0000-7000-8000-000000000001")]
    Show { id: Uuid },
    /// Say yes: the emergency is sent at once. Whoever asked cannot.
    #[command(after_long_help = "\
Examples:
  tocsin approval approve 01900000-0000-7000-8000-000000000001")]
    Approve { id: Uuid },
    /// Say no, or take back what one asked for.
    #[command(after_long_help = "\
Examples:
  tocsin approval refuse 01900000-0000-7000-8000-000000000001 --reason \"no emergency\"")]
    Refuse {
        id: Uuid,
        /// Shown to whoever asked.
        #[arg(long)]
        reason: Option<String>,
    },
}

const APPROVALS: List<5> = List {
    member: "approvals",
    headings: ["Approval", "State", "Asked by", "Until", "Subject"],
    columns: ["/id", "/state", "/asked_by", "/expires_at", "/subject"],
    none: "no approvals",
};

pub async fn run(args: Args, data: impl DataPath) -> Result<ExitCode> {
    let api = args.access.client(data)?;
    let as_json = args.access.json;
    match args.action {
        Action::List { state, limit } => {
            let state = state.map_or_else(String::new, |state| format!("&state={state}"));
            APPROVALS.show(&api.get(&format!("/v1/approvals?limit={limit}{state}")).await?, as_json)?;
        }
        Action::Show { id } => show_entry(&api.get(&format!("/v1/approvals/{id}")).await?, as_json)?,
        Action::Approve { id } => {
            let path = format!("/v1/approvals/{id}/approve");
            show_entry(&api.post(&path, &json!({ "by": "cli" })).await?, as_json)?;
        }
        Action::Refuse { id, reason } => {
            let path = format!("/v1/approvals/{id}/decline");
            show_entry(&api.post(&path, &json!({ "by": "cli", "reason": reason })).await?, as_json)?;
        }
    }
    Ok(Exit::Done.into())
}
