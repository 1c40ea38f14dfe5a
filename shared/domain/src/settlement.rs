//! What a report about an attempt changes: the attempt's state and outcome, and what its job does next.
//!
//! The worker's own answer, a provider's callback, a deadline that passed: all are reports, and all go
//! through [`settle`]. An attempt's outcome is its highest-ranked report, so that every order of the
//! same reports ends in the same state (promise 8). [`ReportKind::DoubtOver`] and
//! [`ReportKind::Silence`] are decisions of a deadline on the state as it stands, not facts, and stand
//! outside of that: they do nothing to an attempt that has moved on.

mod merge;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use self::merge::Merged;
use crate::policy::{DETECTION_WAIT, RedialPolicy};
use crate::{
    AttemptKey, AttemptResult, AttemptState, Channel, DistrictId, JobState, Lane, Outcome, WaitReason,
};

/// How long a job waits after its provider was busy and did not say for how long.
const PROVIDER_BUSY_WAIT: Duration = Duration::from_secs(2);
/// A provider that asks for less is asked again no sooner than this.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
/// A provider that asks for more is asked again then: its word may be wrong, and the job's expiry and
/// a failover are decided here.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Something learned about one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub attempt: AttemptKey,
    pub at: DateTime<Utc>,
    /// The provider's own order of one attempt's reports, where it numbers them.
    pub sequence: Option<i64>,
    pub kind: ReportKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportKind {
    /// The provider holds the attempt.
    Accepted { provider_id: Option<String> },
    /// The provider says what became of it, or refused it. `provider_code` is its own word, verbatim.
    Status { outcome: Outcome, provider_code: Option<String>, provider_id: Option<String> },
    /// The request was never started; nobody was contacted and no attempt is used up.
    NotAsked,
    /// The provider says that it did not process the request (429, overload). No attempt is used up.
    Throttled { provider_code: Option<String>, retry_after: Option<Duration> },
    /// The request may or may not have reached the provider, or nobody answered for it in time.
    Lost,
    /// The doubt period of an unknown attempt is over.
    DoubtOver,
    /// The provider accepted and stayed silent past the channel's deadline.
    Silence,
    /// The provider confirmed that a recalled attempt was stopped.
    Recalled,
}

/// An attempt and its job, as read from the store (or as known since the claim).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptView {
    pub key: AttemptKey,
    pub version: i32,
    pub state: AttemptState,
    pub outcome: Option<Outcome>,
    /// The provider's number of the report that told the outcome.
    pub sequence: Option<i64>,
    pub provider_code: Option<String>,
    pub provider_id: Option<String>,
    /// Who answered the call, as told while it went on or after: the highest of what was told.
    pub answered: Option<Outcome>,
    /// Until when a call that is over waits for the word who answered it.
    pub detect_until: Option<DateTime<Utc>>,
    pub job: JobView,
    pub background: Background,
}

/// What traces tell of an attempt. Nothing is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Background {
    pub district: Option<DistrictId>,
    /// When its job was released for it. None where that is not known any more.
    pub released_at: Option<DateTime<Utc>>,
    pub claimed_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    pub state: JobState,
    /// Number of the latest attempt.
    pub attempt: i16,
    /// Attempts used up so far, the latest included.
    pub tries: i16,
    /// The highest-ranked outcome of its attempts so far.
    pub outcome: Option<Outcome>,
    pub channel: Channel,
    pub lane: Lane,
    pub redial: RedialPolicy,
    pub expires_at: DateTime<Utc>,
    /// Has the campaign been canceled?
    pub canceled: bool,
    /// Does its message ask for an opt-in?
    pub asks_opt_in: bool,
}

impl AttemptView {
    /// An attempt that was claimed just now.
    pub fn claimed(key: AttemptKey, job: JobView) -> Self {
        Self {
            key,
            version: 1,
            state: AttemptState::Asking,
            outcome: None,
            sequence: None,
            provider_code: None,
            provider_id: None,
            answered: None,
            detect_until: None,
            job,
            background: Background::default(),
        }
    }
}

/// The new values of an attempt, and what its job does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub state: AttemptState,
    pub outcome: Option<Outcome>,
    pub sequence: Option<i64>,
    pub provider_code: Option<String>,
    pub provider_id: Option<String>,
    pub answered: Option<Outcome>,
    pub detect_until: Option<DateTime<Utc>>,
    pub job: JobAction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobAction {
    /// The job's row is not written.
    Keep,
    /// A late report raised the best outcome of a job that is busy with a later attempt, or that
    /// waits for one which is still needed.
    Raise { outcome: Outcome },
    /// Back to waiting. `best` replaces the job's outcome so far.
    Wait { due_at: DateTime<Utc>, reason: WaitReason, best: Option<Outcome>, used_up: UsedUp },
    /// The job has its final outcome (or a late report raised it).
    End { outcome: Outcome },
}

/// Did the attempt count against the redial policy?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedUp {
    Yes,
    No,
}

/// Merges `reports` into `view`. None if they change nothing.
pub fn settle(view: &AttemptView, reports: &[Report], now: DateTime<Utc>) -> Option<Change> {
    let mut merged = Merged::of(view);
    let mut ordered: Vec<&Report> = reports.iter().collect();
    ordered.sort_by_key(|report| report.at);
    for report in &ordered {
        merged.take(&report.kind, report.sequence, view.job.channel);
    }
    let retry_after = reports.iter().filter_map(|report| report.kind.retry_after()).max();
    let job = next_step(view, &merged, retry_after, now);
    let detect_until = merged
        .awaits_detection()
        .then(|| view.detect_until.unwrap_or(now + TimeDelta::seconds(DETECTION_WAIT.as_secs() as i64)));
    let change = Change {
        state: merged.state,
        outcome: merged.outcome,
        sequence: merged.sequence,
        provider_code: merged.provider_code,
        provider_id: merged.provider_id,
        answered: merged.answered,
        detect_until,
        job,
    };
    (!change.is_void(view)).then_some(change)
}

impl ReportKind {
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } => *retry_after,
            Self::Accepted { .. }
            | Self::Status { .. }
            | Self::NotAsked
            | Self::Lost
            | Self::DoubtOver
            | Self::Silence
            | Self::Recalled => None,
        }
    }
}

impl Change {
    /// Does it make known that the provider took a message that asks for an opt-in?
    pub fn asks_opt_in(&self, view: &AttemptView) -> bool {
        let taken = match self.state {
            AttemptState::Accepted => true,
            AttemptState::Settled => {
                self.outcome.is_some_and(|outcome| outcome.result() == AttemptResult::Successful)
            }
            AttemptState::Asking | AttemptState::Unknown => false,
        };
        view.job.asks_opt_in && taken
    }

    fn is_void(&self, view: &AttemptView) -> bool {
        self.job == JobAction::Keep
            && self.state == view.state
            && self.outcome == view.outcome
            && self.sequence == view.sequence
            && self.answered == view.answered
            && self.provider_code == view.provider_code
            && self.provider_id == view.provider_id
    }
}

fn next_step(
    view: &AttemptView,
    merged: &Merged,
    retry_after: Option<Duration>,
    now: DateTime<Utc>,
) -> JobAction {
    let job = &view.job;
    let best = best_of(job.outcome, merged.outcome.filter(|outcome| counts_for_job(*outcome)));
    let is_latest = view.key.number == job.attempt;
    match job.state {
        JobState::Ended => raise_if_better(job, best, |outcome| JobAction::End { outcome }),
        JobState::Waiting | JobState::Queued => match best {
            Some(outcome) if ends_the_need(job, outcome) => JobAction::End { outcome },
            _ => raise_if_better(job, best, |outcome| JobAction::Raise { outcome }),
        },
        JobState::Claimed if !is_latest => raise_if_better(job, best, |outcome| JobAction::Raise { outcome }),
        JobState::Claimed if merged.state == AttemptState::Settled => {
            after_settled(job, merged, best, retry_after, now)
        }
        JobState::Claimed => JobAction::Keep,
    }
}

/// A job's outcome says what became of its tries. An attempt that nobody took was no try, and mere
/// progress is no end.
fn counts_for_job(outcome: Outcome) -> bool {
    !outcome.is_not_taken() && outcome.result() != AttemptResult::Open
}

fn raise_if_better(job: &JobView, best: Option<Outcome>, action: impl Fn(Outcome) -> JobAction) -> JobAction {
    match best {
        Some(outcome) if job.outcome != Some(outcome) => action(outcome),
        _ => JobAction::Keep,
    }
}

/// Does `outcome` make another try needless?
fn ends_the_need(job: &JobView, outcome: Outcome) -> bool {
    outcome.is_answer() && !job.redial.redials(outcome)
}

/// What the job does now that its latest attempt is settled. `best` is the highest outcome of its
/// attempts, this one included.
fn after_settled(
    job: &JobView,
    merged: &Merged,
    best: Option<Outcome>,
    retry_after: Option<Duration>,
    now: DateTime<Utc>,
) -> JobAction {
    let silent = Outcome::silent(job.channel);
    let outcome = merged.outcome.unwrap_or(silent);
    match outcome {
        Outcome::NotAsked => give_back(job, best, now, WaitReason::NotAsked),
        Outcome::Throttled | Outcome::ProviderUnavailable => {
            let wait = retry_after.unwrap_or(PROVIDER_BUSY_WAIT).clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX);
            let due_at = now + TimeDelta::milliseconds(wait.as_millis() as i64);
            give_back(job, best, due_at, WaitReason::ProviderBusy)
        }
        // A second message is better than none (promise 2).
        _ if merged.doubt_over && !outcome.is_answer() && job.lane == Lane::Emergency => {
            try_again(job, best, now, WaitReason::Doubt)
        }
        _ if job.redial.redials(outcome) => try_again(job, best, now + job.redial.wait(), WaitReason::Redial),
        _ => JobAction::End { outcome: best.unwrap_or(silent) },
    }
}

/// Nobody took the attempt: the job waits again and keeps its tries. Where it may not, it ends with
/// what its earlier attempts came to.
fn give_back(job: &JobView, best: Option<Outcome>, due_at: DateTime<Utc>, reason: WaitReason) -> JobAction {
    if job.canceled {
        return JobAction::End { outcome: best.unwrap_or(Outcome::Canceled) };
    }
    if due_at >= job.expires_at {
        return JobAction::End { outcome: best.unwrap_or(Outcome::Expired) };
    }
    match best {
        Some(outcome) if ends_the_need(job, outcome) => JobAction::End { outcome },
        _ => JobAction::Wait { due_at, reason, best, used_up: UsedUp::No },
    }
}

fn try_again(job: &JobView, best: Option<Outcome>, due_at: DateTime<Utc>, reason: WaitReason) -> JobAction {
    let tries_left = job.tries < i16::from(job.redial.attempts_max);
    let needless = best.is_some_and(|outcome| ends_the_need(job, outcome));
    if needless || job.canceled || !tries_left || due_at >= job.expires_at {
        return JobAction::End { outcome: best.unwrap_or(Outcome::silent(job.channel)) };
    }
    JobAction::Wait { due_at, reason, best, used_up: UsedUp::Yes }
}

fn best_of(one: Option<Outcome>, other: Option<Outcome>) -> Option<Outcome> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.outranks(one) { other } else { one }),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
