//! Starting each role from its configuration.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tocsin_api::{Api, PageAccess};
use tocsin_domain::{Channel, WorkerId};
use tocsin_planner::{Aims, Outbound, Planner, Scaling};
use tocsin_providers::{AccountSettings, ProviderKind, Registry, Secret, TokenKeys};
use tocsin_queue::{Broker, Publisher, RabbitBroker};
use tocsin_runtime::config::{AccountConfig, ProviderKind as ConfiguredKind, WorkerConfig};
use tocsin_runtime::health::Health;
use tocsin_runtime::metrics::DATABASE_SIZE_MAX;
use tocsin_runtime::telemetry::Spans;
use tocsin_runtime::{Config, SharedClock, SystemClock, Tasks};
use tocsin_status_collector::{Collector, Counts};
use tocsin_store::accounts::AccountLimits;
use tocsin_store::{Access, Store};
use tocsin_webhooks::{Client, Keys, Reach, Settings};
use tocsin_worker::{Worker, WorkerSettings};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::commands::config::check_accounts;
use crate::credentials;
use crate::exit::Failure;
use crate::issuers;
use crate::presence;

/// The api: REST, for one district at a time.
pub async fn start_api(config: &Config, spans: &Spans, tasks: &Tasks) -> Result<()> {
    let store = store(config, Access::Tenants).await?;
    presence::start(&store, "api", tasks);
    let publisher = Arc::new(Publisher::new(broker(config)?, "api"));
    let page = PageAccess::SignIn(issuers::sign_in(config)?);
    let webhooks = webhooks(config);
    let spans = spans.clone();
    let api = Api { store, publisher, clock: clock(), tasks: tasks.clone(), page, webhooks, spans };
    let health = tocsin_api::health(&api);
    let listener = listen(config.api.listen, "api.listen").await?;
    tracing::info!(listen = %config.api.listen, "api listens");
    tasks.spawn_essential("api", tocsin_api::serve(api, listener));
    serve_health(config, health, tasks).await
}

/// The planner: expands, releases, sweeps, expires, closes.
pub async fn start_planner(config: &Config, spans: &Spans, tasks: &Tasks) -> Result<()> {
    let store = store(config, Access::Engine).await?;
    configure_accounts(config, &store).await?;
    presence::start(&store, "planner", tasks);
    let mut planner = Planner::new(store.clone(), broker(config)?, clock(), Uuid::now_v7());
    planner.webhooks = webhooks(config).map(outbound).transpose()?;
    planner.retain_months = config.retention.kept();
    planner.spans = spans.clone();
    planner.start(tasks);
    let scaling = Scaling::new(store.clone(), clock(), aims(config));
    scaling.start(tasks);
    let health = Health::new(tasks).with(scaling.router());
    serve_health(config, planner_health(health, config, &planner), tasks).await
}

/// A worker for `channels`.
pub async fn start_worker(
    config: &Config,
    channels: Vec<Channel>,
    spans: &Spans,
    tasks: &Tasks,
) -> Result<()> {
    start_workers(config, channels, 1, spans, tasks).await
}

/// `count` workers, each with a connection to the broker of its own, on one pool of connections to the store.
pub async fn start_workers(
    config: &Config,
    channels: Vec<Channel>,
    count: usize,
    spans: &Spans,
    tasks: &Tasks,
) -> Result<()> {
    let store = store(config, Access::Engine).await?;
    configure_accounts(config, &store).await?;
    let served: Vec<&str> = channels.iter().map(|channel| channel.as_str()).collect();
    presence::start(&store, &format!("worker {}", served.join(" ")), tasks);
    let settings = worker_settings(config, channels)?;
    let registry = Arc::new(registry(config)?);
    credentials::start(config, &registry, tasks);
    let mut health = Health::new(tasks);
    for _ in 0..count {
        let id = WorkerId(Uuid::now_v7());
        let registry = Arc::clone(&registry);
        let worker = Worker::new(id, store.clone(), broker(config)?, clock(), registry, settings.clone())
            .traced(spans.clone());
        worker.start(tasks);
        health = worker_health(health, &worker);
    }
    serve_health(config, store_health(health, &store), tasks).await
}

/// The status collector: takes callbacks and applies them.
pub async fn start_collector(config: &Config, spans: &Spans, tasks: &Tasks) -> Result<()> {
    let store = store(config, Access::Engine).await?;
    presence::start(&store, "status-collector", tasks);
    let registry = Arc::new(registry(config)?);
    credentials::start(config, &registry, tasks);
    let collector = Collector {
        store,
        broker: broker(config)?,
        clock: clock(),
        registry,
        token_keys: token_keys(config)?,
        public_url: config.require_public_url()?.to_owned(),
        counts: Arc::new(Counts::default()),
        spans: spans.clone(),
    };
    let listener = listen(config.collector.listen, "collector.listen").await?;
    tracing::info!(listen = %config.collector.listen, "status collector listens");
    let health = collector.start_ingress(listener, tasks);
    collector.start_apply(tasks);
    serve_health(config, health, tasks).await
}

/// Checks the configured accounts, opens the store and compares its schema with this program's, before anything runs.
pub async fn store(config: &Config, access: Access) -> Result<Store> {
    // Of every role, also of those that send nothing: a fault is found before anything runs.
    check_accounts(config)?;
    let store = Store::open(config.require_database_url()?, config.database_pool, access)?;
    store.check().await.context("the database cannot be used")?;
    refuse_restored(&store).await?;
    Ok(store)
}

/// No role starts on a database that was restored from a dump until it is known what of it may have been sent since.
pub async fn refuse_restored(store: &Store) -> Result<()> {
    if store.is_restored().await? {
        let what = "the database was restored from a backup, and nobody knows what was sent since that was made: run \
                    `tocsin recover` first, or, if nothing ran since, `tocsin recover --moved`";
        return Err(Failure::refused(what).into());
    }
    Ok(())
}

/// Brings the accounts' limits in the store in line with the configuration.
pub async fn configure_accounts(config: &Config, store: &Store) -> Result<()> {
    store.configure_accounts(&configured_limits(config, store).await?, clock().now()).await?;
    configure_files(config, store).await
}

/// Whether messages over the accounts can have files: the api refuses those that could not.
pub(crate) async fn configure_files(config: &Config, store: &Store) -> Result<()> {
    let accounts = provider_accounts(config);
    let (with, without): (Vec<_>, Vec<_>) = accounts.iter().partition(|it| Registry::carries_files(it));
    let names = |accounts: Vec<&AccountSettings>| -> Vec<String> {
        accounts.into_iter().map(|account| account.name.clone()).collect()
    };
    store.configure_files(&names(with), &names(without)).await?;
    Ok(())
}

pub(crate) async fn configured_limits(config: &Config, store: &Store) -> Result<Vec<AccountLimits>> {
    let mut limits = Vec::with_capacity(config.accounts.len());
    for account in &config.accounts {
        limits.push(account_limits(account, store).await?);
    }
    Ok(limits)
}

async fn account_limits(account: &AccountConfig, store: &Store) -> Result<AccountLimits> {
    let district = match &account.district {
        None => None,
        Some(name) => {
            let known = store.district_by_name(name).await?;
            let id = known.map(|district| district.id).ok_or_else(|| {
                Failure::usage(format!(
                    "accounts.{}.district: there is no district {name:?}: add it with `tocsin district add`",
                    account.name
                ))
            })?;
            Some(id)
        }
    };
    let signed = |value: Option<u32>| value.map(|value| i32::try_from(value).unwrap_or(i32::MAX));
    Ok(AccountLimits {
        name: account.name.clone(),
        district,
        channel: account.channel,
        rate_per_second: account.rate_per_second,
        burst: signed(account.burst),
        concurrency: signed(account.concurrency),
        reserve: signed(account.reserve).unwrap_or(0),
        depth: signed(account.depth),
        weight: i32::try_from(account.weight).unwrap_or(i32::MAX),
    })
}

fn worker_settings(config: &Config, channels: Vec<Channel>) -> Result<WorkerSettings> {
    let WorkerConfig { prefetch_emergency, prefetch_priority, prefetch_general, in_flight_max } =
        config.worker;
    Ok(WorkerSettings {
        channels,
        prefetch: [prefetch_emergency, prefetch_priority, prefetch_general],
        in_flight_max,
        public_url: config.require_public_url()?.to_owned(),
        token_keys: token_keys(config)?,
    })
}

pub(crate) fn token_keys(config: &Config) -> Result<TokenKeys> {
    let secrets = config.require_callback()?;
    let current = Secret::new(secrets.current.expose());
    let previous = secrets.previous.as_ref().map(|secret| Secret::new(secret.expose()));
    Ok(TokenKeys::new(&current, previous.as_ref()))
}

/// None: no key is configured to make endpoints' secrets with, and so none is told anything.
pub(crate) fn webhooks(config: &Config) -> Option<Settings> {
    let secrets = config.webhooks.secrets.as_ref()?;
    let previous = secrets.previous.as_ref().map(|secret| secret.expose());
    let keys = Keys::new(secrets.current.expose(), previous);
    Some(Settings { keys, reach: Reach::beside(config.webhooks.networks.clone()) })
}

/// What a planner sends webhooks with.
pub(crate) fn outbound(settings: Settings) -> Result<Outbound> {
    Ok(Outbound::new(settings.keys, Client::new(settings.reach)?))
}

/// The adapters of the configured accounts. The inbox has none: it is the store.
pub(crate) fn registry(config: &Config) -> Result<Registry> {
    Ok(Registry::build(provider_accounts(config))?)
}

/// The configured accounts at providers, as their adapters take them.
pub(crate) fn provider_accounts(config: &Config) -> Vec<AccountSettings> {
    config
        .accounts
        .iter()
        .filter_map(|account| {
            let kind = match account.provider {
                ConfiguredKind::Twilio => ProviderKind::Twilio,
                ConfiguredKind::Mailgun => ProviderKind::Mailgun,
                ConfiguredKind::Smtp => ProviderKind::Smtp,
                ConfiguredKind::Gateway => ProviderKind::Gateway,
                ConfiguredKind::Inbox => return None,
            };
            Some(account_settings(account, kind))
        })
        .collect()
}

fn account_settings(account: &AccountConfig, kind: ProviderKind) -> AccountSettings {
    let (base_url, user) = match kind {
        ProviderKind::Twilio => ("https://api.twilio.com", ""),
        ProviderKind::Mailgun => ("https://api.mailgun.net", "api"),
        ProviderKind::Smtp | ProviderKind::Gateway => ("", ""),
    };
    AccountSettings {
        name: account.name.clone(),
        channel: account.channel,
        kind,
        base_url: account.base_url.clone().unwrap_or_else(|| base_url.to_owned()),
        user: account.user.clone().unwrap_or_else(|| user.to_owned()),
        secret: Secret::new(account.secret.as_ref().map_or("", |secret| secret.expose())),
        signing_keys: account.signing_keys.iter().map(|key| Secret::new(key.expose())).collect(),
        sender: account.sender.clone().unwrap_or_default(),
        domain: account.domain.clone(),
        ca_file: account.ca_file.clone(),
        profile: account.profile.clone(),
        connections_max: account.connections_max.and_then(|most| usize::try_from(most).ok()),
    }
}

pub(crate) fn broker(config: &Config) -> Result<Arc<dyn Broker>> {
    Ok(Arc::new(RabbitBroker::new(config.require_amqp_url()?)?))
}

fn clock() -> SharedClock {
    Arc::new(SystemClock)
}

async fn listen(address: std::net::SocketAddr, key: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{key}: cannot listen on {address}: choose a free address"))
}

fn aims(config: &Config) -> Aims {
    let replicas_max = config.scaling.replicas_max;
    Aims {
        target: Duration::from_secs(config.scaling.target_seconds.into()),
        replicas_max: Channel::ALL.map(|channel| (channel, replicas_max.of(channel))).into(),
    }
}

/// `/livez`, `/readyz` and `/metrics`, where the configuration wants them.
pub(crate) async fn serve_health(config: &Config, health: Health, tasks: &Tasks) -> Result<()> {
    let Some(address) = config.health_listen else { return Ok(()) };
    let address = tocsin_runtime::health::serve(address, health, tasks).await.context("health.listen")?;
    tracing::info!(listen = %address, "health and metrics are served");
    Ok(())
}

/// The planner reaches the store, hears the broker, and looks at its duties.
pub(crate) fn planner_health(health: Health, config: &Config, planner: &Planner) -> Health {
    if let Some(most) = config.metrics.database_size_max_bytes {
        DATABASE_SIZE_MAX.set(most as f64);
    }
    let (heard, at_work) = (planner.clone(), planner.clone());
    store_health(health, &planner.store)
        .check("broker", move || std::future::ready(heard.hears()))
        .check("duties", move || std::future::ready(at_work.at_work()))
}

/// A worker takes jobs, and renews its leases. All of several must.
pub(crate) fn worker_health(health: Health, worker: &Worker) -> Health {
    let (taking, leased) = (worker.clone(), worker.clone());
    health
        .check("broker", move || std::future::ready(taking.takes_jobs()))
        .check("leases", move || std::future::ready(leased.leases()))
}

/// The store answers, with the schema that this program needs or a later one.
fn store_health(health: Health, store: &Store) -> Health {
    let store = store.clone();
    health.check("store", move || {
        let store = store.clone();
        async move { store.check().await }
    })
}
