//! An API that serves, two districts that have keys, and a client.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tocsin_api::{Api, PageAccess, SignIn};
use tocsin_domain::DistrictId;
use tocsin_proto::Envelope;
use tocsin_proto::v1::Control;
use tocsin_proto::v1::control::Command;
use tocsin_queue::{Broker as _, Consumer, MemoryBroker, Publisher};
use tocsin_runtime::telemetry::Spans;
use tocsin_runtime::{Clock as _, SystemClock, Tasks};
use tocsin_store::districts::District;
use tocsin_store::tenant::keys::NewKey;
use tocsin_store::tenant::users::NewUser;
use tocsin_store::{Access, Store};
use tocsin_testkit::{ManualClock, TestDatabase};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::conformance;

pub const KEY: &str = "tocsin_key_of_north";
pub const OTHER_KEY: &str = "tocsin_key_of_south";
pub const PASSWORD: &str = "four random words here";
/// What webhooks' secrets are made with.
pub const WEBHOOK_KEY: &str = "the key of webhooks in tests";
/// Bounds a wait that is expected to end at once.
pub const SOON: Duration = Duration::from_secs(20);

pub struct Stage {
    pub broker: MemoryBroker,
    pub clock: ManualClock,
    pub tasks: Tasks,
    /// Sees every district, as planner and workers do.
    pub engine: Store,
    pub north: DistrictId,
    pub south: DistrictId,
    /// As the database's owner, for what only other processes would do.
    pub sql: tokio_postgres::Client,
    pub address: String,
    pub client: Client,
    pub database_url: String,
    _database: TestDatabase,
}

/// What the API answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Stage {
    pub async fn start() -> Self {
        let database = TestDatabase::create().await.unwrap();
        let engine = Store::open(&database.url, 2, Access::Engine).unwrap();
        let clock = ManualClock::at(SystemClock.now());
        let mut districts = Vec::new();
        for (name, key) in [("North", KEY), ("South", OTHER_KEY)] {
            districts.push(add_district(&engine, &clock, name, key).await);
        }
        let (sql, connection) = tokio_postgres::connect(&database.url, tokio_postgres::NoTls).await.unwrap();
        let tasks = Tasks::new();
        // In a group of its own: it ends with its client, which the stage holds longer than the API.
        Tasks::new().spawn("sql", async move { drop(connection.await) });
        let broker = MemoryBroker::new();
        let store = Store::open(&database.url, 4, Access::Tenants).unwrap();
        let address = serve(store, &broker, &clock, &tasks).await;
        Self {
            broker,
            clock,
            tasks,
            engine,
            north: districts[0],
            south: districts[1],
            sql,
            address,
            client: tocsin_providers::http_client().unwrap(),
            database_url: database.url.clone(),
            _database: database,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.get_as(KEY, path).await
    }

    pub async fn get_as(&self, key: &str, path: &str) -> Answer {
        self.ask(Method::GET, path, &[("authorization", &format!("Bearer {key}"))], "").await
    }

    /// Posts a campaign with an Idempotency-Key.
    pub async fn submit(&self, client_key: &str, body: &Value) -> Answer {
        self.submit_as(KEY, client_key, body).await
    }

    pub async fn submit_as(&self, key: &str, client_key: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("idempotency-key", client_key),
            ("content-type", "application/json"),
        ];
        self.ask(Method::POST, "/v1/campaigns", &headers, &body.to_string()).await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {KEY}");
        let headers =
            [(AUTHORIZATION.as_str(), bearer.as_str()), (CONTENT_TYPE.as_str(), "application/json")];
        self.ask(Method::POST, path, &headers, body).await
    }

    pub async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        ask(&self.client, &self.address, method, path, headers, body).await
    }

    /// Stores a campaign to all staff and returns its id.
    pub async fn campaign(&self, client_key: &str) -> String {
        let answer = self.submit(client_key, &campaign()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.id()
    }

    /// Hears every control message from now on.
    pub async fn control(&self) -> ControlEar {
        ControlEar { consumer: self.broker.connect("test").await.unwrap().control().await.unwrap() }
    }

    /// A member of the staff with devices, each a channel's number and an address.
    pub async fn staff(&self, source_id: &str, devices: &[(i16, &str)]) {
        let row = self
            .sql
            .query_one(
                "insert into people (district_id, source_id, given_name, family_name, role, active)
                 values ($1, $2, $2, 'Lee', 3, true) returning id",
                &[&self.north.0, &source_id],
            )
            .await
            .unwrap();
        let person: i64 = row.get(0);
        for (position, (channel, address)) in (0i16..).zip(devices) {
            self.sql
                .execute(
                    "insert into devices (district_id, person_id, channel, address, position)
                     values ($1, $2, $3, $4, $5)",
                    &[&self.north.0, &person, channel, address, &position],
                )
                .await
                .unwrap();
        }
    }

    /// A user of the district, whose password is [`PASSWORD`].
    pub async fn user(&self, district: DistrictId, email: &str, roles: &[&str]) -> Uuid {
        let new = NewUser {
            id: Uuid::new_v4(),
            login: email.to_owned(),
            display_name: email.split('@').next().unwrap().to_owned(),
            password_hash: tocsin_api::hash_password(PASSWORD.to_owned()).await.unwrap(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        };
        self.engine.tenant(district).add_user(&new, self.clock.now()).await.unwrap();
        new.id
    }

    /// An API key of the district with these roles, and its id.
    pub async fn key(&self, district: DistrictId, name: &str, roles: &[&str]) -> (String, Uuid) {
        let (key, id) = (tocsin_api::draw_key().unwrap(), Uuid::new_v4());
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        let new = NewKey { id, name, key_hash: &Sha256::digest(&key), roles: &roles };
        self.engine.tenant(district).add_own_key(&new, self.clock.now()).await.unwrap();
        (key, id)
    }

    /// A request with that key and a body of JSON, or none.
    pub async fn send_as(&self, key: &str, method: Method, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask(method, path, &headers, &body).await
    }

    /// Expands every due campaign, as a planner does.
    pub async fn expand_all(&self) {
        let now = self.clock.now();
        for expansion in self.engine.expansions_due(now, 100).await.unwrap() {
            self.engine.expand(&expansion, 1000, now).await.unwrap();
        }
    }

    /// Runs a statement about one campaign, whose id is its only parameter.
    pub async fn change(&self, sql: &str, campaign: &str) {
        self.sql.execute(sql, &[&Uuid::parse_str(campaign).unwrap()]).await.unwrap();
    }
}

/// A process on the control exchange.
pub struct ControlEar {
    consumer: Consumer,
}

impl ControlEar {
    /// The next command.
    pub async fn next(&mut self) -> Command {
        let batch = tokio::time::timeout(SOON, self.consumer.next_batch(1)).await.unwrap().unwrap();
        self.consumer.acker().ack(&[batch[0].tag]).await.unwrap();
        Envelope::<Control>::decode(batch[0].body.clone()).unwrap().message.command.unwrap()
    }
}

impl Answer {
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap().to_owned()
    }

    /// Asserts that this is the problem of that type, with the status it repeats.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json", "{self:?}");
        assert_eq!(self.body["type"], format!("urn:tocsin:problem:{kind}"), "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
        assert!(self.body["title"].is_string() && self.body["detail"].is_string(), "{self:?}");
    }
}

/// A campaign to all staff, by all channels, with nothing but what is required.
pub fn campaign() -> Value {
    json!({
        "subject": "Early dismissal",
        "channels": ["voice", "sms", "email", "inbox"],
        "audience": {"all": true, "roles": ["staff"]},
        "body": "School ends at noon.",
    })
}

/// Texts and emails to all contacts.
pub fn to_guardians(subject: &str) -> Value {
    json!({
        "subject": subject,
        "channels": ["sms", "email"],
        "audience": {"all": true},
        "body": "Dear {{ given_name }}",
    })
}

/// Serves an API and returns its address.
pub async fn serve(store: Store, broker: &MemoryBroker, clock: &ManualClock, tasks: &Tasks) -> String {
    let page = PageAccess::SignIn(SignIn::default());
    serve_pages(store, broker, clock, tasks, page).await
}

/// As [`serve`], with this access to the pages.
pub async fn serve_pages(
    store: Store,
    broker: &MemoryBroker,
    clock: &ManualClock,
    tasks: &Tasks,
    page: PageAccess,
) -> String {
    let publisher = Arc::new(Publisher::new(Arc::new(broker.clone()), "api"));
    let webhooks = Some(tocsin_webhooks::Settings {
        keys: tocsin_webhooks::Keys::new(WEBHOOK_KEY, None),
        reach: tocsin_webhooks::Reach::beside(vec!["127.0.0.0/8".parse().unwrap()]),
    });
    let (clock, tasks, spans) = (clock.shared(), tasks.clone(), Spans::none());
    let api = Api { store, publisher, clock, tasks: tasks.clone(), page, webhooks, spans };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tasks.spawn_essential("api", tocsin_api::serve(api, listener));
    address
}

pub async fn ask(
    client: &Client,
    address: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let called = method.to_string();
    let mut request = client.request(method, format!("{address}{path}")).timeout(SOON).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = read(request.send().await.unwrap()).await;
    conformance::check(&called, path, answer.status, &answer.headers, &answer.body);
    answer
}

async fn read(response: Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
    Answer { status: status.as_u16(), headers, body }
}

async fn add_district(engine: &Store, clock: &ManualClock, name: &str, key: &str) -> DistrictId {
    let district = District {
        id: DistrictId(Uuid::new_v4()),
        name: name.to_owned(),
        time_zone: None,
        default_region: "US".to_owned(),
        weight: 1,
    };
    let now = clock.now();
    assert!(engine.add_district(&district, now).await.unwrap());
    let hash = Sha256::digest(key);
    engine.add_api_key(district.id, Uuid::new_v4(), "test", &hash, now).await.unwrap();
    district.id
}
