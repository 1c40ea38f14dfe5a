//! Starting the roles: one listener, one planner, one worker for every channel, one collector.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use tocsin_api::{Api, PageAccess};
use tocsin_domain::{Channel, WorkerId};
use tocsin_planner::{Outbound, Planner};
use tocsin_providers::{Registry, TokenKeys};
use tocsin_queue::Publisher;
use tocsin_runtime::config::WorkerConfig;
use tocsin_runtime::health::Health;
use tocsin_runtime::telemetry::Spans;
use tocsin_runtime::{Config, SharedClock, SystemClock, Tasks};
use tocsin_status_collector::{Collector, Counts};
use tocsin_webhooks::Settings;
use tocsin_worker::{Worker, WorkerSettings};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::ground::Ground;
use crate::presence;
use crate::roles::{planner_health, worker_health};

pub struct Roles<'a> {
    pub config: &'a Config,
    pub ground: &'a Ground,
    pub registry: Arc<Registry>,
    pub token_keys: TokenKeys,
    pub public_url: String,
    pub page: PageAccess,
    pub webhooks: Settings,
    pub outbound: Outbound,
    pub spans: Spans,
}

impl Roles<'_> {
    /// Returns what the process as a whole answers for.
    pub fn start(&self, listener: TcpListener, tasks: &Tasks, applying: &Tasks) -> Health {
        let collector = self.collector();
        let router = tocsin_api::router(self.api(tasks)).merge(collector.ingress(tasks));
        serve(router, listener, tasks);
        collector.start_apply(applying);
        let mut planner = Planner::new(
            self.ground.stores.engine.clone(),
            self.ground.broker.clone(),
            clock(),
            Uuid::now_v7(),
        );
        planner.people_per_chunk = self.ground.stores.people_per_chunk;
        planner.webhooks = Some(self.outbound.clone());
        planner.retain_months = self.config.retention.kept();
        planner.spans = self.spans.clone();
        planner.start(tasks);
        presence::start(&self.ground.stores.engine, "up", tasks);
        let worker = self.worker();
        worker.start(tasks);
        worker_health(planner_health(Health::new(tasks), self.config, &planner), &worker)
    }

    fn api(&self, tasks: &Tasks) -> Api {
        Api {
            store: self.ground.stores.tenants.clone(),
            publisher: Arc::new(Publisher::new(self.ground.broker.clone(), "api")),
            clock: clock(),
            tasks: tasks.clone(),
            page: self.page.clone(),
            webhooks: Some(self.webhooks.clone()),
            spans: self.spans.clone(),
        }
    }

    fn collector(&self) -> Collector {
        Collector {
            store: self.ground.stores.engine.clone(),
            broker: self.ground.broker.clone(),
            clock: clock(),
            registry: self.registry.clone(),
            token_keys: self.token_keys.clone(),
            public_url: self.public_url.clone(),
            counts: Arc::new(Counts::default()),
            spans: self.spans.clone(),
        }
    }

    fn worker(&self) -> Worker {
        let WorkerConfig { prefetch_emergency, prefetch_priority, prefetch_general, in_flight_max } =
            self.config.worker;
        let settings = WorkerSettings {
            channels: Channel::ALL.to_vec(),
            prefetch: [prefetch_emergency, prefetch_priority, prefetch_general],
            in_flight_max,
            public_url: self.public_url.clone(),
            token_keys: self.token_keys.clone(),
        };
        Worker::new(
            WorkerId(Uuid::now_v7()),
            self.ground.stores.engine.clone(),
            self.ground.broker.clone(),
            clock(),
            self.registry.clone(),
            settings,
        )
        .traced(self.spans.clone())
    }
}

/// Serves until the tasks are asked to stop, then finishes the requests that have begun.
fn serve(router: Router, listener: TcpListener, tasks: &Tasks) {
    let stopping = tasks.stopping().clone();
    tasks.spawn_essential("page, api and callbacks", async move {
        let stopped = async move { stopping.cancelled().await };
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).with_graceful_shutdown(stopped).await
    });
}

fn clock() -> SharedClock {
    Arc::new(SystemClock)
}
