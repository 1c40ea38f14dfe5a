//! What a release found to do. It is read afterwards, and only when something was released: a release makes nothing due and
//! leaves what is queued, so that what was open before it is open still, or was published.

use anyhow::{Context as _, Result};
use tocsin_domain::{CampaignId, Channel, Lane};

use super::fairness::Due;
use crate::broker::PublishedJob;
use crate::world::World;

#[derive(Debug)]
pub struct Open {
    /// Campaigns with due jobs and no calling window.
    pub due: Vec<Due>,
    /// Was an emergency job due or queued that an account could have sent? One that its own district or author slows
    /// down holds up nobody.
    pub emergency: bool,
}

impl Open {
    pub async fn before(world: &World<'_>, channel: Channel, published: &[PublishedJob]) -> Result<Self> {
        let mut open = Self { due: Vec::new(), emergency: false };
        let rows = world.database.query(OPEN, &[&channel.number(), &world.now()]).await?;
        let is_served = world.is_served(channel);
        for row in rows {
            let lane = Lane::from_number(row.get("lane")).context("a lane that nobody knows")?;
            let id = CampaignId(row.get("campaign_id"));
            let Some(campaign) = world.campaigns.iter().find(|campaign| campaign.id == id) else { continue };
            let limited = world.is_limited(campaign, channel);
            open.emergency |= lane == Lane::Emergency && !limited && is_served;
            if row.get("due") && campaign.submission.window.is_none() {
                let district = campaign.submission.district;
                open.due.push(Due { campaign: id, district, lane, limited });
            }
        }
        for job in published {
            if open.due.iter().any(|due| due.campaign == job.key.campaign) {
                continue;
            }
            let campaign = world.campaigns.iter().find(|campaign| campaign.id == job.key.campaign);
            if let Some(campaign) = campaign.filter(|campaign| campaign.submission.window.is_none()) {
                let limited = world.is_limited(campaign, channel);
                let district = campaign.submission.district;
                open.due.push(Due { campaign: campaign.id, district, lane: job.lane, limited });
            }
        }
        Ok(open)
    }
}

/// Job states: 1 waiting, 2 queued; campaign states 2 processing, 3 sending; lane 1 is emergency.
const OPEN: &str = "select j.campaign_id, j.lane, bool_or(j.state = 1) as due
from jobs j join campaigns c on c.id = j.campaign_id
where j.channel = $1 and (j.state = 2 or (j.state = 1 and j.due_at <= $2))
  and c.closed_at is null and c.cancel_epoch is null and c.state in (2, 3) and c.expires_at > $2
  and (c.expanded_at is not null or c.lane = 1)
group by 1, 2";
