//! Publishing over a session that is opened when needed, and again after it was lost.

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use tokio::sync::Semaphore;
use tracing::info;

use crate::broker::{Broker, Session};
use crate::error::QueueError;
use crate::message::{Message, Published};

/// Shared by all tasks of a process that publish.
#[derive(Debug)]
pub struct Publisher {
    broker: Arc<dyn Broker>,
    name: String,
    session: Mutex<Option<Arc<dyn Session>>>,
    /// One task connects; the others wait for its session instead of opening one each.
    connecting: Semaphore,
}

impl Publisher {
    /// Opens nothing yet. `name` is what the broker's own tools show for the connection.
    pub fn new(broker: Arc<dyn Broker>, name: impl Into<String>) -> Self {
        Self { broker, name: name.into(), session: Mutex::new(None), connecting: Semaphore::new(1) }
    }

    /// As [`Session::publish`]. A batch is never sent twice: an error is the caller's to handle,
    /// and the next call opens a new session if this one broke.
    pub async fn publish(&self, batch: Vec<Message>) -> Result<Vec<Published>, QueueError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.session().await?.publish(batch).await
    }

    /// The living session, opened if there is none.
    pub async fn session(&self) -> Result<Arc<dyn Session>, QueueError> {
        if let Some(session) = self.living() {
            return Ok(session);
        }
        // The semaphore is never closed; if it were, connecting without a turn would still be right.
        let _turn = self.connecting.acquire().await;
        if let Some(session) = self.living() {
            return Ok(session);
        }
        let session = self.broker.connect(&self.name).await?;
        info!(connection = self.name, "broker session opened");
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.clone());
        Ok(session)
    }

    /// Closes the session, if one is open. A later publish would open another.
    pub async fn close(&self) {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(session) = session {
            session.close().await;
        }
    }

    /// As [`Session::is_blocked`], of the session that is open, if one is.
    pub fn is_blocked(&self) -> bool {
        self.living().is_some_and(|session| session.is_blocked())
    }

    fn living(&self) -> Option<Arc<dyn Session>> {
        let mut slot = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let session = slot.as_ref()?;
        if session.lost().now_or_never().is_some() {
            *slot = None;
        }
        slot.clone()
    }
}
