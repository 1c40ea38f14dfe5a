//! A session of the in-memory broker, and its consumers.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::Hub;
use super::state::{HoldId, Key, SessionId};
use crate::broker::Session;
use crate::consumer::{Consumer, Feed, Settle};
use crate::error::QueueError;
use crate::life::Life;
use crate::message::{Delivery, Destination, Message, Published, Queue, Tag};
use crate::topology::{CONTROL_PREFETCH, QUEUE_HEADER, REASON_HEADER};

/// The connection: it lasts as long as the session's handle or one of its consumers.
struct Connection {
    hub: Arc<Hub>,
    id: SessionId,
    life: Arc<Life>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.hub.change(|state| state.end_session(self.id, "it was dropped"));
    }
}

pub(super) struct MemorySession {
    connection: Arc<Connection>,
}

impl MemorySession {
    pub(super) fn open(hub: Arc<Hub>) -> Result<Self, QueueError> {
        let life = Arc::new(Life::new());
        let id = hub.change(|state| state.up.then(|| state.begin_session(life.clone())));
        let id = id.ok_or_else(|| QueueError::Lost { reason: "the broker is stopped".to_owned() })?;
        Ok(Self { connection: Arc::new(Connection { hub, id, life }) })
    }

    fn subscribe(&self, queue: Key, name: String, prefetch: u16) -> Result<Consumer, QueueError> {
        let connection = self.connection.clone();
        connection.life.check()?;
        let id = connection.hub.change(|state| state.begin_hold(connection.id, queue, prefetch));
        let hold = Arc::new(MemoryHold { connection, id, queue: name });
        Ok(Consumer::new(MemoryFeed { hold: hold.clone() }, hold))
    }
}

#[async_trait]
impl Session for MemorySession {
    async fn publish(&self, batch: Vec<Message>) -> Result<Vec<Published>, QueueError> {
        self.connection.life.check()?;
        Ok(self
            .connection
            .hub
            .change(|state| batch.into_iter().map(|message| state.publish(message)).collect()))
    }

    async fn consume(&self, queue: Queue, prefetch: u16) -> Result<Consumer, QueueError> {
        self.subscribe(Key::Named(queue), queue.name(), prefetch)
    }

    async fn control(&self) -> Result<Consumer, QueueError> {
        self.subscribe(Key::Control(self.connection.id), "control".to_owned(), CONTROL_PREFETCH)
    }

    async fn depth(&self, queue: Queue) -> Result<u32, QueueError> {
        self.connection.life.check()?;
        Ok(count(self.connection.hub.state().depth(queue)))
    }

    /// It takes what there is memory for.
    fn is_blocked(&self) -> bool {
        false
    }

    async fn purge(&self, queue: Queue) -> Result<u32, QueueError> {
        self.connection.life.check()?;
        Ok(count(self.connection.hub.change(|state| state.purge(queue))))
    }

    async fn lost(&self) -> QueueError {
        self.connection.life.lost().await
    }

    async fn close(&self) {
        let Connection { hub, id, .. } = &*self.connection;
        hub.change(|state| state.end_session(*id, "this process closed it"));
    }
}

impl fmt::Debug for MemorySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySession").field("id", &self.connection.id).finish_non_exhaustive()
    }
}

fn count(messages: usize) -> u32 {
    u32::try_from(messages).unwrap_or(u32::MAX)
}

/// What a consumer and its ackers share. Dropping the last of them gives back what is unsettled.
struct MemoryHold {
    connection: Arc<Connection>,
    id: HoldId,
    queue: String,
}

impl Drop for MemoryHold {
    fn drop(&mut self) {
        self.connection.hub.change(|state| state.end_hold(self.id));
    }
}

#[async_trait]
impl Settle for MemoryHold {
    async fn ack(&self, tags: &[Tag]) -> Result<(), QueueError> {
        self.connection.life.check()?;
        self.connection.hub.change(|state| state.ack(self.id, tags));
        Ok(())
    }

    async fn give_back(&self, tags: &[Tag]) -> Result<(), QueueError> {
        self.connection.life.check()?;
        self.connection.hub.change(|state| state.give_back(self.id, tags));
        Ok(())
    }

    async fn bury(&self, body: Bytes, headers: &[(String, String)], reason: &str) -> Result<(), QueueError> {
        self.connection.life.check()?;
        let mut headers = headers.to_vec();
        headers.push((REASON_HEADER.to_owned(), reason.to_owned()));
        headers.push((QUEUE_HEADER.to_owned(), self.queue.clone()));
        let letter = Message { to: Destination::Queue(Queue::DeadLetters), body, headers, persistent: true };
        match self.connection.hub.change(|state| state.publish(letter)) {
            Published::Confirmed => Ok(()),
            Published::Unroutable | Published::Refused => Err(QueueError::NotDeadLettered),
        }
    }
}

struct MemoryFeed {
    hold: Arc<MemoryHold>,
}

#[async_trait]
impl Feed for MemoryFeed {
    async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>> {
        let Connection { hub, life, .. } = &*self.hold.connection;
        loop {
            // Listening begins before looking, so that no change between the two is missed.
            let mut changed = pin!(hub.changed.notified());
            changed.as_mut().enable();
            let batch = {
                let mut state = hub.state();
                if state.is_stopped(self.hold.id) {
                    return None;
                }
                state.take(self.hold.id, max)
            };
            if !batch.is_empty() {
                return Some(batch);
            }
            tokio::select! {
                () = changed => {}
                _ = life.lost() => return None,
            }
        }
    }

    async fn stop(&mut self) {
        self.hold.connection.hub.change(|state| state.stop_hold(self.hold.id));
    }
}
