//! `tocsin approval`: emergencies that wait for a second person, over the REST API.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::operator::DataPath;
use super::rest::{self, Access, text, time};
use crate::exit::Exit;
use crate::terminal::say;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what waits for a second person, newest first.
    #[command(after_long_help = "\
Examples:
  tocsin approval list
  tocsin approval list --state any --json | jq '.approvals[] | {id, state, decided_by}'")]
    List {
        /// What waits, or was approved or declined, or whose time is over, or all.
        #[arg(long, default_value = "waiting", value_parser = ["waiting", "approved", "declined", "expired", "any"])]
        state: String,
        /// How many at most.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Approve an emergency that somebody else submitted. It goes out at once.
    #[command(after_long_help = "\
The key that submitted it cannot approve it. What it says: `tocsin approval list --json`.

Examples:
  tocsin approval approve 01900000-0000-7000-8000-000000000001")]
    Approve {
        /// From `tocsin approval list`.
        id: Uuid,
        /// Who approves, in the records, where it is not the key's name.
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Refuse an emergency, or take back one's own.
    #[command(after_long_help = "\
Examples:
  tocsin approval refuse 01900000-0000-7000-8000-000000000001 --reason \"it was a drill\"")]
    Refuse {
        /// From `tocsin approval list`.
        id: Uuid,
        /// Who refuses, in the records, where it is not the key's name.
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// Kept with the refusal.
        #[arg(long)]
        reason: Option<String>,
    },
}

pub async fn run(args: Args, data: impl DataPath) -> Result<ExitCode> {
    let rest = args.access.open(data)?;
    match args.action {
        Action::List { state, limit } => {
            let state = if state == "any" { String::new() } else { format!("&state={state}") };
            let answer = rest.api.get(&format!("/v1/approvals?limit={limit}{state}")).await?;
            rest.show(&answer, listed)
        }
        Action::Approve { id, by } => {
            let order = json!({ "by": by });
            let answer = rest.api.post(&format!("/v1/approvals/{id}/approve"), &order).await?;
            rest.show(&answer, |it| {
                let campaign = text(it, "campaign");
                say(format_args!("it goes out: follow it with `tocsin campaign watch {campaign}`"));
                format!("{campaign}\n")
            })
        }
        Action::Refuse { id, by, reason } => {
            let order = json!({ "by": by, "reason": reason });
            let answer = rest.api.post(&format!("/v1/approvals/{id}/decline"), &order).await?;
            rest.show(&answer, |it| format!("it is {}: nothing of it goes out\n", text(it, "state")))
        }
    }?;
    Ok(Exit::Done.into())
}

fn listed(answer: &Value) -> String {
    let nothing = "nothing there: `--state any` lists what was decided, too";
    rest::listed(
        answer,
        "approvals",
        nothing,
        [
            ("Id", |it| text(it, "id")),
            ("State", |it| text(it, "state")),
            ("Asked by", |it| text(it, "asked_by")),
            ("Asked (UTC)", |it| time(it, "asked_at")),
            ("Until (UTC)", |it| time(it, "expires_at")),
            ("Subject", |it| text(it, "subject")),
        ],
    )
}
