//! The system as real processes: api and collector for all tests, planners and workers as a test starts them, the
//! provider simulator in the test's own process.
//!
//! Conditions in SQL name states by their numbers: a job is 1 waiting, 2 queued, 3 claimed, 4 ended; an attempt is
//! 1 asking, 2 accepted, 3 settled, 4 unknown; a campaign is 3 sending.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tocsin_domain::{CampaignId, Channel};
use tocsin_providers::{Secret, TokenKeys};
use tocsin_store::{Access, Store};
use tocsin_testkit::promises::Facts;
use tocsin_testkit::simulator::{Credentials, MAIL_DOMAIN, SENDER, Scenario, Simulator, SimulatorConfig};
use tocsin_testkit::{TestDatabase, wait_until};
use tokio_postgres::NoTls;

use crate::client::Client;
use crate::process::Process;
use crate::{district, facts};

const CALLBACK_SECRET: &str = "a callback secret of the tests";
const TWILIO_ACCOUNT: &str = "AC000000000000000000000000000051f0";
const TWILIO_TOKEN: &str = "auth token of the tests";
const MAILGUN_KEY: &str = "key of the tests";
const MAILGUN_SIGNING_KEY: &str = "signing key of the tests";
const CONNECTIONS: usize = 4;

/// How the providers behave and how fast their accounts may be used.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub scenario: Scenario,
    /// Of every account. None: no limit.
    pub rate_per_second: Option<f64>,
    /// Requests that one worker may have open at once.
    pub in_flight_max: Option<usize>,
}

/// Processes come first, so that they are killed before what they stand on goes.
pub struct Fleet {
    pub api: Process,
    pub collector: Process,
    pub store: Store,
    pub simulator: Simulator,
    pub client: Client,
    environment: BTreeMap<String, String>,
    token_keys: TokenKeys,
    database: TestDatabase,
    _folder: TempDir,
}

impl Fleet {
    /// Starts api and collector on a database of their own and the broker at `amqp_url`.
    pub async fn start(amqp_url: &str, settings: Settings) -> Result<Self> {
        let rate_per_second = settings.rate_per_second;
        Self::with_accounts(amqp_url, settings, |simulator| accounts_toml(simulator, rate_per_second)).await
    }

    /// The same with traces of everything, to the collector at `endpoint`.
    pub async fn traced(amqp_url: &str, settings: Settings, endpoint: &str) -> Result<Self> {
        Self::traced_beside(amqp_url, settings, endpoint, "").await
    }

    /// The same with the accounts of `others` beside its own.
    pub async fn traced_beside(
        amqp_url: &str,
        settings: Settings,
        endpoint: &str,
        others: &str,
    ) -> Result<Self> {
        let rate_per_second = settings.rate_per_second;
        let trace = format!("[trace]\nendpoint = {endpoint:?}\nsample_ratio = 1.0\n\n");
        Self::with_accounts(amqp_url, settings, |simulator| {
            trace + &accounts_toml(simulator, rate_per_second) + others
        })
        .await
    }

    /// The same with one account: mail over the relay at `relay`.
    pub async fn over_relay(amqp_url: &str, relay: &str) -> Result<Self> {
        Self::with_accounts(amqp_url, Settings::default(), |_| relay_toml(relay)).await
    }

    /// The same with the accounts of `toml`.
    pub async fn with_accounts_of(amqp_url: &str, toml: String) -> Result<Self> {
        Self::with_accounts(amqp_url, Settings::default(), |_| toml).await
    }

    async fn with_accounts(
        amqp_url: &str,
        settings: Settings,
        accounts_of: impl FnOnce(&str) -> String,
    ) -> Result<Self> {
        let database = TestDatabase::create().await?;
        let [api, collector] = free_ports()?;
        let public_url = format!("http://127.0.0.1:{collector}");
        let mut scenario = settings.scenario.clone();
        scenario.credentials = credentials();
        scenario.mailgun_webhook = Some(format!("{public_url}/callbacks/email/{{token}}"));
        let simulator = Simulator::start(SimulatorConfig { listen: None, scenario }).await?;
        let folder = TempDir::new()?;
        let accounts = folder.path().join("tocsin.toml");
        std::fs::write(&accounts, accounts_of(&simulator.base_url))?;
        let mut environment = BTreeMap::from(
            [
                ("DATABASE_URL", database.url.as_str()),
                ("AMQP_URL", amqp_url),
                ("TOCSIN_CONFIG", accounts.to_str().context("a folder whose name is no text")?),
                ("TOCSIN_DATABASE_POOL", "4"),
                ("TOCSIN_API__LISTEN", &format!("127.0.0.1:{api}")),
                ("TOCSIN_COLLECTOR__LISTEN", &format!("127.0.0.1:{collector}")),
                ("TOCSIN_PUBLIC_URL", &public_url),
                ("TOCSIN_CALLBACK__SECRET", CALLBACK_SECRET),
                ("TOCSIN_WEBHOOKS__SECRET", "a webhook secret of the tests"),
                ("TOCSIN_LOG__FORMAT", "json"),
                ("TOCSIN_LOG__FILTER", "info,tocsin_worker=debug"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        if let Some(in_flight_max) = settings.in_flight_max {
            environment.insert("TOCSIN_WORKER__IN_FLIGHT_MAX".to_owned(), in_flight_max.to_string());
        }
        let api_process = start(&["api"], &environment, "api listens").await?;
        let collector_process =
            start(&["status-collector"], &environment, "status collector listens").await?;
        let store = Store::open(&database.url, CONNECTIONS, Access::Engine)?;
        let key = district::found(&store).await?;
        Ok(Self {
            api: api_process,
            collector: collector_process,
            client: Client::new(&format!("http://127.0.0.1:{api}"), key)?,
            store,
            simulator,
            environment,
            token_keys: TokenKeys::new(&Secret::new(CALLBACK_SECRET), None),
            database,
            _folder: folder,
        })
    }

    /// What processes that are started from now on find in their environment.
    pub fn set(&mut self, key: &str, value: &str) {
        self.environment.insert(key.to_owned(), value.to_owned());
    }

    /// The environment of a process of the fleet, for a test that starts its own.
    pub fn environment(&self) -> BTreeMap<String, String> {
        self.environment.clone()
    }

    /// Starts another api in the place of the one that has left, and another collector.
    pub async fn replace_doors(&mut self) -> Result<()> {
        self.api = start(&["api"], &self.environment, "api listens").await?;
        self.collector = start(&["status-collector"], &self.environment, "status collector listens").await?;
        Ok(())
    }

    /// Starts a planner and waits until it is ready.
    pub async fn planner(&self) -> Result<Process> {
        self.planner_with(&[]).await
    }

    /// The same with more in its environment.
    pub async fn planner_with(&self, more: &[(&str, &str)]) -> Result<Process> {
        let mut environment = self.environment.clone();
        environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let planner = start(&["planner"], &environment, "health and metrics are served").await?;
        wait_until("the planner to be ready", facts::WITHIN, async || planner.is_ready().await).await?;
        Ok(planner)
    }

    /// Starts a worker for `channels` and waits until it takes jobs. Its sessions with the store are named `worker`.
    pub async fn worker(&self, channels: &[Channel]) -> Result<Worker> {
        let names = channels.iter().flat_map(|channel| ["--channel", channel.as_str()]);
        let arguments: Vec<&str> = ["worker"].into_iter().chain(names).collect();
        let mut environment = self.environment.clone();
        let mark = if self.database.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{mark}application_name=worker", self.database.url);
        environment.insert("DATABASE_URL".to_owned(), url);
        let mut process = start(&arguments, &environment, "health and metrics are served").await?;
        let taking = process.logged("taking jobs").await?;
        let id = taking["worker.id"].as_str().context("a worker without an id")?.to_owned();
        Ok(Worker { id, process })
    }

    /// Runs `tocsin` with these arguments to its end, in the environment of the fleet.
    pub fn tocsin(&self, arguments: &[&str]) -> Result<std::process::Output> {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tocsin"));
        command.args(arguments).env_clear().envs(&self.environment).stdin(std::process::Stdio::null());
        Ok(command.output()?)
    }

    /// As [`Fleet::tocsin`] with `--json`, which must succeed.
    pub fn tocsin_json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let output = self.tocsin(&arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{}: {said}", arguments.join(" "));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Kills api and collector and goes on with another database. What is asked of the fleet from then on is asked of that.
    pub fn goes_on_with(&mut self, database: TestDatabase) -> Result<()> {
        self.api.kill()?;
        self.collector.kill()?;
        self.environment.insert("DATABASE_URL".to_owned(), database.url.clone());
        self.store = Store::open(&database.url, CONNECTIONS, Access::Engine)?;
        self.database = database;
        Ok(())
    }

    /// Starts api and collector anew.
    pub async fn starts_again(&mut self) -> Result<()> {
        self.api = Process::start(&["api"], &self.environment)?;
        self.collector = Process::start(&["status-collector"], &self.environment)?;
        self.api.logged("api listens").await?;
        self.collector.logged("status collector listens").await?;
        Ok(())
    }

    /// Runs one statement as the owner of the database, and returns its first column of the first row as text.
    pub async fn ask(&self, sql: &str) -> Result<Option<String>> {
        let (client, connection) = tokio_postgres::connect(&self.database.url, NoTls).await?;
        let asked = async {
            let answer = client.simple_query(sql).await;
            // The connection ends when its client is gone.
            drop(client);
            answer
        };
        let (answer, _) = tokio::join!(asked, connection);
        let mut rows = answer?.into_iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        });
        Ok(rows.next().flatten())
    }

    /// Job and number of the attempts that a worker has claimed so far.
    pub async fn attempts_of(&self, worker: &str) -> Result<Vec<(i32, i16)>> {
        let sql = format!(
            "select string_agg(job_id || '/' || number, ' ') from attempts where worker_id = '{worker}'"
        );
        let listed = self.ask(&sql).await?.unwrap_or_default();
        let read = |attempt: &str| {
            let (job, number) = attempt.split_once('/').context("no attempt")?;
            Ok((job.parse()?, number.parse()?))
        };
        listed.split_whitespace().map(read).collect()
    }

    /// Where the collector is reached.
    pub fn public_url(&self) -> &str {
        &self.environment["TOCSIN_PUBLIC_URL"]
    }

    /// The address of the database's owner, for a test that holds a lock.
    pub fn database_url(&self) -> &str {
        &self.database.url
    }

    /// Waits until `condition`, a SQL expression, is true.
    pub async fn until(&self, what: &str, condition: &str) -> Result<()> {
        let sql = format!("select {condition}");
        wait_until(what, facts::WITHIN, async || {
            self.ask(&sql).await.is_ok_and(|answer| answer.as_deref() == Some("t"))
        })
        .await?;
        Ok(())
    }

    /// Lets time pass for the attempts that `which`, a SQL condition, names: as if they had been claimed so much
    /// earlier. The store's clock itself stays, for the leases of living workers are measured by it.
    pub async fn age_attempts(&self, which: &str, age: Duration) -> Result<()> {
        let age = format!("interval '{} s'", age.as_secs());
        self.ask(&format!(
            "begin;
             update attempts set claimed_at = claimed_at - {age}, send_by = send_by - {age} where {which};
             update claim_batches set check_at = check_at - {age};
             commit"
        ))
        .await?;
        Ok(())
    }

    /// Waits until the campaign is closed, and holds it against the promises and its counters against its rows.
    pub async fn ends_well(&self, campaign: CampaignId) -> Result<Facts> {
        facts::closed(&self.store, campaign).await?;
        let records = self.simulator.records();
        let facts = facts::promises_hold(&self.store, &records, &self.token_keys, campaign).await?;
        facts::counters_are_the_rows(&self.client, &self.store, campaign).await?;
        Ok(facts)
    }

    /// Waits until this many requests to call, text or mail somebody have arrived.
    pub async fn sends_reach(&self, sends: usize) -> Result<()> {
        let what = format!("{sends} sends to arrive");
        wait_until(&what, facts::WITHIN, async || self.simulator.sends().len() >= sends).await?;
        Ok(())
    }
}

/// Starts a process with a health address of its own, and waits until it has logged `words`.
pub async fn start(
    arguments: &[&str],
    environment: &BTreeMap<String, String>,
    words: &str,
) -> Result<Process> {
    let [port] = free_ports()?;
    let mut environment = environment.clone();
    environment.insert("TOCSIN_HEALTH__LISTEN".to_owned(), format!("127.0.0.1:{port}"));
    let mut process = Process::start(arguments, &environment)?;
    process.logged(words).await?;
    Ok(process)
}

/// A worker's process and the id it logs and claims under.
pub struct Worker {
    pub id: String,
    pub process: Process,
}

/// Ports that are free now. All are held until the last is known, so that they differ.
pub fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let mut held = Vec::with_capacity(COUNT);
    let mut ports = [0; COUNT];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

pub fn credentials() -> Credentials {
    Credentials {
        twilio_account: TWILIO_ACCOUNT.to_owned(),
        twilio_token: Secret::new(TWILIO_TOKEN),
        mailgun_key: Secret::new(MAILGUN_KEY),
        mailgun_signing_key: Secret::new(MAILGUN_SIGNING_KEY),
        ..Credentials::default()
    }
}

/// What bounces of the relay's account are posted with.
pub const BOUNCE_PASSWORD: &str = "bounce password of the tests";

fn relay_toml(relay: &str) -> String {
    format!(
        r#"[[accounts]]
name = "email"
channel = "email"
provider = "smtp"
base_url = "{relay}"
signing_key = "{BOUNCE_PASSWORD}"
sender = "Office <office@{MAIL_DOMAIN}>"
domain = "{MAIL_DOMAIN}"
"#
    )
}

/// One account for each channel, named after it, on the simulator.
pub fn accounts_toml(simulator: &str, rate_per_second: Option<f64>) -> String {
    let limits =
        rate_per_second.map_or_else(String::new, |rate| format!("rate_per_second = {rate:?}\nburst = 1"));
    Channel::ALL.map(|channel| account_toml(channel, simulator, &limits)).concat()
}

/// Another account of the channel, with a provider that is gone.
pub fn away_toml(channel: Channel) -> String {
    let name = format!("name = \"{channel}\"");
    account_toml(channel, "http://127.0.0.1:9", "").replace(&name, &format!("name = \"{channel}-away\""))
}

fn account_toml(channel: Channel, simulator: &str, limits: &str) -> String {
    let provider = match channel {
        Channel::Voice | Channel::Sms => format!(
            r#"provider = "twilio"
base_url = "{simulator}"
user = "{TWILIO_ACCOUNT}"
secret = "{TWILIO_TOKEN}"
sender = "{SENDER}""#
        ),
        Channel::Email => format!(
            r#"provider = "mailgun"
base_url = "{simulator}"
secret = "{MAILGUN_KEY}"
signing_key = "{MAILGUN_SIGNING_KEY}"
sender = "office@{MAIL_DOMAIN}"
domain = "{MAIL_DOMAIN}""#
        ),
        Channel::Inbox => r#"provider = "inbox""#.to_owned(),
    };
    format!("[[accounts]]\nname = \"{channel}\"\nchannel = \"{channel}\"\n{provider}\n{limits}\n\n")
}
