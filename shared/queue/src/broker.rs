//! The seam between the services and a message broker.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::consumer::Consumer;
use crate::error::QueueError;
use crate::message::{Message, Published, Queue};

#[async_trait]
pub trait Broker: Send + Sync + Debug {
    /// Opens a session: one connection, with the topology declared. `name` is what the broker's
    /// own tools show for it.
    async fn connect(&self, name: &str) -> Result<Arc<dyn Session>, QueueError>;
}

/// One connection. A session that breaks stays broken; the caller opens another.
///
/// Keep publishing and consuming on sessions of their own: a broker short of memory stops reading
/// from connections that publish, and acknowledgements behind them would wait too.
#[async_trait]
pub trait Session: Send + Sync + Debug {
    /// Publishes a batch and waits for the broker's answers: one per message, in order.
    ///
    /// On an error nothing is known of the batch: any of its messages may have been stored.
    async fn publish(&self, batch: Vec<Message>) -> Result<Vec<Published>, QueueError>;

    /// Takes messages from a queue. `prefetch` bounds how many are unsettled at a time (0: no bound).
    async fn consume(&self, queue: Queue, prefetch: u16) -> Result<Consumer, QueueError>;

    /// Takes what is published to [`Destination::Control`](crate::Destination::Control) from now
    /// on, on a queue that only this session has and that ends with it. The messages are
    /// acknowledged like any other.
    async fn control(&self) -> Result<Consumer, QueueError>;

    /// How many messages of a queue wait for a consumer.
    async fn depth(&self, queue: Queue) -> Result<u32, QueueError>;

    /// Has the broker told this connection that it takes no messages for now, being short of memory or disk? It tells
    /// those that publish.
    fn is_blocked(&self) -> bool;

    /// Removes the messages that wait for a consumer, and says how many they were.
    async fn purge(&self, queue: Queue) -> Result<u32, QueueError>;

    /// Resolves when the session is lost, with why. After `close` it resolves too.
    async fn lost(&self) -> QueueError;

    /// Writes the acknowledgements given so far and closes the connection. What is unsettled goes
    /// back to its queue.
    async fn close(&self);
}
