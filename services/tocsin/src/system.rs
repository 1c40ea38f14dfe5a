//! The whole system in one process, against the provider simulator: what the journeys' tests, the demo and
//! the load test run.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tocsin_api::{Api, PageAccess};
use tocsin_domain::{Channel, WorkerId};
use tocsin_planner::Planner;
use tocsin_providers::{AccountSettings, Registry, Secret, TokenKeys};
use tocsin_queue::{Broker, Publisher};
use tocsin_runtime::telemetry::Spans;
use tocsin_runtime::{Clock as _, SharedClock, SystemClock, Tasks};
use tocsin_status_collector::{Collector, Counts};
use tocsin_store::accounts::AccountLimits;
use tocsin_store::{Access, Store};
use tocsin_testkit::simulator::{Scenario, Simulator, SimulatorConfig};
use tocsin_worker::{Worker, WorkerSettings};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::embedded;

/// How long the roles are given to leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(30);

/// What to start.
#[derive(Debug, Clone)]
pub struct SystemOptions {
    pub stores: Stores,
    pub broker: Arc<dyn Broker>,
    pub scenario: Scenario,
    /// Limits of the account of each channel. A channel without an entry has no limit.
    pub limits: Vec<ChannelLimits>,
    /// Workers, each serving every channel.
    pub workers: usize,
    pub in_flight_max: usize,
    /// Accounts without limits beside the simulator's own.
    pub others: Vec<AccountSettings>,
    /// Where traces go.
    pub spans: Spans,
}

/// The views of one migrated database.
#[derive(Debug, Clone)]
pub struct Stores {
    /// Of every district.
    pub engine: Store,
    /// The api's, which sees one district at a time.
    pub tenants: Store,
    /// People of one transaction of an expansion.
    pub people_per_chunk: i64,
}

impl Stores {
    /// Two pools of `connections` each.
    pub fn open(url: &str, connections: usize) -> Result<Self> {
        Ok(Self {
            engine: Store::open(url, connections, Access::Engine)?,
            tenants: Store::open(url, connections, Access::Tenants)?,
            people_per_chunk: tocsin_planner::PEOPLE_PER_CHUNK,
        })
    }

    /// Ends every connection. Whoever asks for one from now on gets an error.
    pub fn close(self) {
        self.engine.close();
        self.tenants.close();
    }

    /// One session serves all (the embedded store).
    pub fn one(store: Store) -> Self {
        Self { tenants: store.clone(), engine: store, people_per_chunk: embedded::PEOPLE_PER_CHUNK }
    }
}

/// How fast a channel's account may be used.
#[derive(Debug, Clone, Copy)]
pub struct ChannelLimits {
    pub channel: Channel,
    pub rate_per_second: Option<f64>,
    pub burst: Option<i32>,
    pub concurrency: Option<i32>,
}

/// A running system.
#[derive(Debug)]
pub struct System {
    /// The engine's view: every district.
    pub store: Store,
    pub simulator: Simulator,
    /// `http://127.0.0.1:<port>`.
    pub api_url: String,
    /// Reads the callback addresses in the simulator's records.
    pub token_keys: TokenKeys,
    tasks: Tasks,
    options: SystemOptions,
    public_url: String,
    registry: Arc<Registry>,
}

impl System {
    /// Starts every role and the simulator.
    pub async fn start(options: SystemOptions) -> Result<Self> {
        let ingress = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("status collector")?;
        let public_url = format!("http://{}", ingress.local_addr()?);
        let mut scenario = options.scenario.clone();
        scenario.mailgun_webhook = Some(format!("{public_url}/callbacks/email/{{token}}"));
        let simulator = Simulator::start(SimulatorConfig { listen: None, scenario }).await?;
        let accounts: Vec<AccountSettings> = Channel::ALL
            .into_iter()
            .filter_map(|channel| simulator.account(channel))
            .chain(options.others.iter().cloned())
            .collect();
        let store = options.stores.engine.clone();
        store.check().await?;
        let others = options.others.iter().map(|account| {
            let name = account.name.clone();
            AccountLimits { name, ..account_limits(account.channel, &[]) }
        });
        let limits: Vec<AccountLimits> = Channel::ALL
            .into_iter()
            .map(|channel| account_limits(channel, &options.limits))
            .chain(others)
            .collect();
        store.configure_accounts(&limits, SystemClock.now()).await?;
        let api = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("api")?;
        let system = Self {
            store,
            simulator,
            api_url: format!("http://{}", api.local_addr()?),
            token_keys: TokenKeys::new(&Secret::new(Uuid::new_v4().to_string()), None),
            tasks: Tasks::new(),
            public_url,
            registry: Arc::new(Registry::build(accounts)?),
            options,
        };
        system.start_api(api);
        system.start_collector(ingress);
        system.start_planner();
        for _ in 0..system.options.workers {
            system.start_worker(Channel::ALL.to_vec());
        }
        Ok(system)
    }

    /// Where the vendor of a channel posts what people text to its number.
    pub fn inbound_url(&self, channel: Channel) -> String {
        format!("{}/inbound/{channel}", self.public_url)
    }

    fn start_api(&self, listener: TcpListener) {
        let store = self.options.stores.tenants.clone();
        let publisher = Arc::new(Publisher::new(Arc::clone(&self.options.broker), "api"));
        let page = PageAccess::Open(self.store.clone());
        // Nobody listens to a demonstration.
        let webhooks = None;
        let (tasks, spans) = (self.tasks.clone(), self.options.spans.clone());
        let api = Api { store, publisher, clock: clock(), tasks, page, webhooks, spans };
        self.tasks.spawn_essential("api", tocsin_api::serve(api, listener));
    }

    fn start_collector(&self, listener: TcpListener) {
        let collector = Collector {
            store: self.store.clone(),
            broker: Arc::clone(&self.options.broker),
            clock: clock(),
            registry: Arc::clone(&self.registry),
            token_keys: self.token_keys.clone(),
            public_url: self.public_url.clone(),
            counts: Arc::new(Counts::default()),
            spans: self.options.spans.clone(),
        };
        collector.start_ingress(listener, &self.tasks);
        collector.start_apply(&self.tasks);
    }

    /// Starts a planner. Its tasks can be stopped, or aborted as a kill would.
    pub fn start_planner(&self) -> Tasks {
        let tasks = self.tasks.child();
        let broker = Arc::clone(&self.options.broker);
        let mut planner = Planner::new(self.store.clone(), broker, clock(), Uuid::now_v7());
        planner.people_per_chunk = self.options.stores.people_per_chunk;
        planner.spans = self.options.spans.clone();
        planner.start(&tasks);
        tasks
    }

    /// Starts a worker. Its tasks can be stopped, or aborted as a kill would.
    pub fn start_worker(&self, channels: Vec<Channel>) -> Tasks {
        let tasks = self.tasks.child();
        let settings = WorkerSettings {
            channels,
            prefetch: [200, 500, 1_000],
            in_flight_max: self.options.in_flight_max,
            public_url: self.public_url.clone(),
            token_keys: self.token_keys.clone(),
        };
        Worker::new(
            WorkerId(Uuid::now_v7()),
            self.store.clone(),
            Arc::clone(&self.options.broker),
            clock(),
            Arc::clone(&self.registry),
            settings,
        )
        .traced(self.options.spans.clone())
        .start(&tasks);
        tasks
    }

    /// Stops every role in order, and the simulator.
    pub async fn stop(self) -> Result<()> {
        let stopped = self.tasks.stop(LEAVE_WITHIN).await;
        self.simulator.stop().await;
        anyhow::ensure!(stopped.unfinished.is_empty(), "did not leave in time: {:?}", stopped.unfinished);
        match stopped.failure {
            None => Ok(()),
            Some(failure) => anyhow::bail!("{} failed: {}", failure.task, failure.why),
        }
    }
}

fn clock() -> SharedClock {
    Arc::new(SystemClock)
}

pub(crate) fn account_limits(channel: Channel, limits: &[ChannelLimits]) -> AccountLimits {
    let limits = limits.iter().find(|limits| limits.channel == channel);
    AccountLimits {
        name: channel.as_str().to_owned(),
        district: None,
        channel,
        rate_per_second: limits.and_then(|limits| limits.rate_per_second),
        burst: limits.and_then(|limits| limits.burst),
        concurrency: limits.and_then(|limits| limits.concurrency),
        reserve: 0,
        depth: None,
        weight: 1,
    }
}
