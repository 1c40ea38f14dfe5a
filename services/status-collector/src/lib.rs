//! The status collector: what providers report becomes the outcome of an attempt.
//!
//! Two halves with a queue between them, so that a storm of callbacks, or a store that is away, costs the
//! providers nothing (promise 8). *Ingress* checks who speaks and of which attempt, puts the request on
//! `status.<lane>` as it came, and answers once the broker has it. *Apply* takes batches from there, merges
//! each attempt's reports by rank and keeps every report as an event. Texts that people send to our numbers take the
//! same way, to the queue `inbound`, and move consent.
//!
//! Both may run in one process or in several, any number of each.

mod apply;
mod callback;
mod calls;
mod counts;
mod inbound;
mod ingress;
mod outbox;
mod rematch;
mod reports;
mod seen;
mod tally;
mod traced;
mod unsubscribe;

use std::sync::Arc;

use axum::Router;
use tocsin_domain::Lane;
use tocsin_providers::{Registry, TokenKeys};
use tocsin_queue::{Broker, Queue};
use tocsin_runtime::health::Health;
use tocsin_runtime::telemetry::Spans;
use tocsin_runtime::{SharedClock, Tasks};
use tocsin_store::Store;
use tokio::net::TcpListener;

#[doc(hidden)]
pub use crate::apply::Applying;
pub use crate::counts::{Counter, Counts};
#[doc(hidden)]
pub use crate::ingress::Ingress;
pub use crate::rematch::Rematch;

/// The queues between the halves, which [`Collector::start_apply`] works off.
pub fn applied_queues() -> impl Iterator<Item = Queue> {
    Lane::ALL.into_iter().map(Queue::Status).chain([Queue::Inbound])
}

/// What both halves work with. Cheap to clone; clones share their counts.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Ingress never asks it: callbacks are taken while the store is away.
    pub store: Store,
    pub broker: Arc<dyn Broker>,
    pub clock: SharedClock,
    pub registry: Arc<Registry>,
    pub token_keys: TokenKeys,
    /// Where providers reach [`Collector::start_ingress`], scheme and host first: signatures cover it.
    pub public_url: String,
    pub counts: Arc<Counts>,
    /// Where traces go.
    pub spans: Spans,
}

impl Collector {
    /// Takes callbacks on `listener`, below `tasks`, and answers `/livez` and `/readyz` there. When asked to
    /// stop it takes no new connection, answers what it has, and leaves once the broker has all of it. Returns the same
    /// health for an address of its own.
    pub fn start_ingress(&self, listener: TcpListener, tasks: &Tasks) -> Health {
        let (ingress, publishing) = Ingress::new(self);
        // Whoever publishes leaves when every clone of the ingress is gone: health must not keep one.
        let kept = Arc::new(ingress.clone());
        let (health, beside) = (self.health(&kept, tasks), self.health(&kept, tasks));
        tasks.spawn("collector publish", publishing);
        let (router, stopping) = (ingress.routes().merge(health.router()), tasks.stopping().clone());
        tasks.spawn_essential("collector ingress", async move {
            let stopped = async move { stopping.cancelled().await };
            let _kept = kept;
            axum::serve(listener, router).with_graceful_shutdown(stopped).await
        });
        beside
    }

    /// Ready while the broker takes callbacks. The store is told of, and not needed: what comes meanwhile waits for it.
    fn health(&self, ingress: &Arc<Ingress>, tasks: &Tasks) -> Health {
        let (ingress, store) = (Arc::downgrade(ingress), self.store.clone());
        Health::new(tasks)
            .check("broker", move || {
                let ingress = ingress.upgrade();
                async move {
                    let ingress = ingress.ok_or_else(|| "it takes no more callbacks".to_owned())?;
                    ingress.ready().await.map_err(|error| error.to_string())
                }
            })
            .watch("store", move || {
                let store = store.clone();
                async move { store.check().await }
            })
    }

    /// What [`Collector::start_ingress`] serves, for a process that has a listener already: without health,
    /// which is that process's own.
    pub fn ingress(&self, tasks: &Tasks) -> Router {
        let (ingress, publishing) = Ingress::new(self);
        tasks.spawn("collector publish", publishing);
        ingress.routes()
    }

    /// Applies what waits on the status queues, each lane by itself so that no number of general callbacks
    /// delays an emergency's (promise 5), nor a STOP; and tries again what matched no attempt.
    pub fn start_apply(&self, tasks: &Tasks) {
        tally::begin(&self.registry);
        for queue in applied_queues() {
            tasks.spawn("collector apply", apply::run(self.clone(), queue, tasks.stopping().clone()));
        }
        tasks.spawn("collector re-match", rematch::run(self.clone(), tasks.stopping().clone()));
    }
}
