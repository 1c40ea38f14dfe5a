//! One worker for the inbox, on a database of its own.

use std::sync::Arc;
use std::time::Duration;

use tocsin_domain::{AccountId, Channel, Lane, WorkerId};
use tocsin_proto::Envelope;
use tocsin_proto::v1::{Job, Jobs};
use tocsin_providers::{Registry, Secret, TokenKeys};
use tocsin_queue::{Broker, Destination, Message, Published, Queue};
use tocsin_runtime::{Clock as _, SystemClock, Tasks};
use tocsin_store::accounts::AccountLimits;
use tocsin_store::release::Released;
use tocsin_testkit::fixture::Fixture;
use tocsin_testkit::{TestDatabase, wait_until};
use tocsin_worker::{Worker, WorkerSettings};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// Far more than anything here takes.
pub const BOUND: Duration = Duration::from_secs(30);

pub struct Stage {
    pub fixture: Fixture,
    pub client: Client,
    pub tasks: Tasks,
    broker: Arc<dyn Broker>,
    pub database: TestDatabase,
}

impl Stage {
    pub async fn new(broker: Arc<dyn Broker>) -> Self {
        let database = TestDatabase::create().await.unwrap();
        let fixture = Fixture::new(&database).await.unwrap();
        let client = connect(&database.url).await;
        Self { fixture, client, tasks: Tasks::new(), broker, database }
    }

    pub fn start(&self) {
        self.worker().start(&self.tasks);
    }

    pub fn worker(&self) -> Worker {
        self.worker_of(Channel::Inbox, Registry::build(vec![]).unwrap())
    }

    /// A worker of one channel, over these accounts.
    pub fn worker_of(&self, channel: Channel, registry: Registry) -> Worker {
        let settings = WorkerSettings {
            channels: vec![channel],
            prefetch: [100; 3],
            in_flight_max: 100,
            public_url: "https://bell.example.org".to_owned(),
            token_keys: TokenKeys::new(&Secret::new("key"), None),
        };
        let (store, broker) = (self.fixture.store().clone(), Arc::clone(&self.broker));
        let id = WorkerId(Uuid::now_v7());
        Worker::new(id, store, broker, Arc::new(SystemClock), Arc::new(registry), settings)
    }

    /// A second account for the inbox.
    pub async fn another_account(&self) -> AccountId {
        let store = self.fixture.store();
        let mut limits: Vec<AccountLimits> =
            store.accounts().await.unwrap().into_iter().map(|account| account.limits).collect();
        let first = limits.iter().find(|limits| limits.channel == Channel::Inbox).unwrap().clone();
        limits.push(AccountLimits { name: "another".to_owned(), ..first });
        store.configure_accounts(&limits, SystemClock.now()).await.unwrap();
        let known = store.accounts().await.unwrap();
        known.iter().find(|account| account.limits.name == "another").unwrap().id
    }

    /// Publishes released jobs of the inbox, each by itself.
    pub async fn publish(&self, lane: Lane, released: &[Released]) {
        self.publish_traced(lane, released, |_| String::new()).await;
    }

    /// The same, each with its `traceparent`.
    pub async fn publish_traced(
        &self,
        lane: Lane,
        released: &[Released],
        traceparent: impl Fn(&Released) -> String,
    ) {
        let job = |job: &Released| Job {
            campaign_id: job.key.campaign.0.as_bytes().to_vec().into(),
            job_id: job.key.job,
            generation: job.generation.0,
            channel: i32::from(Channel::Inbox.number()),
            lane: i32::from(lane.number()),
            account_id: job.account.0,
            traceparent: traceparent(job),
        };
        let messages = released.iter().map(|alone| Message {
            to: Destination::Queue(Queue::Jobs(Channel::Inbox, lane)),
            body: Envelope::new(Jobs { jobs: vec![job(alone)] }).into_bytes(),
            headers: vec![],
            persistent: true,
        });
        let session = self.broker.connect("test").await.unwrap();
        let answers = session.publish(messages.collect()).await.unwrap();
        assert!(answers.iter().all(|answer| *answer == Published::Confirmed));
    }

    /// Jobs of the inbox that are released, and not published yet.
    pub async fn released(&self, jobs: u16) -> Vec<Released> {
        self.fixture.guardians(jobs, Channel::Inbox).await.unwrap();
        self.fixture.campaign(Lane::General, &[Channel::Inbox]).await.unwrap();
        self.fixture.expand_all().await.unwrap();
        self.fixture.release_all().await.unwrap()
    }

    /// Waits until a query's number is at least so much.
    pub async fn reaches(&self, query: &str, number: i64) -> Result<(), String> {
        let query = format!("select coalesce(({query}), 0)::bigint");
        wait_until(&query, BOUND, async || {
            self.client.query_one(&query, &[]).await.unwrap().get::<_, i64>(0) >= number
        })
        .await
        .map_err(|error| error.to_string())
    }
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    #[allow(clippy::disallowed_methods, reason = "ends with the test's client")]
    tokio::spawn(connection);
    client
}
