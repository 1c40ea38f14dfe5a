//! What a report about an attempt changes: the attempt's state and outcome, and what its job does next.
//!
//! The worker's own answer, a provider's callback, a deadline that passed: all are reports, and all go
//! through [`settle`]. An attempt's outcome is its highest-ranked report, so that every order of the
//! same reports ends in the same state (promise 8). [`ReportKind::DoubtOver`] and
//! [`ReportKind::Silence`] are decisions of a deadline on the state as it stands, not facts, and stand
//! outside of that: they do nothing to an attempt that has moved on.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::policy::RedialPolicy;
use crate::{AttemptKey, AttemptResult, AttemptState, Channel, JobState, Lane, Outcome, WaitReason};

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
    pub provider_code: Option<String>,
    pub provider_id: Option<String>,
    pub job: JobView,
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
}

/// The new values of an attempt, and what its job does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub state: AttemptState,
    pub outcome: Option<Outcome>,
    pub provider_code: Option<String>,
    pub provider_id: Option<String>,
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
        merged.take(&report.kind, view);
    }
    let retry_after = reports.iter().filter_map(|report| report.kind.retry_after()).max();
    let job = next_step(view, &merged, retry_after, now);
    let change = Change {
        state: merged.state,
        outcome: merged.outcome,
        provider_code: merged.provider_code,
        provider_id: merged.provider_id,
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
    fn is_void(&self, view: &AttemptView) -> bool {
        self.job == JobAction::Keep
            && self.state == view.state
            && self.outcome == view.outcome
            && self.provider_code == view.provider_code
            && self.provider_id == view.provider_id
    }
}

struct Merged {
    state: AttemptState,
    outcome: Option<Outcome>,
    provider_code: Option<String>,
    provider_id: Option<String>,
    /// The doubt period ended this attempt: its lane decides whether the job is tried again.
    doubt_over: bool,
}

impl Merged {
    fn of(view: &AttemptView) -> Self {
        Self {
            state: view.state,
            outcome: view.outcome,
            provider_code: view.provider_code.clone(),
            provider_id: view.provider_id.clone(),
            doubt_over: false,
        }
    }

    fn take(&mut self, kind: &ReportKind, view: &AttemptView) {
        match kind {
            ReportKind::Accepted { provider_id } => {
                self.learn_id(provider_id);
                if matches!(self.state, AttemptState::Asking | AttemptState::Unknown) {
                    self.state = AttemptState::Accepted;
                }
            }
            ReportKind::Status { outcome, provider_code, provider_id } => {
                self.learn_id(provider_id);
                self.raise(*outcome, provider_code);
            }
            ReportKind::NotAsked => self.raise(Outcome::NotAsked, &None),
            ReportKind::Throttled { provider_code, .. } => self.raise(Outcome::Throttled, provider_code),
            ReportKind::Recalled => self.raise(Outcome::Canceled, &None),
            ReportKind::Lost => {
                if self.state == AttemptState::Asking {
                    self.state = AttemptState::Unknown;
                }
            }
            ReportKind::DoubtOver => {
                if self.state == AttemptState::Unknown {
                    self.doubt_over = true;
                    self.end_in_silence(view.job.channel);
                }
            }
            ReportKind::Silence => {
                if self.state == AttemptState::Accepted {
                    self.end_in_silence(view.job.channel);
                }
            }
        }
    }

    /// The best status known stands. Mere progress is none: it would read "in progress" for ever.
    /// A word that nobody mapped stands, too, and is shown as N/S (decision D8).
    fn end_in_silence(&mut self, channel: Channel) {
        if self.outcome.is_none_or(|known| known.result() == AttemptResult::Open) {
            self.raise(Outcome::silent(channel), &None);
        }
        self.state = AttemptState::Settled;
    }

    /// The first id stays: recalls and look-ups may already have used it.
    fn learn_id(&mut self, provider_id: &Option<String>) {
        if self.provider_id.is_none() {
            self.provider_id.clone_from(provider_id);
        }
    }

    /// Takes `outcome` if it outranks what is known. The provider's word is kept with its outcome;
    /// of two words for one outcome the smaller stays, so that the order of reports does not matter.
    fn raise(&mut self, outcome: Outcome, provider_code: &Option<String>) {
        let outranks = self.outcome.is_none_or(|known| outcome.outranks(known));
        if outranks {
            self.outcome = Some(outcome);
            self.provider_code.clone_from(provider_code);
        } else if self.outcome == Some(outcome) && provider_code.is_some() {
            let smaller = self.provider_code.is_none() || *provider_code < self.provider_code;
            if smaller {
                self.provider_code.clone_from(provider_code);
            }
        }
        if outcome.terminal() {
            self.state = AttemptState::Settled;
        } else if self.state != AttemptState::Settled {
            self.state = AttemptState::Accepted;
        }
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
