//! `tocsin webhook`: a district's endpoints, over the REST API.

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
    /// List the endpoints.
    #[command(after_long_help = "\
Examples:
  tocsin webhook list")]
    List,
    /// Show an endpoint.
    #[command(after_long_help = "\
Examples:
  tocsin webhook show 01900000-0000-7000-8000-000000000001")]
    Show { id: Uuid },
    /// List what was sent to an endpoint, the newest first.
    #[command(after_long_help = "\
Examples:
  tocsin webhook deliveries 01900000-0000-7000-8000-000000000001 --limit 20")]
    Deliveries {
        id: Uuid,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5000))]
        limit: u32,
    },
    /// Send a test to an endpoint.
    #[command(after_long_help = "\
Examples:
  tocsin webhook test 01900000-0000-7000-8000-000000000001")]
    Test { id: Uuid },
    /// Disable an endpoint: what waits for it is kept for 31 days.
    #[command(after_long_help = "\
Examples:
  tocsin webhook disable 01900000-0000-7000-8000-000000000001")]
    Disable { id: Uuid },
    /// Enable an endpoint again.
    #[command(after_long_help = "\
Examples:
  tocsin webhook enable 01900000-0000-7000-8000-000000000001")]
    Enable { id: Uuid },
}

const WEBHOOKS: List<4> = List {
    member: "webhooks",
    headings: ["Webhook", "Enabled", "Why not", "Address"],
    columns: ["/id", "/enabled", "/disabled_reason", "/url"],
    none: "no webhooks",
};

const DELIVERIES: List<6> = List {
    member: "deliveries",
    headings: ["Delivery", "Event", "State", "Attempts", "Status", "Fault"],
    columns: ["/id", "/event", "/state", "/attempts", "/status", "/fault"],
    none: "nothing was sent there within 31 days",
};

pub async fn run(args: Args, data: impl DataPath) -> Result<ExitCode> {
    let api = args.access.client(data)?;
    let as_json = args.access.json;
    match args.action {
        Action::List => WEBHOOKS.show(&api.get("/v1/webhooks").await?, as_json)?,
        Action::Show { id } => show_entry(&api.get(&format!("/v1/webhooks/{id}")).await?, as_json)?,
        Action::Deliveries { id, limit } => {
            let path = format!("/v1/webhooks/{id}/deliveries?limit={limit}");
            DELIVERIES.show(&api.get(&path).await?, as_json)?;
        }
        Action::Test { id } => {
            show_entry(&api.post(&format!("/v1/webhooks/{id}/test"), &json!({})).await?, as_json)?;
        }
        Action::Disable { id } => enable(&api, id, false, as_json).await?,
        Action::Enable { id } => enable(&api, id, true, as_json).await?,
    }
    Ok(Exit::Done.into())
}

async fn enable(api: &crate::client::Client, id: Uuid, enabled: bool, as_json: bool) -> Result<()> {
    let answer = api.patch(&format!("/v1/webhooks/{id}"), &json!({ "enabled": enabled })).await?;
    show_entry(&answer, as_json)
}
