//! The loop around a tick: an idempotent function that is run on a signal and on a period.

use std::fmt::Display;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::{TICK_FAILURES, TICK_SECONDS};

/// The pause after the first failure in a row. It doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause between two failing runs.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What a tick found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is left for now: run again on the next wake or period.
    Idle,
    /// There is more: run again at once.
    More,
}

/// Runs `tick` at once, then on every wake or period, until `stopping`.
///
/// A tick that has begun is run to its end; `stopping` is looked at between ticks. A failure is logged once per text
/// with the tick's name, and the tick is tried again after a pause that grows up to 5 s while it goes on failing; a
/// wake does not cut that pause short, or a busy signal would turn an outage into a storm, and is not lost either.
///
/// Inside a spawned task the tick must own what it uses (`async move || …`): the compiler cannot yet see that a
/// future which borrows from its own task may move between threads.
pub async fn run_ticker<E: Display, F: AsyncFnMut() -> Result<Progress, E>>(
    name: &'static str,
    period: Duration,
    wake: &Notify,
    stopping: &CancellationToken,
    mut tick: F,
) {
    let mut failures = Failures::default();
    let (took, failed) = (TICK_SECONDS.of([name]), TICK_FAILURES.of([name]));
    while !stopping.is_cancelled() {
        let begun = Instant::now();
        let ticked = tick().await;
        took.took(begun.elapsed());
        match ticked {
            Ok(progress) => {
                failures.note_success(name);
                match progress {
                    // A tick that never waits must still let others run.
                    Progress::More => tokio::task::yield_now().await,
                    Progress::Idle => tokio::select! {
                        () = stopping.cancelled() => {}
                        () = wake.notified() => {}
                        () = tokio::time::sleep(period) => {}
                    },
                }
            }
            Err(error) => {
                failed.one();
                let pause = failures.note(name, error.to_string());
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
}

/// The failures in a row, so that an outage is one line in the log and not one a second.
#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    last: String,
}

impl Failures {
    /// Logs a new text, and tells how long to pause.
    fn note(&mut self, tick: &'static str, error: String) -> Duration {
        if self.last != error {
            tracing::warn!(tick, %error, "tick failed: trying again");
            self.last = error;
        }
        let pause = PAUSE_MIN.saturating_mul(2_u32.saturating_pow(self.in_a_row)).min(PAUSE_MAX);
        self.in_a_row = self.in_a_row.saturating_add(1);
        pause
    }

    fn note_success(&mut self, tick: &'static str) {
        if self.in_a_row > 0 {
            tracing::info!(tick, failures = self.in_a_row, "tick works again");
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::Tasks;
    use crate::metrics::{Cell as _, Value};

    const PERIOD: Duration = Duration::from_secs(60);

    /// Runs a ticker whose n-th run (from 1) does `step(n)`, until that answers None; returns the seconds, from the
    /// start, at which it ran.
    async fn runs(wake: &Notify, step: impl Fn(u32) -> Option<Result<Progress, &'static str>>) -> Vec<f64> {
        let stopping = CancellationToken::new();
        let start = Instant::now();
        let mut at = Vec::new();
        run_ticker("test", PERIOD, wake, &stopping, async || {
            at.push(start.elapsed().as_secs_f64());
            let number = u32::try_from(at.len()).unwrap();
            step(number).unwrap_or_else(|| {
                stopping.cancel();
                Ok(Progress::Idle)
            })
        })
        .await;
        at.iter().map(|seconds| (seconds * 10.0).round() / 10.0).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn runs_at_once_and_then_every_period() {
        let at = runs(&Notify::new(), |run| (run < 3).then_some(Ok(Progress::Idle))).await;
        assert_eq!(at, [0.0, 60.0, 120.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn more_runs_again_at_once() {
        let at = runs(&Notify::new(), |run| (run < 3).then_some(Ok(Progress::More))).await;
        assert_eq!(at, [0.0, 0.0, 0.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_during_a_tick_is_not_lost() {
        let wake = Notify::new();
        let at = runs(&wake, |run| {
            wake.notify_one();
            (run < 3).then_some(Ok(Progress::Idle))
        })
        .await;
        assert_eq!(at, [0.0, 0.0, 0.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_tried_again_after_a_growing_pause_that_success_resets() {
        let at = runs(&Notify::new(), |run| match run {
            4 => Some(Ok(Progress::More)),
            6 => None,
            _ => Some(Err("the store is away")),
        })
        .await;
        assert_eq!(at, [0.0, 0.1, 0.3, 0.7, 0.7, 0.8]);
    }

    #[tokio::test(start_paused = true)]
    async fn runs_and_failures_are_counted_by_the_ticks_name() {
        let (stopping, mut runs) = (CancellationToken::new(), 0);
        run_ticker("test.counted", PERIOD, &Notify::new(), &stopping, async || {
            runs += 1;
            if runs == 5 {
                stopping.cancel();
            }
            if runs % 2 == 0 { Err("away") } else { Ok(Progress::Idle) }
        })
        .await;
        assert_eq!(TICK_FAILURES.of(["test.counted"]).get(), 2);
        let Value::Histogram { buckets, .. } = TICK_SECONDS.of(["test.counted"]).read() else {
            panic!("a histogram")
        };
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 5);
    }

    #[test]
    fn the_pause_grows_to_five_seconds_and_no_further() {
        let mut failures = Failures::default();
        let pauses: Vec<_> = (0..40).map(|_| failures.note("test", "away".to_owned())).collect();
        assert_eq!(pauses.iter().max(), Some(&PAUSE_MAX));
        assert!(pauses.is_sorted());
    }

    #[tokio::test]
    async fn a_ticker_can_be_a_tracked_task() {
        let tasks = Tasks::new();
        let count = Arc::new(AtomicU32::new(0));
        let (counted, wake, stopping) = (Arc::clone(&count), Notify::new(), tasks.stopping().clone());
        let mut runs = 0;
        tasks.spawn("ticker", async move {
            let stop = stopping.clone();
            run_ticker("test", PERIOD, &wake, &stopping, async move || {
                runs += 1;
                tokio::task::yield_now().await;
                counted.store(runs, Ordering::Relaxed);
                if runs == 3 {
                    stop.cancel();
                }
                Ok::<_, String>(Progress::More)
            })
            .await;
        });
        tasks.stopping().cancelled().await;
        assert_eq!(tasks.stop(PERIOD).await.unfinished, Vec::<&str>::new());
        assert_eq!(count.load(Ordering::Relaxed), 3);
    }
}
