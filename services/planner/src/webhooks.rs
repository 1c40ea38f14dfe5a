//! Webhooks: what happened is put on its way to the endpoints that ask for it, and what is on its way is sent.
//!
//! Two loops that know nothing of each other: `tell` compares rows with what was told, `deliver` sends what is due.
//! Nothing of it is done where jobs are released, claimed or settled (docs/adr/0037-webhooks.md).

mod deliver;
mod tell;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_runtime::{Progress, Tasks, run_ticker};
use tocsin_webhooks::{Client, Keys};
use tokio::sync::Notify;
use uuid::{NoContext, Timestamp, Uuid};

pub use self::deliver::Deliverer;
pub use self::tell::Teller;
use crate::{Planner, PlannerError};

/// How often somebody looks whether something happened.
const TELL: Duration = Duration::from_secs(1);
/// How often somebody looks whether something is due; what is told wakes it.
const DELIVER: Duration = Duration::from_millis(500);
const PRUNE: Duration = Duration::from_secs(60);
/// Deliveries, and what was told of campaigns that closed, are forgotten after it.
const KEPT: chrono::TimeDelta = chrono::TimeDelta::days(31);

/// What a planner needs to send webhooks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbound {
    pub keys: Keys,
    pub client: Client,
    /// From 0 to 1: spreads what failed together.
    pub chance: fn() -> f64,
    wake: Arc<Notify>,
}

impl Outbound {
    pub fn new(keys: Keys, client: Client) -> Self {
        Self { keys, client, chance: rand::random::<f64>, wake: Arc::default() }
    }
}

impl Planner {
    /// Deliveries and all that is only kept for them, a part at a time.
    pub async fn prune_webhooks(&self) -> Result<Progress, PlannerError> {
        let removed = self.store.prune_webhooks(self.store.now().await? - KEPT).await?;
        Ok(if removed > 0 { Progress::More } else { Progress::Idle })
    }
}

/// Starts the loops below `tasks`.
pub(crate) fn start(planner: &Planner, outbound: &Outbound, tasks: &Tasks) {
    let (telling, waking, stopping) = (planner.clone(), outbound.clone(), tasks.stopping().clone());
    tasks.spawn("planner webhooks tell", async move {
        let mut teller = Teller::default();
        let tick = async move || {
            let progress = teller.tick(&telling).await?;
            waking.wake.notify_one();
            Ok::<_, PlannerError>(progress)
        };
        run_ticker("planner.webhooks.tell", TELL, &Notify::new(), &stopping, tick).await;
    });
    let (deliverer, stopping) = (Deliverer::new(planner.clone(), outbound.clone()), tasks.stopping().clone());
    let (wake, sending) = (Arc::clone(&outbound.wake), tasks.clone());
    tasks.spawn("planner webhooks deliver", async move {
        let tick = async move || deliverer.tick(&sending).await;
        run_ticker("planner.webhooks.deliver", DELIVER, &wake, &stopping, tick).await;
    });
    let (planner, stopping) = (planner.clone(), tasks.stopping().clone());
    tasks.spawn("planner webhooks prune", async move {
        let tick = async move || planner.prune_webhooks().await;
        run_ticker("planner.webhooks.prune", PRUNE, &Notify::new(), &stopping, tick).await;
    });
}

/// Of an event: later ones have greater ones, so that lists go by it.
fn event_id(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()))
}
