//! What is measured: every role on a database and a vhost of its own, or a deployment; and the provider simulator.

mod fleet;
mod ground;
mod process;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tocsin_domain::{CampaignId, Channel};
use tocsin_providers::{Secret, TokenKeys};
use tocsin_runtime::Tasks;
use tocsin_store::audit::CampaignFacts;
use tocsin_store::{Access, Store};
use tocsin_testkit::simulator::{Scenario, Simulator, SimulatorConfig};
use tocsin_testkit::wait_until;

pub use self::fleet::{Fleet, Role, Workers};
pub use self::ground::Ground;
pub use self::process::Process;
pub use self::wire::{AMQP_PORT, POSTGRES_PORT, Wire, authority};

use crate::campaign::{self, Kind};
use crate::district::{self, District, Guardians};
use crate::options::Options;
use crate::progress::Progress;

const CONNECTIONS: usize = 4;
const CALLBACK_SECRET: &str = "the load test's callback secret";
/// A deployment whose text account is not the simulator's would send to somebody else: found out by one text to a
/// number of nobody, before anything more is sent.
const PROBE_WITHIN: Duration = Duration::from_secs(30);

/// What a scenario wants started.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    pub scenario: Scenario,
    pub limits: Limits,
    pub workers: Workers,
    /// Requests open at once, over all workers.
    pub in_flight: usize,
    pub wiring: Wiring,
    /// Calls under way at once. None: there is no voice account, and nobody calls.
    pub call_places: Option<u32>,
    pub servers: Servers,
}

/// Whose servers the roles stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Servers {
    /// Those that DATABASE_URL and AMQP_URL name.
    #[default]
    Given,
    /// Started for this run alone, where that can be.
    Own,
}

/// Of the text account. None: no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    pub rate_per_second: Option<f64>,
    pub burst: Option<u32>,
}

/// Whose connections to the servers can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wiring {
    #[default]
    Direct,
    /// The api reaches the broker over a wire: cut, no cancel is broadcast.
    ApiToBroker,
    /// Every role reaches both servers over wires.
    All,
    /// Api and collector are reached over wires, which can be turned to others of them.
    Doors,
}

/// The fleet comes first, so that it is gone before what it stands on.
#[derive(Debug)]
pub struct Stage {
    /// None: a deployment.
    pub fleet: Option<Fleet>,
    pub simulator: Simulator,
    /// Every district.
    pub store: Store,
    pub token_keys: TokenKeys,
    pub api_url: String,
    pub ground: Ground,
    pub tasks: Tasks,
    folder: TempDir,
}

impl Stage {
    pub async fn start(options: &Options, setup: Setup) -> Result<Self> {
        match &options.target.api {
            Some(api) => Self::join(options, setup, api).await,
            None => Self::own(options, setup).await,
        }
    }

    /// Everything is started here.
    async fn own(options: &Options, setup: Setup) -> Result<Self> {
        let tasks = Tasks::new();
        let ground = match setup.servers {
            Servers::Given => Ground::make().await?,
            Servers::Own => Ground::with_servers().await?,
        };
        let scenario = Scenario { seed: options.seed, ..setup.scenario.clone() };
        let simulator = Simulator::start(SimulatorConfig { listen: None, scenario }).await?;
        let plan = fleet::Plan { setup: &setup, simulator: &simulator, callback_secret: CALLBACK_SECRET };
        let fleet = Fleet::start(&ground, plan, &tasks).await?;
        Ok(Self {
            api_url: fleet.api_url.clone(),
            fleet: Some(fleet),
            simulator,
            store: Store::open(&ground.database_url, CONNECTIONS, Access::Engine)?,
            token_keys: TokenKeys::new(&Secret::new(CALLBACK_SECRET), None),
            ground,
            tasks,
            folder: folder()?,
        })
    }

    /// Everything but the roles.
    pub async fn bare(options: &Options, scenario: Scenario) -> Result<Self> {
        let ground = Ground::make().await?;
        let scenario = Scenario { seed: options.seed, ..scenario };
        Ok(Self {
            fleet: None,
            simulator: Simulator::start(SimulatorConfig { listen: None, scenario }).await?,
            store: Store::open(&ground.database_url, CONNECTIONS, Access::Engine)?,
            token_keys: TokenKeys::new(&Secret::new(CALLBACK_SECRET), None),
            api_url: String::new(),
            ground,
            tasks: Tasks::new(),
            folder: folder()?,
        })
    }

    /// The roles run elsewhere; their accounts' `base_url` is where the simulator listens here.
    async fn join(options: &Options, setup: Setup, api: &str) -> Result<Self> {
        let target = &options.target;
        let ground = Ground::given(target).await?;
        let secret = ground::callback_secret(target)?;
        let scenario = Scenario { seed: options.seed, ..setup.scenario };
        let simulator =
            Simulator::start(SimulatorConfig { listen: Some(target.simulator), scenario }).await?;
        let stage = Self {
            fleet: None,
            simulator,
            store: Store::open(&ground.database_url, CONNECTIONS, Access::Engine)?,
            token_keys: TokenKeys::new(&Secret::new(secret), None),
            api_url: api.trim_end_matches('/').to_owned(),
            ground,
            tasks: Tasks::new(),
            folder: folder()?,
        };
        stage.probe().await?;
        Ok(stage)
    }

    /// One text, which has to reach this simulator and carry a token that can be read.
    async fn probe(&self) -> Result<()> {
        let district = self.district(1).await?;
        let probe = campaign::send(&district, Kind::General).await?;
        let reached = wait_until("the probe", PROBE_WITHIN, async || self.simulator.requests() > 0).await;
        if reached.is_err() {
            district.client.cancel(probe, "load test", "no simulator").await?;
            bail!(
                "a text to a number of nobody did not reach the simulator at {} within {PROBE_WITHIN:?}: let the \
                 deployment's one text account have that address as its base_url; nothing more was sent",
                self.simulator.base_url
            );
        }
        let token = self.simulator.sends().first().and_then(|send| send.token.clone()).unwrap_or_default();
        self.token_keys
            .read(&token)
            .context("the deployment signs with another callback secret: give it as --callback-secret")?;
        Ok(())
    }

    /// Guardians who take texts.
    pub async fn district(&self, guardians: usize) -> Result<District> {
        self.district_over(guardians, &[Channel::Sms]).await
    }

    pub async fn district_over(&self, guardians: usize, channels: &[Channel]) -> Result<District> {
        self.district_of(Guardians { numbers: 0..guardians, channels }).await
    }

    /// A district whose guardians have numbers of nobody.
    pub async fn district_of(&self, guardians: Guardians<'_>) -> Result<District> {
        let progress = Progress::new("making the district", guardians.numbers.len());
        district::make(&self.store, &self.api_url, guardians, &progress).await
    }

    /// The roles as processes, for a scenario that has asked [`crate::options::Target::own_only`].
    pub fn own_fleet(&mut self) -> Result<&mut Fleet> {
        self.fleet.as_mut().context("a deployment's processes are not ours")
    }

    pub async fn facts(&self, campaign: CampaignId) -> Result<CampaignFacts> {
        self.store.campaign_facts(campaign).await?.with_context(|| format!("there is no campaign {campaign}"))
    }

    /// Waits until none of the campaigns has an open job. A role that ends meanwhile ends the run.
    pub async fn closed(&mut self, what: &str, campaigns: &[CampaignId], bound: Wait) -> Result<()> {
        let progress = Progress::new(what, bound.requests);
        let before = self.simulator.requests();
        let mut open = campaigns.to_vec();
        let (store, simulator, fleet) = (&self.store, &self.simulator, &mut self.fleet);
        let mut ended = None;
        let closed = wait_until(what, bound.within, async || {
            progress.at(simulator.requests().saturating_sub(before) as usize);
            ended = fleet.as_mut().and_then(Fleet::ended);
            while let Some(&campaign) = open.last() {
                match store.campaign_facts(campaign).await {
                    Ok(Some(facts)) if facts.closed_at.is_some() => open.pop(),
                    _ => break,
                };
            }
            tokio::time::sleep(POLL).await;
            open.is_empty() || ended.is_some()
        })
        .await;
        match ended {
            Some(words) => bail!("{words}"),
            None => {
                closed.with_context(|| format!("{} of {} campaigns are open", open.len(), campaigns.len()))
            }
        }
    }

    /// Waits until the simulator has had so many requests in all. Looked at every millisecond.
    pub async fn requests_reach(&self, requests: u64, within: Duration) -> Result<()> {
        let reached = tokio::time::timeout(within, async {
            while self.simulator.requests() < requests {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        reached
            .await
            .with_context(|| format!("{} of {requests} requests after {within:?}", self.simulator.requests()))
    }

    /// A process of this program beside the roles, on the same servers. Its log goes with the value.
    pub fn process(&self, words: &[&str]) -> Result<Process> {
        let environment = BTreeMap::from(
            [("DATABASE_URL", &self.ground.database_url), ("AMQP_URL", &self.ground.amqp_url)]
                .map(|(name, value)| (name.to_owned(), value.clone())),
        );
        let name = words.first().copied().unwrap_or("process");
        Process::start(words, &environment, self.folder.path().join(format!("{name}.log")))
    }

    /// Kills what was started, and takes away what was made.
    pub async fn stop(self) {
        drop(self.fleet);
        self.store.close();
        self.simulator.stop().await;
        self.tasks.abort();
    }
}

fn folder() -> Result<TempDir> {
    TempDir::with_prefix("loadtest-").context("no temporary folder")
}

const POLL: Duration = Duration::from_millis(40);

/// How long a campaign may take, and how many requests it is expected to make.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    pub requests: usize,
    pub within: Duration,
}

impl Wait {
    /// Time enough for a tenth of the speed that is asked of the engine.
    pub fn for_requests(requests: usize) -> Self {
        Self { requests, within: Duration::from_secs(120 + requests as u64 / 200) }
    }
}
