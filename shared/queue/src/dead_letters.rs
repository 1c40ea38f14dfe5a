//! Looking at the dead letters, putting them back where they came from, and throwing them away.
//!
//! Whoever looks holds them for that long, and nobody else sees them; what was neither put back nor thrown away is among
//! them again afterwards.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::broker::Session;
use crate::consumer::Consumer;
use crate::error::QueueError;
use crate::message::{Delivery, Destination, Message, Published, Queue, Tag};
use crate::topology::{QUEUE_HEADER, REASON_HEADER};

/// Set by the broker on what it buried itself: the queue it was in.
pub const BROKERS_QUEUE_HEADER: &str = "x-first-death-queue";
/// The broker's own word for why, as `delivery_limit`.
const BROKERS_REASON_HEADER: &str = "x-first-death-reason";
/// What begins the names of headers that brokers add.
const OF_BROKERS: [&str; 4] = ["x-first-death-", "x-last-death-", "x-death", "x-delivery-count"];
/// For the next letter of those that were there.
const NEXT_WITHIN: Duration = Duration::from_secs(2);

/// A dead letter.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The same whenever it is looked at, and for letters that are alike.
    pub id: String,
    /// The name of the queue that it was taken from, as far as that is known.
    pub origin: Option<String>,
    pub reason: Option<String>,
    pub body: Bytes,
    headers: Vec<(String, String)>,
    tag: Tag,
}

impl Letter {
    fn read(delivery: Delivery) -> Self {
        let one_of = |ours: &str, brokers: &str| {
            delivery.header(ours).or_else(|| delivery.header(brokers)).map(str::to_owned)
        };
        let origin = one_of(QUEUE_HEADER, BROKERS_QUEUE_HEADER);
        let reason = one_of(REASON_HEADER, BROKERS_REASON_HEADER);
        let id = id_of(&delivery.body, origin.as_deref(), reason.as_deref());
        Self { id, origin, reason, body: delivery.body, headers: delivery.headers, tag: delivery.tag }
    }

    /// The queue it came from. None: nobody wrote down which, or there is none of that name.
    pub fn queue(&self) -> Option<Queue> {
        Queue::named(self.origin.as_deref()?)
    }

    /// Those that it was published with.
    pub fn headers(&self) -> impl Iterator<Item = &(String, String)> {
        let added = |name: &str| {
            name == REASON_HEADER
                || name == QUEUE_HEADER
                || OF_BROKERS.iter().any(|begins| name.starts_with(begins))
        };
        self.headers.iter().filter(move |(name, _)| !added(name))
    }
}

/// FNV-1a: what it is told apart by has to stay the same from one release to the next, and is no secret.
fn id_of(body: &[u8], origin: Option<&str>, reason: Option<&str>) -> String {
    let parts = [body, origin.unwrap_or_default().as_bytes(), reason.unwrap_or_default().as_bytes()];
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.into_iter().flat_map(|part| part.iter().chain(&[0])) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

/// The dead letters, held.
#[derive(Debug)]
pub struct DeadLetters {
    session: Arc<dyn Session>,
    consumer: Consumer,
    letters: Vec<Letter>,
    /// Of the queue, when it was looked at.
    pub all: u32,
}

impl DeadLetters {
    /// Holds those that wait, at most `most`, the oldest first.
    pub async fn hold(session: Arc<dyn Session>, most: u16) -> Result<Self, QueueError> {
        let all = session.depth(Queue::DeadLetters).await?;
        let wanted = usize::try_from(all).unwrap_or(usize::MAX).min(usize::from(most));
        let mut consumer = session.consume(Queue::DeadLetters, most.max(1)).await?;
        let mut letters = Vec::with_capacity(wanted);
        while letters.len() < wanted {
            // Fewer may come than were there: somebody else may be looking.
            let next = timeout(NEXT_WITHIN, consumer.next_batch(wanted - letters.len())).await;
            let Ok(Some(batch)) = next else { break };
            letters.extend(batch.into_iter().map(Letter::read));
        }
        Ok(Self { session, consumer, letters, all })
    }

    pub fn letters(&self) -> &[Letter] {
        &self.letters
    }

    /// Puts a letter into `to`, with the headers that it was published with, and off the dead letters once the broker
    /// has confirmed it there.
    pub async fn requeue(&self, letter: &Letter, to: Queue) -> Result<(), QueueError> {
        let headers = letter.headers().cloned().collect();
        let to = Destination::Queue(to);
        let message = Message { to, body: letter.body.clone(), headers, persistent: true };
        match self.session.publish(vec![message]).await?.as_slice() {
            [Published::Confirmed] => self.consumer.acker().ack(&[letter.tag]).await,
            _ => Err(QueueError::NotRequeued),
        }
    }

    /// Throws a letter away.
    pub async fn discard(&self, letter: &Letter) -> Result<(), QueueError> {
        self.consumer.acker().ack(&[letter.tag]).await
    }

    /// Ends the session, with all that was told it. The others are among the dead letters again.
    pub async fn let_go(self) {
        self.session.close().await;
    }
}
