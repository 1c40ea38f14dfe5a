//! `tocsin audit`: the counters held against the rows, and corrected.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;
use tocsin_domain::CampaignId;
use tocsin_runtime::{Clock as _, Config, SystemClock};
use tocsin_store::Access;
use uuid::Uuid;

use crate::roles;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Audit this campaign only. Without it: every open campaign, and those closed within the last day.
    #[arg(long, value_name = "ID")]
    campaign: Option<Uuid>,
    /// Write what was found as JSON.
    #[arg(long)]
    json: bool,
}

/// Fails (exit code 1) where a counter had drifted, so that a scheduled run is noticed.
pub async fn run(args: Args, config: &Config) -> Result<ExitCode> {
    let store = roles::store(config, Access::Engine).await?;
    let campaigns = match args.campaign {
        Some(id) => vec![CampaignId(id)],
        None => store.campaigns_to_audit().await?,
    };
    let mut drifted = Vec::new();
    for &campaign in &campaigns {
        let Some(found) = store.audit_campaign(campaign, SystemClock.now()).await? else {
            bail!("--campaign: there is no campaign {campaign}: see `tocsin campaign list`");
        };
        drifted.extend(found.into_iter().map(|drift| (campaign, drift)));
    }
    let of = |channel: Option<tocsin_domain::Channel>| channel.map_or("people", |channel| channel.as_str());
    if args.json {
        let found: Vec<_> = drifted
            .iter()
            .map(|(campaign, drift)| {
                json!({ "campaign": campaign.to_string(), "channel": of(drift.channel),
                    "counter": drift.counter, "off_by": drift.off_by })
            })
            .collect();
        println!("{:#}", json!({ "audited": campaigns.len(), "corrected": found }));
    } else {
        for (campaign, drift) in &drifted {
            let by = drift.off_by.map_or(String::new(), |off_by| format!(" by {off_by:+}"));
            println!("{campaign} {} {}: corrected{by}", of(drift.channel), drift.counter);
        }
        println!("{} audited, {} counters corrected", campaigns.len(), drifted.len());
    }
    Ok(if drifted.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
