//! Fair (promise 6): no campaign with due jobs is passed over again and again while others of its lane are released.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use tocsin_domain::{CampaignId, Channel, Lane};

use super::{Promise, hold};
use crate::broker::PublishedJob;

/// Rounds of all seats that a campaign with due jobs may wait for. It begins anew when it has come to the end of what is
/// due, and those that have something due take turns among all that are open, and again among themselves.
const ROUNDS_MAX: f64 = 3.0;
/// Rounds are sums of parts.
const ROUNDING: f64 = 1e-6;

#[derive(Debug, Default)]
pub struct Fairness {
    /// Rounds of others' jobs.
    passed_over: HashMap<(Channel, CampaignId), f64>,
}

/// A campaign with due jobs, before a release.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    pub campaign: CampaignId,
    pub district: usize,
    pub lane: Lane,
    /// Something else than accounts may hold it back.
    pub limited: bool,
}

impl Fairness {
    pub fn released(&mut self, channel: Channel, due: &[Due], published: &[PublishedJob]) -> Result<()> {
        self.passed_over
            .retain(|(of, campaign), _| *of != channel || due.iter().any(|due| due.campaign == *campaign));
        for Due { campaign, lane, limited, .. } in due {
            let of_lane = |job: &&PublishedJob| job.channel == channel && job.lane == *lane;
            let served = published.iter().filter(of_lane).any(|job| job.key.campaign == *campaign);
            let others = published.iter().filter(of_lane).count();
            let seats = seats(due.iter().filter(|other| other.lane == *lane));
            let passed_over = self.passed_over.entry((channel, *campaign)).or_default();
            // Whoever misses a window misses one round, however large it is; a round is of those who compete then.
            let round = others.min(seats) as f64 / seats.max(1) as f64;
            *passed_over = if served { 0.0 } else { *passed_over + round };
            hold(Promise::Fair, *limited || *passed_over <= ROUNDS_MAX + ROUNDING, || {
                format!(
                    "campaign {campaign} of lane {lane} waits while {passed_over:.2} rounds of others are released on \
                     {channel}"
                )
            })?;
        }
        Ok(())
    }
}

/// Districts take turns, and in each turn of a district one of its campaigns: each comes once in as many turns.
fn seats<'a>(competing: impl Iterator<Item = &'a Due>) -> usize {
    let mut campaigns: BTreeMap<usize, usize> = BTreeMap::new();
    for due in competing {
        *campaigns.entry(due.district).or_default() += 1;
    }
    campaigns.len() * campaigns.values().max().copied().unwrap_or_default()
}
