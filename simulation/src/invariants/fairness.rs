//! Fair (promise 6): no campaign with due jobs is passed over again and again while others of its lane are released.

use std::collections::HashMap;

use anyhow::Result;
use tocsin_domain::{CampaignId, Channel, Lane};

use super::{Promise, hold};
use crate::broker::PublishedJob;

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
    pub campaign: CampaignId,
    pub lane: Lane,
    /// Something else than accounts may hold it back.
    pub limited: bool,
}

impl Fairness {
    pub fn released(&mut self, channel: Channel, due: &[Due], published: &[PublishedJob]) -> Result<()> {
        self.passed_over
            .retain(|(of, campaign), _| *of != channel || due.iter().any(|due| due.campaign == *campaign));
        for Due { campaign, lane, limited } in due {
            let of_lane = |job: &&PublishedJob| job.channel == channel && job.lane == *lane;
            let served = published.iter().filter(of_lane).any(|job| job.key.campaign == *campaign);
            let others = published.iter().filter(of_lane).count();
            let passed_over = self.passed_over.entry((channel, *campaign)).or_default();
            *passed_over = if served { 0 } else { *passed_over + others };
            let competing = due.iter().filter(|other| other.lane == *lane).count();
            hold(Promise::Fair, *limited || *passed_over <= competing * OTHERS_MAX, || {
                format!(
                    "campaign {campaign} of lane {lane} waits while {passed_over} jobs of others are released on \
                     {channel}"
                )
            })?;
        }
        Ok(())
    }
}
