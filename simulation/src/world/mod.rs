//! Everything that a run drives: the roles as they are, and the world around them.

mod collector;
mod planner;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::audience::Audience;
use tocsin_domain::consent::ConsentChange;
use tocsin_domain::content::Content;
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::policy::RedialPolicy;
use tocsin_domain::suppression::SuppressionReason;
use tocsin_domain::window::{CallingWindow, WrittenHours, WrittenWindow};
use tocsin_domain::{AccountId, CampaignId, Channel, Lane, OutcomeSet};
use tocsin_proto::Envelope;
use tocsin_proto::v1::control::Command;
use tocsin_proto::v1::{Cancel, Control};
use tocsin_providers::{Provider, Registry, Secret, TokenKeys};
use tocsin_queue::{Destination, Message, Publisher};
use tocsin_runtime::Clock as _;
use tocsin_store::accounts::AccountLimits;
use tocsin_store::tenant::campaigns::NewCampaign;
use uuid::Uuid;

use crate::broker::FaultyBroker;
use crate::clock::SimulatedClock;
use crate::database::{Database, device, district};
use crate::invariants::Watch;
use crate::plan::{Plan, PlannedAccount, Submission};
use crate::provider::{Ledger, SimulatedProvider};
use crate::random::Random;

pub use self::collector::SimulatedCollector;
pub use self::planner::{SimulatedPlanner, Ticked};
pub use self::worker::SimulatedWorker;

/// Planners that there are at a time.
const PLANNERS: usize = 2;
/// Workers at most.
pub const WORKERS_MAX: usize = 4;
pub const PUBLIC_URL: &str = "https://bell.example.org";

/// An account, as its provider enforces it.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
    pub channel: Channel,
    pub rate_per_second: f64,
    pub burst: u32,
    pub concurrency: Option<u32>,
    pub reserve: u32,
    pub depth: Option<u32>,
}

#[derive(Debug, Clone)]
pub struct Campaign {
    pub id: CampaignId,
    pub submission: Submission,
    pub expires_at: DateTime<Utc>,
    pub canceled_epoch: Option<i64>,
}

#[derive(Debug)]
pub struct World<'a> {
    pub database: &'a Database,
    pub clock: SimulatedClock,
    pub broker: FaultyBroker,
    pub channels: Vec<Channel>,
    pub accounts: Vec<Account>,
    pub planners: Vec<SimulatedPlanner>,
    pub workers: Vec<SimulatedWorker>,
    pub collector: SimulatedCollector,
    pub campaigns: Vec<Campaign>,
    pub watch: Watch,
    pub ledger: Arc<Mutex<Ledger>>,
    /// Was anything lost that a collector had taken?
    pub callbacks_lost: bool,
    registry: Arc<Registry>,
    token_keys: TokenKeys,
    announcer: Publisher,
    ids: Random,
}

impl<'a> World<'a> {
    pub async fn begin(database: &'a Database, seed: u64, plan: &Plan) -> Result<Self> {
        database.clean().await?;
        let (clock, broker) = (SimulatedClock::default(), FaultyBroker::new());
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let accounts = configure(database, &plan.accounts, clock.now()).await?;
        let registry: Registry = accounts
            .iter()
            .map(|account| {
                let provider: Arc<dyn Provider> = Arc::new(SimulatedProvider {
                    account: account.name.clone(),
                    channel: account.channel,
                    seed,
                    clock: clock.clone(),
                    ledger: Arc::clone(&ledger),
                });
                (account.name.clone(), provider)
            })
            .collect();
        let registry = Arc::new(registry);
        let token_keys = TokenKeys::new(&Secret::new("key"), None);
        let collector =
            SimulatedCollector::new(database, &broker, &clock, Arc::clone(&registry), token_keys.clone());
        let announcer = Publisher::new(Arc::new(broker.clone()), "api");
        let mut world = Self {
            database,
            clock,
            broker,
            channels: plan.channels.clone(),
            accounts,
            planners: Vec::new(),
            workers: Vec::new(),
            collector,
            campaigns: Vec::new(),
            watch: Watch::default(),
            ledger,
            callbacks_lost: false,
            registry,
            token_keys,
            announcer,
            ids: Random::of(seed, &[1]),
        };
        for _ in 0..PLANNERS {
            world.start_planner();
        }
        for _ in 0..plan.workers {
            world.start_worker().await?;
        }
        Ok(world)
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub async fn advance(&mut self, by: TimeDelta) -> Result<()> {
        self.clock.advance(by);
        self.database.set_clock(self.clock.passed()).await
    }

    pub fn start_planner(&mut self) {
        let id = self.new_id();
        self.planners.push(SimulatedPlanner::new(self.database, &self.broker, &self.clock, id));
    }

    pub async fn start_worker(&mut self) -> Result<()> {
        if self.workers.len() < WORKERS_MAX {
            let id = self.new_id();
            let worker = SimulatedWorker::start(self, id)?;
            self.workers.push(worker);
        }
        Ok(())
    }

    pub async fn submit(&mut self, submission: &Submission) -> Result<()> {
        let (id, now) = (CampaignId(self.new_id()), self.now());
        let (subject, short) = ("Snow day".to_owned(), "School is closed today.");
        // Two segments: it costs a token more than its permit.
        let body = if submission.long_text { short.repeat(9) } else { short.to_owned() };
        let new = NewCampaign {
            id,
            client_key: id.to_string(),
            request_hash: id.0.as_bytes().to_vec(),
            lane: submission.lane,
            mode: if submission.per_student {
                DedupeMode::PerDeviceAndStudent
            } else {
                DedupeMode::PerDevice
            },
            consent_class: if submission.lane == Lane::Emergency { 1 } else { 2 },
            message_type: "attendance".to_owned(),
            subject: subject.clone(),
            channels: submission.channels.clone(),
            audience: Audience { all: true, ..Audience::default() },
            redial: RedialPolicy {
                attempts_max: submission.attempts_max,
                wait_seconds: submission.wait_seconds,
                machines: submission.machines,
                outcomes: OutcomeSet::transient(),
            },
            calling_window: submission.window.map(window).transpose()?,
            limits: Default::default(),
            contents: vec![Content { language: None, channel: None, subject: Some(subject), body }],
            created_by: "simulation".to_owned(),
            created_at: now,
            scheduled_at: now + TimeDelta::seconds(submission.begins_in_seconds),
            expires_at: now + TimeDelta::seconds(submission.expires_in_seconds),
        };
        self.database.tenants.tenant(district(submission.district)).create_campaign(&new).await?;
        let (submission, expires_at) = (submission.clone(), new.expires_at);
        self.campaigns.push(Campaign { id, submission, expires_at, canceled_epoch: None });
        Ok(())
    }

    /// A person opts out of texts, or an address is suppressed.
    pub async fn bar(&mut self, pick: u64) -> Result<()> {
        let (number, channel, address) = device(pick);
        let (district, now) = (district(number), self.now());
        let tenant = self.database.tenants.tenant(district);
        if channel == Channel::Sms {
            tenant.change_consent(&address, ConsentChange::Stop, "simulation", now).await?;
        } else {
            let reason = SuppressionReason::DoNotCall;
            tenant.suppress(channel, &address, reason, "simulation", now).await?;
        }
        self.watch.barred.bar(district, channel, address);
        Ok(())
    }

    /// The commit, and then the broadcast, which may be lost.
    pub async fn cancel(&mut self, index: usize) -> Result<()> {
        let Some(campaign) = self.campaigns.get_mut(index) else { return Ok(()) };
        let tenant = self.database.tenants.tenant(district(campaign.submission.district));
        let cancel = tenant.cancel(campaign.id, "simulation", None).await?.context("no such campaign")?;
        let Some(canceled) = cancel.canceled else { return Ok(()) };
        campaign.canceled_epoch = Some(canceled.epoch);
        if cancel.fresh {
            let granted = self.watch.claims.granted.keys().copied();
            self.watch.cancels.committed(campaign.id, granted);
        }
        self.announce(index).await
    }

    /// Tells the control exchange of a cancel that is committed.
    pub async fn announce(&self, index: usize) -> Result<()> {
        let Some(campaign) = self.campaigns.get(index) else { return Ok(()) };
        let Some(cancel_epoch) = campaign.canceled_epoch else { return Ok(()) };
        let campaign_id = campaign.id.0.as_bytes().to_vec().into();
        let command = Some(Command::Cancel(Cancel { campaign_id, cancel_epoch }));
        let body = Envelope::new(Control { command }).into_bytes();
        let message = Message { to: Destination::Control, body, headers: Vec::new(), persistent: false };
        // Lost, it costs time only.
        let _ = self.announcer.publish(vec![message]).await;
        Ok(())
    }

    /// Follows from the seed, and begins with the simulated time.
    fn new_id(&mut self) -> Uuid {
        let milliseconds = self.now().timestamp_millis().unsigned_abs();
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.ids.next().to_be_bytes());
        random[8..].copy_from_slice(&(self.ids.next() as u16).to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid()
    }
}

async fn configure(
    database: &Database,
    planned: &[PlannedAccount],
    now: DateTime<Utc>,
) -> Result<Vec<Account>> {
    let limits: Vec<AccountLimits> = planned
        .iter()
        .enumerate()
        .map(|(number, planned)| AccountLimits {
            name: format!("{}-{number}", planned.channel),
            district: None,
            channel: planned.channel,
            rate_per_second: Some(planned.rate_per_second),
            burst: planned.burst,
            concurrency: planned.concurrency,
            reserve: planned.reserve,
            depth: planned.depth,
            weight: 1,
        })
        .collect();
    database.store.configure_accounts(&limits, now).await?;
    let known = database.store.accounts().await?;
    let account = |limits: &AccountLimits| {
        let account = known.iter().find(|account| account.limits.name == limits.name)?;
        let rate_per_second = limits.rate_per_second?;
        Some(Account {
            id: account.id,
            name: limits.name.clone(),
            channel: limits.channel,
            rate_per_second,
            // Without a burst of its own an account has one second's worth.
            burst: limits.burst.map_or(rate_per_second.max(1.0) as u32, i32::unsigned_abs),
            concurrency: limits.concurrency.map(i32::unsigned_abs),
            reserve: limits.reserve.unsigned_abs(),
            depth: limits.depth.map(i32::unsigned_abs),
        })
    };
    limits.iter().map(|limits| account(limits).context("an account was not stored")).collect()
}

fn window((opens, closes): (u32, u32)) -> Result<CallingWindow> {
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let hours = WrittenHours {
        days: days.iter().map(|day| (*day).to_owned()).collect(),
        opens: format!("{opens:02}:00"),
        closes: format!("{closes:02}:00"),
    };
    CallingWindow::try_from(WrittenWindow { hours: vec![hours], holidays: Vec::new() })
        .map_err(|faults| anyhow::anyhow!("a window that is none: {faults:?}"))
}
