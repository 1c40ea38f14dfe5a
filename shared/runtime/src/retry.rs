//! Trying again until it works: connections and start-up. Redials of jobs have nothing to do with this; they are
//! decided in the domain and wait on rows.
//!
//! The only module that knows the `backoff` crate, which is unmaintained (see deny.toml for the way out).

use std::fmt::Display;
use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use tokio_util::sync::CancellationToken;

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Runs `op` until it succeeds; None when `stopping` came first, which also drops a run that is under way.
///
/// There is no giving up: a process without its database or broker waits for it. Pauses grow from 0.1 s to 5 s,
/// spread by half so that a fleet does not reconnect in step. Each failure is logged once per change of text. Inside a
/// spawned task `op` must own what it uses (`async move || …`), as for [`crate::run_ticker`].
pub async fn retry<T, E: Display, F: AsyncFnMut() -> Result<T, E>>(
    what: &'static str,
    stopping: &CancellationToken,
    op: F,
) -> Option<T> {
    stopping.run_until_cancelled(until_done(what, op)).await
}

async fn until_done<T, E: Display, F: AsyncFnMut() -> Result<T, E>>(what: &'static str, mut op: F) -> T {
    let mut pauses = ExponentialBackoff {
        current_interval: PAUSE_MIN,
        initial_interval: PAUSE_MIN,
        max_interval: PAUSE_MAX,
        // The crate's own default gives up after 15 minutes.
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    };
    let mut last = String::new();
    loop {
        let error = match op().await {
            Ok(value) => return value,
            Err(error) => error.to_string(),
        };
        if error != last {
            tracing::warn!(what, %error, "failed: trying again");
            last = error;
        }
        // Without a time limit the policy always names a pause; the longest one is right if it ever did not.
        tokio::time::sleep(pauses.next_backoff().unwrap_or(PAUSE_MAX)).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tries_again_until_it_works_and_never_gives_up() {
        let mut tries = 0;
        let start = Instant::now();
        let value = retry("connection", &CancellationToken::new(), async || {
            tries += 1;
            if start.elapsed() < Duration::from_secs(3600) {
                Err(format!("refused {tries}"))
            } else {
                Ok("connected")
            }
        })
        .await;
        assert_eq!(value, Some("connected"));
        // At most 7.5 s between two tries (5 s and half of it), so an hour holds at least 480 of them.
        assert!(tries >= 480, "{tries}");
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_ends_the_wait() {
        let stopping = CancellationToken::new();
        let mut tries = 0;
        let value = retry("connection", &stopping, async || {
            tries += 1;
            if tries == 3 {
                stopping.cancel();
            }
            Err::<(), _>("refused")
        })
        .await;
        assert_eq!((value, tries), (None, 3));
    }

    #[tokio::test]
    async fn stopping_ends_a_run_that_hangs() {
        let stopping = CancellationToken::new();
        let value = retry("connection", &stopping, async || {
            stopping.cancel();
            std::future::pending::<Result<(), String>>().await
        })
        .await;
        assert_eq!(value, None);
    }
}
