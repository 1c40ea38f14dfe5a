//! The planner: turns audiences into jobs, releases due jobs into the queues, and brings campaigns to their
//! end.
//!
//! Every loop is a tick: an idempotent function without input, run on a signal and on a period. Any number
//! of planners may run; what must not be done twice is a compare-and-set, and releasing a channel and lane
//! is a duty that one planner holds at a time.

mod audit;
mod bundles;
mod close;
mod duties;
mod emergency;
mod error;
mod expand;
mod expire;
mod hold;
mod limits;
mod listen;
mod look_up;
mod observe;
mod prune;
mod recur;
mod refresh;
mod release;
mod remind;
mod retain;
mod scaling;
mod sweep;
mod traced;
mod turns;
mod unserved;
mod urgent;
mod webhooks;
mod windows;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::Months;
use tocsin_domain::Channel;
use tocsin_queue::{Broker, Publisher};
use tocsin_runtime::telemetry::{CampaignSpans, Spans};
use tocsin_runtime::{Link, Progress, Pulse, SharedClock, Tasks, run_ticker};
use tocsin_store::Store;
use tokio::sync::Notify;
use uuid::Uuid;

pub use audit::tick as audit;
pub use bundles::Spread;
pub use close::tick as close;
pub use duties::Duties;
pub use error::PlannerError;
pub use expand::{Expander, Of, PEOPLE_PER_CHUNK};
pub use expire::tick as expire;
pub use listen::watch_depths;
pub use observe::{Observer, show_depths, tick_slow as observe_slowly};
pub use prune::tick as prune;
pub use recur::tick as recur;
pub use refresh::tick as refresh;
pub use release::Releaser;
pub use remind::tick as remind;
pub use retain::Retainer;
pub use scaling::{Aims, Scaling};
pub use sweep::Sweeper;
pub use urgent::Urgent;
pub use webhooks::{Deliverer, Outbound, Teller};

/// Release runs at least this often (design: every 250 ms), and so do the ticks that a user waits for.
const QUICK: Duration = Duration::from_millis(250);
/// Housekeeping.
const SLOW: Duration = Duration::from_secs(1);
/// What providers hold is counted anew.
const RECOUNT: Duration = Duration::from_secs(60);
/// What metrics tell of the store is read anew.
const OBSERVE: Duration = Duration::from_secs(5);
/// The same of what costs more.
const OBSERVE_SLOWLY: Duration = Duration::from_secs(60);
/// A planner whose duties were not looked at for so long is not at work.
const DUTIES_WITHIN: Duration = Duration::from_secs(15);
/// Whoever is pending is looked for.
const REMIND: Duration = Duration::from_secs(60);
/// A budget that was not drawn from for so long is forgotten: it is full, at the slowest rate that there is.
const BUDGET_KEPT: chrono::TimeDelta = chrono::TimeDelta::hours(2);
/// Partitions are made this far ahead.
const PARTITIONS_AHEAD: chrono::TimeDelta = chrono::TimeDelta::days(40);

/// What every tick works with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Planner {
    pub store: Store,
    pub broker: Arc<dyn Broker>,
    pub publisher: Arc<Publisher>,
    pub clock: SharedClock,
    /// This process, as holder of duties.
    pub id: Uuid,
    pub wakes: Wakes,
    /// People of one transaction of an expansion.
    pub people_per_chunk: i64,
    /// Of released jobs over messages.
    pub spread: Spread,
    /// None: this installation sends no webhooks.
    pub webhooks: Option<Outbound>,
    /// What closed so long ago goes, month by month. None: nothing ever does.
    pub retain_months: Option<Months>,
    /// Its duties were looked at.
    pulse: Pulse,
    /// It hears the control exchange.
    hearing: Link,
    /// Where traces go.
    pub spans: Spans,
}

/// Signals between ticks, and from the control exchange.
#[derive(Debug, Clone, Default)]
pub struct Wakes {
    pub expand: Arc<Notify>,
    pub expand_emergencies: Arc<Notify>,
    pub urgent: Urgent,
    pub sweep: Arc<Notify>,
    pub close: Arc<Notify>,
    release: Arc<HashMap<Channel, Notify>>,
}

impl Wakes {
    pub fn new() -> Self {
        let release = Channel::ALL.into_iter().map(|channel| (channel, Notify::new())).collect();
        Self { release: Arc::new(release), ..Self::default() }
    }

    /// Campaigns may be due.
    pub fn expand(&self) {
        self.expand_emergencies.notify_one();
        self.expand.notify_one();
    }

    /// Emergency jobs of the channel may be due: what is being released there makes room for them.
    pub fn emergency(&self, channel: Channel) {
        self.urgent.begins(channel);
        self.release(channel);
    }

    pub fn release(&self, channel: Channel) {
        if let Some(notify) = self.release.get(&channel) {
            notify.notify_one();
        }
    }

    pub fn release_all(&self) {
        self.release.values().for_each(Notify::notify_one);
    }
}

impl Planner {
    pub fn new(store: Store, broker: Arc<dyn Broker>, clock: SharedClock, id: Uuid) -> Self {
        let publisher = Arc::new(Publisher::new(Arc::clone(&broker), "planner"));
        let (wakes, spread) = (Wakes::new(), Spread::default());
        Self {
            store,
            broker,
            publisher,
            clock,
            id,
            wakes,
            people_per_chunk: PEOPLE_PER_CHUNK,
            spread,
            webhooks: None,
            retain_months: None,
            pulse: Pulse::default(),
            hearing: Link::default(),
            spans: Spans::none(),
        }
    }

    /// Has it looked at its duties lately? What `/readyz` asks.
    ///
    /// # Errors
    /// It has not.
    pub fn at_work(&self) -> Result<(), String> {
        self.pulse.within(DUTIES_WITHIN)
    }

    /// Does it hear the control exchange? What `/readyz` asks of the broker.
    ///
    /// # Errors
    /// It does not.
    pub fn hears(&self) -> Result<(), String> {
        self.hearing.check()
    }

    pub(crate) fn campaign_spans(&self) -> CampaignSpans {
        CampaignSpans::new(self.spans.clone())
    }

    /// Starts every loop below `tasks`.
    pub fn start(&self, tasks: &Tasks) {
        observe::begin();
        let duties = Duties::default();
        self.start_duties(tasks, duties.clone());
        for channel in Channel::ALL {
            self.start_release(tasks, channel, duties.clone());
        }
        self.start_expand(
            tasks,
            "planner expand emergencies",
            &self.wakes.expand_emergencies,
            Of::Emergencies,
        );
        self.start_expand(tasks, "planner expand", &self.wakes.expand, Of::Others);
        urgent::start(self.clone(), tasks);
        self.start_sweep(tasks);
        self.start_expire(tasks);
        self.start_close(tasks);
        self.start_audit(tasks);
        self.start_recur(tasks);
        self.start_remind(tasks);
        self.start_refresh(tasks);
        self.start_observe(tasks);
        self.start_housekeeping(tasks);
        prune::start(self, tasks);
        retain::start(self, tasks);
        if let Some(outbound) = &self.webhooks {
            webhooks::start(self, outbound, tasks);
        }
        listen::start(self.clone(), tasks);
    }

    fn start_duties(&self, tasks: &Tasks, duties: Duties) {
        let (planner, leaving, stopping) = (self.clone(), self.clone(), tasks.stopping().clone());
        tasks.spawn("planner duties", async move {
            let tick = async move || {
                let progress = duties.tick(&planner).await?;
                planner.pulse.beat();
                Ok::<_, PlannerError>(progress)
            };
            run_ticker("planner.duties", SLOW, &Notify::new(), &stopping, tick).await;
            if let Err(error) = leaving.store.drop_duties(leaving.id).await {
                tracing::warn!(%error, "duties run out by themselves");
            }
        });
    }

    fn start_release(&self, tasks: &Tasks, channel: Channel, duties: Duties) {
        let (planner, wakes, stopping) = (self.clone(), self.wakes.clone(), tasks.stopping().clone());
        tasks.spawn("planner release", async move {
            let Some(wake) = wakes.release.get(&channel) else { return };
            let mut releaser = Releaser::new(channel, duties);
            let tick = async move || releaser.tick(&planner).await;
            run_ticker("planner.release", QUICK, wake, &stopping, tick).await;
        });
    }

    /// Emergencies have a task of their own: a chunk of another campaign takes as long as it takes.
    fn start_expand(&self, tasks: &Tasks, name: &'static str, wake: &Arc<Notify>, of: Of) {
        let (planner, wake, stopping) = (self.clone(), Arc::clone(wake), tasks.stopping().clone());
        tasks.spawn(name, async move {
            let mut expander = Expander::of(of);
            let tick = async move || expander.tick(&planner).await;
            run_ticker("planner.expand", QUICK, &wake, &stopping, tick).await;
        });
    }

    fn start_sweep(&self, tasks: &Tasks) {
        let (planner, stopping) = (self.clone(), tasks.stopping().clone());
        let wake = Arc::clone(&self.wakes.sweep);
        tasks.spawn("planner sweep", async move {
            let mut sweeper = Sweeper::default();
            let tick = async move || sweeper.tick(&planner).await;
            run_ticker("planner.sweep", QUICK, &wake, &stopping, tick).await;
        });
    }

    fn start_expire(&self, tasks: &Tasks) {
        let (planner, stopping) = (self.clone(), tasks.stopping().clone());
        tasks.spawn("planner expire", async move {
            let tick = async move || expire::tick(&planner).await;
            run_ticker("planner.expire", QUICK, &Notify::new(), &stopping, tick).await;
        });
    }

    fn start_close(&self, tasks: &Tasks) {
        let (planner, stopping) = (self.clone(), tasks.stopping().clone());
        let wake = Arc::clone(&self.wakes.close);
        tasks.spawn("planner close", async move {
            let tick = async move || close::tick(&planner).await;
            run_ticker("planner.close", QUICK, &wake, &stopping, tick).await;
        });
    }

    fn start_audit(&self, tasks: &Tasks) {
        let (planner, stopping) = (self.clone(), tasks.stopping().clone());
        tasks.spawn("planner audit", async move {
            let tick = async move || audit::tick(&planner).await;
            run_ticker("planner.audit", SLOW, &Notify::new(), &stopping, tick).await;
        });
    }

    fn start_recur(&self, tasks: &Tasks) {
        let (planner, stopping) = (self.clone(), tasks.stopping().clone());
        tasks.spawn("planner recur", async move {
            let tick = async move || recur::tick(&planner).await;
            run_ticker("planner.recur", SLOW, &Notify::new(), &stopping, tick).await;
        });
    }

    fn start_remind(&self, tasks: &Tasks) {
        let (planner, stopping) = (self.clone(), tasks.stopping().clone());
        tasks.spawn("planner remind", async move {
            let tick = async move || remind::tick(&planner).await;
            run_ticker("planner.remind", REMIND, &Notify::new(), &stopping, tick).await;
        });
    }

    fn start_refresh(&self, tasks: &Tasks) {
        let (planner, stopping) = (self.clone(), tasks.stopping().clone());
        tasks.spawn("planner refresh", async move {
            let tick = async move || refresh::tick(&planner).await;
            run_ticker("planner.refresh", SLOW, &Notify::new(), &stopping, tick).await;
        });
    }

    fn start_observe(&self, tasks: &Tasks) {
        let (planner, stopping) = (self.clone(), tasks.stopping().clone());
        tasks.spawn("planner observe", async move {
            let mut observer = Observer::default();
            let tick = async move || observer.tick(&planner).await;
            run_ticker("planner.observe", OBSERVE, &Notify::new(), &stopping, tick).await;
        });
        let (planner, stopping) = (self.clone(), tasks.stopping().clone());
        tasks.spawn("planner observe slowly", async move {
            let tick = async move || observe::tick_slow(&planner).await;
            run_ticker("planner.observe_slowly", OBSERVE_SLOWLY, &Notify::new(), &stopping, tick).await;
        });
    }

    fn start_housekeeping(&self, tasks: &Tasks) {
        let (planner, stopping) = (self.clone(), tasks.stopping().clone());
        tasks.spawn("planner housekeeping", async move {
            let tick = async move || planner.keep_house().await;
            run_ticker("planner.housekeeping", SLOW, &Notify::new(), &stopping, tick).await;
        });
        let (planner, stopping) = (self.clone(), tasks.stopping().clone());
        tasks.spawn("planner recount", async move {
            let tick = async move || planner.recount().await;
            run_ticker("planner.recount", RECOUNT, &Notify::new(), &stopping, tick).await;
        });
    }

    /// Forgets old budgets, and counts anew what providers hold: after a deploy from a release that did not count it, the tally is off.
    pub async fn recount(&self) -> Result<Progress, PlannerError> {
        self.store.forget_budgets(self.store.now().await? - BUDGET_KEPT).await?;
        let off_by = self.store.recount_held().await?;
        if off_by > 0 {
            tracing::warn!(attempts = off_by, "what providers hold was counted anew");
        }
        Ok(Progress::Idle)
    }

    /// Folds counters, takes samples of how far campaigns are, and makes partitions ahead.
    pub async fn keep_house(&self) -> Result<Progress, PlannerError> {
        self.store.fold().await?;
        self.store.sample_progress(self.clock.now()).await?;
        let made = self.store.make_partitions(self.clock.now() + PARTITIONS_AHEAD).await?;
        if made > 0 {
            tracing::info!(partitions = made, "partitions made ahead");
        }
        Ok(Progress::Idle)
    }
}
