//! Fair (promise 6): no campaign with due jobs is passed over again and again while others of its lane are released.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use tocsin_domain::{CampaignId, Channel, Lane};

use super::{Promise, hold};
use crate::broker::PublishedJob;
use crate::database::Database;

/// Jobs of others, for each campaign that has due jobs, that one of them may wait for. Districts share before their
/// campaigns do, and a campaign begins anew when it has come to the end of what is due.
const OTHERS_MAX: usize = 3;

#[derive(Debug, Default)]
pub struct Fairness {
    passed_over: HashMap<(Channel, CampaignId), usize>,
}

/// A campaign with due jobs, before a release.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    campaign: CampaignId,
    lane: i16,
}

/// Campaigns with due jobs that have no calling window.
pub async fn due(database: &Database, channel: Channel, now: DateTime<Utc>) -> Result<Vec<Due>> {
    let rows = database.query(DUE, &[&channel.number(), &now]).await?;
    Ok(rows
        .into_iter()
        .map(|row| Due { campaign: CampaignId(row.get("campaign_id")), lane: row.get("lane") })
        .collect())
}

impl Fairness {
    pub fn released(&mut self, channel: Channel, due: &[Due], published: &[PublishedJob]) -> Result<()> {
        self.passed_over
            .retain(|(of, campaign), _| *of != channel || due.iter().any(|due| due.campaign == *campaign));
        for Due { campaign, lane } in due {
            let of_lane = |job: &&PublishedJob| job.channel == channel && job.lane.number() == *lane;
            let served = published.iter().filter(of_lane).any(|job| job.key.campaign == *campaign);
            let others = published.iter().filter(of_lane).count();
            let passed_over = self.passed_over.entry((channel, *campaign)).or_default();
            *passed_over = if served { 0 } else { *passed_over + others };
            let competing = due.iter().filter(|other| other.lane == *lane).count();
            hold(Promise::Fair, *passed_over <= competing * OTHERS_MAX, || {
                let lane = Lane::from_number(*lane);
                format!(
                    "campaign {campaign} of lane {lane:?} waits while {passed_over} jobs of others are released on \
                     {channel}"
                )
            })?;
        }
        Ok(())
    }
}

const DUE: &str = "select distinct j.campaign_id, j.lane
from jobs j join campaigns c on c.id = j.campaign_id
where j.channel = $1 and j.state = 1 and j.due_at <= $2 and c.calling_window is null
  and c.closed_at is null and c.cancel_epoch is null and c.state in (2, 3) and c.expires_at > $2
  and (c.expanded_at is not null or c.lane = 1)";
