//! Putting callbacks on their queue: what comes while messages are being confirmed shares the next one.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tocsin_domain::trace::Context;
use tocsin_proto::Envelope;
use tocsin_proto::v1::RawCallbacks;
use tocsin_queue::{Destination, Message, Published, Publisher, Queue, QueueError, trace_header};
use tokio::sync::{mpsc, oneshot};

/// Callbacks that wait for a batch. A request behind them waits, and is answered 503 when its time is over.
const WAITING_MAX: usize = 4_096;
/// Callbacks in one message.
pub const CALLBACKS_MAX: usize = 256;
/// One that goes beyond begins the next message: bodies may be large, and those who apply hold many messages.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Messages whose confirms are open at once. More would make messages smaller, not confirms faster.
const MESSAGES_MAX: usize = 2;

/// Where requests leave their callback. The task that publishes ends when every clone is gone.
#[derive(Debug, Clone)]
pub struct Outbox {
    entries: mpsc::Sender<Entry>,
    publisher: Arc<Publisher>,
}

#[derive(Debug)]
struct Entry {
    callback: Bytes,
    /// Of its span.
    context: Option<Context>,
    /// Dropped without a word when the broker did not confirm.
    confirmed: oneshot::Sender<()>,
}

/// The broker did not confirm; it may have stored the callback all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unconfirmed;

impl Outbox {
    /// The outbox of `queue`, and its publishing task.
    pub fn new(publisher: Publisher, queue: Queue) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let publisher = Arc::new(publisher);
        let (entries, to_publish) = mpsc::channel(WAITING_MAX);
        (Self { entries, publisher: Arc::clone(&publisher) }, run(publisher, queue, to_publish))
    }

    /// Is the broker there?
    pub async fn ready(&self) -> Result<(), QueueError> {
        self.publisher.session().await.map(drop)
    }

    /// Returns once the broker has the callback.
    pub async fn publish(&self, callback: Bytes, context: Option<Context>) -> Result<(), Unconfirmed> {
        let (confirmed, answer) = oneshot::channel();
        self.entries.send(Entry { callback, context, confirmed }).await.map_err(|_| Unconfirmed)?;
        answer.await.map_err(|_| Unconfirmed)
    }
}

async fn run(publisher: Arc<Publisher>, queue: Queue, mut entries: mpsc::Receiver<Entry>) {
    let mut in_flight = FuturesUnordered::new();
    let mut taken = Vec::new();
    loop {
        tokio::select! {
            Some(()) = in_flight.next() => {}
            count = entries.recv_many(&mut taken, CALLBACKS_MAX), if in_flight.len() < MESSAGES_MAX => {
                if count == 0 {
                    break;
                }
                in_flight.push(publish(Arc::clone(&publisher), queue, std::mem::take(&mut taken)));
            }
        }
    }
    while in_flight.next().await.is_some() {}
    publisher.close().await;
}

async fn publish(publisher: Arc<Publisher>, queue: Queue, entries: Vec<Entry>) {
    let shared = shared(entries);
    let messages = shared.iter().map(|entries| message(queue, entries)).collect();
    let answers = match publish_or_again(&publisher, messages).await {
        Ok(answers) => answers,
        Err(error) => {
            let callbacks = shared.iter().map(Vec::len).sum::<usize>();
            tracing::warn!(%error, callbacks, "callbacks not published");
            return;
        }
    };
    let mut not_taken = 0;
    for (entries, answer) in shared.into_iter().zip(answers) {
        match answer {
            Published::Confirmed => {
                for entry in entries {
                    // Who does not wait any more has answered 503: the provider posts it again.
                    let _ = entry.confirmed.send(());
                }
            }
            Published::Refused | Published::Unroutable => not_taken += entries.len(),
        }
    }
    if not_taken > 0 {
        tracing::warn!(callbacks = not_taken, "the broker did not take callbacks");
    }
}

/// Those that share a message. One that is larger than a message may be has its own.
fn shared(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut shared: Vec<Vec<Entry>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        bytes += entry.callback.len();
        match shared.last_mut() {
            Some(last) if bytes <= MESSAGE_BYTES_MAX => last.push(entry),
            _ => {
                bytes = entry.callback.len();
                shared.push(vec![entry]);
            }
        }
    }
    shared
}

fn message(queue: Queue, entries: &[Entry]) -> Message {
    let callbacks = entries.iter().map(|entry| entry.callback.clone()).collect();
    let body = Envelope::new(RawCallbacks { callbacks }).into_bytes();
    let traced = entries.iter().find_map(|entry| entry.context);
    let headers = trace_header(traced.map(|context| context.to_string()));
    Message { to: Destination::Queue(queue), body, headers, persistent: true }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_callbacks_share_no_message() {
        let entry = |bytes: usize| Entry {
            callback: vec![0; bytes].into(),
            context: None,
            confirmed: oneshot::channel().0,
        };
        let half = MESSAGE_BYTES_MAX / 2;
        let table: [(&[usize], &[usize]); 4] = [
            (&[1, 2, 3], &[3]),
            (&[half, half, 1], &[2, 1]),
            (&[4 * half, 1, half, half], &[1, 2, 1]),
            (&[], &[]),
        ];
        for (bytes, expected) in table {
            let shared = shared(bytes.iter().map(|bytes| entry(*bytes)).collect());
            assert_eq!(shared.iter().map(Vec::len).collect::<Vec<_>>(), expected, "{bytes:?}");
        }
    }
}
