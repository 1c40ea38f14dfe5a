//! Redials are as their policy says (promises 2 and 9): no more tries than it allows and no fewer, and none before its wait
//! is over.

use std::collections::HashMap;

use anyhow::Result;
use chrono::TimeDelta;
use tocsin_domain::{AttemptKey, JobKey, Lane, Outcome};
use tocsin_testkit::promises::Facts;

use super::barred::Barred;
use super::{Promise, hold};
use crate::provider::{Effect, Request};
use crate::world::Campaign;

/// Longer than a job that is due waits for its turn here: a call of which nobody reports keeps its place for 15 min.
const BACKLOG: TimeDelta = TimeDelta::hours(1);

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

/// No job is given up after a try whose outcome is tried again, as long as its policy allows another. `settled_as` is
/// what each attempt came to first: what is said later calls nobody again.
pub fn none_is_given_up(
    campaign: &Campaign,
    facts: &Facts,
    requests: &[Request],
    settled_as: &HashMap<AttemptKey, Outcome>,
    barred: &Barred,
) -> Result<()> {
    // A window may not open again before the expiry.
    if campaign.canceled_epoch.is_some() || campaign.submission.window.is_some() {
        return Ok(());
    }
    for job in
        facts.jobs.iter().filter(|job| job.outcome.is_some_and(|outcome| campaign.redial.redials(outcome)))
    {
        let key = JobKey { campaign: campaign.id, job: job.job };
        let last = AttemptKey { job: key, number: job.attempts };
        let redialable = settled_as.get(&last).is_some_and(|outcome| campaign.redial.redials(*outcome));
        let tries = facts
            .attempts
            .iter()
            .filter(|attempt| attempt.job == job.job && !attempt.outcome.is_some_and(Outcome::is_not_taken))
            .count();
        let request = requests.iter().find(|request| request.attempt == last);
        let may_be_tried = request.is_some_and(|request| !barred.was(campaign, request.channel, &request.to));
        let settled_at = facts
            .attempts
            .iter()
            .find(|attempt| (attempt.job, attempt.number) == (job.job, job.attempts))
            .and_then(|attempt| attempt.settled_at);
        let in_time =
            settled_at.is_some_and(|at| at + campaign.redial.wait() + BACKLOG < campaign.expires_at);
        let left = tries < usize::from(campaign.redial.attempts_max);
        hold(Promise::NothingLost, !(redialable && in_time && left && may_be_tried), || {
            let attempts: Vec<_> = facts.attempts.iter().filter(|attempt| attempt.job == job.job).collect();
            format!(
                "{job:?} of {} was given up after {tries} tries, {} are allowed: {attempts:?}",
                campaign.id, campaign.redial.attempts_max
            )
        })?;
    }
    Ok(())
}
