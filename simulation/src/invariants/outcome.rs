//! Nothing lost and nothing twice (promises 1 and 2), judged as every run of the product is: by the rows of a campaign
//! that has come to its end, beside what its providers saw.

use anyhow::Result;
use tocsin_domain::Outcome;
use tocsin_testkit::promises::{self, Send, Violations};

use super::{Promise, broken, hold};
use crate::database::{Database, device_count};
use crate::provider::{Effect, Request};
use crate::world::Campaign;

/// Returns what its jobs came to.
pub async fn judge(database: &Database, campaign: &Campaign, requests: &[Request]) -> Result<Vec<Outcome>> {
    let facts = promises::facts(&database.store, campaign.id).await?;
    let sends: Vec<Send> =
        requests.iter().filter(|request| request.attempt.job.campaign == campaign.id).map(send).collect();
    let Violations { lost, sent_twice, sent_after_cancel } = promises::compare(&facts, &sends);
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
    let complete = facts.campaign.canceled_at.is_some() || facts.jobs.len() == devices;
    hold(Promise::NothingLost, complete, || {
        format!("campaign {} has {} jobs: its audience has {devices} devices", campaign.id, facts.jobs.len())
    })?;
    Ok(facts.jobs.iter().filter_map(|job| job.outcome).collect())
}

fn send(request: &Request) -> Send {
    let effect = match request.effect {
        Effect::Accepted => promises::Effect::Accepted,
        Effect::AcceptedUnanswered | Effect::LostUnanswered => promises::Effect::Unanswered,
        Effect::None => promises::Effect::None,
    };
    Send { attempt: request.attempt, arrived_at: request.at, effect }
}
