//! Applying what waits on a queue of the collector, each by itself: batches of what is there.
//!
//! A message is acknowledged when its reports are settled, what they teach of addresses and what people texted is
//! kept, and then its events, all committed. Until then a redelivery repeats all of it, which changes nothing:
//! settling merges by rank, a consent moves once, and an event is known by its id.

use std::sync::Arc;

use futures::FutureExt;
use tocsin_queue::{Acker, Consumer, Delivery, Queue, QueueError, Session, Tag};
use tocsin_runtime::{CancellationToken, retry};
use tocsin_store::StoreError;

use crate::Collector;
use crate::callback::Callback;
use crate::inbound::overhear;
use crate::refused;
use crate::reports::{Understood, learned, understand, unread};

/// Callbacks settled in one statement.
const BATCH_MAX: usize = 500;
/// The next batch is here while one is written.
const PREFETCH: u16 = 2 * BATCH_MAX as u16;

/// Applies one queue's callbacks until stopping; a session that is lost is opened again.
pub async fn run(collector: Collector, queue: Queue, stopping: CancellationToken) {
    loop {
        let subscribing = collector.clone();
        let subscribe = async move || subscribe(&subscribing, queue).await;
        let Some((session, mut consumer)) = retry("collector session", &stopping, subscribe).await else {
            return;
        };
        let name = queue.name();
        tracing::info!(queue = name, "applying callbacks");
        let applier = Applier::new(&collector, queue, &consumer, &stopping);
        match applier.serve(&mut consumer).await {
            Ok(()) if stopping.is_cancelled() => {}
            Ok(()) => {
                let error = session.lost().await;
                tracing::warn!(%error, queue = name, "collector session lost");
            }
            Err(error) => tracing::warn!(%error, queue = name, "callbacks will be delivered again"),
        }
        // What is unsettled goes back to the queue.
        session.close().await;
    }
}

async fn subscribe(collector: &Collector, queue: Queue) -> Result<(Arc<dyn Session>, Consumer), QueueError> {
    let session = collector.broker.connect(&format!("collector apply {}", queue.name())).await?;
    let consumer = session.consume(queue, PREFETCH).await?;
    Ok((session, consumer))
}

#[derive(Debug)]
struct Applier {
    collector: Collector,
    queue: Queue,
    acker: Acker,
    stopping: CancellationToken,
}

/// What became of an attempt to write.
enum Written {
    Done,
    /// One of the values is none that the store takes.
    Refused(StoreError),
    Stopping,
}

/// One session of the above, a batch at a time, for whoever holds a collector between two: the simulation
/// (docs/SIMULATION.md).
#[doc(hidden)]
#[derive(Debug)]
pub struct Applying {
    session: Arc<dyn Session>,
    consumer: Consumer,
    applier: Applier,
}

impl Applying {
    pub async fn open(collector: &Collector, queue: Queue) -> Result<Self, QueueError> {
        let (session, consumer) = subscribe(collector, queue).await?;
        let applier = Applier::new(collector, queue, &consumer, &CancellationToken::new());
        Ok(Self { session, consumer, applier })
    }

    pub fn is_lost(&self) -> bool {
        self.session.lost().now_or_never().is_some()
    }

    /// At most so many of the callbacks that are there: none may be.
    pub fn take(&mut self, batch_max: usize) -> Vec<Delivery> {
        self.consumer.next_batch(batch_max).now_or_never().flatten().unwrap_or_default()
    }

    pub async fn apply(&self, batch: Vec<Delivery>) -> Result<(), QueueError> {
        self.applier.apply(batch).await
    }

    /// What is unsettled goes back to the queue; what is written from here on cannot be acknowledged.
    pub async fn break_session(&self) {
        self.session.close().await;
    }
}

impl Applier {
    fn new(collector: &Collector, queue: Queue, consumer: &Consumer, stopping: &CancellationToken) -> Self {
        let (collector, stopping) = (collector.clone(), stopping.clone());
        Self { collector, queue, acker: consumer.acker(), stopping }
    }

    /// Until stopping, or until the session is lost.
    async fn serve(&self, consumer: &mut Consumer) -> Result<(), QueueError> {
        loop {
            let batch = tokio::select! {
                () = self.stopping.cancelled() => None,
                batch = consumer.next_batch(BATCH_MAX) => batch,
            };
            let Some(batch) = batch else { return Ok(()) };
            self.apply(batch).await?;
        }
    }

    async fn apply(&self, batch: Vec<Delivery>) -> Result<(), QueueError> {
        let batch = self.read_all(batch).await?;
        let all: Understood = batch.iter().map(|(_, understood)| understood).collect();
        match self.write(all).await {
            Written::Done => {
                let tags: Vec<Tag> = batch.iter().map(|(delivery, _)| delivery.tag).collect();
                self.acker.ack(&tags).await
            }
            Written::Refused(error) => {
                tracing::warn!(%error, callbacks = batch.len(), "callbacks are written one by one");
                self.apply_one_by_one(batch).await
            }
            Written::Stopping => Ok(()),
        }
    }

    /// So that one bad value does not hold up a lane.
    async fn apply_one_by_one(&self, batch: Vec<(Delivery, Understood)>) -> Result<(), QueueError> {
        for (delivery, understood) in batch {
            match self.write(understood).await {
                Written::Done => self.acker.ack(&[delivery.tag]).await?,
                Written::Refused(error) => {
                    tracing::warn!(%error, "a callback holds a value that the store does not take");
                    self.dead_letter(delivery, "the store does not take one of its values".into()).await?;
                }
                Written::Stopping => return Ok(()),
            }
        }
        Ok(())
    }

    /// Each callback with what it says. What is no callback goes to the dead letters.
    async fn read_all(&self, batch: Vec<Delivery>) -> Result<Vec<(Delivery, Understood)>, QueueError> {
        let mut readable = Vec::with_capacity(batch.len());
        for delivery in batch {
            match self.read(&delivery) {
                Ok(understood) => readable.push((delivery, understood)),
                Err(reason) => self.dead_letter(delivery, reason).await?,
            }
        }
        Ok(readable)
    }

    /// `reason` holds nothing of the message.
    async fn dead_letter(&self, delivery: Delivery, reason: String) -> Result<(), QueueError> {
        tracing::warn!(reason, "callback put with the dead letters");
        self.collector.counts.dead_letters.add(1);
        dead_letter(self.acker.clone(), self.stopping.clone(), delivery, reason).await
    }

    async fn write(&self, understood: Understood) -> Written {
        write(self.collector.clone(), self.stopping.clone(), understood).await
    }

    fn read(&self, delivery: &Delivery) -> Result<Understood, String> {
        let callback = Callback::read(delivery.body.clone()).map_err(|fault| fault.to_string())?;
        let provider = self.collector.registry.get(&callback.account);
        let provider = provider.ok_or("its provider account is not configured here")?;
        let unparsed = |error| {
            tracing::warn!(%error, account = callback.account, provider = provider.name(), callback.id = %callback.id,
                "callback not understood: kept as it came");
            self.collector.counts.unparsed.add(1);
        };
        if self.queue == Queue::Inbound {
            let text = provider.inbound(&callback.raw).map_err(unparsed).ok();
            return Ok(overhear(&callback, text, &self.collector.counts));
        }
        let Ok(said) = provider.parse(&callback.raw).map_err(unparsed) else { return Ok(unread(&callback)) };
        let mut understood = understand(&callback, said);
        understood.learned = learned(&callback, &understood.reports, provider.as_ref());
        Ok(understood)
    }
}

/// Settles the reports, keeps what they teach and what people texted, then the events. An outage of the store is
/// waited for; the messages stay with the broker meanwhile.
async fn write(collector: Collector, stopping: CancellationToken, mut understood: Understood) -> Written {
    let write = async move || {
        let Collector { store, clock, counts, .. } = &collector;
        let settled = match store.settle(understood.reports.clone(), Vec::new(), clock.now()).await {
            Ok(settled) => settled,
            Err(error) => return refused_or_again(error),
        };
        match store.learn(&understood.learned).await {
            Ok(suppressed) => counts.suppressed.add_all(suppressed),
            Err(error) => return refused_or_again(error),
        }
        match store.hear(&understood.heard).await {
            Ok(moved) => counts.consents_moved.add_all(moved),
            Err(error) => return refused_or_again(error),
        }
        understood.detach(&settled.unmatched);
        if let Err(error) = store.record_events(&understood.events).await {
            return refused_or_again(error);
        }
        if settled.changed > 0 {
            refused::tell(store, &understood.reports).await;
        }
        counts.changed.add(settled.changed);
        counts.unmatched.add(understood.unmatched());
        Ok(Written::Done)
    };
    retry("apply callbacks", &stopping, write).await.unwrap_or(Written::Stopping)
}

/// A dead-letter queue that does not take the message is waited for.
async fn dead_letter(
    acker: Acker,
    stopping: CancellationToken,
    delivery: Delivery,
    reason: String,
) -> Result<(), QueueError> {
    let put = async move || match acker.dead_letter(&delivery, &reason).await {
        Err(error @ QueueError::NotDeadLettered) => Err(error),
        answered => Ok(answered),
    };
    retry("dead letter", &stopping, put).await.unwrap_or(Ok(()))
}

/// A value that the store will never take is told apart from the store's own trouble, which (Err) is waited
/// out.
fn refused_or_again(error: StoreError) -> Result<Written, StoreError> {
    // SQLSTATE class 22: data exception.
    let blames_a_value = match &error {
        StoreError::Statement { source, .. } => {
            source.code().is_some_and(|state| state.code().starts_with("22"))
        }
        _ => false,
    };
    if blames_a_value { Ok(Written::Refused(error)) } else { Err(error) }
}
