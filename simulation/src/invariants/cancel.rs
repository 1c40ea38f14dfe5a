//! Cancel means stop (promise 3): after its commit no claim is granted, and no request starts but of what was granted
//! before; nor of that, on a worker that has heard of it.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use tocsin_domain::{AttemptKey, CampaignId};
use tocsin_store::tenant::cancel::Receipt;

use super::{Promise, hold};
use crate::provider::Request;

#[derive(Debug, Default)]
pub struct Cancels {
    /// What was granted when the cancel was committed.
    committed: HashMap<CampaignId, HashSet<AttemptKey>>,
}

impl Cancels {
    pub fn committed(&mut self, campaign: CampaignId, granted: impl Iterator<Item = AttemptKey>) {
        let of_campaign = granted.filter(|attempt| attempt.job.campaign == campaign).collect();
        self.committed.entry(campaign).or_insert(of_campaign);
    }

    pub fn granted(&self, attempt: AttemptKey) -> Result<()> {
        hold(Promise::CancelMeansStop, !self.committed.contains_key(&attempt.job.campaign), || {
            format!("attempt {attempt} was granted after the commit of its campaign's cancel")
        })
    }

    /// `heard`: did the worker know?
    pub fn requested(&self, request: &Request, heard: bool) -> Result<()> {
        let attempt = request.attempt;
        let before = self.committed.get(&attempt.job.campaign);
        hold(Promise::CancelMeansStop, before.is_none_or(|before| before.contains(&attempt)), || {
            format!("a request of attempt {attempt} started, which was not in flight at the cancel's commit")
        })?;
        hold(Promise::CancelMeansStop, !heard, || {
            format!("a request of attempt {attempt} started on a worker that had heard of the cancel")
        })
    }
}

/// The parts of a receipt are all devices of the campaign.
pub fn partition(campaign: CampaignId, receipt: &Receipt, devices: i64) -> Result<()> {
    let Receipt { contacted, in_flight_or_unknown, recalled, never_tried } = receipt;
    let parts = contacted + in_flight_or_unknown + recalled + never_tried;
    hold(Promise::CancelMeansStop, parts == devices, || {
        format!("the receipt of campaign {campaign} is of {parts} devices: it has {devices}; {receipt:?}")
    })
}
