//! How many workers each channel should have, for whoever starts and ends them (docs/adr/0047-autoscaling.md).
//!
//! Every planner answers the same: it reads the store, and remembers nothing but the last answer, for a moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde_json::json;
use tocsin_domain::failover::Health;
use tocsin_domain::scaling::{self, Bounds, Desired, Group, Load, Places, Work};
use tocsin_domain::{AccountId, Channel, DistrictId, Lane, WorkerId};
use tocsin_runtime::metrics::DESIRED_REPLICAS;
use tocsin_runtime::{Progress, SharedClock, Stopwatch, Tasks, run_ticker};
use tocsin_store::Store;
use tocsin_store::accounts::Account;
use tocsin_store::scaling::ScalingFacts;
use tokio::sync::{Mutex, Notify};

use crate::PlannerError;

/// An answer serves so long: whoever asks often does not cost the store more.
const KEPT: Duration = Duration::from_secs(3);
/// Between two looks for the metrics.
const SHOWN_EVERY: Duration = Duration::from_secs(15);

/// What is asked of the workers of each channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aims {
    pub target: Duration,
    pub replicas_max: BTreeMap<Channel, u32>,
}

/// Answers how many workers there should be. Clones share their answers.
#[derive(Debug, Clone)]
pub struct Scaling {
    store: Store,
    clock: SharedClock,
    aims: Aims,
    kept: Arc<Mutex<HashMap<Channel, (Stopwatch, Desired)>>>,
}

impl Scaling {
    pub fn new(store: Store, clock: SharedClock, aims: Aims) -> Self {
        Self { store, clock, aims, kept: Arc::default() }
    }

    /// One caller reads at a time; the others find its answer.
    pub async fn desired(&self, channel: Channel) -> Result<Desired, PlannerError> {
        let mut kept = self.kept.lock().await;
        if let Some((since, desired)) = kept.get(&channel)
            && since.elapsed() < KEPT
        {
            return Ok(*desired);
        }
        let since = Stopwatch::start_by(&self.clock);
        let load = load(&self.store.scaling_facts(channel).await?);
        let desired = scaling::desired(channel, &load, self.bounds(channel));
        kept.insert(channel, (since, desired));
        Ok(desired)
    }

    /// Shows what it would answer of every channel: the gauge `tocsin_desired_replicas`.
    pub async fn show(&self) -> Result<Progress, PlannerError> {
        for channel in Channel::ALL {
            let desired = self.desired(channel).await?;
            DESIRED_REPLICAS.of([channel.as_str()]).set(f64::from(desired.replicas));
        }
        Ok(Progress::Idle)
    }

    /// Shows it from time to time, below `tasks`.
    pub fn start(&self, tasks: &Tasks) {
        let (scaling, stopping) = (self.clone(), tasks.stopping().clone());
        tasks.spawn("planner scaling", async move {
            let tick = async move || scaling.show().await;
            run_ticker("planner.scaling", SHOWN_EVERY, &Notify::new(), &stopping, tick).await;
        });
    }

    /// `GET /scaling/{channel}`. KEDA reads `replicas`, people read `why`.
    pub fn router(self) -> Router {
        Router::new().route("/scaling/{channel}", get(answer)).with_state(self)
    }

    fn bounds(&self, channel: Channel) -> Bounds {
        let replicas_max = self.aims.replicas_max.get(&channel).copied().unwrap_or(1);
        Bounds { target: self.aims.target, replicas_max }
    }
}

/// An error is no number: whoever scales keeps what there is.
async fn answer(State(scaling): State<Scaling>, Path(channel): Path<String>) -> Response {
    let channel = match channel.parse::<Channel>() {
        Ok(channel) => channel,
        Err(unknown) => return (StatusCode::NOT_FOUND, format!("{unknown}\n")).into_response(),
    };
    match scaling.desired(channel).await {
        Ok(desired) => Json(json!({
            "channel": channel,
            "replicas": desired.replicas,
            "why": desired.to_string(),
            "needed_per_second": desired.needed_per_second,
            "fed_per_second": desired.fed_per_second,
            "worker_per_second": desired.worker_per_second,
        }))
        .into_response(),
        Err(error) => {
            tracing::warn!(%channel, %error, "desired replicas not known");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response()
        }
    }
}

/// Who does whose work: as release has it, a district with accounts of its own uses those alone.
fn load(facts: &ScalingFacts) -> Load {
    let used = used_by_account(facts);
    let mut groups: BTreeMap<Option<DistrictId>, Group> = BTreeMap::new();
    let whole = || facts.accounts.iter().filter(|account| account.sender.is_none());
    for account in whole() {
        let used = used.get(&account.id).copied().unwrap_or(0.0);
        let group = groups.entry(account.limits.district).or_default();
        group.accounts.push(account_of(account, &facts.accounts, used));
    }
    for ((served, _), work) in work(facts) {
        groups.entry(served).or_default().work.push(work);
    }
    let mut workers: HashMap<WorkerId, f64> = HashMap::new();
    for used in &facts.used {
        *workers.entry(used.worker).or_default() += used.per_second;
    }
    Load { groups: groups.into_values().collect(), workers: workers.into_values().collect() }
}

fn used_by_account(facts: &ScalingFacts) -> HashMap<AccountId, f64> {
    let mut used: HashMap<AccountId, f64> = HashMap::new();
    for one in &facts.used {
        *used.entry(one.account).or_default() += one.per_second;
    }
    used
}

/// What is due and what is queued, by lane. What is queued fell due before what is not.
fn work(facts: &ScalingFacts) -> BTreeMap<(Option<DistrictId>, Lane), Work> {
    let mut all: BTreeMap<(Option<DistrictId>, Lane), Work> = BTreeMap::new();
    for due in &facts.due {
        let oldest = age(facts.now, due.since);
        let work = all.entry((due.served, due.lane)).or_insert(Work { lane: due.lane, jobs: 0, oldest });
        work.jobs += due.jobs.unsigned_abs();
    }
    for count in facts.queued.iter().filter(|count| count.queued > 0) {
        let account = facts.accounts.iter().find(|account| account.id == count.account);
        let served = account.and_then(|account| account.limits.district);
        let work = all.entry((served, count.lane)).or_insert(Work {
            lane: count.lane,
            jobs: 0,
            oldest: Duration::ZERO,
        });
        work.jobs += count.queued.unsigned_abs();
    }
    all
}

fn age(now: DateTime<Utc>, since: DateTime<Utc>) -> Duration {
    (now - since).to_std().unwrap_or(Duration::ZERO)
}

/// With its senders: where it has any, it sends from them alone.
fn account_of(account: &Account, all: &[Account], used_per_second: f64) -> scaling::Account {
    let limits = &account.limits;
    let senders = || all.iter().filter(|sender| sender.parent() == Some(account.id));
    let sending = || senders().filter(|sender| !sender.stopped && !sender.pace.held);
    let unlimited = |rate: Option<f64>| rate.unwrap_or(f64::INFINITY);
    let mut rate = account.health.given().part_of(unlimited(account.pace.rate_per_second));
    if senders().next().is_some() {
        rate = rate.min(sending().map(|sender| unlimited(sender.pace.rate_per_second)).sum());
    }
    if account.stopped || account.pace.held || account.health.given() == Health::Resting {
        rate = 0.0;
    }
    let calls = limits.channel == Channel::Voice;
    let concurrency = limits.concurrency.map(i32::unsigned_abs);
    let places = [concurrency.filter(|_| calls), limits.depth.map(i32::unsigned_abs)];
    let held = u32::try_from(account.pace.holds).unwrap_or(0);
    scaling::Account {
        rate_per_second: Some(rate).filter(|rate| rate.is_finite()),
        places: places.into_iter().flatten().min().map(|whole| Places { whole, held }),
        requests: concurrency.filter(|_| !calls),
        used_per_second,
    }
}
