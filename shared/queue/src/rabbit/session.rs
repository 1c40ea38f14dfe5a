//! One connection to RabbitMQ and what hangs on it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{Stream, StreamExt};
use lapin::options::{QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Event};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::declare;
use super::feed::RabbitFeed;
use super::link::Link;
use super::publishing::Publishing;
use super::settle::Settler;
use crate::broker::Session;
use crate::consumer::Consumer;
use crate::error::QueueError;
use crate::message::{Message, Published, Queue};
use crate::topology::CONTROL_PREFETCH;

pub(super) struct RabbitSession {
    link: Arc<Link>,
    connection: Arc<Connection>,
    publishing: Arc<Publishing>,
    /// The tasks that write acknowledgements. They outlive the session's handle as long as their
    /// consumers do.
    writers: TaskTracker,
    /// The task that watches the connection; it ends with the session.
    _watch: JoinSet<()>,
}

impl RabbitSession {
    pub(super) fn open(connection: Connection, deadline: Duration) -> Self {
        let link = Arc::new(Link::new(deadline));
        let connection = Arc::new(connection);
        let mut watch = JoinSet::new();
        watch.spawn(watch_connection(connection.events_listener(), link.clone()));
        let publishing = Arc::new(Publishing::new(link.clone(), connection.clone()));
        Self { link, connection, publishing, writers: TaskTracker::new(), _watch: watch }
    }

    pub(super) async fn declare_topology(&self) -> Result<(), QueueError> {
        declare::dead_letters(&self.link, &self.channel().await?).await?;
        declare::durable(&self.link, &self.channel().await?).await
    }

    async fn channel(&self) -> Result<Channel, QueueError> {
        self.link.answer("opening a channel", self.connection.create_channel()).await
    }

    async fn subscribe(
        &self,
        channel: Channel,
        queue: String,
        prefetch: u16,
    ) -> Result<Consumer, QueueError> {
        let (settler, writer) =
            Settler::new(self.link.clone(), self.publishing.clone(), queue.clone(), channel.clone());
        let settler = Arc::new(settler);
        let feed =
            RabbitFeed::subscribe(self.link.clone(), channel, &queue, prefetch, settler.clone()).await?;
        self.writers.spawn(writer.run());
        Ok(Consumer::new(feed, settler))
    }
}

#[async_trait]
impl Session for RabbitSession {
    async fn publish(&self, batch: Vec<Message>) -> Result<Vec<Published>, QueueError> {
        self.publishing.publish(batch).await
    }

    async fn consume(&self, queue: Queue, prefetch: u16) -> Result<Consumer, QueueError> {
        let channel = self.channel().await?;
        self.subscribe(channel, queue.name(), prefetch).await
    }

    async fn control(&self) -> Result<Consumer, QueueError> {
        let channel = self.channel().await?;
        let queue = declare::control_queue(&self.link, &channel).await?;
        self.subscribe(channel, queue, CONTROL_PREFETCH).await
    }

    async fn depth(&self, queue: Queue) -> Result<u32, QueueError> {
        // A queue that is missing kills the channel, so it is one to throw away.
        let channel = self.channel().await?;
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let declared = channel.queue_declare(queue.name().into(), options, FieldTable::default());
        Ok(self.link.answer("asking for a queue's depth", declared).await?.message_count())
    }

    fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    async fn purge(&self, queue: Queue) -> Result<u32, QueueError> {
        let channel = self.channel().await?;
        let purged = channel.queue_purge(queue.name().into(), QueuePurgeOptions::default());
        self.link.answer("purging a queue", purged).await
    }

    async fn lost(&self) -> QueueError {
        self.link.life.lost().await
    }

    async fn close(&self) {
        self.link.closing.cancel();
        self.writers.close();
        if timeout(self.link.deadline(), self.writers.wait()).await.is_err() {
            debug!("closing without the last acknowledgements");
        }
        self.link.life.end("this process closed it");
        match timeout(self.link.deadline(), self.connection.close(200, "closed".into())).await {
            Ok(Ok(())) => {}
            // Most often it was broken before, which whoever waits for the session has been told.
            Ok(Err(error)) => debug!(%error, "connection not closed in order"),
            Err(_) => debug!("connection not closed in time"),
        }
    }
}

impl fmt::Debug for RabbitSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitSession").field("link", &self.link).finish_non_exhaustive()
    }
}

/// Ends the session when its connection fails. A channel's own failure is reported here too, and
/// is left to whoever uses the channel: some are opened to be thrown away.
async fn watch_connection(events: impl Stream<Item = Event>, link: Arc<Link>) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Event::Error(error) if error.is_amqp_soft_error() => {}
            Event::Error(error) => link.life.end(error.to_string()),
            Event::ConnectionBlocked(_) => {
                warn!("the broker is short of memory or disk and takes no messages");
            }
            Event::ConnectionUnblocked => info!("the broker takes messages again"),
            _ => {}
        }
    }
}
