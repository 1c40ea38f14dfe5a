//! Whether a session still lives, and if not, why.

use tokio::sync::watch;

use crate::error::QueueError;

/// Shared by everything that belongs to one session. The first reason stays.
#[derive(Debug)]
pub(crate) struct Life {
    ended: watch::Sender<Option<String>>,
}

impl Life {
    pub(crate) fn new() -> Self {
        Self { ended: watch::Sender::new(None) }
    }

    pub(crate) fn end(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(reason);
            }
            first
        });
    }

    /// Why the session ended, if it did.
    pub(crate) fn check(&self) -> Result<(), QueueError> {
        match &*self.ended.borrow() {
            Some(reason) => Err(QueueError::Lost { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Waits for the end.
    pub(crate) async fn lost(&self) -> QueueError {
        let mut ended = self.ended.subscribe();
        // The sender is `self`, so the wait cannot fail for want of one.
        let reason = match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => String::new(),
        };
        QueueError::Lost { reason }
    }
}
