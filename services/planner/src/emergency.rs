//! Emergency first (promise 5): where an emergency job is due, or queued and unclaimed, nothing else is expanded
//! or released, whichever planner has the duty to release it. One that its own district or author slows down holds up
//! nobody: it would gain nothing from it.

use chrono::{DateTime, Utc};
use tocsin_domain::{Channel, Lane};
use tocsin_store::accounts::Account;
use tocsin_store::release::{Draw, OpenCampaign, Persons, Position, QueuedCount};

use crate::limits::Limits;
use crate::windows::Windows;
use crate::{Planner, PlannerError};

/// The channels on which an emergency job that holds up others is due or queued.
pub async fn channels_held(planner: &Planner) -> Result<Vec<Channel>, PlannerError> {
    let open = planner.store.open_campaigns().await?;
    if open.iter().all(|campaign| campaign.lane != Lane::Emergency) {
        return Ok(Vec::new());
    }
    let now = planner.store.now().await?;
    let accounts = planner.store.accounts().await?;
    let queued = planner.store.queued_counts().await?;
    let mut held = Vec::new();
    for channel in Channel::ALL {
        let accounts = serving(&accounts, channel);
        let limits = Limits::of(channel, planner.store.district_limits(channel).await?);
        if may_hold_up(&limits, channel, &open)
            && (is_queued(&queued, channel)
                || is_left(planner, &limits, channel, &open, &accounts, now).await?)
        {
            held.push(channel);
        }
    }
    Ok(held)
}

/// Is any emergency of the channel open that nothing but accounts limits? What is queued is counted by account, not by
/// campaign: beside such a one what is queued of a limited one counts, too.
pub fn may_hold_up(limits: &Limits, channel: Channel, open: &[OpenCampaign]) -> bool {
    open.iter().any(|campaign| is_unlimited(limits, channel, campaign))
}

fn is_unlimited(limits: &Limits, channel: Channel, campaign: &OpenCampaign) -> bool {
    campaign.lane == Lane::Emergency && campaign.channels.contains(&channel) && !limits.limit(campaign)
}

/// Is an emergency job of the channel due that one of its `accounts` could send, or queued? One that no account
/// may send, or that its own district or author slows down, gains nothing from others' waiting. For the caller who has
/// just found none queued: this reads the head of an index, where what was released leaves dead entries.
pub async fn is_left(
    planner: &Planner,
    limits: &Limits,
    channel: Channel,
    open: &[OpenCampaign],
    accounts: &[Account],
    now: DateTime<Utc>,
) -> Result<bool, PlannerError> {
    let windows = Windows::of(accounts, &[], channel, Lane::Emergency);
    let draws: Vec<Draw> = open
        .iter()
        .filter(|campaign| is_unlimited(limits, channel, campaign) && windows.serve_any(campaign))
        .map(|campaign| Draw { campaign: campaign.id, after: Position::HEAD, jobs_max: 1 })
        .collect();
    if draws.is_empty() {
        return Ok(false);
    }
    // Due first, queued second: one that another planner releases in between is seen by one of the two.
    Ok(!planner.store.due_jobs(channel, &draws, Persons::Unread, now).await?.is_empty()
        || is_queued(&planner.store.queued_counts().await?, channel))
}

/// The accounts of a channel and their senders. Those that are stopped have no window.
pub fn serving(accounts: &[Account], channel: Channel) -> Vec<Account> {
    accounts.iter().filter(|account| account.limits.channel == channel).cloned().collect()
}

fn is_queued(queued: &[QueuedCount], channel: Channel) -> bool {
    Windows::of(&[], queued, channel, Lane::Emergency).busy()
}
