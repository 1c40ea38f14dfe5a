//! The vendors, played: an HTTP server that takes calls, texts and mails as Twilio and Mailgun do
//! (wire A, B), behaves as a [`Scenario`] says and reports by signed callbacks. Beside it an SMTP server takes mail.
//!
//! It keeps a record of every request and its arrival: what the promises' checks hold against the
//! store. Tests start it in their own process; the demo and the load test beside theirs, where
//! `/sim/…` gives the same ([`control`]).

mod answer;
mod auth;
mod behaviour;
mod callbacks;
mod clock;
mod control;
mod delivery;
mod detection;
mod fate;
mod gateway;
mod inbound;
mod ledger;
mod lines;
mod mailgun;
mod mailgun_refusals;
mod receiver;
mod record;
mod report;
mod scenario;
mod smtp;
mod tls;
mod twilio;
mod twilio_refusals;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use rand::rngs::StdRng;
use tocsin_domain::Channel;
use tocsin_providers::{AccountSettings, ProviderKind};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use callbacks::CallbackCounts;
pub use control::Stats;
pub use fate::Fate;
pub use gateway::{GatewayMessage, GatewayServer};
pub use inbound::{PersonText, TextAnswer};
pub use receiver::CallbackReceiver;
pub use record::{Kind, Record};
pub use scenario::{
    CallbackEvents, Callbacks, ChannelScenario, Credentials, Delay, Faults, Scenario, SmtpFaults,
    SmtpScenario,
};
pub use smtp::{Mail, SmtpDoor};

use callbacks::{CallbackQueue, Manner};
use ledger::Ledger;
use lines::Lines;
use record::Snapshot;
use smtp::Mailbox;

/// The number that the simulated account owns, as Twilio's test credentials do (wire A.7).
pub const SENDER: &str = "+15005550006";
/// The simulated sending domain.
pub const MAIL_DOMAIN: &str = "mail.example.org";
/// How long requests under way may take once the simulator is to stop.
const STOP_LIMIT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Default)]
pub struct SimulatorConfig {
    /// Default: a free port of this machine.
    pub listen: Option<SocketAddr>,
    pub scenario: Scenario,
}

/// A running simulator. It stops when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    /// The `base_url` for every account: `http://127.0.0.1:<port>`.
    pub base_url: String,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: DropGuard,
}

/// What the request handlers and the callback sender have in common.
#[derive(Debug)]
struct Shared {
    scenario: RwLock<Arc<Scenario>>,
    ledger: Ledger,
    callbacks: CallbackQueue,
    lines: Lines,
    mailbox: Mailbox,
    client: reqwest::Client,
    requests: AtomicU64,
    stop: CancellationToken,
}

impl Shared {
    fn scenario(&self) -> Arc<Scenario> {
        self.scenario.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Numbers the requests in their order of arrival.
    fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Plans what becomes of an accepted message: from now on, or from its turn on where the vendor has a line. What is
    /// returned resolves when its early report has been posted.
    fn work_on(
        &self,
        message: &Snapshot,
        manner: &Manner<'_>,
        rng: &mut StdRng,
    ) -> Option<oneshot::Receiver<()>> {
        let (plan, early) = self.callbacks.plan(message, manner, rng);
        match manner.waits {
            true => self.lines.enter(message.channel, message.id, plan),
            false => self.callbacks.begin(plan),
        }
        early
    }
}

impl Simulator {
    pub async fn start(config: SimulatorConfig) -> anyhow::Result<Self> {
        config.scenario.check()?;
        let listen = config.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("the simulator cannot listen on {listen}"))?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let shared = Arc::new(Shared {
            scenario: RwLock::new(Arc::new(config.scenario)),
            ledger: Ledger::new(clock::now()),
            callbacks: CallbackQueue::new(),
            lines: Lines::default(),
            mailbox: Mailbox::default(),
            client: tocsin_providers::http_client()?,
            requests: AtomicU64::new(0),
            stop: stop.clone(),
        });
        tasks.spawn(serve(listener, router(shared.clone()), stop.clone()));
        tasks.spawn(delivery::deliver_all(shared.clone()));
        tasks.spawn(lines::work_off(shared.clone()));
        Ok(Self { base_url, shared, tasks, stop: stop.drop_guard() })
    }

    /// Settings that reach this simulator, named after the channel. None for the inbox, which has no
    /// vendor.
    pub fn account(&self, channel: Channel) -> Option<AccountSettings> {
        let credentials = &self.shared.scenario().credentials;
        let twilio = AccountSettings {
            name: channel.as_str().to_owned(),
            channel,
            kind: ProviderKind::Twilio,
            base_url: self.base_url.clone(),
            user: credentials.twilio_account.clone(),
            secret: credentials.twilio_token.clone(),
            signing_keys: vec![],
            sender: SENDER.to_owned(),
            domain: None,
            ca_file: None,
            profile: None,
            connections_max: None,
        };
        match channel {
            Channel::Voice | Channel::Sms => Some(twilio),
            Channel::Email => Some(AccountSettings {
                kind: ProviderKind::Mailgun,
                user: "api".to_owned(),
                secret: credentials.mailgun_key.clone(),
                signing_keys: vec![credentials.mailgun_signing_key.clone()],
                sender: format!("School <office@{MAIL_DOMAIN}>"),
                domain: Some(MAIL_DOMAIN.to_owned()),
                ..twilio
            }),
            Channel::Inbox => None,
        }
    }

    /// Takes mail over SMTP too; by default on a free port of this machine.
    pub async fn take_mail(&self, listen: Option<SocketAddr>) -> anyhow::Result<SmtpDoor> {
        smtp::listen(&self.shared, &self.tasks, listen).await
    }

    /// The mails that were accepted over SMTP, the oldest first: as many as are kept.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.mailbox.mails()
    }

    /// Every request so far, in order of arrival.
    pub fn records(&self) -> Vec<Record> {
        self.shared.ledger.records(0, usize::MAX)
    }

    /// Every request so far, in order of arrival, a page at a time: for whoever needs little of each.
    pub fn read_records(&self, mut read: impl FnMut(&[Record])) {
        let mut after = 0;
        loop {
            let page = self.shared.ledger.records(after, control::PAGE_MAX);
            if page.is_empty() {
                return;
            }
            read(&page);
            after += page.len();
        }
    }

    /// The requests that ask to call, text or mail someone.
    pub fn sends(&self) -> Vec<Record> {
        self.records().into_iter().filter(|record| record.kind == Kind::Send).collect()
    }

    /// How many requests were made so far, faults and all. Costs nothing, unlike [`Simulator::stats`].
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// A person texts one of our numbers: posted signed, as Twilio does, and answered.
    pub async fn text(&self, text: &PersonText) -> anyhow::Result<TextAnswer> {
        inbound::post(&self.shared, text).await
    }

    pub fn stats(&self) -> Stats {
        control::stats(&self.shared)
    }

    /// Takes effect with the next request; what is accepted keeps its fate.
    pub fn set_scenario(&self, scenario: Scenario) -> anyhow::Result<()> {
        control::set_scenario(&self.shared, scenario)
    }

    /// Writes every record as one line of JSON.
    pub fn export(&self, mut to: impl std::io::Write) -> anyhow::Result<()> {
        control::export(&self.shared, &mut to)
    }

    /// Waits until no callback is due, waiting or on its way, at most for `limit`.
    pub async fn callbacks_done(&self, limit: Duration) -> anyhow::Result<()> {
        tokio::time::timeout(limit, self.shared.callbacks.done()).await.with_context(|| {
            format!("callbacks are still to be sent after {limit:?}: {:?}", self.stats().callbacks)
        })
    }

    /// Stops answering and calling back, and waits for what is under way.
    pub async fn stop(self) {
        self.stop.disarm().cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Runs a simulator until the process is interrupted: `loadtest provider-sim`.
pub async fn run(listen: SocketAddr, smtp: Option<SocketAddr>, scenario: Scenario) -> anyhow::Result<()> {
    let simulator = Simulator::start(SimulatorConfig { listen: Some(listen), scenario }).await?;
    tracing::info!(url = simulator.base_url, "provider simulator listens");
    if let Some(smtp) = smtp {
        let door = simulator.take_mail(Some(smtp)).await?;
        tracing::info!(address = %door.address, "provider simulator takes mail");
    }
    tokio::signal::ctrl_c().await.context("cannot listen for the interrupt")?;
    simulator.stop().await;
    Ok(())
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new().merge(twilio::routes()).merge(mailgun::routes()).merge(control::routes()).with_state(shared)
}

/// A client that keeps its connection busy does not hold up the end.
async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let ended = async {
        stop.cancelled().await;
        tokio::time::sleep(STOP_LIMIT).await;
    };
    tokio::select! {
        result = served => {
            if let Err(error) = result {
                tracing::error!(%error, "the simulator stopped answering");
            }
        }
        () = ended => {}
    }
}
