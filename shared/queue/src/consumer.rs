//! Taking messages and settling them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::QueueError;
use crate::message::{Delivery, Tag};

/// Where a consumer's deliveries come from.
#[async_trait]
pub(crate) trait Feed: Send {
    async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>>;
    async fn stop(&mut self);
}

/// Where a consumer's settlements go.
#[async_trait]
pub(crate) trait Settle: Send + Sync {
    async fn ack(&self, tags: &[Tag]) -> Result<(), QueueError>;
    async fn give_back(&self, tags: &[Tag]) -> Result<(), QueueError>;
    /// Puts a body with the dead letters; settles nothing.
    async fn bury(&self, body: Bytes, headers: &[(String, String)], reason: &str) -> Result<(), QueueError>;
}

/// A subscription to one queue. When it and all its [`Acker`]s are dropped, what is unsettled goes
/// back to the queue.
pub struct Consumer {
    feed: Box<dyn Feed>,
    acker: Acker,
}

impl Consumer {
    pub(crate) fn new(feed: impl Feed + 'static, settle: Arc<dyn Settle>) -> Self {
        Self { feed: Box::new(feed), acker: Acker { settle } }
    }

    /// Waits for one message and returns it with those that are there already, at most `max` and
    /// at least one: a batch is never waited for. `None` when the session is lost or the consumer
    /// stopped. Safe to drop while it waits.
    pub async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>> {
        self.feed.next_batch(max.max(1)).await
    }

    pub fn acker(&self) -> Acker {
        self.acker.clone()
    }

    /// Ends the subscription: no new deliveries, and those not handed out yet go back to the queue
    /// at once. What was handed out can still be settled.
    pub async fn stop(&mut self) {
        self.feed.stop().await;
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").finish_non_exhaustive()
    }
}

/// Settles deliveries of one consumer, from any task. A tag settled twice is settled once.
///
/// Brokers don't answer acknowledgements: `Ok` says that it is on its way. A session that ends
/// meanwhile means redelivery; [`Session::close`](crate::Session::close) writes what it was told before.
#[derive(Clone)]
pub struct Acker {
    settle: Arc<dyn Settle>,
}

impl Acker {
    /// Done with these: the broker forgets them.
    pub async fn ack(&self, tags: &[Tag]) -> Result<(), QueueError> {
        self.settle.ack(tags).await
    }

    /// Back to the queue, for another consumer. It counts towards
    /// [`DELIVERIES_MAX`](crate::topology::DELIVERIES_MAX), so it is for leaving, not for waiting.
    pub async fn give_back(&self, tags: &[Tag]) -> Result<(), QueueError> {
        self.settle.give_back(tags).await
    }

    /// Moves the untouched bytes and headers to the dead-letter queue, with the reason and the name
    /// of the queue, and acknowledges once they are confirmed there. On an error the delivery is
    /// still unsettled. `reason` must not quote the message.
    pub async fn dead_letter(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        self.settle.bury(delivery.body.clone(), &delivery.headers, reason).await?;
        self.ack(&[delivery.tag]).await
    }

    /// Puts `part` of the delivery's body with the dead letters, as [`Acker::dead_letter`] does the whole. The delivery
    /// stays unsettled.
    pub async fn dead_letter_part(
        &self,
        delivery: &Delivery,
        part: Bytes,
        reason: &str,
    ) -> Result<(), QueueError> {
        self.settle.bury(part, &delivery.headers, reason).await
    }
}

impl fmt::Debug for Acker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acker").finish_non_exhaustive()
    }
}
