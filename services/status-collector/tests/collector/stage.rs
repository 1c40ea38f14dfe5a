//! One collector on a database and broker of its own, and the providers that call it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use tocsin_domain::settlement::AttemptView;
use tocsin_domain::{AttemptKey, AttemptState, Channel, JobState, Lane, Outcome};
use tocsin_providers::twilio::form::Form;
use tocsin_providers::{
    AccountSettings, ProviderKind, Registry, Secret, TokenKeys, callback_url, http_client, mailgun, twilio,
};
use tocsin_queue::{Broker, Destination, MemoryBroker, Message, Published, Queue, RabbitBroker, Session};
use tocsin_runtime::telemetry::Spans;
use tocsin_runtime::{Clock as _, Stopped, SystemClock, Tasks};
use tocsin_status_collector::Collector;
use tocsin_testkit::fixture::{Fixture, account_name};
use tocsin_testkit::{TestDatabase, TestVhost, wait_until};
use tokio_postgres::NoTls;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// Nobody listens there: what is signed is this address, wherever the request really went.
pub const PUBLIC_URL: &str = "https://bell.example.org";
const AUTH_TOKEN: &str = "auth-token";
const SIGNING_KEY: &str = "signing-key";
pub const RELAY: &str = "relay-1";
pub const GATEWAY: &str = "gateway-1";
pub const GATEWAY_PASSWORD: &str = "gateway-password";
pub const BOUNCE_PASSWORD: &str = "bounce-password";
/// Far more than anything here takes.
pub const BOUND: Duration = Duration::from_secs(60);

pub struct Stage {
    pub fixture: Fixture,
    pub collector: Collector,
    pub database: TestDatabase,
    tasks: Tasks,
    applying: Mutex<Tasks>,
    client: reqwest::Client,
    pub address: String,
    _vhost: Option<TestVhost>,
}

/// What a test compares of an attempt and its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub attempt: AttemptState,
    pub outcome: Option<Outcome>,
    pub provider_code: Option<String>,
    pub provider_id: Option<String>,
    pub job: JobState,
    pub job_outcome: Option<Outcome>,
}

impl Stage {
    pub async fn memory() -> (Self, MemoryBroker) {
        let broker = MemoryBroker::new();
        (Self::on(Arc::new(broker.clone()), None).await, broker)
    }

    pub async fn rabbitmq() -> Self {
        let vhost = TestVhost::create().await.unwrap();
        let broker = RabbitBroker::new(&vhost.amqp_url).unwrap();
        // Declares the topology, which a dozen connections at once would do slowly on a new vhost.
        broker.connect("test").await.unwrap().close().await;
        let stage = Self::on(Arc::new(broker), Some(vhost)).await;
        wait_until("the ingress to be ready", BOUND, async || stage.get("/readyz").await == StatusCode::OK)
            .await
            .unwrap();
        stage
    }

    async fn on(broker: Arc<dyn Broker>, vhost: Option<TestVhost>) -> Self {
        let database = TestDatabase::create().await.unwrap();
        let fixture = Fixture::new(&database).await.unwrap();
        let mut accounts = Vec::from([Channel::Voice, Channel::Sms, Channel::Email].map(account));
        accounts.extend([relay(), gateway()]);
        let collector = Collector {
            store: fixture.store().clone(),
            broker,
            clock: Arc::new(SystemClock),
            registry: Arc::new(Registry::build(accounts).unwrap()),
            token_keys: TokenKeys::new(&Secret::new("token-key"), None),
            public_url: PUBLIC_URL.to_owned(),
            counts: Arc::default(),
            spans: Spans::none(),
        };
        let tasks = Tasks::new();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        collector.start_ingress(listener, &tasks);
        let applying = tasks.child();
        collector.start_apply(&applying);
        let (applying, client) = (Mutex::new(applying), http_client().unwrap());
        Self { fixture, collector, database, tasks, applying, client, address, _vhost: vhost }
    }

    /// Callbacks are still taken; they wait on their queues.
    pub async fn pause_applying(&self) {
        let applying = self.applying.lock().unwrap().clone();
        assert_eq!(applying.stop(BOUND).await, Stopped::default());
    }

    pub fn resume_applying(&self) {
        let applying = self.tasks.child();
        self.collector.start_apply(&applying);
        *self.applying.lock().unwrap() = applying;
    }

    /// Attempts of a new campaign to all guardians, claimed and not yet answered for.
    pub async fn attempts(&self, lane: Lane, channel: Channel) -> Vec<AttemptKey> {
        let granted = self.fixture.claimed(lane, channel).await.unwrap();
        granted.into_iter().map(|job| job.attempt).collect()
    }

    pub async fn one_attempt(&self, lane: Lane, channel: Channel) -> AttemptKey {
        self.fixture.guardians(1, channel).await.unwrap();
        self.attempts(lane, channel).await.remove(0)
    }

    pub fn token(&self, attempt: AttemptKey, lane: Lane) -> String {
        self.collector.token_keys.mint(attempt, lane)
    }

    /// Posts to a path of the ingress, as it is.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> StatusCode {
        let mut request = self.client.post(format!("{}{path}", self.address)).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status()
    }

    /// As [`Stage::post`]: status, content type and body of the answer.
    pub async fn post_for_answer(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (u16, String, String) {
        let mut request = self.client.post(format!("{}{path}", self.address)).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), content_type, answer.text().await.unwrap())
    }

    /// The store's database takes no connection any more, and has lost those it had.
    pub async fn store_goes_away(&self) {
        let name = &self.database.name;
        let elsewhere = self.database.url.replace(name.as_str(), "postgres");
        let away = format!(
            "alter database {name} allow_connections false;
             select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        );
        connected(&elsewhere, async |client| client.simple_query(&away).await.map(drop).unwrap()).await;
    }

    pub async fn get(&self, path: &str) -> StatusCode {
        self.client.get(format!("{}{path}", self.address)).send().await.unwrap().status()
    }

    /// A callback about `attempt`, signed as Twilio signs.
    pub async fn twilio(
        &self,
        channel: Channel,
        lane: Lane,
        attempt: AttemptKey,
        fields: &[(&str, &str)],
    ) -> StatusCode {
        self.twilio_at(channel, lane, attempt, "", fields).await
    }

    /// The same at an address with a query.
    pub async fn twilio_at(
        &self,
        channel: Channel,
        lane: Lane,
        attempt: AttemptKey,
        query: &str,
        fields: &[(&str, &str)],
    ) -> StatusCode {
        let url = callback_url(PUBLIC_URL, &account_name(channel), &self.token(attempt, lane)) + query;
        let signature = twilio_signature(&url, fields);
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            (twilio::signature::HEADER, signature.as_str()),
        ];
        self.post(&url[PUBLIC_URL.len()..], &headers, form(fields)).await
    }

    /// An event signed as Mailgun signs, `age_seconds` ago.
    pub async fn mailgun(&self, event: serde_json::Value, age_seconds: i64) -> StatusCode {
        self.mailgun_signed(&format!("{:0>50}", Uuid::now_v7().simple()), event, age_seconds).await
    }

    /// The same with a token of the vendor's that may have been used.
    pub async fn mailgun_signed(
        &self,
        token: &str,
        event: serde_json::Value,
        age_seconds: i64,
    ) -> StatusCode {
        let keys = mailgun::signature::SignatureKeys::new(&[Secret::new(SIGNING_KEY)]);
        let timestamp = (SystemClock.now().timestamp() - age_seconds).to_string();
        let signature = keys.sign(&timestamp, token).unwrap();
        let body = serde_json::json!({
            "signature": { "timestamp": timestamp, "token": token, "signature": signature },
            "event-data": event,
        });
        let headers = [("content-type", "application/json")];
        self.post("/callbacks/email-1", &headers, body.to_string()).await
    }

    pub async fn standing(&self, attempt: AttemptKey) -> Standing {
        let mut views = self.fixture.store().attempt_views(&[attempt]).await.unwrap();
        let AttemptView { state, outcome, provider_code, provider_id, job, .. } = views.remove(0);
        Standing {
            attempt: state,
            outcome,
            provider_code,
            provider_id,
            job: job.state,
            job_outcome: job.outcome,
        }
    }

    /// Waits until so many events are kept: those of attempts, and those without one.
    pub async fn events_become(&self, matched: i64, unmatched: i64) {
        let mut seen = (0, 0);
        let reached = wait_until("the events are kept", BOUND, async || {
            seen = self.events().await;
            seen == (matched, unmatched)
        });
        if reached.await.is_err() {
            panic!("expected {:?}, found {seen:?}", (matched, unmatched));
        }
    }

    /// How many events of attempts, and without one.
    pub async fn events(&self) -> (i64, i64) {
        let sql = "select count(campaign_id), count(*) filter (where campaign_id is null) from events";
        let row = self.query(sql, &[]).await;
        (row.get(0), row.get(1))
    }

    /// One row, on a connection of its own and as the engine.
    pub async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> tokio_postgres::Row {
        connected(&self.database.url, async |client| {
            client.batch_execute("set role tocsin_engine").await.unwrap();
            client.query_one(sql, parameters).await.unwrap()
        })
        .await
    }

    pub async fn session(&self) -> Arc<dyn Session> {
        self.collector.broker.connect("test").await.unwrap()
    }

    /// Puts bytes on a status queue, past the ingress.
    pub async fn put(&self, lane: Lane, body: Bytes) {
        let to = Destination::Queue(Queue::Status(lane));
        let message = Message { to, body, headers: Vec::new(), persistent: true };
        assert_eq!(self.session().await.publish(vec![message]).await.unwrap(), [Published::Confirmed]);
    }

    /// Stops the collector and requires that every task ends by itself.
    pub async fn leave(&self) {
        assert_eq!(self.tasks.stop(BOUND).await, Stopped::default());
    }
}

fn account(channel: Channel) -> AccountSettings {
    let settings = AccountSettings {
        name: account_name(channel),
        channel,
        kind: ProviderKind::Twilio,
        base_url: "http://127.0.0.1:9".into(),
        user: "AC00000000000000000000000000000001".into(),
        secret: Secret::new(AUTH_TOKEN),
        signing_keys: vec![],
        sender: "+15005550006".into(),
        domain: None,
        ca_file: None,
        profile: None,
        connections_max: None,
    };
    match channel {
        Channel::Email => AccountSettings {
            kind: ProviderKind::Mailgun,
            user: "api".into(),
            signing_keys: vec![Secret::new(SIGNING_KEY)],
            sender: "School <office@mail.example.org>".into(),
            domain: Some("mail.example.org".into()),
            ..settings
        },
        Channel::Voice | Channel::Sms | Channel::Inbox => settings,
    }
}

/// Calls over a gateway that posts reports in lists.
fn gateway() -> AccountSettings {
    AccountSettings {
        name: GATEWAY.into(),
        kind: ProviderKind::Gateway,
        signing_keys: vec![Secret::new(GATEWAY_PASSWORD)],
        profile: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/collector/gateway.toml").into()),
        ..account(Channel::Voice)
    }
}

/// Mail over a relay, whose bounces are posted.
fn relay() -> AccountSettings {
    AccountSettings {
        name: RELAY.into(),
        kind: ProviderKind::Smtp,
        base_url: "smtp://127.0.0.1:9".into(),
        user: String::new(),
        secret: Secret::new(""),
        signing_keys: vec![Secret::new(BOUNCE_PASSWORD)],
        ..account(Channel::Email)
    }
}

pub fn twilio_signature(url: &str, fields: &[(&str, &str)]) -> String {
    let keys = twilio::signature::SignatureKeys::new(&[Secret::new(AUTH_TOKEN)]);
    keys.sign(url, &Form::from_pairs(fields)).unwrap()
}

pub fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Does `work` on a connection of its own.
pub async fn connected<T>(url: &str, work: impl AsyncFnOnce(&tokio_postgres::Client) -> T) -> T {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let work = async {
        let done = work(&client).await;
        drop(client);
        done
    };
    tokio::join!(work, connection).0
}
