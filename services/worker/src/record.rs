//! Recording outcomes: one batch a statement, through the same merge as callbacks.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::settlement::{AttemptView, Change, Report, ReportKind};
use tocsin_domain::{Channel, JobKey, Lane, Outcome};
use tocsin_runtime::SharedClock;
use tocsin_runtime::metrics::note_outcomes;
use tocsin_runtime::telemetry::Spans;
use tocsin_store::others::Why;
use tocsin_store::suppressions::Learned;
use tocsin_store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::traced::{self, Traced};

/// What one attempt came to, as far as this worker knows.
#[derive(Debug, Clone)]
pub struct Settled {
    pub report: Report,
    /// The attempt as it was claimed: saves reading it.
    pub view: AttemptView,
    /// What the provider's answer tells of the address itself.
    pub learned: Option<Learned>,
    /// For its trace.
    pub traced: Option<Traced>,
}

/// What is recorded together.
pub type Outcomes = Vec<Settled>;

/// Batches merged into one statement.
const BATCHES_MAX: usize = 500;
/// A statement costs as much as some sixty of its rows, so no two begin in quicker succession, unless there is plenty to
/// write. What comes alone is written at once.
const BEAT: Duration = Duration::from_millis(40);
/// So many batches are plenty.
const PLENTY: usize = 400;
/// A batch that fails this often for another reason than an outage must not hold up all others.
const FAILURES_MAX: u32 = 20;
/// Between two tries to record while the store is away.
const PAUSE: Duration = Duration::from_millis(500);

/// Records until every sender is gone. An outage of the store is waited for: what a worker says late still
/// counts.
pub async fn run(store: Store, clock: SharedClock, spans: Spans, mut to_record: mpsc::Receiver<Outcomes>) {
    let mut batches = Vec::with_capacity(BATCHES_MAX);
    let mut next = Instant::now();
    while to_record.recv_many(&mut batches, BATCHES_MAX).await > 0 {
        gather(&mut to_record, &mut batches, next).await;
        next = Instant::now() + BEAT;
        let (mut reports, mut views, mut learned) = (Vec::new(), Vec::new(), Vec::new());
        let mut traced = HashMap::new();
        for settled in batches.drain(..).flatten() {
            traced.extend(settled.traced.map(|known| (settled.report.attempt, known)));
            reports.push(settled.report);
            views.push(settled.view);
            learned.extend(settled.learned);
        }
        let mut failures = 0_u32;
        loop {
            let begun = clock.now();
            let error = match write(&store, &reports, &views, &learned, begun).await {
                Ok(written) => {
                    traced::recorded(&spans, &written, &traced, (begun, clock.now()));
                    break;
                }
                Err(error) => error,
            };
            failures += 1;
            if failures == 1 {
                tracing::warn!(%error, attempts = reports.len(), "outcomes could not be recorded: trying again");
            }
            if failures >= FAILURES_MAX && !error.is_outage() {
                // Left open, the attempts become unknown in time and settle by promise 2.
                tracing::error!(%error, attempts = reports.len(), "outcomes could not be recorded");
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Takes what comes until then, or until there is plenty.
async fn gather(to_record: &mut mpsc::Receiver<Outcomes>, batches: &mut Vec<Outcomes>, until: Instant) {
    while batches.len() < PLENTY {
        let most = BATCHES_MAX - batches.len();
        match timeout_at(until, to_record.recv_many(batches, most)).await {
            // It is time, or nobody is left to send any.
            Err(_) | Ok(0) => return,
            Ok(_) => {}
        }
    }
}

/// Returns what changed. Done again after a failure, it changes nothing twice. A fact about an address that cannot be kept must not hold up
/// outcomes, which are recorded by then.
pub async fn write(
    store: &Store,
    reports: &[Report],
    views: &[AttemptView],
    learned: &[Learned],
    now: DateTime<Utc>,
) -> Result<Vec<(AttemptView, Change)>, StoreError> {
    let settled = store.settle(reports.to_vec(), views.to_vec(), now).await?;
    note_outcomes(&settled.outcomes);
    match store.learn(learned).await {
        Err(error) if !error.is_outage() => {
            tracing::warn!(%error, addresses = learned.len(), "what answers told of addresses could not be kept");
        }
        kept => drop(kept?),
    }
    // Last, so that it is told once however often the rest is done again.
    store.tell_others_left(&refused_texts(reports, views), Why::Refused).await;
    Ok(settled.written)
}

/// Texts of emergencies that their provider refused, because the phone opted out with it.
fn refused_texts(reports: &[Report], views: &[AttemptView]) -> Vec<JobKey> {
    let opted_out =
        |report: &Report| matches!(report.kind, ReportKind::Status { outcome: Outcome::OptOut, .. });
    let emergency_text =
        |view: &AttemptView| view.job.channel == Channel::Sms && view.job.lane == Lane::Emergency;
    let told = reports.iter().zip(views).filter(|(report, view)| opted_out(report) && emergency_text(view));
    told.map(|(report, _)| report.attempt.job).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends so many batches of nothing, each after a pause, and says how they were gathered.
    async fn gathered(batches: usize, pause: Duration) -> (usize, Duration) {
        let (sender, mut receiver) = mpsc::channel(RECORDS);
        let sending = async move {
            for _ in 0..batches {
                tokio::time::sleep(pause).await;
                if sender.send(Outcomes::new()).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(10 * BEAT).await;
        };
        let begun = Instant::now();
        let mut taken = Vec::new();
        let gathering = gather(&mut receiver, &mut taken, begun + BEAT);
        tokio::select! {
            () = gathering => {}
            () = sending => {}
        }
        (taken.len(), begun.elapsed())
    }

    const RECORDS: usize = 1_000;

    #[tokio::test(start_paused = true)]
    async fn outcomes_in_quick_succession_are_written_together_on_a_beat() {
        let (taken, after) = gathered(100, Duration::from_millis(1)).await;
        assert!((30..=40).contains(&taken), "{taken}");
        assert!((BEAT..BEAT + Duration::from_millis(2)).contains(&after), "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn plenty_is_not_waited_for() {
        let (taken, after) = gathered(RECORDS, Duration::ZERO).await;
        assert!(taken >= PLENTY, "{taken}");
        assert!(after < BEAT, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_alone_is_written_at_once() {
        let (sender, mut receiver) = mpsc::channel(1);
        let begun = Instant::now();
        gather(&mut receiver, &mut vec![Outcomes::new()], begun).await;
        drop(sender);
        gather(&mut receiver, &mut vec![Outcomes::new()], begun + BEAT).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "nor is anybody waited for who is gone");
    }
}
