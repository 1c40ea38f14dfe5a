//! What nobody answered for in time: messages that the broker lost, attempts that stayed open.

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::policy::{RECORD_MARGIN, REQUEST_DEADLINE, SEND_BY, doubt_period, report_deadline};
use tocsin_domain::settlement::{Report, ReportKind};
use tocsin_domain::{AttemptKey, AttemptState, JobState};
use tocsin_runtime::Progress;
use tocsin_runtime::metrics::note_outcomes;
use tocsin_store::expire::{ClaimBatch, OpenAttempt};

use crate::look_up::{self, Because, LOOK_UP_WAIT, is_findable};
use crate::{Planner, PlannerError, traced};

/// Batches looked at in one tick.
const BATCHES_MAX: i64 = 64;
/// A worker holds a message for 5 s at most before it gives the job back. Jobs queued for longer than this,
/// on a queue that is empty, have lost their messages.
const MESSAGE_AWAY: TimeDelta = TimeDelta::seconds(10);
/// An attempt that a restore left in doubt is looked at again then, for its operator may have decided.
const UNDECIDED_WAIT: TimeDelta = TimeDelta::minutes(5);

pub async fn tick(planner: &Planner) -> Result<Progress, PlannerError> {
    // The store's clock: a planner's own that runs ahead would call attempts unknown too early.
    let now = planner.store.now().await?;
    let requeued = planner.store.requeue_overdue(now, BATCHES_MAX).await?;
    if requeued > 0 {
        tracing::warn!(jobs = requeued, "messages were not taken in time: their jobs are released again");
        planner.wakes.release_all();
    }
    let batches = planner.store.due_claim_batches(now, BATCHES_MAX).await?;
    if batches.is_empty() {
        return Ok(Progress::Idle);
    }
    look_after(planner, batches, now).await?;
    Ok(Progress::More)
}

/// Jobs of an emptied queue are released again at once, not at their time. `depth` is the number of
/// messages ready in the queue of `queued`'s channel and lane. Most often nothing is lost: the jobs of the
/// older releases were claimed, and what is queued is with the workers. Whether any message was lost is
/// known, and told, when the jobs are looked at.
pub async fn hasten(
    planner: &Planner,
    queued: &tocsin_store::release::QueuedCount,
    depth: u32,
) -> Result<(), PlannerError> {
    if depth > 0 || queued.queued <= 0 {
        return Ok(());
    }
    let now = planner.store.now().await?;
    let hastened = planner.store.hasten_requeue(queued.channel, queued.lane, now - MESSAGE_AWAY, now).await?;
    if hastened > 0 {
        tracing::debug!(channel = %queued.channel, lane = %queued.lane, batches = hastened,
            "the queue is empty while jobs are queued: older releases are looked at now");
    }
    Ok(())
}

async fn look_after(
    planner: &Planner,
    batches: Vec<ClaimBatch>,
    now: DateTime<Utc>,
) -> Result<(), PlannerError> {
    let mut reports = Vec::new();
    let mut views = Vec::new();
    let (mut silent, mut accepted) = (Vec::new(), Vec::new());
    let mut next_looks = Vec::with_capacity(batches.len());
    for batch in batches {
        let mut next: Option<DateTime<Utc>> = None;
        let mut again_at = |at: DateTime<Utc>| next = Some(next.map_or(at, |earlier| earlier.min(at)));
        for open in batch.open {
            if open.view.provider_id.is_some() {
                accepted.push(open.view.key);
            }
            match look(&open, now) {
                Look::Forget => {}
                Look::Again(at) => again_at(at),
                Look::Report(kind) => {
                    again_at(now + TimeDelta::seconds(1));
                    reports.push(Report { attempt: open.view.key, at: now, sequence: None, kind });
                    views.push(open.view);
                }
                Look::AskProvider => {
                    again_at(now + span(LOOK_UP_WAIT));
                    silent.push(open);
                }
            }
        }
        next_looks.push((batch.id, next));
    }
    if !reports.is_empty() {
        let settled = planner.store.settle(reports, views, now).await?;
        note_outcomes(&settled.outcomes);
        traced::expired(&planner.spans, &settled.written, now, planner.clock.now());
        tracing::info!(attempts = settled.changed, "attempts without an answer moved on");
        if settled.waiting_again > 0 {
            planner.wakes.release_all();
        }
        planner.wakes.close.notify_one();
    }
    planner.store.finish_claim_batches(&next_looks).await?;
    // Last, for what is decided must not wait for the broker.
    name_unmatched(planner, &accepted).await?;
    look_up::order(planner, &silent, Because::Overdue, now).await
}

/// Reports that came without our token, of attempts whose id at the provider is known by now: the collectors match
/// them when they are named.
async fn name_unmatched(planner: &Planner, accepted: &[AttemptKey]) -> Result<(), PlannerError> {
    if accepted.is_empty() {
        return Ok(());
    }
    let named = planner.store.name_unmatched(accepted).await?;
    if named > 0 {
        tracing::info!(reports = named, "reports without a token belong to attempts of ours");
    }
    Ok(())
}

/// What an open attempt needs now.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// Nothing any more.
    Forget,
    Again(DateTime<Utc>),
    Report(ReportKind),
    /// Its provider is to be asked what became of it.
    AskProvider,
}

/// An unknown attempt is looked up as soon as it is due for a look, and once more just before its doubt is over; one
/// that was accepted and stayed silent, at the channel's report deadline; a call that is over and of which nobody said
/// who answered, at the detection's. An ordered look-up is waited for, so
/// that also a planner that comes late decides on what the provider says.
fn look(open: &OpenAttempt, now: DateTime<Utc>) -> Look {
    let OpenAttempt { view, claimed_at, looked_up_at, undecided } = open;
    let answer_by = *claimed_at + span(SEND_BY + REQUEST_DEADLINE + RECORD_MARGIN);
    let wait = span(LOOK_UP_WAIT);
    let (kind, end, asks) = match view.state {
        AttemptState::Settled => return Look::Forget,
        AttemptState::Asking if answer_by <= now => return Look::Report(ReportKind::Lost),
        AttemptState::Asking => return Look::Again(answer_by),
        AttemptState::Accepted => {
            let silent_at = || *claimed_at + span(report_deadline(view.job.channel));
            let end = view.detect_until.unwrap_or_else(silent_at);
            (ReportKind::Silence, end, [end, end])
        }
        // The job went on without waiting for this attempt: an emergency that was tried again.
        AttemptState::Unknown
            if view.job.attempt > view.key.number || view.job.state != JobState::Claimed =>
        {
            return Look::Forget;
        }
        // Its operator decides, not its lane. What its provider knows by an id may be told meanwhile.
        AttemptState::Unknown if *undecided && !view.job.canceled => {
            let findable = view.provider_id.is_some() && is_findable(view.job.channel);
            return match looked_up_at {
                None if findable => Look::AskProvider,
                _ => Look::Again(now + UNDECIDED_WAIT),
            };
        }
        AttemptState::Unknown => {
            let end = answer_by + span(doubt_period(view.job.lane));
            (ReportKind::DoubtOver, end, [answer_by, end - wait])
        }
    };
    let asks = asks.into_iter().filter(|_| is_findable(view.job.channel));
    let (past, ahead): (Vec<_>, Vec<_>) = asks.partition(|ask| *ask <= now);
    if past.iter().any(|ask| looked_up_at.is_none_or(|at| at < *ask)) {
        return Look::AskProvider;
    }
    let end = looked_up_at.map_or(end, |at| end.max(at + wait));
    if end <= now {
        return Look::Report(kind);
    }
    Look::Again(ahead.into_iter().fold(end, DateTime::min))
}

fn span(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests;
