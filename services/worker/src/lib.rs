//! The worker: one send loop for every channel.
//!
//! A job passes: screen (canceled? costs nothing) → permit (emergency first) → claim (the fence) → settle
//! (its message is acknowledged; the row carries it from here) → last look → send → record. The stages are
//! pipelined, so that a slow provider does not hold up a fast one, and each works on batches of what is
//! there.

mod answers;
pub mod approval_mails;
mod briefs;
mod bundle;
mod cancels;
mod claim;
mod control;
mod dispatch;
mod error;
mod files;
mod gate;
mod gives_way;
mod inbox;
mod limiter;
mod look_up;
mod open_requests;
mod pending;
mod places;
mod recall;
mod record;
mod send;
mod session;
mod shares;
mod slots;
#[doc(hidden)]
pub mod stages;
mod stops;
mod tally;
#[cfg(test)]
mod test_clock;
mod told;
mod traced;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tocsin_domain::{Channel, Lane, WorkerId};
use tocsin_providers::{Provider, Registry, TokenKeys};
use tocsin_queue::{Broker, Publisher};
use tocsin_runtime::telemetry::Spans;
use tocsin_runtime::{Link, Progress, Pulse, SharedClock, Tasks, run_ticker};
use tocsin_store::Store;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::briefs::Briefs;
use crate::cancels::Cancels;
use crate::files::Files;
use crate::gives_way::GivesWay;
use crate::open_requests::OpenRequests;
use crate::shares::Shares;
use crate::slots::Slots;
use crate::stops::Stops;
use crate::told::Told;

pub use crate::error::WorkerError;
pub use crate::inbox::Inbox;

/// Leases are renewed this often; they are valid for five times as long.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// A worker that renewed no lease for so long sends nothing.
const LEASES_WITHIN: Duration = Duration::from_secs(10);
/// Outcomes that wait to be recorded. A full queue holds sending back.
const RECORDS_MAX: usize = 4_096;

/// What one worker process is told at start.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    pub channels: Vec<Channel>,
    /// Jobs that may wait here for a permit, by lane: emergency, priority, general.
    pub prefetch: [u16; 3],
    /// Requests to providers that may be open at once, over all channels.
    pub in_flight_max: usize,
    /// Where providers reach the status collector.
    pub public_url: String,
    pub token_keys: TokenKeys,
}

impl WorkerSettings {
    fn prefetch(&self, lane: Lane) -> u16 {
        match lane {
            Lane::Emergency => self.prefetch[0],
            Lane::Priority => self.prefetch[1],
            Lane::General => self.prefetch[2],
        }
    }
}

/// A worker process (or one of several in a test). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Worker {
    id: WorkerId,
    /// What the broker's own tools show for its connection.
    name: Arc<str>,
    store: Store,
    broker: Arc<dyn Broker>,
    clock: SharedClock,
    registry: Arc<Registry>,
    inbox: Arc<Inbox>,
    settings: Arc<WorkerSettings>,
    cancels: Cancels,
    stops: Stops,
    gives_way: GivesWay,
    shares: Shares,
    /// Claims under way and requests, until their outcomes wait to be recorded.
    slots: Slots,
    requests: OpenRequests,
    briefs: Briefs,
    files: Files,
    told: Told,
    /// Tells other workers.
    publisher: Arc<Publisher>,
    /// Leases were asked for.
    pulse: Pulse,
    /// It takes jobs.
    taking: Link,
    spans: Spans,
}

impl Worker {
    pub fn new(
        id: WorkerId,
        store: Store,
        broker: Arc<dyn Broker>,
        clock: SharedClock,
        registry: Arc<Registry>,
        settings: WorkerSettings,
    ) -> Self {
        let gives_way = GivesWay::new(Arc::clone(&clock));
        let requests = OpenRequests::new(settings.in_flight_max, &clock);
        Self {
            id,
            name: format!("worker {id}").into(),
            inbox: Arc::new(Inbox::new(store.clone(), Arc::clone(&clock))),
            told: Told::new(Arc::clone(&clock)),
            publisher: Arc::new(Publisher::new(Arc::clone(&broker), format!("worker {id} tells"))),
            broker,
            shares: Shares::new(Arc::clone(&clock)),
            stops: Stops::new(Arc::clone(&clock)),
            clock,
            registry,
            cancels: Cancels::default(),
            gives_way,
            slots: Slots::new(settings.in_flight_max),
            requests,
            briefs: Briefs::new(store.clone()),
            files: Files::new(store.clone()),
            store,
            settings: Arc::new(settings),
            pulse: Pulse::default(),
            taking: Link::default(),
            spans: Spans::none(),
        }
    }

    /// The same, with traces of what it does.
    #[must_use]
    pub fn traced(self, spans: Spans) -> Self {
        Self { spans, ..self }
    }

    /// Starts the worker below `tasks`. When asked to stop it takes nothing more, gives back what it has not
    /// claimed, finishes what it has, records it, and leaves.
    pub fn start(&self, tasks: &Tasks) {
        tally::begin(&self.settings.channels);
        let (worker, stopping) = (self.clone(), tasks.stopping().clone());
        let left = CancellationToken::new();
        // Tasks of their own: nothing that holds up sending makes a lease run out, and the other way about.
        let renewing = self.clone().renew(left.clone());
        tasks.spawn("worker leases", renewing);
        approval_mails::start(self, tasks);
        tasks.spawn("worker", async move { worker.run(stopping, left).await });
    }

    /// Does it renew its leases? What `/readyz` asks.
    ///
    /// # Errors
    /// It did not for a while.
    pub fn leases(&self) -> Result<(), String> {
        self.pulse.within(LEASES_WITHIN)
    }

    /// Has it a session to take jobs from? What `/readyz` asks of the broker.
    ///
    /// # Errors
    /// It has none.
    pub fn takes_jobs(&self) -> Result<(), String> {
        self.taking.check()
    }

    async fn run(self, stopping: CancellationToken, left: CancellationToken) {
        // Whatever ends this, the leases end with it.
        let _left = left.drop_guard();
        let (outcomes, to_record) = mpsc::channel(RECORDS_MAX);
        let recorder =
            record::run(self.store.clone(), Arc::clone(&self.clock), self.spans.clone(), to_record).boxed();
        // The recorder ends when the last sender of outcomes is gone.
        let publisher = Arc::clone(&self.publisher);
        tokio::join!(session::run(self, stopping, outcomes).boxed(), recorder);
        publisher.close().await;
    }

    async fn renew_once(&self) -> Result<Progress, WorkerError> {
        let renewed = self.shares.renew(&self.store, self.id, &self.settings.channels).await?;
        self.pulse.beat();
        Ok(renewed)
    }

    /// Renews the leases until the worker has `left`, and gives them up.
    async fn renew(self, left: CancellationToken) {
        let worker = self.clone();
        let tick = async move || worker.renew_once().await;
        run_ticker("worker.leases", RENEW_EVERY, self.shares.hastened(), &left, tick).await;
        if let Err(error) = self.store.drop_leases(self.id).await {
            tracing::warn!(%error, "leases run out by themselves");
        }
        tracing::info!(worker.id = %self.id, "worker left");
    }

    /// The adapter of an account; the inbox is the store itself.
    fn provider(&self, channel: Channel, account: &str) -> Option<Arc<dyn Provider>> {
        match channel {
            Channel::Inbox => Some(self.inbox.clone()),
            Channel::Voice | Channel::Sms | Channel::Email => self.registry.get(account),
        }
    }
}
