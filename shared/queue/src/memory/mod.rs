//! The broker in this process: for tests, and for the mode that runs all roles in one process.
//!
//! Everything is one state under one lock, and every change wakes all who wait: there are a few
//! dozen consumers at most. Its memory is bounded by what bounds the queues themselves, the release
//! windows; nothing survives the process, which loses latency and no work.

mod session;
mod state;

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;

use crate::broker::{Broker, Session};
use crate::error::QueueError;
use crate::message::Queue;

use session::MemorySession;
use state::State;

/// Clones are the same broker.
#[derive(Clone)]
pub struct MemoryBroker {
    hub: Arc<Hub>,
}

impl MemoryBroker {
    pub fn new() -> Self {
        Self { hub: Arc::new(Hub { state: Mutex::new(State::default()), changed: Notify::new() }) }
    }

    /// Breaks every session, as a broker does that restarts: what is unsettled goes back to its
    /// queue, control queues are gone, and new sessions can be opened at once.
    pub fn disconnect_all(&self) {
        self.hub.change(State::end_sessions);
    }

    /// Breaks every session and refuses new ones until [`start`](Self::start).
    pub fn stop(&self) {
        self.hub.change(|state| {
            state.up = false;
            state.end_sessions();
        });
    }

    /// Ends what [`stop`](Self::stop) began.
    pub fn start(&self) {
        self.hub.change(|state| state.up = true);
    }

    /// Forgets every message, the unsettled ones too, as a broker does that lost its disk.
    pub fn drop_messages(&self) {
        self.hub.change(State::forget_messages);
    }

    /// Waits until every message of `queue` is settled: none is ready, and no consumer has one.
    pub async fn drained(&self, queue: Queue) {
        loop {
            // Listening begins before looking, so that no change between the two is missed.
            let mut changed = pin!(self.hub.changed.notified());
            changed.as_mut().enable();
            if self.hub.state().is_drained(queue) {
                return;
            }
            changed.await;
        }
    }

    /// What is unsettled, by queue: the bodies of what is ready and of what consumers have.
    pub fn unsettled(&self) -> Vec<(Queue, Bytes)> {
        self.hub.state().unsettled()
    }

    /// Answers the next `count` messages with [`Published::Refused`](crate::Published::Refused).
    pub fn refuse_next(&self, count: usize) {
        self.hub.change(|state| state.refusals = count);
    }

    /// Control messages reach nobody from now on, as if the exchange had been unbound.
    pub fn unbind_control(&self) {
        self.hub.change(|state| state.control_bound = false);
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn connect(&self, _name: &str) -> Result<Arc<dyn Session>, QueueError> {
        Ok(Arc::new(MemorySession::open(self.hub.clone())?))
    }
}

impl fmt::Debug for MemoryBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBroker").finish_non_exhaustive()
    }
}

struct Hub {
    state: Mutex<State>,
    changed: Notify,
}

impl Hub {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies a change and wakes all who wait for one.
    fn change<T>(&self, apply: impl FnOnce(&mut State) -> T) -> T {
        let answer = apply(&mut self.state());
        self.changed.notify_waiters();
        answer
    }
}
