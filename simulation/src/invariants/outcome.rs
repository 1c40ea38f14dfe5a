//! Nothing lost and nothing twice (promises 1 and 2), judged as every run of the product is: by the rows of a campaign
//! that has come to its end, beside what its providers saw.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::Outcome;
use tocsin_testkit::promises::{self, Facts, Send, Violations};

use super::{Promise, broken, hold};
use crate::database::device_count;
use crate::provider::{Effect, Request};
use crate::world::Campaign;

/// Longer than any attempt is waited for, and any backlog here takes.
const CALM_ENOUGH: TimeDelta = TimeDelta::hours(1);

/// Returns what its jobs came to.
pub fn judge(
    campaign: &Campaign,
    facts: &Facts,
    requests: &[Request],
    calm_since: DateTime<Utc>,
) -> Result<Vec<Outcome>> {
    let sends: Vec<Send> =
        requests.iter().filter(|request| request.attempt.job.campaign == campaign.id).map(send).collect();
    let Violations { lost, sent_twice, sent_after_cancel } = promises::compare(facts, &sends);
    for (promise, found) in [
        (Promise::NothingLost, lost),
        (Promise::NothingTwice, sent_twice),
        (Promise::CancelMeansStop, sent_after_cancel),
    ] {
        if let Some(what) = found.into_iter().next() {
            return Err(broken(promise, what));
        }
    }
    let submission = &campaign.submission;
    let devices = device_count(submission.district, &submission.channels);
    // One that was canceled may have been before it was expanded whole.
    let complete =
        facts.campaign.canceled_at.is_some() || campaign.corrects.is_some() || facts.jobs.len() == devices;
    hold(Promise::NothingLost, complete, || {
        format!("campaign {} has {} jobs: its audience has {devices} devices", campaign.id, facts.jobs.len())
    })?;
    // No fault, no window and an hour: whoever was still left then was forgotten.
    let forgotten = campaign.submission.window.is_none() && campaign.expires_at > calm_since + CALM_ENOUGH;
    let expired = facts.jobs.iter().find(|job| job.outcome == Some(Outcome::Expired));
    hold(Promise::NothingLost, !forgotten || expired.is_none(), || {
        format!("campaign {}: {expired:?} was left until it expired, long after all faults", campaign.id)
    })?;
    once_a_device(campaign, requests)?;
    Ok(facts.jobs.iter().filter_map(|job| job.outcome).collect())
}

/// However many people share a device, one message reaches it.
fn once_a_device(campaign: &Campaign, requests: &[Request]) -> Result<()> {
    let mut jobs = HashMap::new();
    let of_campaign = requests.iter().filter(|request| request.attempt.job.campaign == campaign.id);
    for request in of_campaign.filter(|_| !campaign.submission.per_student) {
        let job = request.attempt.job.job;
        let first = *jobs.entry((request.channel, &request.to)).or_insert(job);
        hold(Promise::NothingTwice, first == job, || {
            format!("jobs {first} and {job} of campaign {} went to one device", campaign.id)
        })?;
    }
    Ok(())
}

fn send(request: &Request) -> Send {
    let effect = match request.effect {
        Effect::Accepted => promises::Effect::Accepted,
        Effect::AcceptedUnanswered | Effect::LostUnanswered => promises::Effect::Unanswered,
        Effect::None => promises::Effect::None,
    };
    Send { attempt: request.attempt, arrived_at: request.at, effect }
}
