//! A district as districts are, whose console is signed in to: what the walk and the accessibility test are held in.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use chrono_tz::Tz;
use tempfile::TempDir;
use tocsin::commands::district::add;
use tocsin::commands::import::directory_of;
use tocsin::commands::keys::add_key;
use tocsin::system::{ChannelLimits, Stores, System, SystemOptions};
use tocsin_api::{Api, IssuerDoor, PageAccess, SignIn, hash_password};
use tocsin_domain::DistrictId;
use tocsin_oidc::{ClientSecret, Issuer, Settings as IssuerSettings};
use tocsin_queue::{Broker, MemoryBroker, Publisher};
use tocsin_roster::sample::{SampleOptions, generate};
use tocsin_roster::{OneRosterVersion, ReadOptions};
use tocsin_runtime::telemetry::Spans;
use tocsin_runtime::{Clock as _, SystemClock, Tasks};
use tocsin_store::tenant::users::NewUser;
use tocsin_testkit::issuer::{CLIENT_ID, CLIENT_SECRET, TestIssuer};
use tocsin_testkit::simulator::Scenario;
use tocsin_testkit::{TestDatabase, wait_until};
use tocsin_webhooks::{Keys, Reach, Settings};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::browser::Browser;
use crate::client::Client;
use crate::facts::WITHIN;

const STUDENTS: usize = 400;
/// Who signs in.
pub const EMAIL: &str = "ortiz@cedar-valley.example";
pub const PASSWORD: &str = "four random words here";

pub struct Hall {
    pub system: System,
    pub client: Client,
    pub district: DistrictId,
    /// Where the console asks who one is; that of the system does not.
    pub door: String,
    /// One may come from there, too: another site, for the console is at `localhost` then.
    pub issuer: TestIssuer,
    door_tasks: Tasks,
    _database: TestDatabase,
}

impl Hall {
    pub async fn open(scenario: Scenario, limits: Vec<ChannelLimits>) -> Result<Self> {
        let database = TestDatabase::create().await?;
        let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
        let stores = Stores::open(&database.url, 8)?;
        let system = System::start(SystemOptions {
            stores: stores.clone(),
            broker: Arc::clone(&broker),
            scenario,
            limits,
            workers: 1,
            in_flight_max: 64,
            others: Vec::new(),
            spans: Spans::none(),
        })
        .await?;
        let name = "Cedar Valley School District".to_owned();
        let district = add(&system.store, name, Some(Tz::America__Chicago), "US".to_owned()).await?;
        let folder = TempDir::new()?;
        let version = OneRosterVersion::V1_2;
        generate(&SampleOptions { students: STUDENTS, seed: 2_026, version, out: folder.path() })?;
        let options = ReadOptions { default_region: "US".to_owned(), today: None };
        let roster = tocsin_roster::read(folder.path(), &options)?;
        let now = SystemClock.now();
        system.store.import_directory(district.id, &directory_of(&roster), "system test", now).await?;
        let key = add_key(&system.store, &district, "system test").await?;
        let door_tasks = Tasks::new();
        let issuer = TestIssuer::start(Arc::new(SystemClock)).await?;
        let door = serve(&stores, broker, &door_tasks, &issuer).await?;
        let client = Client::new(&door, key)?;
        let hall =
            Self { system, client, district: district.id, door, issuer, door_tasks, _database: database };
        hall.user(EMAIL, "Principal Ortiz", &["administrator"]).await?;
        Ok(hall)
    }

    /// A user whose password is [`PASSWORD`].
    pub async fn user(&self, email: &str, name: &str, roles: &[&str]) -> Result<Uuid> {
        let new = NewUser {
            id: Uuid::new_v4(),
            login: email.to_owned(),
            display_name: name.to_owned(),
            password_hash: hash_password(PASSWORD.to_owned()).await?,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        };
        self.system.store.tenant(self.district).add_user(&new, SystemClock.now()).await?;
        Ok(new.id)
    }

    /// Sends another delivery of a roster, which waits to be applied, and returns its id.
    pub async fn import(&self) -> Result<String> {
        let folder = TempDir::new()?;
        let out = folder.path().join("roster.zip");
        generate(&SampleOptions {
            students: STUDENTS + 20,
            seed: 2_026,
            version: OneRosterVersion::V1_2,
            out: &out,
        })?;
        let sent = self.client.ask_upload("/v1/imports?name=monday.zip", std::fs::read(&out)?).await?;
        let id = sent["id"].as_str().context("a delivery without an id")?.to_owned();
        wait_until("the delivery is compared", WITHIN, async || {
            let found = self.client.ask_get(&format!("/v1/imports/{id}")).await;
            found.is_ok_and(|found| found["state"] != "reading")
        })
        .await?;
        Ok(id)
    }

    /// Opens the console and signs in, as the first page asks.
    pub async fn sign_in(&self, browser: &Browser) -> Result<()> {
        browser.open(&self.door).await?;
        browser.shows("#email").await?;
        // That a page needs a sign-in is a complaint of the browser's own.
        let complaints = browser.complaints().await?;
        ensure!(complaints.iter().all(|it| it.contains("401")), "the browser complains: {complaints:#?}");
        browser.type_into("#email", EMAIL).await?;
        browser.type_into("#password", PASSWORD).await?;
        browser.click("main .primary").await?;
        browser.comes_to("the first page", "h1", "Campaigns").await
    }

    pub async fn close(self) -> Result<()> {
        let stopped = self.door_tasks.stop(std::time::Duration::from_secs(30)).await;
        ensure!(stopped.unfinished.is_empty(), "did not leave in time: {:?}", stopped.unfinished);
        self.system.stop().await
    }
}

/// A second api over the same store, whose console is signed in to.
async fn serve(
    stores: &Stores,
    broker: Arc<dyn Broker>,
    tasks: &Tasks,
    issuer: &TestIssuer,
) -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("the console's door")?;
    let door = format!("http://{}", listener.local_addr()?);
    let api = Api {
        store: stores.tenants.clone(),
        publisher: Arc::new(Publisher::new(broker, "api")),
        clock: Arc::new(SystemClock),
        tasks: tasks.clone(),
        page: PageAccess::SignIn(SignIn {
            issuers: Arc::from([office(&door, issuer)?]),
            ..SignIn::default()
        }),
        webhooks: Some(Settings {
            keys: Keys::new("a key of the test", None),
            reach: Reach::beside(Vec::new()),
        }),
        spans: Spans::none(),
    };
    tasks.spawn_essential("api", tocsin_api::serve(api, listener));
    Ok(door)
}

fn office(door: &str, issuer: &TestIssuer) -> Result<IssuerDoor> {
    let settings = IssuerSettings {
        issuer: issuer.url.clone(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Some(ClientSecret::new(CLIENT_SECRET)),
        return_url: format!("{}/sign-in/office/return", at_localhost(door)),
        scopes: ["openid", "email"].map(str::to_owned).to_vec(),
        login_claim: "email".to_owned(),
        groups_claim: None,
    };
    Ok(IssuerDoor {
        name: "office".to_owned(),
        title: "the district's account".to_owned(),
        issuer: Issuer::new(settings)?,
        district: None,
        roles: BTreeMap::new(),
        new_user_role: None,
    })
}

/// The same door under the name that is another site than its number.
pub fn at_localhost(door: &str) -> String {
    door.replace("127.0.0.1", "localhost")
}
