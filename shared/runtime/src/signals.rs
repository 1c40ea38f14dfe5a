//! SIGTERM and SIGINT.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::tasks::{Tasks, spawn_untracked};

/// Asks `tasks` to stop on the first SIGTERM or SIGINT, and aborts them on the second, for a person who does not want
/// to wait for the drain. The token is cancelled on the second.
///
/// # Errors
/// The signal handlers cannot be installed.
pub fn stop_on_signal(tasks: &Tasks) -> io::Result<CancellationToken> {
    let mut signals = Signals::listen()?;
    let (tasks, again) = (tasks.clone(), CancellationToken::new());
    let second = again.clone();
    // Not tracked: it must outlive the drain, to hear the second signal that ends it.
    spawn_untracked(async move {
        let name = signals.next().await;
        tracing::info!(signal = name, "stopping");
        tasks.stopping().cancel();
        let name = signals.next().await;
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
    use std::time::Duration;

    use rustix::process::{Signal as Number, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn the_first_signal_stops_and_the_second_aborts() {
        let tasks = Tasks::new();
        let second = stop_on_signal(&tasks).unwrap();
        tasks.spawn("stubborn", std::future::pending());
        kill_process(getpid(), Number::TERM).unwrap();
        tasks.stopping().cancelled().await;
        assert!(!second.is_cancelled());
        kill_process(getpid(), Number::INT).unwrap();
        second.cancelled().await;
        let stopped = tasks.stop(Duration::from_secs(60)).await;
        assert_eq!(stopped.unfinished, Vec::<&str>::new());
    }
}
