//! Changes as the arrays of one statement.

use chrono::{DateTime, Utc};
use tocsin_domain::counters::{Stage, Standing};
use tocsin_domain::settlement::{AttemptView, Change, JobAction, UsedUp};
use tocsin_domain::{AttemptResult, JobState, Outcome};
use uuid::Uuid;

use super::Entry;

/// The arrays of one statement.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) campaigns: Vec<Uuid>,
    pub(super) jobs: Vec<i32>,
    pub(super) numbers: Vec<i16>,
    pub(super) versions: Vec<i32>,
    pub(super) states: Vec<i16>,
    pub(super) outcomes: Vec<Option<i16>>,
    pub(super) results: Vec<i16>,
    pub(super) provider_ids: Vec<Option<String>>,
    pub(super) provider_codes: Vec<Option<String>>,
    pub(super) job_states: Vec<i16>,
    pub(super) job_attempts: Vec<i16>,
    pub(super) job_outcomes: Vec<Option<i16>>,
    pub(super) actions: Vec<i16>,
    pub(super) due_at: Vec<Option<DateTime<Utc>>>,
    pub(super) reasons: Vec<Option<i16>>,
    pub(super) best: Vec<Option<i16>>,
    pub(super) refunds: Vec<i16>,
    pub(super) canceled: Vec<bool>,
    /// What the job counts as by its outcome, before and after.
    pub(super) job_results: Vec<i16>,
    pub(super) best_results: Vec<i16>,
    pub(super) sequences: Vec<Option<i64>>,
    pub(super) answered: Vec<Option<i16>>,
    pub(super) detect_until: Vec<Option<DateTime<Utc>>>,
    /// By how much the change moves the job's address among those attempted, contacted and with a result.
    pub(super) attempted: Vec<i16>,
    pub(super) contacted: Vec<i16>,
    pub(super) with_result: Vec<i16>,
}

impl Batch {
    pub(super) fn of(changes: &[Entry<'_>]) -> Self {
        let mut batch = Self::default();
        for (view, change) in changes {
            batch.campaigns.push(view.key.job.campaign.0);
            batch.jobs.push(view.key.job.job);
            batch.numbers.push(view.key.number);
            batch.versions.push(view.version);
            batch.states.push(change.state.number());
            batch.outcomes.push(change.outcome.map(|outcome| outcome.number()));
            batch.results.push(change.outcome.map_or(0, |outcome| outcome.result().number()));
            batch.provider_ids.push(change.provider_id.clone());
            batch.provider_codes.push(change.provider_code.clone());
            batch.job_states.push(view.job.state.number());
            batch.job_attempts.push(view.job.attempt);
            batch.job_outcomes.push(view.job.outcome.map(|outcome| outcome.number()));
            let (action, due_at, reason, best, refund) = match change.job {
                JobAction::Keep => (0, None, None, None, 0),
                JobAction::Raise { outcome } => (1, None, None, Some(outcome), 0),
                JobAction::Wait { due_at, reason, best, used_up } => {
                    let refund = if used_up == UsedUp::No { 1 } else { 0 };
                    (2, Some(due_at), Some(reason.number()), best, refund)
                }
                JobAction::End { outcome } => (3, None, None, Some(outcome), 0),
            };
            batch.actions.push(action);
            batch.due_at.push(due_at);
            batch.reasons.push(reason);
            batch.best.push(best.map(|outcome| outcome.number()));
            batch.job_results.push(counts_as(view.job.outcome));
            batch.best_results.push(counts_as(best.or(view.job.outcome)));
            batch.refunds.push(refund);
            batch.canceled.push(view.job.canceled);
            batch.sequences.push(change.sequence);
            batch.answered.push(change.answered.map(|outcome| outcome.number()));
            batch.detect_until.push(change.detect_until);
            let (was, becomes) = (standing_before(view), standing_after(view, change));
            batch.attempted.push(i16::from(becomes.attempted) - i16::from(was.attempted));
            batch.contacted.push(i16::from(becomes.contacted) - i16::from(was.contacted));
            batch.with_result.push(i16::from(becomes.has_result) - i16::from(was.has_result));
        }
        batch
    }
}

fn standing_before(view: &AttemptView) -> Standing {
    Standing::of(view.job.channel, stage(view, false), view.job.outcome)
}

fn standing_after(view: &AttemptView, change: &Change) -> Standing {
    let (ends, outcome) = match change.job {
        JobAction::Keep => (false, view.job.outcome),
        JobAction::Raise { outcome } => (false, Some(outcome)),
        JobAction::Wait { best, .. } => (false, best),
        JobAction::End { outcome } => (true, Some(outcome)),
    };
    Standing::of(view.job.channel, stage(view, ends), outcome)
}

/// A job with an attempt was tried.
fn stage(view: &AttemptView, ends: bool) -> Stage {
    Stage::of(ends || view.job.state == JobState::Ended, true)
}

/// As [`tocsin_domain::counters::recount`] counts a job that ended without a dispatched attempt.
fn counts_as(outcome: Option<Outcome>) -> i16 {
    outcome.map_or(AttemptResult::NotDispatched, Outcome::result).number()
}
