//! `tocsin audit`: the counters held against the rows, and corrected.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use tocsin_domain::{CampaignId, Channel};
use tocsin_runtime::{Clock as _, Config, SystemClock};
use tocsin_store::Store;
use uuid::Uuid;

use super::operator::{DataPath, with_store};
use crate::exit::{Exit, Failure};
use crate::terminal::{print, print_json};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Audit this campaign only. Without it: every open campaign, and those closed within the last day.
    #[arg(long, value_name = "ID")]
    campaign: Option<Uuid>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Fails (exit code 1) where a counter had drifted, so that a scheduled run is noticed.
pub async fn run(args: Args, config: &Config, data: impl DataPath) -> Result<ExitCode> {
    with_store(config, data, async |store| run_on(args, store).await).await
}

async fn run_on(args: Args, store: &Store) -> Result<ExitCode> {
    let campaigns = match args.campaign {
        Some(id) => vec![CampaignId(id)],
        None => store.campaigns_to_audit().await?,
    };
    let mut drifted = Vec::new();
    for &campaign in &campaigns {
        let Some(found) = store.audit_campaign(campaign, SystemClock.now()).await? else {
            let what = format!("--campaign: there is no campaign {campaign}: see `tocsin campaign list`");
            return Err(Failure::refused(what).into());
        };
        drifted.extend(found.into_iter().map(|drift| (campaign, drift)));
    }
    let of = |channel: Option<Channel>| channel.map_or("people", |channel| channel.as_str());
    if args.json {
        let found: Vec<_> = drifted
            .iter()
            .map(|(campaign, drift)| {
                json!({ "campaign": campaign.to_string(), "channel": of(drift.channel),
                    "counter": drift.counter, "off_by": drift.off_by })
            })
            .collect();
        print_json(&json!({ "audited": campaigns.len(), "corrected": found }))?;
    } else {
        for (campaign, drift) in &drifted {
            let by = drift.off_by.map_or(String::new(), |off_by| format!(" by {off_by:+}"));
            print(format_args!("{campaign} {} {}: corrected{by}\n", of(drift.channel), drift.counter))?;
        }
        print(format_args!("{} audited, {} counters corrected\n", campaigns.len(), drifted.len()))?;
    }
    Ok(if drifted.is_empty() { Exit::Done } else { Exit::Failed }.into())
}
