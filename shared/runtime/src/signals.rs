//! SIGTERM and SIGINT.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::metrics::DRAINING;
use crate::tasks::{Tasks, spawn_untracked};

/// Asks `tasks` to stop on the first SIGTERM or SIGINT, after `delay`, in which the process is not ready and goes on: whoever
/// sends it requests has to notice. On the second, `tasks` are aborted, for a person who does not want to wait for the drain.
/// The token is cancelled on the second.
///
/// # Errors
/// The signal handlers cannot be installed.
pub fn stop_on_signal(tasks: &Tasks, delay: Duration) -> io::Result<CancellationToken> {
    let mut signals = Signals::listen()?;
    let (tasks, again) = (tasks.clone(), CancellationToken::new());
    let second = again.clone();
    // Not tracked: it must outlive the drain, to hear the second signal that ends it.
    spawn_untracked(async move {
        let name = signals.next().await;
        tasks.leave();
        DRAINING.set(1.0);
        tracing::info!(signal = name, delay_ms = delay.as_millis() as u64, "stopping");
        let name = tokio::select! {
            name = signals.next() => name,
            () = tokio::time::sleep(delay) => {
                tasks.stopping().cancel();
                signals.next().await
            }
        };
        tracing::warn!(signal = name, "second signal: stopping without draining");
        again.cancel();
        tasks.abort();
    });
    Ok(second)
}

/// Cancelled on the first SIGTERM or SIGINT. Those after it change nothing.
///
/// # Errors
/// The signal handlers cannot be installed.
pub fn on_signal() -> io::Result<CancellationToken> {
    let mut signals = Signals::listen()?;
    let heard = CancellationToken::new();
    let first = heard.clone();
    spawn_untracked(async move {
        signals.next().await;
        heard.cancel();
    });
    Ok(first)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal as Number, getpid, kill_process};

    use super::*;

    /// One test, for every listener of the process hears the signals of every other.
    #[tokio::test]
    async fn the_first_signal_stops_in_time_and_the_second_aborts() {
        let (tasks, patient) = (Tasks::new(), Tasks::new());
        let second = stop_on_signal(&tasks, Duration::ZERO).unwrap();
        let patients = stop_on_signal(&patient, Duration::from_secs(3_600)).unwrap();
        tasks.spawn("stubborn", std::future::pending());
        patient.spawn("serving", std::future::pending());
        kill_process(getpid(), Number::TERM).unwrap();
        tasks.stopping().cancelled().await;
        while !patient.are_leaving() {
            tokio::task::yield_now().await;
        }
        assert!(!patient.stopping().is_cancelled(), "it goes on for its delay");
        assert!(!second.is_cancelled());
        assert_eq!(DRAINING.of([]).get(), 1.0);
        kill_process(getpid(), Number::INT).unwrap();
        second.cancelled().await;
        patients.cancelled().await;
        for tasks in [tasks, patient] {
            let stopped = tasks.stop(Duration::from_secs(60)).await;
            assert_eq!(stopped.unfinished, Vec::<&str>::new());
        }
    }
}
