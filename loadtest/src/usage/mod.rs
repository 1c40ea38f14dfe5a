//! Processor time and memory by process, from `/proc`.

mod proc;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tocsin_runtime::Tasks;

use crate::findings::Findings;
use crate::stage::{AMQP_PORT, POSTGRES_PORT, Role, Stage};

/// Processes that come and go in between are not seen.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Of the samples that look at the database's memory: the kernel walks every page of every session for it.
const DATABASE_MEMORY_EVERY: u32 = 4;
/// The record of every request and the callbacks are made in this process.
const SIMULATOR: &str = "simulator";
const DATABASE: &str = "database";
const BROKER: &str = "broker";
/// What the kernel shows processor time in (USER_HZ), on every architecture that servers run on.
const TICKS_PER_SECOND: f64 = 100.0;
const WHY_NULL: &str = "null: a process that is not on this machine, or not to be looked into";

/// Samples until it is dropped.
#[derive(Debug)]
pub struct Usage {
    meters: Arc<Mutex<Meters>>,
    tasks: Tasks,
}

/// Whose processes are looked at.
#[derive(Debug, Default)]
struct Meters {
    roles: BTreeMap<&'static str, Vec<u32>>,
    broker: Option<u32>,
    /// The server, and the name of our database.
    database: Option<(u32, String)>,
    /// Ticks at the first and at the last look, by process.
    cpu: BTreeMap<&'static str, HashMap<u32, (u64, u64)>>,
    peak_kb: BTreeMap<&'static str, u64>,
    samples: u32,
}

impl Usage {
    /// Counts from now on.
    pub fn begin(stage: &Stage) -> Self {
        let mut meters = Meters::default();
        meters.roles.insert(SIMULATOR, vec![std::process::id()]);
        let is_deployment = !stage.ground.is_own();
        for role in Role::ALL.into_iter().filter(|_| is_deployment || stage.fleet.is_some()) {
            let pids = stage.fleet.as_ref().map(|fleet| fleet.processes_of(role)).unwrap_or_default();
            meters.roles.insert(role.name(), pids);
        }
        if !is_deployment {
            let ground = &stage.ground;
            meters.broker = server(&ground.amqp_url, AMQP_PORT, "beam");
            let postgres = server(&ground.database_url, POSTGRES_PORT, "postgres");
            meters.database = postgres.map(|pid| (pid, ground.database_name().to_owned()));
        }
        meters.sample(Look::First);
        let meters = Arc::new(Mutex::new(meters));
        let (tasks, sampled) = (stage.tasks.child(), Arc::clone(&meters));
        tasks.spawn("usage", async move {
            loop {
                tokio::time::sleep(SAMPLE_EVERY).await;
                lock(&sampled).sample(Look::Later);
            }
        });
        Self { meters, tasks }
    }

    /// A process that is no role.
    pub fn watch(&self, name: &'static str, pid: u32) {
        lock(&self.meters).roles.insert(name, vec![pid]);
    }

    /// Ends the count.
    pub fn end(self) -> Used {
        self.tasks.abort();
        let mut meters = lock(&self.meters);
        // The last one looks at everything.
        meters.samples = 0;
        meters.sample(Look::Later);
        Used { cpu_seconds: meters.seconds(), rss_mb: meters.megabytes() }
    }
}

/// What a count came to, by process; None where no process was seen.
#[derive(Debug, Clone, Default)]
pub struct Used {
    pub cpu_seconds: BTreeMap<&'static str, Option<f64>>,
    /// At its largest.
    pub rss_mb: BTreeMap<&'static str, Option<f64>>,
}

impl Used {
    /// Another count of the same processes beside this one.
    pub fn add(&mut self, other: Self) {
        for (name, seconds) in other.cpu_seconds {
            let sum = self.cpu_seconds.entry(name).or_default();
            *sum = sum.map_or(seconds, |sum| Some(sum + seconds.unwrap_or_default()));
        }
        for (name, megabytes) in other.rss_mb {
            let peak = self.rss_mb.entry(name).or_default();
            *peak = peak.map_or(megabytes, |peak| Some(peak.max(megabytes.unwrap_or_default())));
        }
    }

    /// Of all but the simulator.
    pub fn engine_seconds(&self) -> f64 {
        self.cpu_seconds
            .iter()
            .filter(|(name, _)| **name != SIMULATOR)
            .filter_map(|(_, seconds)| *seconds)
            .sum()
    }

    /// Adds `cpu_seconds_per_1000` and `rss_mb`, for so many jobs.
    pub fn tell(&self, jobs: usize, findings: &mut Findings) {
        let per_1000 = |seconds: f64| seconds / jobs as f64 * 1_000.0;
        let mut cpu: BTreeMap<&str, Option<f64>> =
            self.cpu_seconds.iter().map(|(name, seconds)| (*name, seconds.map(per_1000))).collect();
        if cpu.values().any(Option::is_none) {
            findings.note(WHY_NULL);
        }
        let whole = cpu.iter().all(|(name, seconds)| *name == SIMULATOR || seconds.is_some());
        cpu.insert("all_but_simulator", whole.then(|| per_1000(self.engine_seconds())));
        findings.figure("cpu_seconds_per_1000", cpu).figure("rss_mb", &self.rss_mb);
    }
}

impl Drop for Usage {
    fn drop(&mut self) {
        self.tasks.abort();
    }
}

fn lock(meters: &Arc<Mutex<Meters>>) -> MutexGuard<'_, Meters> {
    meters.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    First,
    Later,
}

impl Meters {
    fn sample(&mut self, look: Look) {
        let mut groups: Vec<(&'static str, Vec<u32>)> =
            self.roles.iter().map(|(name, pids)| (*name, pids.clone())).collect();
        groups.push((BROKER, self.broker.into_iter().collect()));
        groups.push((
            DATABASE,
            self.database.as_ref().map(|(pid, name)| sessions(*pid, name)).unwrap_or_default(),
        ));
        for (name, pids) in groups {
            self.sample_group(name, &pids, look);
        }
        self.samples += 1;
    }

    fn sample_group(&mut self, name: &'static str, pids: &[u32], look: Look) {
        let seen = self.cpu.entry(name).or_default();
        for &pid in pids {
            let Some(stat) = proc::stat(pid) else { continue };
            // Whoever was not there at the first look began with nothing.
            let first = if look == Look::First { stat.cpu_ticks } else { 0 };
            seen.entry(pid).or_insert((first, first)).1 = stat.cpu_ticks;
        }
        // The server's processes share most of their memory; of a role the largest process counts.
        let kb = match name {
            DATABASE if !self.samples.is_multiple_of(DATABASE_MEMORY_EVERY) => 0,
            DATABASE => pids.iter().filter_map(|pid| proc::proportional_kb(*pid)).sum(),
            _ => pids.iter().filter_map(|pid| proc::resident_kb(*pid)).max().unwrap_or_default(),
        };
        let peak = self.peak_kb.entry(name).or_default();
        *peak = kb.max(*peak);
    }

    /// None where no process was seen.
    fn seconds(&self) -> BTreeMap<&'static str, Option<f64>> {
        let used = |seen: &HashMap<u32, (u64, u64)>| {
            let ticks: u64 = seen.values().map(|(first, last)| last - first).sum();
            (!seen.is_empty()).then_some(ticks as f64 / TICKS_PER_SECOND)
        };
        self.cpu.iter().map(|(name, seen)| (*name, used(seen))).collect()
    }

    fn megabytes(&self) -> BTreeMap<&'static str, Option<f64>> {
        let megabytes = |kb: &u64| (*kb > 0).then_some(*kb as f64 / 1_024.0);
        self.peak_kb.iter().map(|(name, kb)| (*name, megabytes(kb))).collect()
    }
}

/// The process behind an address of this machine, if it is the server itself and not a proxy.
fn server(url: &str, default_port: u16, program: &str) -> Option<u32> {
    let (authority, _) = crate::stage::authority(url, default_port).ok()?;
    let (host, port) = authority.rsplit_once(':')?;
    if !["127.0.0.1", "localhost", "[::1]"].contains(&host) {
        return None;
    }
    let pid = proc::listener(port.parse().ok()?)?;
    proc::title(pid).contains(program).then_some(pid)
}

/// The server's processes that work for everybody, and those that serve `database`. Others' sessions are not ours.
fn sessions(server: u32, database: &str) -> Vec<u32> {
    let ours = |pid: &u32| serves(&proc::title(*pid), database);
    std::iter::once(server).chain(proc::children(server).into_iter().filter(ours)).collect()
}

/// A session's title names its database, and where it comes from in parentheses.
fn serves(title: &str, database: &str) -> bool {
    let session = title.contains('(') || title.contains("[local]") || title.contains("worker");
    !session || title.split_whitespace().any(|word| word == database)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_sessions_and_everybodys_processes_count() {
        let cases = [
            ("postgres: 15/main: checkpointer", true),
            ("postgres: 15/main: walwriter", true),
            ("postgres: 15/main: me ours 127.0.0.1(4711) idle", true),
            ("postgres: 15/main: me others 127.0.0.1(4711) idle", false),
            ("postgres: me others [local] SELECT", false),
            ("postgres: 15/main: autovacuum worker ours", true),
            ("postgres: 15/main: autovacuum worker others", false),
        ];
        for (title, expected) in cases {
            assert_eq!(serves(title, "ours"), expected, "{title}");
        }
    }
}
