//! The roles as processes of their own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tocsin_runtime::{Stopwatch, Tasks};
use tocsin_testkit::simulator::{SENDER, Scenario, Simulator};
use tocsin_testkit::{free_ports, wait_until};
use tokio::net::TcpStream;

use super::process::Process;
use super::wire::{AMQP_PORT, POSTGRES_PORT, Wires, authority};
use super::{Ground, Setup};

const TRACE_ENDPOINT: &str = "TOCSIN_TRACE__ENDPOINT";
/// Beyond what a role is given to leave.
const LEAVES_WITHIN: Duration = Duration::from_secs(40);
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Connections to the database of a role that is there once, and of one of many worker processes.
const POOL: &str = "8";
const POOL_OF_MANY: &str = "4";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Api,
    Collector,
    Planner,
    Worker,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Api, Self::Collector, Self::Planner, Self::Worker];

    /// The name of its figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Collector => "collector",
            Self::Planner => "planner",
            Self::Worker => "worker",
        }
    }

    /// What it logs once it works; the planner logs nothing, and is asked.
    fn ready_words(self) -> Option<&'static str> {
        match self {
            Self::Api => Some("api listens"),
            Self::Collector => Some("status collector listens"),
            Self::Planner => None,
            Self::Worker => Some("taking jobs"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many workers, in processes of `each`.
#[derive(Debug, Clone, Copy)]
pub struct Workers {
    pub processes: usize,
    pub each: usize,
}

impl Default for Workers {
    fn default() -> Self {
        Self { processes: 1, each: 1 }
    }
}

impl Workers {
    /// A process each up to eight; more share eight to a process, for each process holds connections.
    pub fn of(count: usize) -> Self {
        let each = if count > PROCESSES_MAX { PROCESSES_MAX } else { 1 };
        Self { processes: count.div_ceil(each), each }
    }

    pub fn count(self) -> usize {
        self.processes * self.each
    }
}

const PROCESSES_MAX: usize = 8;

/// What to start, and against what.
pub struct Plan<'a> {
    pub setup: &'a Setup,
    pub simulator: &'a Simulator,
    pub callback_secret: &'a str,
}

/// The processes come first, so that they are gone before their folder.
#[derive(Debug)]
pub struct Fleet {
    processes: Vec<(Role, Process)>,
    /// Where the newest planner says how it is.
    planner_health: String,
    /// Where the newest api and collector listen, where they are behind doors.
    behind: BTreeMap<Role, String>,
    pub api_url: String,
    /// Where providers report.
    pub public_url: String,
    pub wires: Wires,
    environment: BTreeMap<String, String>,
    workers_each: usize,
    calls: bool,
    started: usize,
    folder: TempDir,
}

impl Fleet {
    /// Starts every role, and waits until each works.
    pub async fn start(ground: &Ground, plan: Plan<'_>, tasks: &Tasks) -> Result<Self> {
        let [api, collector] = free_ports()?;
        let wires = Wires::of(plan.setup.wiring, ground, tasks).await?;
        let (api_url, public_url) = match &wires.doors {
            Some(doors) => {
                (format!("http://{}", doors.api.address), format!("http://{}", doors.collector.address))
            }
            None => (format!("http://127.0.0.1:{api}"), format!("http://127.0.0.1:{collector}")),
        };
        let folder = TempDir::with_prefix("loadtest-")?;
        let config = folder.path().join("tocsin.toml");
        std::fs::write(&config, accounts_toml(&plan))?;
        let workers = plan.setup.workers;
        let in_flight = plan.setup.in_flight / workers.count().max(1);
        let pool = if workers.processes > 1 { POOL_OF_MANY } else { POOL };
        let environment = BTreeMap::from(
            [
                ("DATABASE_URL", ground.database_url.as_str()),
                ("AMQP_URL", &ground.amqp_url),
                ("TOCSIN_CONFIG", config.to_str().context("a folder whose name is no text")?),
                ("TOCSIN_DATABASE_POOL", pool),
                ("TOCSIN_API__LISTEN", &format!("127.0.0.1:{api}")),
                ("TOCSIN_COLLECTOR__LISTEN", &format!("127.0.0.1:{collector}")),
                ("TOCSIN_PUBLIC_URL", &public_url),
                ("TOCSIN_CALLBACK__SECRET", plan.callback_secret),
                ("TOCSIN_WORKER__IN_FLIGHT_MAX", &in_flight.to_string()),
                ("TOCSIN_LOG__FORMAT", "json"),
                ("TOCSIN_LOG__FILTER", "info,lapin=off"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let mut fleet = Self {
            processes: Vec::new(),
            planner_health: String::new(),
            behind: BTreeMap::new(),
            api_url,
            public_url,
            wires,
            environment,
            workers_each: workers.each,
            calls: plan.setup.call_places.is_some(),
            started: 0,
            folder,
        };
        for role in [Role::Api, Role::Collector, Role::Planner] {
            fleet.spawn(role)?;
        }
        for _ in 0..workers.processes {
            fleet.spawn(Role::Worker)?;
        }
        fleet.ready().await?;
        Ok(fleet)
    }

    /// Starts one more process of a role, and waits until it works.
    pub async fn add(&mut self, role: Role) -> Result<()> {
        self.spawn(role)?;
        self.ready().await
    }

    /// Starts another process of the role, sends it what the old one was sent, and has the old one leave, as a deploy does.
    /// Returns how long that took it; an error when it did not leave in order.
    pub async fn replace(&mut self, role: Role) -> Result<Duration> {
        let index = self.processes.iter().position(|(other, _)| *other == role);
        let index = index.with_context(|| format!("there is no {role} to replace"))?;
        self.add(role).await?;
        let (_, old) = self.processes.remove(index);
        let since = Stopwatch::start();
        old.ask_to_leave()?;
        old.output(LEAVES_WITHIN).await?;
        Ok(since.elapsed())
    }

    /// Every process leaves, and starts again with traces sent to `endpoint`, or with none.
    pub async fn restart_with_traces(&mut self, endpoint: Option<&str>) -> Result<()> {
        match endpoint {
            Some(endpoint) => self.environment.insert(TRACE_ENDPOINT.to_owned(), endpoint.to_owned()),
            None => self.environment.remove(TRACE_ENDPOINT),
        };
        let left: Vec<(Role, Process)> = self.processes.drain(..).collect();
        for (_, process) in &left {
            process.ask_to_leave()?;
        }
        for (role, process) in left {
            process.output(LEAVES_WITHIN).await?;
            self.spawn(role)?;
        }
        self.ready().await
    }

    /// SIGKILL to the process of this role that was started first. False: there is none.
    pub fn kill(&mut self, role: Role) -> Result<bool> {
        let Some(index) = self.processes.iter().position(|(other, _)| *other == role) else {
            return Ok(false);
        };
        let (_, mut process) = self.processes.remove(index);
        process.kill()?;
        Ok(true)
    }

    pub fn processes_of(&self, role: Role) -> Vec<u32> {
        let of_role = self.processes.iter().filter(|(other, _)| *other == role);
        of_role.map(|(_, process)| process.id()).collect()
    }

    /// The last words of a process that ended although nobody killed it.
    pub fn ended(&mut self) -> Option<String> {
        self.processes.iter_mut().find_map(|(_, process)| process.ended())
    }

    fn spawn(&mut self, role: Role) -> Result<()> {
        self.started += 1;
        let log: PathBuf = self.folder.path().join(format!("{role}-{}.log", self.started));
        let each = self.workers_each.to_string();
        let words: &[&str] = match role {
            Role::Api => &["role", "api"],
            Role::Collector => &["role", "status-collector"],
            Role::Planner => &["role", "planner"],
            Role::Worker if self.calls => {
                &["role", "--count", &each, "worker", "--channel", "sms", "--channel", "voice"]
            }
            Role::Worker => &["role", "--count", &each, "worker", "--channel", "sms"],
        };
        let mut environment = self.environment.clone();
        let api_only = self.wires.api_to_broker.as_ref().filter(|_| role == Role::Api);
        let turned = [
            ("AMQP_URL", AMQP_PORT, self.wires.broker.as_ref().or(api_only)),
            ("DATABASE_URL", POSTGRES_PORT, self.wires.database.as_ref()),
        ];
        for (name, port, wire) in turned {
            let Some(wire) = wire else { continue };
            let (_, turn) = authority(&environment[name], port)?;
            environment.insert(name.to_owned(), turn(&wire.address));
        }
        if role == Role::Planner {
            let [port] = free_ports()?;
            self.planner_health = format!("127.0.0.1:{port}");
            environment.insert("TOCSIN_HEALTH__LISTEN".to_owned(), self.planner_health.clone());
        }
        // Whoever is replaced is looked at meanwhile, as in a deployment.
        if role != Role::Planner && self.wires.doors.is_some() {
            let [port] = free_ports()?;
            environment.insert("TOCSIN_HEALTH__LISTEN".to_owned(), format!("127.0.0.1:{port}"));
        }
        let listens = match role {
            Role::Api => Some("TOCSIN_API__LISTEN"),
            Role::Collector => Some("TOCSIN_COLLECTOR__LISTEN"),
            Role::Planner | Role::Worker => None,
        };
        if let Some(key) = listens.filter(|_| self.wires.doors.is_some()) {
            let [port] = free_ports()?;
            let address = format!("127.0.0.1:{port}");
            environment.insert(key.to_owned(), address.clone());
            environment.insert("TOCSIN_SHUTDOWN__DELAY_SECONDS".to_owned(), "1".to_owned());
            self.behind.insert(role, address);
        }
        self.processes.push((role, Process::start(words, &environment, log)?));
        Ok(())
    }

    async fn ready(&mut self) -> Result<()> {
        for (role, process) in &mut self.processes {
            let times = if *role == Role::Worker { self.workers_each } else { 1 };
            if let Some(words) = role.ready_words() {
                process.logged(words, times).await?;
            }
        }
        let health = &self.planner_health;
        wait_until("the planner to be ready", READY_WITHIN, async || {
            TcpStream::connect(health).await.is_ok()
        })
        .await?;
        if let Some(doors) = &self.wires.doors {
            for (role, door) in [(Role::Api, &doors.api), (Role::Collector, &doors.collector)] {
                self.behind.get(&role).into_iter().for_each(|address| door.turn_to(address));
            }
        }
        Ok(())
    }
}

/// A text account on the simulator, with its default credentials; and one for calls where there are any.
fn accounts_toml(plan: &Plan<'_>) -> String {
    let limits = plan.setup.limits;
    let rate = limits.rate_per_second.map(|rate| format!("rate_per_second = {rate:?}\n")).unwrap_or_default();
    let burst = limits.burst.map(|burst| format!("burst = {burst}\n")).unwrap_or_default();
    let texts = account_toml(plan.simulator, "sms", &format!("{rate}{burst}"));
    let calls = plan.setup.call_places.map(|places| format!("concurrency = {places}\n"));
    let calls = calls.map(|limits| account_toml(plan.simulator, "voice", &limits));
    texts + &calls.unwrap_or_default()
}

fn account_toml(simulator: &Simulator, channel: &str, limits: &str) -> String {
    let credentials = Scenario::default().credentials;
    format!(
        r#"[[accounts]]
name = "{channel}"
channel = "{channel}"
provider = "twilio"
base_url = "{}"
user = "{}"
secret = "{}"
sender = "{SENDER}"
{limits}
"#,
        simulator.base_url,
        credentials.twilio_account,
        credentials.twilio_token.reveal(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_workers_share_few_processes() {
        for (count, processes, each) in [(1, 1, 1), (8, 8, 1), (9, 2, 8), (32, 4, 8)] {
            let workers = Workers::of(count);
            assert_eq!((workers.processes, workers.each), (processes, each), "{count}");
        }
    }
}
