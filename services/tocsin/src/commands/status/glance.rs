//! What is looked at: the store, and the broker where one is configured.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tocsin_domain::{AccountId, CampaignState, DistrictId};
use tocsin_queue::{Queue, Session};
use tocsin_runtime::Config;
use tocsin_store::Store;
use tocsin_store::accounts::Account;
use tocsin_store::accounts::by_hand::ByHand;
use tocsin_store::processes::Process;
use tocsin_store::release::QueuedCount;
use tocsin_store::status::{HeldDuty, OpenNow, Shared};
use tocsin_store::stops::Stop;

use crate::commands::account::standing;
use crate::roles::broker;

pub struct Glance {
    pub now: DateTime<Utc>,
    /// The database came from a backup, and nobody has decided what was sent since.
    pub restored: bool,
    pub districts: HashMap<DistrictId, String>,
    pub stops: Vec<Stop>,
    pub processes: Vec<Process>,
    pub duties: Vec<HeldDuty>,
    pub accounts: Vec<Account>,
    pub by_hand: HashMap<AccountId, ByHand>,
    pub shared: HashMap<AccountId, Shared>,
    pub queued: Vec<QueuedCount>,
    pub counts: Vec<(CampaignState, i64)>,
    pub campaigns: Vec<OpenNow>,
    pub unknown: i64,
    pub broker: Letters,
}

/// Messages on the broker that wait for whoever takes them.
pub enum Letters {
    NotConfigured,
    Unreachable(String),
    Ready(Vec<(Queue, u32)>),
}

impl Letters {
    pub fn dead(&self) -> Option<u32> {
        match self {
            Self::Ready(ready) => {
                ready.iter().find(|(queue, _)| *queue == Queue::DeadLetters).map(|(_, count)| *count)
            }
            Self::NotConfigured | Self::Unreachable(_) => None,
        }
    }
}

/// The broker, asked over one connection as long as that lasts.
pub struct Letterbox<'a> {
    config: &'a Config,
    session: Option<Arc<dyn Session>>,
}

impl<'a> Letterbox<'a> {
    pub fn of(config: &'a Config) -> Self {
        Self { config, session: None }
    }

    async fn look(&mut self) -> Letters {
        if self.config.amqp_url.is_none() {
            return Letters::NotConfigured;
        }
        match self.ready().await {
            Ok(ready) => Letters::Ready(ready),
            Err(error) => {
                self.session = None;
                Letters::Unreachable(format!("{error:#}"))
            }
        }
    }

    async fn ready(&mut self) -> Result<Vec<(Queue, u32)>> {
        let session = match &self.session {
            Some(session) => Arc::clone(session),
            None => broker(self.config)?.connect("tocsin status").await?,
        };
        self.session = Some(Arc::clone(&session));
        let mut ready = Vec::new();
        for queue in Queue::all() {
            ready.push((queue, session.depth(queue).await?));
        }
        Ok(ready)
    }
}

impl Glance {
    pub async fn look(store: &Store, letterbox: &mut Letterbox<'_>) -> Result<Self> {
        let districts = store.districts().await?.into_iter().map(|it| (it.id, it.name)).collect();
        Ok(Self {
            now: store.now().await?,
            restored: store.is_restored().await?,
            districts,
            stops: store.stops().await?,
            processes: store.processes().await?,
            duties: store.duties().await?,
            accounts: store.accounts().await?,
            by_hand: store.limits_by_hand().await?,
            shared: store.shared().await?,
            queued: store.queued_counts().await?,
            counts: store.campaign_counts().await?,
            campaigns: store.open_now().await?,
            unknown: store.unknown_attempts().await?,
            broker: letterbox.look().await,
        })
    }

    pub fn district(&self, id: DistrictId) -> &str {
        self.districts.get(&id).map_or("?", String::as_str)
    }

    /// How many jobs are queued, by channel and lane, where any are.
    pub fn queued_by_lane(&self) -> Vec<(String, i64)> {
        let mut sums: std::collections::BTreeMap<_, i64> = std::collections::BTreeMap::new();
        for count in &self.queued {
            *sums.entry((count.channel, count.lane)).or_default() += count.queued;
        }
        let named = |((channel, lane), queued)| (format!("{channel}.{lane}"), queued);
        sums.into_iter().filter(|(_, queued)| *queued != 0).map(named).collect()
    }

    pub fn json(&self) -> Value {
        json!({
            "at": self.now,
            "restored": self.restored,
            "stops": self.stops.iter().map(|stop| self.stop_json(stop)).collect::<Vec<_>>(),
            "processes": self.processes.iter().map(process_json).collect::<Vec<_>>(),
            "duties": self.duties.iter().map(|duty| json!({
                "name": duty.name, "holder": duty.holder, "until": duty.until })).collect::<Vec<_>>(),
            "accounts": self.accounts.iter().map(|account| self.account_json(account)).collect::<Vec<_>>(),
            "queued": self.queued_by_lane().into_iter().collect::<HashMap<_, _>>(),
            "broker": self.broker_json(),
            "campaigns": {
                "by_state": self.counts.iter().map(|(state, count)| (state.as_str(), *count))
                    .collect::<HashMap<_, _>>(),
                "open": self.campaigns.iter().map(|campaign| self.campaign_json(campaign)).collect::<Vec<_>>(),
            },
            "unknown_attempts": self.unknown,
            "dead_letters": self.broker.dead(),
        })
    }

    fn stop_json(&self, stop: &Stop) -> Value {
        let district = stop.district.map(|id| self.district(id));
        json!({ "district": district, "at": stop.at, "by": stop.by, "reason": stop.reason })
    }

    fn account_json(&self, account: &Account) -> Value {
        let shared = self.shared.get(&account.id).copied().unwrap_or_default();
        let limits = &account.limits;
        json!({
            "name": limits.name, "channel": limits.channel, "sender": account.sender.is_some(),
            "state": standing(account), "stopped": account.stopped, "health": account.health.health,
            "rate_per_second": limits.rate_per_second, "burst": limits.burst, "concurrency": limits.concurrency,
            "limited_by_hand": self.by_hand.contains_key(&account.id),
            "pace_per_second": account.pace.rate_per_second, "holds": account.pace.holds,
            "workers": shared.workers, "shared_per_second": shared.rate_per_second,
            "used_per_second": shared.used_per_second,
        })
    }

    fn broker_json(&self) -> Value {
        match &self.broker {
            Letters::NotConfigured => Value::Null,
            Letters::Unreachable(why) => json!({ "unreachable": why }),
            Letters::Ready(ready) => {
                let ready = ready.iter().map(|(queue, count)| (queue.name(), *count));
                json!({ "ready": ready.collect::<HashMap<_, _>>() })
            }
        }
    }

    fn campaign_json(&self, campaign: &OpenNow) -> Value {
        json!({
            "id": campaign.id, "number": campaign.number, "district": self.district(campaign.district),
            "subject": campaign.subject, "lane": campaign.lane, "state": campaign.state,
            "undecided": campaign.undecided, "devices": campaign.devices,
            "ended": campaign.devices - campaign.open,
        })
    }
}

fn process_json(process: &Process) -> Value {
    let is = &process.is;
    json!({ "id": is.id, "role": is.role, "version": is.version, "host": is.host,
        "started_at": process.started_at, "seen_at": process.seen_at, "alive": process.alive })
}
