//! Applying what waits on a queue of the collector, each by itself: batches of what is there.
//!
//! A message is acknowledged when its reports are settled, what they teach of addresses and what people texted is
//! kept, and then its events, all committed. Until then a redelivery repeats all of it, which changes nothing:
//! settling merges by rank, a consent moves once, and an event is known by its id.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use tocsin_domain::settlement::{Report, ReportKind};
use tocsin_domain::trace::Context;
use tocsin_domain::{JobKey, Outcome};
use tocsin_proto::Envelope;
use tocsin_proto::v1::RawCallbacks;
use tocsin_queue::{Acker, Consumer, Delivery, Queue, QueueError, Session, TRACE_HEADER, Tag};
use tocsin_runtime::metrics::note_outcomes;
use tocsin_runtime::telemetry::By;
use tocsin_runtime::{CancellationToken, retry};
use tocsin_store::StoreError;
use tocsin_store::others::Why;
use tokio::time::{Instant, sleep_until};
use tracing::field;

use crate::callback::Callback;
use crate::inbound::overhear;
use crate::reports::{Understood, learned, of_addresses, understand, unread};
use crate::{Collector, tally, traced, unsubscribe};

/// Callbacks settled in one statement, unless one message holds more.
const BATCH_MAX: usize = 500;
/// A statement costs as much as some sixty of its rows, so no two batches begin in quicker succession, unless the one
/// before was full. What comes alone is applied at once.
const BEAT: Duration = Duration::from_millis(40);
/// Messages taken at once, each with up to 256 callbacks.
const MESSAGES_MAX: usize = 64;
/// The next are here while one batch is written.
const PREFETCH: u16 = 2 * MESSAGES_MAX as u16;

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

/// A message as far as it could be read.
#[derive(Debug)]
struct Taken {
    delivery: Delivery,
    /// Each with its bytes.
    callbacks: Vec<(Bytes, Understood)>,
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
        self.applier.apply(batch).await.map(drop)
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
        let mut next = Instant::now();
        loop {
            let batch = async {
                sleep_until(next).await;
                consumer.next_batch(MESSAGES_MAX).await
            };
            let batch = tokio::select! {
                () = self.stopping.cancelled() => None,
                batch = batch => batch,
            };
            let Some(batch) = batch else { return Ok(()) };
            let begun = Instant::now();
            let full = self.apply(batch).await? >= BATCH_MAX;
            next = if full { begun } else { begun + BEAT };
        }
    }

    /// Returns how many callbacks it was.
    async fn apply(&self, batch: Vec<Delivery>) -> Result<usize, QueueError> {
        let mut applied = 0;
        for batch in batches(self.read_all(batch).await?) {
            let callbacks = || batch.iter().flat_map(|taken| &taken.callbacks);
            let all: Understood = callbacks().map(|(_, understood)| understood).collect();
            applied += callbacks().count();
            match self.write(all).await {
                Written::Done => {
                    let tags: Vec<Tag> = batch.iter().map(|taken| taken.delivery.tag).collect();
                    self.acker.ack(&tags).await?;
                }
                Written::Refused(error) => {
                    tracing::warn!(%error, callbacks = callbacks().count(), "callbacks are written one by one");
                    self.apply_one_by_one(batch).await?;
                }
                Written::Stopping => break,
            }
        }
        Ok(applied)
    }

    /// So that one bad value does not hold up a lane.
    async fn apply_one_by_one(&self, batch: Vec<Taken>) -> Result<(), QueueError> {
        for Taken { delivery, callbacks } in batch {
            for (bytes, understood) in callbacks {
                match self.write(understood).await {
                    Written::Done => {}
                    Written::Refused(error) => {
                        tracing::warn!(%error, "a callback holds a value that the store does not take");
                        let reason = "the store does not take one of its values";
                        self.dead_letter(&delivery, bytes, reason.to_owned()).await?;
                    }
                    Written::Stopping => return Ok(()),
                }
            }
            self.acker.ack(&[delivery.tag]).await?;
        }
        Ok(())
    }

    /// Each message with what its callbacks say. What is no callback goes to the dead letters, and the others of its
    /// message are none the worse for it.
    async fn read_all(&self, batch: Vec<Delivery>) -> Result<Vec<Taken>, QueueError> {
        let mut readable = Vec::with_capacity(batch.len());
        for delivery in batch {
            let parts = match Envelope::<RawCallbacks>::decode(delivery.body.clone()) {
                Ok(envelope) => envelope.message.callbacks,
                Err(_) => {
                    let at = delivery.header(TRACE_HEADER).and_then(Context::parse);
                    self.note_dead_letter("not RawCallbacks", at);
                    let letter = Letter { delivery, part: None, reason: "not RawCallbacks".to_owned() };
                    dead_letter(self.acker.clone(), self.stopping.clone(), letter).await?;
                    continue;
                }
            };
            let mut callbacks = Vec::with_capacity(parts.len());
            for bytes in parts {
                match self.read(&bytes) {
                    Ok(understood) => callbacks.push((bytes, understood)),
                    Err(reason) => self.dead_letter(&delivery, bytes, reason).await?,
                }
            }
            readable.push(Taken { delivery, callbacks });
        }
        Ok(readable)
    }

    /// Puts one callback of a message with the dead letters, as a message of its own. `reason` holds nothing of it.
    async fn dead_letter(
        &self,
        delivery: &Delivery,
        callback: Bytes,
        reason: String,
    ) -> Result<(), QueueError> {
        // The message's header may be another callback's.
        self.note_dead_letter(&reason, None);
        let part = Envelope::new(RawCallbacks { callbacks: vec![callback] }).into_bytes();
        let letter = Letter { delivery: delivery.clone(), part: Some(part), reason };
        dead_letter(self.acker.clone(), self.stopping.clone(), letter).await
    }

    fn note_dead_letter(&self, reason: &str, at: Option<Context>) {
        tracing::warn!(
            reason,
            trace_id = at.map(|at| field::display(at.trace)),
            span_id = at.map(|at| field::display(at.span)),
            "callback put with the dead letters"
        );
        self.collector.counts.dead_letters.add(1);
        tally::dead_letter();
    }

    async fn write(&self, understood: Understood) -> Written {
        write(self.collector.clone(), self.queue, self.stopping.clone(), understood).await
    }

    fn read(&self, bytes: &Bytes) -> Result<Understood, String> {
        let callback = Callback::read(bytes.clone()).map_err(|fault| fault.to_string())?;
        if callback.account == unsubscribe::ACCOUNT {
            return Ok(unsubscribe::unsubscribed(&callback));
        }
        let provider = self.collector.registry.get(&callback.account);
        let provider = provider.ok_or("its provider account is not configured here")?;
        let at = callback.attempt.map(|attempt| traced::place(attempt, callback.id));
        let (trace, span) = (at.map(|at| field::display(at.trace)), at.map(|at| field::display(at.span)));
        let unparsed = |error| {
            tracing::warn!(%error, account = callback.account, provider = provider.name(), callback.id = %callback.id,
                trace_id = trace, span_id = span, "callback not understood: kept as it came");
            self.collector.counts.unparsed.add(1);
            tally::odd(&callback.account, "unparsed", 1);
        };
        if self.queue == Queue::Inbound {
            let text = provider.inbound(&callback.raw).map_err(unparsed).ok();
            return Ok(overhear(&callback, text, &self.collector.counts));
        }
        let Ok(mut said) = provider.parse(&callback.raw).map_err(unparsed) else {
            return Ok(unread(&callback));
        };
        for (report, token) in said.iter_mut().zip(provider.tokens(&callback.raw)) {
            // One that nobody minted here names no attempt: its report is kept without one.
            let named = token.and_then(|token| self.collector.token_keys.read(&token).ok());
            report.attempt = report.attempt.or(named.map(|(attempt, _)| attempt));
        }
        let unmapped = said.iter().filter(|report| report.outcome == Outcome::Unknown).count();
        if unmapped > 0 {
            tracing::warn!(unmapped, account = callback.account, provider = provider.name(), callback.id = %callback.id,
                trace_id = trace, span_id = span, "a report's status is none that is known: it is kept as it came, and wants to be mapped");
            self.collector.counts.unmapped.add(unmapped);
            tally::odd(&callback.account, "unmapped", unmapped);
        }
        let mut understood = understand(&callback, said);
        understood.learned = learned(&callback, &understood.reports, provider.as_ref());
        understood.of_addresses = of_addresses(&callback, provider.as_ref());
        Ok(understood)
    }
}

/// Settles the reports, keeps what they teach and what people texted, then the events. An outage of the store is
/// waited for; the messages stay with the broker meanwhile.
async fn write(
    collector: Collector,
    queue: Queue,
    stopping: CancellationToken,
    mut understood: Understood,
) -> Written {
    let write = async move || {
        let Collector { store, clock, counts, .. } = &collector;
        let begun = clock.now();
        let settled = match store.settle(understood.reports.clone(), Vec::new(), begun).await {
            Ok(settled) => settled,
            Err(error) => return refused_or_again(error),
        };
        let times = (begun, clock.now());
        traced::applied(
            &collector.spans,
            By::Apply(&queue.destination()),
            &settled.written,
            &understood.events,
            times,
        );
        match store.learn(&understood.learned).await {
            Ok(suppressed) => counts.suppressed.add_all(suppressed),
            Err(error) => return refused_or_again(error),
        }
        match store.learn_of_addresses(&understood.of_addresses).await {
            Ok(suppressed) => counts.suppressed.add_all(suppressed),
            Err(error) => return refused_or_again(error),
        }
        match store.hear(&understood.heard).await {
            Ok(moved) => counts.consents_moved.add_all(moved),
            Err(error) => return refused_or_again(error),
        }
        match store.unsubscribe(&understood.unsubscribed).await {
            Ok(new) => counts.unsubscribed.add_all(new),
            Err(error) => return refused_or_again(error),
        }
        understood.detach(&settled.unmatched);
        if let Err(error) = store.record_events(&understood.events).await {
            return refused_or_again(error);
        }
        if settled.changed > 0 {
            store.tell_others_left(&opted_out(&understood.reports), Why::Refused).await;
        }
        counts.changed.add(settled.changed);
        counts.unmatched.add(understood.unmatched());
        note_outcomes(&settled.outcomes);
        tally::applied(&understood.events, queue, clock.now());
        Ok(Written::Done)
    };
    retry("apply callbacks", &stopping, write).await.unwrap_or(Written::Stopping)
}

/// What providers refused because its person opted out with them. The store knows which are texts of emergencies.
fn opted_out(reports: &[Report]) -> Vec<JobKey> {
    let opted_out =
        |report: &&Report| matches!(report.kind, ReportKind::Status { outcome: Outcome::OptOut, .. });
    reports.iter().filter(opted_out).map(|report| report.attempt.job).collect()
}

/// Messages that are written together: as many as one statement takes, and at least one.
fn batches(taken: Vec<Taken>) -> Vec<Vec<Taken>> {
    let mut batches: Vec<Vec<Taken>> = Vec::new();
    let mut callbacks = 0;
    for message in taken {
        callbacks += message.callbacks.len();
        match batches.last_mut() {
            Some(last) if callbacks <= BATCH_MAX => last.push(message),
            _ => {
                callbacks = message.callbacks.len();
                batches.push(vec![message]);
            }
        }
    }
    batches
}

/// What goes to the dead letters: a delivery, or a part of one.
#[derive(Debug)]
struct Letter {
    delivery: Delivery,
    part: Option<Bytes>,
    reason: String,
}

/// A dead-letter queue that does not take the message is waited for.
async fn dead_letter(acker: Acker, stopping: CancellationToken, letter: Letter) -> Result<(), QueueError> {
    let put = async move || {
        let Letter { delivery, part, reason } = &letter;
        let put = match part {
            Some(part) => acker.dead_letter_part(delivery, part.clone(), reason).await,
            None => acker.dead_letter(delivery, reason).await,
        };
        match put {
            Err(error @ QueueError::NotDeadLettered) => Err(error),
            answered => Ok(answered),
        }
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
