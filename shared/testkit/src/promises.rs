//! Promises 1 to 3 held against a run: what the outside world saw beside what the store says.
//!
//! The simulator's record is the witness that cannot be talked into anything: it knows what arrived, not what
//! was meant. [`check`] reads both sides, one campaign at a time; [`compare`] is the judgement, and pure.

mod repeats;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::policy::SEND_BY;
use tocsin_domain::{AttemptKey, AttemptState, CampaignId, JobKey, JobState, Lane};
use tocsin_providers::TokenKeys;
use tocsin_store::audit::{AttemptFact, CampaignFacts, JobFact, RecipientFact};
use tocsin_store::{Store, StoreError};

pub use self::repeats::{Cause, Repeat, repeats};
use crate::simulator::{Kind, Record};

/// A claim that began before the cancel's commit may carry a time after `canceled_at`: the cancel reads the
/// clock before it commits, the claim after it has its row locks. What lies within this time is not held to
/// have begun after the commit; nor is a request late that arrives within it after the claim's `send_by`.
pub const COMMIT_MARGIN: Duration = Duration::from_millis(500);

/// What a run broke. Each text names the campaign, and the job and attempt where there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    /// Promise 1: devices without exactly one final outcome, recipients without a row, sends that no attempt
    /// stands for.
    pub lost: Vec<String>,
    /// Promise 2: two requests of one job without a finished, redialable outcome between them.
    pub sent_twice: Vec<String>,
    /// Promise 3: requests too long after the cancel's commit, or of a claim begun after it.
    pub sent_after_cancel: Vec<String>,
}

impl Violations {
    pub fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.sent_twice.is_empty() && self.sent_after_cancel.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.lost.extend(other.lost);
        self.sent_twice.extend(other.sent_twice);
        self.sent_after_cancel.extend(other.sent_after_cancel);
    }
}

/// One campaign as the store has it.
#[derive(Debug, Clone)]
pub struct Facts {
    pub campaign: CampaignFacts,
    pub recipients: Vec<RecipientFact>,
    pub jobs: Vec<JobFact>,
    /// By job and number.
    pub attempts: Vec<AttemptFact>,
}

/// A request to call, text or mail somebody, as the outside world saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Send {
    pub attempt: AttemptKey,
    pub arrived_at: DateTime<Utc>,
    pub effect: Effect,
}

/// What a request could lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Refused, throttled or failed before it was processed: nobody was reached by it.
    None,
    /// Accepted, and answered so.
    Accepted,
    /// No answer was given: whoever asked cannot know what became of it.
    Unanswered,
}

impl Effect {
    fn of(record: &Record) -> Self {
        match (record.answered, &record.provider_id) {
            (0, _) => Self::Unanswered,
            (_, Some(_)) => Self::Accepted,
            (_, None) => Self::None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("the campaign's rows cannot be read")]
    Store(#[from] StoreError),
    #[error("there is no campaign {0}")]
    UnknownCampaign(CampaignId),
}

/// Holds `campaigns`, all of which should be closed, against promises 1 to 3. Sends of other campaigns are not
/// looked at; one whose token is not ours counts as lost, for nobody can say whose it is.
pub async fn check(
    store: &Store,
    records: &[Record],
    token_keys: &TokenKeys,
    campaigns: &[CampaignId],
) -> Result<Violations, CheckError> {
    check_within(store, records, token_keys, campaigns, COMMIT_MARGIN).await
}

/// As [`check`], with another margin than [`COMMIT_MARGIN`]: for a machine so busy that commits and arrivals take
/// longer, by whoever has measured how long.
pub async fn check_within(
    store: &Store,
    records: &[Record],
    token_keys: &TokenKeys,
    campaigns: &[CampaignId],
    margin: Duration,
) -> Result<Violations, CheckError> {
    let mut seen = Seen::default();
    seen.read(records, token_keys);
    seen.check(store, campaigns, margin).await
}

/// What the outside world saw, read in pages: records are several times as large as what is kept of them here.
#[derive(Debug, Default)]
pub struct Seen {
    /// By their campaign, in order of arrival.
    sends: HashMap<CampaignId, Vec<Send>>,
    /// Requests without a token of ours.
    strange: Vec<String>,
}

impl Seen {
    /// The records that follow.
    pub fn read(&mut self, records: &[Record], token_keys: &TokenKeys) {
        for record in records.iter().filter(|record| record.kind == Kind::Send) {
            match token_keys.read(record.token.as_deref().unwrap_or_default()) {
                Ok((attempt, _)) => {
                    let send = Send { attempt, arrived_at: record.arrived_at, effect: Effect::of(record) };
                    self.sends.entry(attempt.job.campaign).or_default().push(send);
                }
                Err(fault) => self.strange.push(format!(
                    "a {} request that arrived at {}: {fault}",
                    record.channel, record.arrived_at
                )),
            }
        }
    }

    /// As [`check_within`], of everything that was read.
    pub async fn check(
        mut self,
        store: &Store,
        campaigns: &[CampaignId],
        margin: Duration,
    ) -> Result<Violations, CheckError> {
        let mut violations = Violations { lost: self.strange, ..Violations::default() };
        for &campaign in campaigns {
            let facts = facts(store, campaign).await?;
            let sends = self.sends.remove(&campaign).unwrap_or_default();
            violations.add(compare_within(&facts, &sends, margin));
        }
        Ok(violations)
    }
}

/// Reads one campaign's rows.
pub async fn facts(store: &Store, campaign: CampaignId) -> Result<Facts, CheckError> {
    Ok(Facts {
        campaign: store.campaign_facts(campaign).await?.ok_or(CheckError::UnknownCampaign(campaign))?,
        recipients: store.recipient_facts(campaign).await?,
        jobs: store.job_facts(campaign).await?,
        attempts: store.attempt_facts(campaign).await?,
    })
}

/// Judges one campaign. `sends` are all of it, in any order.
pub fn compare(facts: &Facts, sends: &[Send]) -> Violations {
    compare_within(facts, sends, COMMIT_MARGIN)
}

fn compare_within(facts: &Facts, sends: &[Send], margin: Duration) -> Violations {
    Violations {
        lost: lost(facts, sends),
        sent_twice: sent_twice(facts, sends),
        sent_after_cancel: sent_after_cancel(facts, sends, margin),
    }
}

fn lost(facts: &Facts, sends: &[Send]) -> Vec<String> {
    let campaign = &facts.campaign;
    let mut lost = Vec::new();
    if campaign.closed_at.is_none() {
        lost.push(format!("campaign {} is not closed", campaign.id));
    }
    let made = [
        ("recipients", campaign.recipients_made, facts.recipients.len()),
        ("jobs", campaign.jobs_made, facts.jobs.len()),
    ];
    for (what, said, are) in made {
        if usize::try_from(said) != Ok(are) {
            lost.push(format!("campaign {} made {said} {what} and has {are}", campaign.id));
        }
    }
    let with_row: HashSet<i32> = facts.jobs.iter().map(|job| job.recipient).collect();
    for recipient in &facts.recipients {
        if !recipient.no_device && !with_row.contains(&recipient.recipient) {
            lost.push(format!(
                "campaign {} recipient {}: has devices and no job",
                campaign.id, recipient.recipient
            ));
        }
    }
    for job in &facts.jobs {
        let key = JobKey { campaign: campaign.id, job: job.job };
        match (job.state, job.outcome) {
            (JobState::Ended, Some(_)) => {}
            (state, _) => lost.push(format!("job {key}: {state} without a final outcome")),
        }
    }
    let known: HashSet<(i32, i16)> =
        facts.attempts.iter().map(|attempt| (attempt.job, attempt.number)).collect();
    for send in sends {
        if !known.contains(&(send.attempt.job.job, send.attempt.number)) {
            lost.push(format!(
                "attempt {}: a request arrived at {}, the store has no such attempt",
                send.attempt, send.arrived_at
            ));
        }
    }
    lost
}

fn sent_twice(facts: &Facts, sends: &[Send]) -> Vec<String> {
    let attempts: HashMap<(i32, i16), &AttemptFact> =
        facts.attempts.iter().map(|attempt| ((attempt.job, attempt.number), attempt)).collect();
    let mut by_job: BTreeMap<i32, Vec<&Send>> = BTreeMap::new();
    for send in sends.iter().filter(|send| send.effect != Effect::None) {
        by_job.entry(send.attempt.job.job).or_default().push(send);
    }
    let mut twice = Vec::new();
    for requests in by_job.values_mut() {
        requests.sort_by_key(|send| (send.arrived_at, send.attempt.number));
        for pair in requests.windows(2) {
            let &[first, second] = pair else { continue };
            let attempt = attempts.get(&(first.attempt.job.job, first.attempt.number)).copied();
            if let Some(why) = unfinished(&facts.campaign, attempt, first, second) {
                twice.push(format!(
                    "attempt {} was sent at {} after attempt {} at {}: {why}",
                    second.attempt, second.arrived_at, first.attempt, first.arrived_at
                ));
            }
        }
    }
    twice
}

/// Why no finished, redialable outcome lies between two requests of one job; None if one does, or if an
/// emergency was tried again out of doubt, which is its lane's rule.
fn unfinished(
    campaign: &CampaignFacts,
    attempt: Option<&AttemptFact>,
    first: &Send,
    second: &Send,
) -> Option<Unfinished> {
    if first.attempt == second.attempt {
        return Some(Unfinished::OneAttempt);
    }
    let Some(attempt) = attempt else { return Some(Unfinished::NoAttempt) };
    let answered = attempt.outcome.is_some_and(|outcome| outcome.is_answer());
    // What an unanswered emergency comes to may be heard long after it was tried again.
    let in_doubt = !answered || first.effect == Effect::Unanswered;
    if campaign.lane == Lane::Emergency && in_doubt {
        return None;
    }
    match (attempt.state, attempt.outcome) {
        (AttemptState::Settled, Some(outcome)) if campaign.redial.redials(outcome) => {
            attempt.settled_at.is_none_or(|at| at > second.arrived_at).then_some(Unfinished::NotYetSettled)
        }
        (AttemptState::Settled, outcome) => {
            Some(Unfinished::NotRedialable(outcome.map_or("no outcome", |outcome| outcome.code())))
        }
        (state, _) => Some(Unfinished::Open(state)),
    }
}

enum Unfinished {
    OneAttempt,
    NoAttempt,
    NotYetSettled,
    NotRedialable(&'static str),
    Open(AttemptState),
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneAttempt => f.write_str("one attempt has two requests"),
            Self::NoAttempt => f.write_str("the store has no such first attempt"),
            Self::NotYetSettled => f.write_str("the first was settled only afterwards"),
            Self::NotRedialable(outcome) => {
                write!(f, "the first came to {outcome}, which is not tried again")
            }
            Self::Open(state) => write!(f, "the first is {state}"),
        }
    }
}

fn sent_after_cancel(facts: &Facts, sends: &[Send], margin: Duration) -> Vec<String> {
    let Some(canceled_at) = facts.campaign.canceled_at else { return Vec::new() };
    let claimed_at: HashMap<(i32, i16), DateTime<Utc>> =
        facts.attempts.iter().map(|attempt| ((attempt.job, attempt.number), attempt.claimed_at)).collect();
    let mut after = Vec::new();
    for send in sends {
        let late = send.arrived_at - canceled_at;
        if late > time_delta(SEND_BY + margin) {
            after.push(format!("attempt {}: arrived {} after the cancel", send.attempt, in_seconds(late)));
            continue;
        }
        let claimed_at = claimed_at.get(&(send.attempt.job.job, send.attempt.number));
        let claimed_late = claimed_at.map_or(TimeDelta::zero(), |claimed_at| *claimed_at - canceled_at);
        if claimed_late > time_delta(margin) {
            after.push(format!(
                "attempt {}: claimed {} after the cancel",
                send.attempt,
                in_seconds(claimed_late)
            ));
        }
    }
    after
}

/// Only for the short times above.
fn time_delta(duration: Duration) -> TimeDelta {
    TimeDelta::milliseconds(duration.as_millis() as i64)
}

fn in_seconds(time: TimeDelta) -> String {
    format!("{:.3} s", time.num_milliseconds() as f64 / 1000.0)
}
