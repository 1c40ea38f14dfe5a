//! A seeded run of random operations and faults over the real planner, workers, collector and store, which afterwards
//! lets everything come to its end and holds it against the promises (docs/SIMULATION.md).

mod broker;
mod clock;
mod database;
mod drain;
mod invariants;
mod operations;
mod plan;
mod provider;
mod random;
mod trace;
mod world;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use tocsin_domain::{CampaignState, Channel};

pub use database::Database;
pub use invariants::{Promise, Violation};
pub use plan::{Operation, Plan};
pub use trace::Trace;

use crate::database::district;
use crate::invariants::{cancel, counters, facts, inbox, outcome, redials, windows};
use crate::world::World;

/// A seed whose run broke a promise.
#[derive(Debug)]
pub struct Failure {
    pub seed: u64,
    /// Those that were done, the last of which may be the drain.
    pub operations: Vec<Operation>,
    pub drained: bool,
    pub error: anyhow::Error,
}

impl Failure {
    /// None: it was an error that no promise names.
    pub fn violation(&self) -> Option<&Violation> {
        self.error.downcast_ref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} failed: {:#}", self.seed, self.error)?;
        for (number, operation) in self.operations.iter().enumerate() {
            writeln!(f, "  {number:>3} {operation:?}")?;
        }
        if self.drained {
            writeln!(f, "      and in the calm after them")?;
        }
        write!(f, "replay: make sim SEED={}", self.seed)
    }
}

/// What a run came to: that it was about something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub campaigns: usize,
    pub requests: usize,
    pub denied: u64,
    pub not_asked: u64,
    pub lost: u64,
    pub rounds: usize,
    /// Of every message and every request, in their order.
    pub trace: Trace,
    /// Jobs by what they came to.
    pub outcomes: BTreeMap<&'static str, usize>,
}

/// Runs one seed on a database that nobody else uses meanwhile.
pub async fn run(database: &Database, seed: u64) -> Result<Report, Failure> {
    // A world's state is large, and whoever awaits this would hold it.
    Box::pin(run_whole(database, seed)).await
}

async fn run_whole(database: &Database, seed: u64) -> Result<Report, Failure> {
    let plan = Plan::of(seed);
    let failed = |done: usize, drained: bool, error: anyhow::Error| Failure {
        seed,
        operations: plan.operations[..done].to_vec(),
        drained,
        error,
    };
    let mut world = World::begin(database, seed, &plan).await.map_err(|error| failed(0, false, error))?;
    for (number, operation) in plan.operations.iter().enumerate() {
        operations::perform(&mut world, operation).await.map_err(|error| failed(number + 1, false, error))?;
    }
    let done = plan.operations.len();
    let calm_since = world.now();
    let rounds = drain::drain(&mut world).await.map_err(|error| failed(done, true, error))?;
    let outcomes = judge(&mut world, calm_since).await.map_err(|error| failed(done, true, error))?;
    let (tokens, trace) = (&world.watch.tokens, trace(&world));
    let report = Report {
        campaigns: world.campaigns.len(),
        requests: world.ledger().requests.len(),
        denied: tokens.denied,
        not_asked: tokens.not_asked,
        lost: tokens.lost,
        rounds,
        trace,
        outcomes,
    };
    world.collector.stop().await;
    Ok(report)
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.campaigns += other.campaigns;
        self.requests += other.requests;
        self.denied += other.denied;
        self.not_asked += other.not_asked;
        self.lost += other.lost;
        self.rounds += other.rounds;
        self.trace.note(other.trace);
        for (outcome, jobs) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += jobs;
        }
    }
}

fn trace(world: &World<'_>) -> Trace {
    let mut trace = world.broker.trace();
    for request in &world.ledger().requests {
        trace.note(format!("{request:?}"));
    }
    trace
}

/// Holds what has come to its end against the promises.
async fn judge(world: &mut World<'_>, calm_since: DateTime<Utc>) -> Result<BTreeMap<&'static str, usize>> {
    let (database, now) = (world.database, world.now());
    let requests = world.ledger().requests.clone();
    world.watch.callbacks.look(database).await?;
    let mut all = facts::read(database, &world.campaigns).await?;
    let mut outcomes = BTreeMap::new();
    for campaign in &world.campaigns {
        let (state, mut facts) = all.remove(&campaign.id).context("a campaign that is gone")?;
        world.watch.claims.as_seen(&mut facts);
        for outcome in outcome::judge(campaign, &facts, &requests, calm_since)? {
            *outcomes.entry(outcome.code()).or_default() += 1;
        }
        redials::judge(&facts, &requests)?;
        let (settled_as, barred) = (&world.watch.callbacks.settled_as, &world.watch.barred);
        redials::none_is_given_up(campaign, &facts, &requests, settled_as, barred)?;
        counters::judge(database, campaign.id, now).await?;
        if matches!(state, CampaignState::Canceled | CampaignState::Discarded) {
            let tenant = database.tenants.tenant(district(campaign.submission.district));
            let without_device = facts.recipients.iter().filter(|recipient| recipient.no_device).count();
            let audience = facts.jobs.len() + without_device;
            cancel::partition(campaign.id, &tenant.receipt(campaign.id).await?, audience)?;
        }
    }
    counters::judge_queues(database).await?;
    windows::judge(database, &world.campaigns, &requests).await?;
    let watch = &mut world.watch;
    watch.claims.judge(database, &world.accounts, &requests).await?;
    watch.callbacks.judge(database, world.callbacks_lost).await?;
    let granted = watch.claims.granted.keys();
    watch.untaken.judge(database, &world.campaigns, &requests, granted).await?;
    if world.channels.contains(&Channel::Inbox) {
        inbox::judge(database, &requests).await?;
    }
    if !world.callbacks_lost {
        watch.barred.judge(database).await?;
    }
    watch.tokens.balance(requests.len())?;
    watch.limits.judge(&world.accounts)?;
    Ok(outcomes)
}
