//! `tocsin webhook`: where a district's own systems are told what happens, over the REST API.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};
use tocsin_webhooks::{message_id, read_message_id};
use uuid::Uuid;

use super::operator::DataPath;
use super::rest::{self, Access, list, pairs, text, time};
use crate::exit::Exit;
use crate::terminal::table;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List endpoints, oldest first.
    #[command(after_long_help = "\
Examples:
  tocsin webhook list
  tocsin webhook list --json | jq -r '.webhooks[] | select(.enabled | not) | .url'")]
    List,
    /// Show an endpoint and what was sent there lately.
    #[command(after_long_help = "\
Examples:
  tocsin webhook show 00000000-0000-4000-8000-000000000001 --limit 50")]
    Show {
        /// From `tocsin webhook list`.
        id: Uuid,
        /// How many deliveries at most.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Send an endpoint a test, whatever events it asks for.
    #[command(after_long_help = "\
Whether it came through is told by `tocsin webhook show`.

Examples:
  tocsin webhook test 00000000-0000-4000-8000-000000000001")]
    Test {
        /// From `tocsin webhook list`.
        id: Uuid,
    },
    /// Send an endpoint again what was delivered there or has failed.
    #[command(after_long_help = "\
It keeps its id, by which a receiver knows it again, and has all its attempts before it.

Examples:
  tocsin webhook redeliver 00000000-0000-4000-8000-000000000001 msg_019b00000000700080000000000000aa")]
    Redeliver {
        /// From `tocsin webhook list`.
        id: Uuid,
        /// From `tocsin webhook show`.
        #[arg(value_parser = delivery)]
        delivery: Uuid,
    },
    /// Send an endpoint nothing more. What waits is kept for a month.
    #[command(after_long_help = "\
It is enabled again in the console, or by PATCH /v1/webhooks/{id}.

Examples:
  tocsin webhook disable 00000000-0000-4000-8000-000000000001")]
    Disable {
        /// From `tocsin webhook list`.
        id: Uuid,
    },
}

pub async fn run(args: Args, data: impl DataPath) -> Result<ExitCode> {
    let rest = args.access.open(data)?;
    match args.action {
        Action::List => {
            let answer = rest.api.get("/v1/webhooks").await?;
            rest.show(&answer, listed)
        }
        Action::Show { id, limit } => {
            let mut answer = rest.api.get(&format!("/v1/webhooks/{id}")).await?;
            let deliveries = rest.api.get(&format!("/v1/webhooks/{id}/deliveries?limit={limit}")).await?;
            answer["deliveries"] = deliveries["deliveries"].clone();
            rest.show(&answer, shown)
        }
        Action::Test { id } => {
            let answer = rest.api.post(&format!("/v1/webhooks/{id}/test"), &json!({})).await?;
            rest.show(&answer, |it| format!("{}\n", text(it, "id")))
        }
        Action::Redeliver { id, delivery } => {
            let path = format!("/v1/webhooks/{id}/deliveries/{}/redeliver", message_id(delivery));
            let answer = rest.api.post(&path, &json!({})).await?;
            rest.show(&answer, |it| format!("{} is on its way again\n", text(it, "id")))
        }
        Action::Disable { id } => {
            let answer = rest.api.patch(&format!("/v1/webhooks/{id}"), &json!({ "enabled": false })).await?;
            rest.show(&answer, |it| format!("{} is disabled\n", text(it, "url")))
        }
    }?;
    Ok(Exit::Done.into())
}

fn delivery(text: &str) -> Result<Uuid, &'static str> {
    read_message_id(text)
        .ok_or("is no id of a delivery: `tocsin webhook show` lists them, msg_ and 32 digits")
}

fn state(endpoint: &Value) -> String {
    if endpoint["enabled"] == true && endpoint["failing_since"].is_string() {
        return format!("fails since {} UTC", time(endpoint, "failing_since"));
    }
    let reason = || text(endpoint, "disabled_reason").replace('_', " ");
    if endpoint["enabled"] == true { "enabled".to_owned() } else { format!("disabled: {}", reason()) }
}

fn listed(answer: &Value) -> String {
    rest::listed(
        answer,
        "webhooks",
        "no webhooks: one is added in the console, or by POST /v1/webhooks",
        [
            ("Id", |it| text(it, "id")),
            ("State", state),
            ("Address", |it| text(it, "url")),
            ("Description", |it| text(it, "description")),
        ],
    )
}

fn shown(answer: &Value) -> String {
    let events: Vec<_> = list(answer, "events").iter().filter_map(Value::as_str).collect();
    let mut page = pairs(&[
        ("Id", text(answer, "id")),
        ("Address", text(answer, "url")),
        ("Description", text(answer, "description")),
        ("Events", events.join(", ")),
        ("State", state(answer)),
        ("Made", format!("{}, {} UTC", text(answer, "created_by"), time(answer, "created_at"))),
    ]);
    let number = |it: &Value| it.as_i64().map(|number| number.to_string());
    let row = |it: &Value| {
        [
            text(it, "id"),
            time(it, "created_at"),
            text(it, "event"),
            text(it, "state"),
            number(&it["attempts"]).unwrap_or_default(),
            number(&it["status"]).unwrap_or_else(|| text(it, "fault")),
            time(it, "next_attempt_at"),
        ]
    };
    let rows: Vec<_> = list(answer, "deliveries").iter().map(row).collect();
    if !rows.is_empty() {
        page.push('\n');
        page.push_str(&table(
            ["Id", "Made (UTC)", "Event", "State", "Tries", "Answer", "Next try (UTC)"],
            &rows,
        ));
    }
    page
}
