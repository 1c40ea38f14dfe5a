//! Putting callbacks on their status queue: many requests share one batch and its confirms.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tocsin_queue::{Message, Published, Publisher, QueueError};
use tokio::sync::{mpsc, oneshot};

/// Callbacks that wait for a batch. A request behind them waits, and is answered 503 when its time is over.
const WAITING_MAX: usize = 4_096;
/// Callbacks in one batch.
const BATCH_MAX: usize = 256;
/// Batches whose confirms are open at once. More would make batches smaller, not confirms faster.
const BATCHES_MAX: usize = 4;

/// Where requests leave their callback. The task that publishes ends when every clone is gone.
#[derive(Debug, Clone)]
pub struct Outbox {
    entries: mpsc::Sender<Entry>,
    publisher: Arc<Publisher>,
}

#[derive(Debug)]
struct Entry {
    message: Message,
    /// Dropped without a word when the broker did not confirm.
    confirmed: oneshot::Sender<()>,
}

/// The broker did not confirm; it may have stored the callback all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unconfirmed;

impl Outbox {
    /// The outbox, and its publishing task.
    pub fn new(publisher: Publisher) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let publisher = Arc::new(publisher);
        let (entries, to_publish) = mpsc::channel(WAITING_MAX);
        (Self { entries, publisher: Arc::clone(&publisher) }, run(publisher, to_publish))
    }

    /// Is the broker there?
    pub async fn ready(&self) -> Result<(), QueueError> {
        self.publisher.session().await.map(drop)
    }

    /// Returns once the broker has the message.
    pub async fn publish(&self, message: Message) -> Result<(), Unconfirmed> {
        let (confirmed, answer) = oneshot::channel();
        self.entries.send(Entry { message, confirmed }).await.map_err(|_| Unconfirmed)?;
        answer.await.map_err(|_| Unconfirmed)
    }
}

async fn run(publisher: Arc<Publisher>, mut entries: mpsc::Receiver<Entry>) {
    let mut in_flight = FuturesUnordered::new();
    let mut taken = Vec::new();
    loop {
        tokio::select! {
            Some(()) = in_flight.next() => {}
            count = entries.recv_many(&mut taken, BATCH_MAX), if in_flight.len() < BATCHES_MAX => {
                if count == 0 {
                    break;
                }
                in_flight.push(publish_batch(Arc::clone(&publisher), std::mem::take(&mut taken)));
            }
        }
    }
    while in_flight.next().await.is_some() {}
    publisher.close().await;
}

async fn publish_batch(publisher: Arc<Publisher>, batch: Vec<Entry>) {
    let (messages, requests): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|entry| (entry.message, entry.confirmed)).unzip();
    let answers = match publish_or_again(&publisher, messages).await {
        Ok(answers) => answers,
        Err(error) => {
            tracing::warn!(%error, callbacks = requests.len(), "callbacks not published");
            return;
        }
    };
    let mut not_taken = 0;
    for (request, answer) in requests.into_iter().zip(answers) {
        match answer {
            // Who does not wait any more has answered 503: the provider posts it again.
            Published::Confirmed => drop(request.send(())),
            Published::Refused | Published::Unroutable => not_taken += 1,
        }
    }
    if not_taken > 0 {
        tracing::warn!(callbacks = not_taken, "the broker did not take callbacks");
    }
}

/// Once more at once over a new session when the first one broke: not every provider posts again after a
/// 503. What the broker then has twice has one id, and is applied once.
async fn publish_or_again(
    publisher: &Publisher,
    messages: Vec<Message>,
) -> Result<Vec<Published>, QueueError> {
    match publisher.publish(messages.clone()).await {
        Err(QueueError::Lost { .. } | QueueError::Operation { .. }) => publisher.publish(messages).await,
        answered => answered,
    }
}
