//! What every part of a session shares: its life and the deadline on each wait for the broker.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::error::QueueError;
use crate::life::Life;

#[derive(Debug)]
pub(super) struct Link {
    pub(super) life: Life,
    /// Cancelled when the session is being closed: acknowledgements are written, then it ends.
    pub(super) closing: CancellationToken,
    deadline: Duration,
}

impl Link {
    pub(super) fn new(deadline: Duration) -> Self {
        Self { life: Life::new(), closing: CancellationToken::new(), deadline }
    }

    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Waits for the broker. When the session ends or the deadline passes meanwhile, that is the
    /// error, and the deadline ends the session: what was asked may or may not have been done.
    pub(super) async fn answer<T>(
        &self,
        doing: &'static str,
        call: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, QueueError> {
        self.within(doing, call).await?.map_err(|source| QueueError::Operation { doing, source })
    }

    /// As [`answer`](Self::answer), for what does not end in lapin's own result.
    pub(super) async fn within<T>(
        &self,
        doing: &'static str,
        wait: impl Future<Output = T>,
    ) -> Result<T, QueueError> {
        self.life.check()?;
        tokio::select! {
            done = timeout(self.deadline, wait) => done.map_err(|_| {
                let error = QueueError::Deadline { doing, after: self.deadline };
                self.life.end(error.to_string());
                error
            }),
            lost = self.life.lost() => Err(lost),
        }
    }

    /// An error on a channel that cannot be done without ends the session.
    pub(super) fn fatal(&self, error: QueueError) -> QueueError {
        self.life.end(described(&error));
        error
    }
}

/// The error with its causes, in one line.
pub(super) fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // lapin's errors repeat their source's words.
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
