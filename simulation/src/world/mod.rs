//! Everything that a run drives: the roles as they are, and the world around them.

mod collector;
mod planner;
mod worker;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::audience::Audience;
use tocsin_domain::consent::ConsentChange;
use tocsin_domain::content::Content;
use tocsin_domain::dedupe::DedupeMode;
use tocsin_domain::limits::{CampaignLimit, DistrictLimit};
use tocsin_domain::policy::RedialPolicy;
use tocsin_domain::receipt::{Addressed, AddressedPart};
use tocsin_domain::suppression::SuppressionReason;
use tocsin_domain::window::{CallingWindow, WrittenHours, WrittenWindow};
use tocsin_domain::{AccountId, CampaignId, CampaignState, Channel, Lane, OutcomeSet};
use tocsin_proto::Envelope;
use tocsin_proto::v1::control::Command;
use tocsin_proto::v1::{Cancel, Control};
use tocsin_providers::{Provider, Registry, Secret, TokenKeys};
use tocsin_queue::{Destination, Message, Publisher};
use tocsin_runtime::Clock as _;
use tocsin_store::accounts::{Account as StoredAccount, AccountLimits, SenderLimits};
use tocsin_store::tenant::campaigns::NewCampaign;
use uuid::Uuid;

use crate::broker::FaultyBroker;
use crate::clock::{SKEW_MAX, SimulatedClock};
use crate::database::{Database, device, district, phone};
use crate::invariants::Watch;
use crate::plan::{Plan, PlannedAccount, PlannedLimit, PlannedSender, Says, Submission};
use crate::provider::{Ledger, SimulatedProvider, Text};
use crate::random::Random;

pub use self::collector::SimulatedCollector;
pub use self::planner::{SimulatedPlanner, Ticked};
pub use self::worker::SimulatedWorker;

/// Planners that there are at a time.
const PLANNERS: usize = 2;
/// Workers at most.
pub const WORKERS_MAX: usize = 4;
pub const PUBLIC_URL: &str = "https://bell.example.org";

/// An account, or a number of one, as its provider enforces it.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
    pub sender: Option<SenderOf>,
    pub channel: Channel,
    /// None: no limit but that of its account.
    pub rate_per_second: Option<f64>,
    pub burst: u32,
    pub concurrency: Option<u32>,
    pub reserve: u32,
    pub depth: Option<u32>,
}

#[derive(Debug, Clone)]
pub struct SenderOf {
    pub account: AccountId,
    pub account_name: String,
    pub address: String,
}

impl Account {
    /// Itself, or of an account what one of its numbers did.
    pub fn includes(&self, other: &Self) -> bool {
        self.id == other.id || other.sender.as_ref().is_some_and(|sender| sender.account == self.id)
    }
}

#[derive(Debug, Clone)]
pub struct Campaign {
    pub id: CampaignId,
    pub submission: Submission,
    pub redial: RedialPolicy,
    pub scheduled_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub canceled_epoch: Option<i64>,
    /// The canceled campaign whose receipt it is addressed to.
    pub corrects: Option<CampaignId>,
}

#[derive(Debug)]
pub struct World<'a> {
    pub database: &'a Database,
    pub clock: SimulatedClock,
    pub broker: FaultyBroker,
    pub channels: Vec<Channel>,
    /// Accounts, and their numbers behind them.
    pub accounts: Vec<Account>,
    pub limits: Vec<PlannedLimit>,
    pub planners: Vec<SimulatedPlanner>,
    pub workers: Vec<SimulatedWorker>,
    pub collector: SimulatedCollector,
    pub campaigns: Vec<Campaign>,
    pub watch: Watch,
    pub ledger: Arc<Mutex<Ledger>>,
    pub texts: Vec<Text>,
    /// When no campaign was left to be expanded, by any clock.
    pub expanded_until: Option<DateTime<Utc>>,
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
        limit(database, &plan.limits, clock.now()).await?;
        let registry: Registry = accounts
            .iter()
            .filter(|account| account.sender.is_none() && account.channel != Channel::Inbox)
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
        let mut ids = Random::of(seed, &[1]);
        let collectors = clock.ahead_by(skew(&mut ids));
        let collector = SimulatedCollector::new(
            database,
            &broker,
            &collectors,
            Arc::clone(&registry),
            token_keys.clone(),
        );
        let announcer = Publisher::new(Arc::new(broker.clone()), "api");
        let mut world = Self {
            database,
            clock,
            broker,
            channels: plan.channels.clone(),
            accounts,
            limits: plan.limits.clone(),
            planners: Vec::new(),
            workers: Vec::new(),
            collector,
            campaigns: Vec::new(),
            watch: Watch::default(),
            ledger,
            texts: Vec::new(),
            expanded_until: None,
            callbacks_lost: false,
            registry,
            token_keys,
            announcer,
            ids,
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
        self.database.set_clock(&self.clock).await
    }

    pub fn start_planner(&mut self) {
        let id = self.new_id();
        let clock = self.clock.ahead_by(skew(&mut self.ids));
        self.planners.push(SimulatedPlanner::new(self.database, &self.broker, &clock, id));
    }

    pub async fn start_worker(&mut self) -> Result<()> {
        if self.workers.len() < WORKERS_MAX {
            let id = self.new_id();
            let clock = self.clock.ahead_by(skew(&mut self.ids));
            let worker = SimulatedWorker::start(self, &clock, id)?;
            self.workers.push(worker);
        }
        Ok(())
    }

    pub async fn submit(&mut self, submission: &Submission) -> Result<()> {
        let audience = Audience { all: true, ..Audience::default() };
        self.create(submission.clone(), audience).await
    }

    /// Corrects a campaign whose cancel was answered, if it reached anybody.
    pub async fn correct(&mut self, index: usize, submission: &Submission) -> Result<()> {
        let Some(corrected) = self.campaigns.get(index).filter(|campaign| campaign.canceled_epoch.is_some())
        else {
            return Ok(());
        };
        let tenant = self.database.tenants.tenant(district(corrected.submission.district));
        let shown = tenant.campaign(corrected.id).await?.context("a campaign that is gone")?;
        if !matches!(shown.state, CampaignState::Canceled | CampaignState::Discarded)
            || !tenant.was_anybody_contacted(corrected.id).await?
        {
            return Ok(());
        }
        let submission = Submission {
            district: corrected.submission.district,
            channels: corrected.submission.channels.clone(),
            per_student: corrected.submission.per_student,
            ..submission.clone()
        };
        let addressed = Addressed { campaign: corrected.id, part: AddressedPart::ContactedOrUnknown };
        let audience = Audience { receipt: Some(addressed), ..Audience::default() };
        self.create(submission, audience).await
    }

    async fn create(&mut self, submission: Submission, audience: Audience) -> Result<()> {
        let (id, now) = (CampaignId(self.new_id()), self.now());
        let (subject, short) = ("Snow day".to_owned(), "School is closed today.");
        // Two segments: it costs a token more than its permit.
        let redial = RedialPolicy {
            attempts_max: submission.attempts_max,
            wait_seconds: submission.wait_seconds,
            machines: submission.machines,
            confirm: false,
            outcomes: OutcomeSet::transient(),
        };
        let own = submission.rate_per_second.map(|rate_per_second| CampaignLimit { rate_per_second });
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
            message_type: "general".to_owned(),
            subject: subject.clone(),
            channels: submission.channels.clone(),
            audience: audience.clone(),
            test: false,
            redial: redial.clone(),
            calling_window: submission.window.map(window).transpose()?,
            limits: submission.channels.iter().filter_map(|channel| Some((*channel, own?))).collect(),
            contents: vec![Content {
                language: None,
                channel: None,
                subject: Some(subject),
                audio_url: None,
                attachments: Vec::new(),
                body,
            }],
            created_by: "simulation".to_owned(),
            created_at: now,
            scheduled_at: now + TimeDelta::seconds(submission.begins_in_seconds),
            expires_at: now + TimeDelta::seconds(submission.expires_in_seconds),
        };
        self.database.tenants.tenant(district(submission.district)).create_campaign(&new).await?;
        let (scheduled_at, expires_at) = (new.scheduled_at, new.expires_at);
        let (corrects, canceled_epoch) = (audience.receipt.map(|addressed| addressed.campaign), None);
        let campaign =
            Campaign { id, submission, redial, scheduled_at, expires_at, canceled_epoch, corrects };
        self.campaigns.push(campaign);
        Ok(())
    }

    /// Does anything but accounts limit the campaign on the channel?
    pub fn is_limited(&self, campaign: &Campaign, channel: Channel) -> bool {
        let Submission { district, lane, rate_per_second, .. } = campaign.submission;
        rate_per_second.is_some()
            || self.limits.iter().any(|limit| {
                (limit.district, limit.channel) == (district, channel)
                    && !(limit.spares_emergencies && lane == Lane::Emergency)
            })
    }

    /// Has the channel an account, or a number, that may send?
    pub fn is_served(&self, channel: Channel) -> bool {
        let mut accounts =
            self.accounts.iter().filter(|account| account.channel == channel && account.sender.is_none());
        accounts.any(|account| {
            let is_number = |other: &&Account| account.includes(other) && account.id != other.id;
            let mut numbers = self.accounts.iter().filter(is_number).peekable();
            numbers.peek().is_none() || numbers.any(|number| !self.watch.senders.is_stopped(number.id))
        })
    }

    /// A person texts the number of an account.
    pub async fn text(&mut self, pick: u64, says: Says) -> Result<()> {
        let Some(account) = self.accounts.iter().find(|account| account.channel == Channel::Sms) else {
            return Ok(());
        };
        let account = account.sender.as_ref().map_or(&account.name, |sender| &sender.account_name).clone();
        let (district, from) = phone(pick);
        let id = self.texts.len();
        self.texts.push(Text { id, account, district, from, says, taken_at: None });
        self.post_text(id).await
    }

    /// A vendor posts a text until it is taken, and again.
    pub async fn post_text(&mut self, index: usize) -> Result<()> {
        let Some(text) = self.texts.get_mut(index) else { return Ok(()) };
        let answer = self.collector.post_text(text).await?;
        let now = self.collector.now();
        if answer == StatusCode::OK && text.taken_at.is_none() {
            text.taken_at = Some(now);
            self.watch.barred.texted(text);
        } else if self.broker.held() > 0 {
            self.watch.barred.may_overtake(text, now);
        }
        Ok(())
    }

    /// Stopped senders serve again.
    pub async fn resume(&mut self) -> Result<()> {
        let resumed: Vec<AccountId> = self.watch.senders.resumed().collect();
        for stopped in resumed {
            let Some(sender) = self.accounts.iter().find(|account| account.id == stopped) else { continue };
            self.database.store.resume_account(&sender.name, self.now()).await?;
        }
        Ok(())
    }

    /// A person opts out of texts, or an address is suppressed.
    pub async fn bar(&mut self, pick: u64) -> Result<()> {
        let (number, channel, address) = device(pick);
        let (district, now) = (district(number), self.now());
        let tenant = self.database.tenants.tenant(district);
        if channel == Channel::Sms {
            tenant.change_consent(&address, ConsentChange::Stop, "simulation", now).await?;
            self.watch.barred.told(number, &address, now);
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
    let mut known = database.store.accounts().await?;
    let mut number = 0;
    for (limits, planned) in limits.iter().zip(planned).filter(|(_, planned)| !planned.senders.is_empty()) {
        let account = known.iter().find(|known| known.limits.name == limits.name);
        let id = account.context("an account was not stored")?.id;
        for sender in &planned.senders {
            number += 1;
            let PlannedSender { rate_per_second, burst, concurrency } = *sender;
            let own = SenderLimits { rate_per_second, burst, concurrency };
            database.store.add_sender(id, &format!("+1555000{number:04}"), &own, now).await?;
        }
    }
    if number > 0 {
        known = database.store.accounts().await?;
    }
    let names: HashMap<AccountId, String> =
        known.iter().map(|account| (account.id, account.limits.name.clone())).collect();
    let account = |stored: StoredAccount| {
        let limits = stored.limits;
        let sender = stored.sender.and_then(|sender| {
            let account_name = names.get(&sender.parent)?.clone();
            Some(SenderOf { account: sender.parent, account_name, address: sender.address })
        });
        Account {
            id: stored.id,
            name: limits.name,
            sender,
            channel: limits.channel,
            rate_per_second: limits.rate_per_second,
            // Without a burst of its own an account has one second's worth.
            burst: limits
                .burst
                .map_or(limits.rate_per_second.unwrap_or_default().max(1.0) as u32, i32::unsigned_abs),
            concurrency: limits.concurrency.map(i32::unsigned_abs),
            reserve: limits.reserve.unsigned_abs(),
            depth: limits.depth.map(i32::unsigned_abs),
        }
    };
    Ok(known.into_iter().map(account).collect())
}

async fn limit(database: &Database, planned: &[PlannedLimit], now: DateTime<Utc>) -> Result<()> {
    for limit in planned {
        let PlannedLimit { rate_per_second, concurrency, spares_emergencies, .. } = *limit;
        let own = DistrictLimit { rate_per_second, concurrency, spares_emergencies };
        let tenant = database.tenants.tenant(district(limit.district));
        tenant.put_limits(&[(limit.channel, own)].into(), "simulation", now).await?;
    }
    Ok(())
}

/// How far a machine's wall clock is from the store's: half of them are right.
fn skew(random: &mut Random) -> TimeDelta {
    let most = SKEW_MAX.num_milliseconds();
    let milliseconds = random.between(0, 2 * most.unsigned_abs()) as i64 - most;
    if random.percent(50) { TimeDelta::zero() } else { TimeDelta::milliseconds(milliseconds) }
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
