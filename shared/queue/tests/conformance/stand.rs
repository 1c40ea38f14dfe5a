//! What a case runs on: a broker of its own, and a way to cut its connections.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tocsin_domain::{Channel, Lane};
use tocsin_queue::{
    Broker, Consumer, Delivery, Destination, MemoryBroker, Message, Published, Queue, RabbitBroker, Session,
};

use crate::vhost::VirtualHost;

pub const JOBS: Queue = Queue::Jobs(Channel::Sms, Lane::General);

pub enum Stand {
    Memory(MemoryBroker),
    RabbitMq(VirtualHost),
}

impl Stand {
    pub fn memory() -> Self {
        Self::Memory(MemoryBroker::new())
    }

    pub fn rabbitmq() -> Self {
        Self::RabbitMq(VirtualHost::take())
    }

    pub fn broker(&self) -> Arc<dyn Broker> {
        match self {
            Self::Memory(broker) => Arc::new(broker.clone()),
            Self::RabbitMq(vhost) => Arc::new(RabbitBroker::new(&vhost.url()).unwrap()),
        }
    }

    pub async fn session(&self) -> Arc<dyn Session> {
        self.broker().connect("conformance").await.unwrap()
    }

    /// The broker closes every connection.
    pub fn cut(&self) {
        match self {
            Self::Memory(broker) => broker.disconnect_all(),
            Self::RabbitMq(vhost) => vhost.close_connections(),
        }
    }
}

/// Far more than any case takes.
pub async fn bounded(case: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(120), case).await.expect("the case came to no end");
}

pub fn message(to: Destination, body: &str) -> Message {
    Message { to, body: Bytes::copy_from_slice(body.as_bytes()), headers: Vec::new(), persistent: true }
}

pub fn messages(queue: Queue, bodies: impl IntoIterator<Item = u32>) -> Vec<Message> {
    bodies.into_iter().map(|body| message(Destination::Queue(queue), &body.to_string())).collect()
}

/// Publishes and requires that the broker confirms all.
pub async fn put(session: &Arc<dyn Session>, messages: Vec<Message>) {
    let expected = vec![Published::Confirmed; messages.len()];
    assert_eq!(session.publish(messages).await.unwrap(), expected);
}

/// Takes deliveries until there are `count`.
pub async fn take(consumer: &mut Consumer, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(consumer.next_batch(count - taken.len()).await.expect("the consumer ended"));
    }
    taken
}

pub fn bodies(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| std::str::from_utf8(&delivery.body).unwrap()).collect()
}

/// Waits until the queue is that deep: a broker settles what it was told a moment later.
pub async fn depth_becomes(session: &Arc<dyn Session>, queue: Queue, expected: u32) {
    while session.depth(queue).await.unwrap() != expected {
        tokio::task::yield_now().await;
    }
}
