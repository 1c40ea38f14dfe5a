//! What nobody answered for in time: messages that the broker lost, attempts that stayed open.

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::policy::{RECORD_MARGIN, REQUEST_DEADLINE, SEND_BY, doubt_period, report_deadline};
use tocsin_domain::settlement::{AttemptView, Report, ReportKind};
use tocsin_domain::{AttemptState, JobState};
use tocsin_runtime::Progress;
use tocsin_store::expire::ClaimBatch;

use crate::{Planner, PlannerError};

/// Batches looked at in one tick.
const BATCHES_MAX: i64 = 64;
/// A worker holds a message for 5 s at most before it gives the job back. Jobs queued for longer than this,
/// on a queue that is empty, have lost their messages.
const MESSAGE_AWAY: TimeDelta = TimeDelta::seconds(10);

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
    let mut next_looks = Vec::with_capacity(batches.len());
    for batch in batches {
        let mut next: Option<DateTime<Utc>> = None;
        for (view, claimed_at) in batch.open {
            match look(&view, claimed_at, now) {
                Look::Forget => {}
                Look::Again(at) => next = Some(next.map_or(at, |earlier| earlier.min(at))),
                Look::Report(kind) => {
                    let again = now + TimeDelta::seconds(1);
                    next = Some(next.map_or(again, |earlier| earlier.min(again)));
                    reports.push(Report { attempt: view.key, at: now, kind });
                    views.push(view);
                }
            }
        }
        next_looks.push((batch.id, next));
    }
    if !reports.is_empty() {
        let settled = planner.store.settle(reports, views, now).await?;
        tracing::info!(attempts = settled.changed, "attempts without an answer moved on");
        if settled.waiting_again > 0 {
            planner.wakes.release_all();
        }
        planner.wakes.close.notify_one();
    }
    planner.store.finish_claim_batches(&next_looks).await?;
    Ok(())
}

/// What an open attempt needs now.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// Nothing any more.
    Forget,
    Again(DateTime<Utc>),
    Report(ReportKind),
}

fn look(view: &AttemptView, claimed_at: DateTime<Utc>, now: DateTime<Utc>) -> Look {
    let answer_by = claimed_at + span(SEND_BY + REQUEST_DEADLINE + RECORD_MARGIN);
    let (kind, at) = match view.state {
        AttemptState::Settled => return Look::Forget,
        AttemptState::Asking => (ReportKind::Lost, answer_by),
        AttemptState::Accepted => (ReportKind::Silence, claimed_at + span(report_deadline(view.job.channel))),
        // The job went on without waiting for this attempt: an emergency that was tried again.
        AttemptState::Unknown
            if view.job.attempt > view.key.number || view.job.state != JobState::Claimed =>
        {
            return Look::Forget;
        }
        AttemptState::Unknown => (ReportKind::DoubtOver, answer_by + span(doubt_period(view.job.lane))),
    };
    if at <= now { Look::Report(kind) } else { Look::Again(at) }
}

fn span(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
