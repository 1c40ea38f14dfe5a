//! The play itself: one campaign to its end, one canceled half-way.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use indicatif::HumanCount;
use serde_json::Value;
use tocsin_domain::CampaignId;
use tocsin_testkit::{promises, wait_until};

use super::messages;
use super::report::{Ended, Report};
use super::stage::Stage;
use crate::client::Detail;
use crate::terminal::print;
use crate::view::board::Board;
use crate::view::page::channel_name;

const POLL: Duration = Duration::from_millis(200);
/// Three times what each step takes on two busy cores.
const FIRST_ROUND_WITHIN: Duration = Duration::from_secs(60);
const HALF_WAY_WITHIN: Duration = Duration::from_secs(60);
const ENDED_WITHIN: Duration = Duration::from_secs(120);
const CLOSED_WITHIN: Duration = Duration::from_secs(20);
const CALLBACKS_WITHIN: Duration = Duration::from_secs(15);

const CANCELED_BY: &str = "Principal Ortiz";
const CANCEL_REASON: &str = "the photographer comes on Tuesday";

pub async fn play(stage: &Stage, students: u32) -> Result<Report> {
    stage.import(students).await?;
    let mut board = Board::new()?;
    let first = send(stage, &board, &messages::early_dismissal()).await?;
    let first_round = Until { what: "every device is tried once", within: FIRST_ROUND_WITHIN };
    watch(stage, &mut board, &[first], first_round, every_device_tried).await?;
    board.say(
        "Every device was tried once; calls that met a busy line or nobody are redialed after 10 s.\n",
    )?;

    let second = send(stage, &board, &messages::picture_day()).await?;
    let half = Until { what: "half of the attempts are made", within: HALF_WAY_WITHIN };
    watch(stage, &mut board, &[second], half, half_of_attempts_made).await?;
    let receipt = stage.api.cancel(second, CANCELED_BY, CANCEL_REASON).await?;
    board.say(&format!(
        "Canceled the second message half-way: {} devices were never tried. What is on its way is recalled.\n",
        HumanCount(receipt.never_tried)
    ))?;
    let end = Until { what: "every device has its final outcome", within: ENDED_WITHIN };
    watch(stage, &mut board, &[first, second], end, every_outcome_final).await?;
    for campaign in [first, second] {
        closed(stage, campaign).await?;
    }
    // Late reports may still raise an outcome: the numbers are read when no more come.
    stage.system.simulator.callbacks_done(CALLBACKS_WITHIN).await?;
    board.clear()?;

    let report = report(stage, first, second).await?;
    print(format_args!("{report}\n"))?;
    Ok(report)
}

async fn send(stage: &Stage, board: &Board, message: &Value) -> Result<CampaignId> {
    let detail = stage.api.send(message).await?;
    board.say(&format!(
        "Sending #{}, {:?}, to all guardians: voice, text, email and inbox, in their language",
        detail.number, detail.subject
    ))?;
    Ok(detail.id)
}

/// What is waited for, and for how long.
struct Until {
    what: &'static str,
    within: Duration,
}

/// Shows how far `campaigns` are until `reached` says so of all of them.
async fn watch(
    stage: &Stage,
    board: &mut Board,
    campaigns: &[CampaignId],
    until: Until,
    reached: impl Fn(&Detail) -> bool,
) -> Result<()> {
    let mut details = Vec::new();
    let watching = async {
        loop {
            details = look(stage, board, campaigns).await?;
            if details.iter().all(&reached) {
                return Ok::<_, anyhow::Error>(());
            }
            tokio::time::sleep(POLL).await;
        }
    };
    match tokio::time::timeout(until.within, watching).await {
        Ok(result) => result,
        Err(_) => bail!("waited {:?} in vain until {}: {}", until.within, until.what, stand(&details)),
    }
}

async fn look(stage: &Stage, board: &mut Board, campaigns: &[CampaignId]) -> Result<Vec<Detail>> {
    let mut details = Vec::with_capacity(campaigns.len());
    for campaign in campaigns {
        details.push(stage.api.detail(*campaign).await?);
    }
    board.show(&details)?;
    Ok(details)
}

fn every_device_tried(detail: &Detail) -> bool {
    let totals = detail.totals;
    totals.devices > 0 && totals.attempts + totals.not_dispatched >= totals.devices
}

fn half_of_attempts_made(detail: &Detail) -> bool {
    let totals = detail.totals;
    totals.devices > 0 && 2 * totals.attempts >= totals.devices
}

fn every_outcome_final(detail: &Detail) -> bool {
    detail.state.is_final() && detail.totals.open == 0
}

/// How far the messages are and where their devices are still open, for the message of a failure.
fn stand(details: &[Detail]) -> String {
    let messages: Vec<String> = details
        .iter()
        .map(|detail| {
            let open: Vec<String> = detail
                .by_channel
                .iter()
                .filter(|(_, counted)| counted.counters.open > 0)
                .map(|(channel, counted)| format!("{} {}", counted.counters.open, channel_name(*channel)))
                .collect();
            let open = if open.is_empty() { "none".to_owned() } else { open.join(", ") };
            format!("message {} is {}, devices open: {open}", detail.number, detail.state)
        })
        .collect();
    messages.join("; ")
}

/// Waits until the store has closed the campaign: it is recounted from its rows then.
async fn closed(stage: &Stage, campaign: CampaignId) -> Result<()> {
    let is_closed = async || match stage.system.store.campaign_facts(campaign).await {
        Ok(facts) => facts.is_some_and(|facts| facts.closed_at.is_some()),
        Err(error) => {
            tracing::warn!(%error, campaign.id = %campaign, "cannot see whether the campaign is closed");
            false
        }
    };
    wait_until(&format!("campaign {campaign} to be closed"), CLOSED_WITHIN, is_closed).await?;
    Ok(())
}

async fn report(stage: &Stage, sent: CampaignId, canceled: CampaignId) -> Result<Report> {
    let (store, records) = (&stage.system.store, stage.system.simulator.records());
    let violations = promises::check(store, &records, &stage.system.token_keys, &[sent, canceled])
        .await
        .context("the promises cannot be checked")?;
    Ok(Report {
        sent: ended(stage, sent).await?,
        canceled: ended(stage, canceled).await?,
        receipt: stage.api.receipt(canceled).await?,
        violations,
        requests: records.len() as u64,
    })
}

async fn ended(stage: &Stage, campaign: CampaignId) -> Result<Ended> {
    let jobs = stage.system.store.job_facts(campaign).await?;
    Ok(Ended { detail: stage.api.detail(campaign).await?, jobs })
}
