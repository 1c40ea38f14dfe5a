//! Waiting for a condition, in place of sleeping for luck.

use std::time::Duration;

const POLL: Duration = Duration::from_millis(10);

/// The condition did not come to hold within the bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("waited {waited:?} in vain for: {what}")]
pub struct NotReached {
    pub what: String,
    pub waited: Duration,
}

/// Asks every 10 ms until `condition` holds, at least once, and for no longer than `bound` in all.
///
/// # Errors
/// The bound is over: the error says what was waited for.
pub async fn wait_until(
    what: &str,
    bound: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) -> Result<(), NotReached> {
    let reached = tokio::time::timeout(bound, async {
        while !condition().await {
            tokio::time::sleep(POLL).await;
        }
    });
    reached.await.map_err(|_| NotReached { what: what.to_owned(), waited: bound })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn returns_as_soon_as_the_condition_holds() {
        let mut asked = 0;
        let reached = wait_until("five looks", BOUND, async || {
            asked += 1;
            asked == 5
        })
        .await;
        assert_eq!((reached, asked), (Ok(()), 5));
    }

    #[tokio::test(start_paused = true)]
    async fn says_what_was_not_reached() {
        let error = wait_until("the campaign is canceled", BOUND, async || false).await.unwrap_err();
        assert_eq!(error.to_string(), "waited 60s in vain for: the campaign is canceled");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_is_bounded_too() {
        let reached = wait_until("an answer", BOUND, async || std::future::pending().await).await;
        assert!(reached.is_err());
    }
}
