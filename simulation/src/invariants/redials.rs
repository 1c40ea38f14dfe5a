//! Redials are as their policy says (promises 2 and 9): no more tries than it allows, and none before its wait is over.

use std::collections::HashMap;

use anyhow::Result;
use tocsin_domain::Lane;
use tocsin_testkit::promises::Facts;

use super::{Promise, hold};
use crate::provider::{Effect, Request};

pub fn judge(facts: &Facts, requests: &[Request]) -> Result<()> {
    let (campaign, redial) = (&facts.campaign, &facts.campaign.redial);
    let of_campaign = || requests.iter().filter(|request| request.attempt.job.campaign == campaign.id);
    let mut tries: HashMap<i32, u8> = HashMap::new();
    for request in of_campaign().filter(|request| request.effect != Effect::None) {
        let made = tries.entry(request.attempt.job.job).or_default();
        *made += 1;
        hold(Promise::NothingTwice, *made <= redial.attempts_max, || {
            format!("job {} was tried {made} times: {} are allowed", request.attempt.job, redial.attempts_max)
        })?;
    }
    for pair in facts.attempts.windows(2) {
        let [first, second] = pair else { continue };
        let Some((outcome, settled_at)) = first.outcome.zip(first.settled_at) else { continue };
        // What an emergency in doubt came to may be heard after it was tried again.
        let waits = first.job == second.job && redial.redials(outcome) && campaign.lane != Lane::Emergency;
        let waited = second.claimed_at - settled_at;
        hold(Promise::WindowsAreData, !waits || waited >= redial.wait(), || {
            format!("job {} of campaign {} was tried again after {waited}", first.job, campaign.id)
        })?;
    }
    Ok(())
}
