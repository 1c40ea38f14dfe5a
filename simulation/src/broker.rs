//! A broker that does to messages what the driver tells it to: the memory broker behind a seam of its own.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tocsin_domain::{AccountId, CampaignId, Channel, Generation, JobKey, Lane};
use tocsin_proto::Envelope;
use tocsin_proto::v1::{Job, Jobs};
use tocsin_queue::{
    Broker, Consumer, Destination, MemoryBroker, Message, Published, Queue, QueueError, Session,
};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::trace::Trace;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Confirmed, and never seen again.
    Lost,
    Refused,
    Twice,
    /// Confirmed, and delivered when the driver says so: later than others that came after it.
    Held,
    /// Confirmed and stored, and held a second time: an old copy turns up later.
    HeldCopy,
    /// The session breaks before it is stored, or after it.
    BreaksBefore,
    BreaksAfter,
    /// Whoever publishes is gone before the message is stored.
    Crash,
}

/// Messages that faults are meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    Control,
    Jobs,
    Status,
    Orders,
}

/// A job that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedJob {
    pub channel: Channel,
    pub lane: Lane,
    pub account: AccountId,
    pub key: JobKey,
}

/// A job, and which of its messages.
pub type QueuedJob = (JobKey, Generation);

/// Clones are the same broker.
#[derive(Debug, Clone)]
pub struct FaultyBroker {
    memory: MemoryBroker,
    state: Arc<Mutex<State>>,
    crashed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    fates: HashMap<Class, (Fate, u32)>,
    held: Vec<Message>,
    jobs: Vec<PublishedJob>,
    /// Jobs whose messages were lost.
    lost: Vec<QueuedJob>,
    trace: Trace,
}

impl FaultyBroker {
    pub fn new() -> Self {
        Self { memory: MemoryBroker::new(), state: Arc::default(), crashed: Arc::default() }
    }

    /// The next `messages` of a class suffer `fate`.
    pub fn decree(&self, class: Class, fate: Fate, messages: u32) {
        self.state().fates.insert(class, (fate, messages));
    }

    pub fn no_more_faults(&self) {
        self.state().fates.clear();
    }

    /// How many messages are held.
    pub fn held(&self) -> usize {
        self.state().held.len()
    }

    /// Delivers one of the held messages, as if it had been on its way all the time.
    pub async fn deliver_held(&self, index: usize) -> Result<(), QueueError> {
        let message = {
            let mut state = self.state();
            if index >= state.held.len() {
                return Ok(());
            }
            state.held.remove(index)
        };
        self.memory.connect("delayed").await?.publish(vec![message]).await.map(drop)
    }

    /// Every session breaks; what is unsettled goes back to its queue.
    pub fn restart(&self) {
        self.memory.disconnect_all();
    }

    /// Every message is gone.
    pub fn empty(&self) {
        self.memory.drop_messages();
        self.state().held.clear();
    }

    /// The jobs published since this was asked last.
    pub fn published_jobs(&self) -> Vec<PublishedJob> {
        std::mem::take(&mut self.state().jobs)
    }

    /// Jobs of which a message is there: ready, in somebody's hands, held, or among the dead letters.
    pub fn jobs_there(&self) -> HashSet<QueuedJob> {
        let held: Vec<Bytes> = self.state().held.iter().map(|message| message.body.clone()).collect();
        let there = self.memory.unsettled().into_iter();
        let of_jobs = there.filter(|(queue, _)| matches!(queue, Queue::Jobs(..) | Queue::DeadLetters));
        of_jobs.map(|(_, body)| body).chain(held).flat_map(queued_jobs).collect()
    }

    /// Jobs whose messages were lost since this was asked last.
    pub fn lost_jobs(&self) -> Vec<QueuedJob> {
        std::mem::take(&mut self.state().lost)
    }

    pub fn trace(&self) -> Trace {
        self.state().trace
    }

    /// Resolves when somebody publishes who is gone before it is done.
    pub async fn crash(&self) {
        self.crashed.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fate_of(&self, message: &Message) -> Option<Fate> {
        let mut state = self.state();
        let class = class_of(message.to);
        match class {
            // Its id is drawn.
            Class::Status => state.trace.note(message.to),
            Class::Control | Class::Jobs | Class::Orders => state.trace.note((message.to, &message.body)),
        }
        let (fate, left) = state.fates.get_mut(&class)?;
        let fate = *fate;
        *left -= 1;
        if *left == 0 {
            state.fates.remove(&class);
        }
        Some(fate)
    }
}

impl Default for FaultyBroker {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Broker for FaultyBroker {
    async fn connect(&self, name: &str) -> Result<Arc<dyn Session>, QueueError> {
        let session = self.memory.connect(name).await?;
        Ok(Arc::new(FaultySession { session, broker: self.clone() }))
    }
}

#[derive(Debug)]
struct FaultySession {
    session: Arc<dyn Session>,
    broker: FaultyBroker,
}

impl FaultySession {
    async fn publish_one(&self, message: Message) -> Result<Published, QueueError> {
        let pass = async |message: Message| {
            let answers = self.session.publish(vec![message]).await?;
            Ok::<_, QueueError>(answers.first().copied().unwrap_or(Published::Refused))
        };
        let broken = || QueueError::Lost { reason: "it broke while publishing".to_owned() };
        match self.broker.fate_of(&message) {
            None => pass(message).await,
            Some(Fate::Lost) => {
                if class_of(message.to) == Class::Jobs {
                    self.broker.state().lost.extend(queued_jobs(message.body));
                }
                Ok(Published::Confirmed)
            }
            Some(Fate::Refused) => Ok(Published::Refused),
            Some(Fate::Twice) => {
                pass(message.clone()).await?;
                pass(message).await
            }
            Some(Fate::Held) => {
                self.broker.state().held.push(message);
                Ok(Published::Confirmed)
            }
            Some(Fate::HeldCopy) => {
                self.broker.state().held.push(message.clone());
                pass(message).await
            }
            Some(Fate::BreaksBefore) => {
                self.session.close().await;
                Err(broken())
            }
            Some(Fate::BreaksAfter) => {
                pass(message).await?;
                self.session.close().await;
                Err(broken())
            }
            Some(Fate::Crash) => {
                self.broker.crashed.notify_one();
                std::future::pending().await
            }
        }
    }
}

#[async_trait]
impl Session for FaultySession {
    async fn publish(&self, batch: Vec<Message>) -> Result<Vec<Published>, QueueError> {
        let mut answers = Vec::with_capacity(batch.len());
        for message in batch {
            let jobs = published_jobs(&message);
            let answer = self.publish_one(message).await?;
            if answer == Published::Confirmed {
                self.broker.state().jobs.extend(jobs);
            }
            answers.push(answer);
        }
        Ok(answers)
    }

    async fn consume(&self, queue: Queue, prefetch: u16) -> Result<Consumer, QueueError> {
        self.session.consume(queue, prefetch).await
    }

    async fn control(&self) -> Result<Consumer, QueueError> {
        self.session.control().await
    }

    async fn depth(&self, queue: Queue) -> Result<u32, QueueError> {
        self.session.depth(queue).await
    }

    fn is_blocked(&self) -> bool {
        self.session.is_blocked()
    }

    async fn purge(&self, queue: Queue) -> Result<u32, QueueError> {
        self.session.purge(queue).await
    }

    async fn lost(&self) -> QueueError {
        self.session.lost().await
    }

    async fn close(&self) {
        self.session.close().await;
    }
}

fn class_of(to: Destination) -> Class {
    match to {
        Destination::Control => Class::Control,
        Destination::Queue(Queue::Jobs(..)) => Class::Jobs,
        Destination::Queue(Queue::Status(_) | Queue::Inbound) => Class::Status,
        Destination::Queue(
            Queue::Recall(_)
            | Queue::LookUp(_)
            | Queue::EmergencyLookUp(_)
            | Queue::Refresh(_)
            | Queue::DeadLetters,
        ) => Class::Orders,
    }
}

fn published_jobs(message: &Message) -> Vec<PublishedJob> {
    let Destination::Queue(Queue::Jobs(channel, lane)) = message.to else { return Vec::new() };
    let published = |job: Job| {
        let (key, _) = queued(&job)?;
        Some(PublishedJob { channel, lane, account: AccountId(job.account_id), key })
    };
    jobs_of(message.body.clone()).into_iter().filter_map(published).collect()
}

fn queued_jobs(body: Bytes) -> Vec<QueuedJob> {
    jobs_of(body).iter().filter_map(queued).collect()
}

fn queued(job: &Job) -> Option<QueuedJob> {
    let campaign = CampaignId(Uuid::from_slice(&job.campaign_id).ok()?);
    Some((JobKey { campaign, job: job.job_id }, Generation(job.generation)))
}

fn jobs_of(body: Bytes) -> Vec<Job> {
    Envelope::<Jobs>::decode(body).map_or_else(|_| Vec::new(), |read| read.message.jobs)
}
