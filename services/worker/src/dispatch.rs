//! Screen and permit: which of the waiting jobs is claimed next.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tocsin_domain::trace::Context;
use tocsin_domain::{AccountId, Channel, Lane, WaitReason, WorkerId};
use tocsin_queue::{Acker, Consumer, Delivery, TRACE_HEADER};
use tocsin_runtime::Stopwatch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::field;

use crate::Worker;
use crate::bundle::acknowledge;
use crate::claim::{self, Permitted};
use crate::pending::{Pending, Waiting};
use crate::record::Outcomes;
use crate::shares::{NoPermit, Permit};
use crate::slots::Line;
use crate::tally::Waits;
use crate::told;

/// Messages taken from a lane at once, each with up to 64 jobs.
pub const INTAKE_MAX: usize = 16;
/// Jobs claimed in one statement.
const CLAIM_MAX: usize = 200;
/// Claims under way at once: while one commits, the next is asked.
const CLAIMS_AT_ONCE: usize = 3;
/// And beside them of emergencies alone, which so wait for no other lane's to be answered.
const EMERGENCY_CLAIMS: usize = 1;
/// A statement costs as much as some sixty of its jobs, so claims of a busy stream, which are of so many jobs, begin on a
/// beat. Emergencies wait for none, nor does what comes in ones and twos.
const CLAIM_BEAT: Duration = Duration::from_millis(15);
const BUSY: usize = 8;
/// From one claim to the answer of the next: what ends meanwhile leaves its place to what is claimed now.
const AHEAD: Duration = Duration::from_millis(25);
/// A job that finds no permit for this long goes back to its row, so that it holds neither the window nor
/// the prefetch.
const PERMIT_WAIT: Duration = Duration::from_secs(5);
/// A job that another worker was told of and that is still queued after this time does so, too: the other one has
/// given it up by then.
const TOLD_WAIT: Duration = Duration::from_secs(6);
/// Both of emergencies: before their messages are taken for lost. What was released again meanwhile is void, and
/// on a slow account the tokens would all go to such messages.
const EMERGENCY_PERMIT_WAIT: Duration = Duration::from_millis(2_500);
/// The longest pause before permits are looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The consumers of one channel.
#[derive(Debug)]
pub struct Lanes {
    pub emergency: Consumer,
    pub priority: Consumer,
    pub general: Consumer,
}

/// One channel's dispatch over one session.
#[derive(Debug)]
pub struct Dispatch {
    worker: Worker,
    channel: Channel,
    waiting: Waiting,
    /// Jobs that other workers were told of. Their messages are here still.
    told: Vec<Pending>,
    places: Line,
    claims: Arc<Semaphore>,
    emergency_claims: Arc<Semaphore>,
    /// When the last claim began, and of how many jobs it was.
    claimed: Option<(Stopwatch, usize)>,
    sends: TaskTracker,
    outcomes: mpsc::Sender<Outcomes>,
    over: CancellationToken,
    waits: Waits,
}

impl Dispatch {
    pub fn new(
        worker: Worker,
        channel: Channel,
        sends: TaskTracker,
        outcomes: mpsc::Sender<Outcomes>,
        over: CancellationToken,
    ) -> Self {
        let [claims, emergency_claims] =
            [CLAIMS_AT_ONCE, EMERGENCY_CLAIMS].map(|turns| Arc::new(Semaphore::new(turns)));
        let places = worker.slots.line();
        Self {
            worker,
            channel,
            waiting: Waiting::default(),
            told: Vec::new(),
            places,
            claims,
            emergency_claims,
            claimed: None,
            sends,
            outcomes,
            over,
            waits: Waits::of(channel),
        }
    }

    /// Takes jobs until `over`, or until the session is lost.
    pub async fn run(mut self, lanes: Lanes) {
        let Lanes { mut emergency, mut priority, mut general } = lanes;
        let mut cancels = self.worker.cancels.changes();
        let mut gave_back = Stopwatch::start_by(&self.worker.clock);
        loop {
            // Also where there is never a pause.
            if gave_back.elapsed() >= LOOK_AGAIN {
                self.give_back_overdue().await;
                gave_back = Stopwatch::start_by(&self.worker.clock);
            }
            let pause = self.claim_what_may().await;
            let pause = pause.min(LOOK_AGAIN.saturating_sub(gave_back.elapsed()));
            let claims = Arc::clone(&self.claims);
            let emergency_claims = Arc::clone(&self.emergency_claims);
            let urgent = !self.waiting.lane(Lane::Emergency).is_empty();
            let busy = !self.waiting.is_empty() || !self.told.is_empty();
            let told = self.worker.told.clone();
            let [emergencies, priorities, generals] = Lane::ALL.map(|lane| self.has_room(lane));
            // Emergencies are taken in first; a job that waits is looked at again when anything moves.
            let (lane, batch) = tokio::select! {
                biased;
                () = self.over.cancelled() => break,
                batch = emergency.next_batch(INTAKE_MAX), if emergencies => (Lane::Emergency, batch),
                batch = priority.next_batch(INTAKE_MAX), if priorities => (Lane::Priority, batch),
                batch = general.next_batch(INTAKE_MAX), if generals => (Lane::General, batch),
                _ = cancels.changed() => {
                    self.drop_canceled().await;
                    continue;
                }
                () = told.arrived(self.channel) => {
                    self.take_in_told();
                    continue;
                }
                () = self.places.freed(), if busy => continue,
                _ = claims.acquire(), if busy && claims.available_permits() == 0 => continue,
                _ = emergency_claims.acquire(), if urgent && emergency_claims.available_permits() == 0 => continue,
                () = tokio::time::sleep(pause), if busy => continue,
            };
            let Some(batch) = batch else { break };
            let acker = match lane {
                Lane::Emergency => emergency.acker(),
                Lane::Priority => priority.acker(),
                Lane::General => general.acker(),
            };
            self.take_in(lane, batch, acker).await;
        }
        for consumer in [&mut emergency, &mut priority, &mut general] {
            consumer.stop().await;
        }
        self.leave().await;
    }

    /// Messages are bounded by the broker; the jobs in them, here. What is not taken in waits behind the others.
    fn has_room(&mut self, lane: Lane) -> bool {
        self.waiting.lane(lane).len() < usize::from(self.worker.settings.prefetch(lane))
    }

    /// Reads messages, and screens: a job of a canceled campaign, and a message that another of its job has made void, are
    /// dropped without costing a token.
    pub async fn take_in(&mut self, lane: Lane, batch: Vec<Delivery>, acker: Acker) {
        if lane == Lane::Emergency && !batch.is_empty() {
            self.worker.gives_way.met(self.channel);
        }
        let mut dropped = Vec::new();
        for delivery in batch {
            match Pending::read(&delivery, self.channel, lane, &acker, &self.worker.clock) {
                Ok(jobs) => {
                    for job in jobs {
                        if self.worker.cancels.contains(job.key.campaign) {
                            dropped.push(job);
                        } else {
                            dropped.extend(self.waiting.push(job));
                        }
                    }
                }
                Err(reason) => {
                    let at = delivery.header(TRACE_HEADER).and_then(Context::parse);
                    tracing::error!(channel = %self.channel, lane = %lane, reason,
                        trace_id = at.map(|at| field::display(at.trace)),
                        span_id = at.map(|at| field::display(at.span)), "message goes to dead letters");
                    if let Err(error) = acker.dead_letter(&delivery, &reason).await {
                        tracing::warn!(%error, "message will be delivered again");
                    }
                }
            }
        }
        acknowledge(&dropped).await;
    }

    /// The same of jobs that other workers tell of.
    pub fn take_in_told(&mut self) {
        let cancels = &self.worker.cancels;
        let told = self.worker.told.take(self.channel).into_iter();
        told.filter(|job| !cancels.contains(job.key.campaign)).for_each(|job| self.waiting.push_told(job));
    }

    /// Claims as many waiting jobs as have permits, in batches of what is there, emergencies first. Returns
    /// how long to wait for the next permit at most.
    async fn claim_what_may(&mut self) -> Duration {
        let beat = self.until_the_beat();
        if !beat.is_zero() {
            return beat;
        }
        self.places.expect(self.worker.requests.ending_within(AHEAD));
        let mut pause = LOOK_AGAIN;
        while let Some((turn, lanes)) = self.turn() {
            let (permitted, wait) = self.permits_of(lanes);
            pause = pause.min(wait);
            if permitted.is_empty() {
                break;
            }
            self.claimed = Some((Stopwatch::start_by(&self.worker.clock), permitted.len()));
            let (worker, channel, outcomes) = (self.worker.clone(), self.channel, self.outcomes.clone());
            let (sends, over) = (self.sends.clone(), self.over.clone());
            self.sends.spawn(async move {
                claim::run(&worker, channel, permitted, turn, &sends, &outcomes, &over).await;
            });
        }
        pause
    }

    /// A claim that may be asked, and whose jobs it may be for.
    fn turn(&mut self) -> Option<(OwnedSemaphorePermit, &'static [Lane])> {
        if let Ok(turn) = Arc::clone(&self.claims).try_acquire_owned() {
            return Some((turn, &Lane::ALL));
        }
        let urgent = !self.waiting.lane(Lane::Emergency).is_empty();
        let turn = urgent.then(|| Arc::clone(&self.emergency_claims).try_acquire_owned().ok()).flatten();
        turn.map(|turn| (turn, &Lane::ALL[..1]))
    }

    /// How long until the next claim may begin.
    fn until_the_beat(&mut self) -> Duration {
        if !self.waiting.lane(Lane::Emergency).is_empty() {
            return Duration::ZERO;
        }
        match &self.claimed {
            Some((begun, jobs)) if *jobs >= BUSY => CLAIM_BEAT.saturating_sub(begun.elapsed()),
            _ => Duration::ZERO,
        }
    }

    /// Takes permits for waiting jobs of all lanes.
    pub fn permits(&mut self) -> (Vec<Permitted>, Duration) {
        self.permits_of(&Lane::ALL)
    }

    /// Takes permits for waiting jobs, lane by lane. A waiting emergency takes the next place of the process, and
    /// the next token and place of its account: no later lane takes what an earlier one waits for. Where an emergency
    /// begins, the others wait for a moment.
    fn permits_of(&mut self, lanes: &[Lane]) -> (Vec<Permitted>, Duration) {
        self.take_back_told();
        let mut permitted = Vec::new();
        let mut pause = LOOK_AGAIN;
        let give_way = self.worker.gives_way.left(self.channel);
        let mut exhausted = Vec::new();
        // Accounts that another worker may send with.
        let mut elsewhere: HashMap<AccountId, WorkerId> = HashMap::new();
        let mut to_tell: BTreeMap<WorkerId, Vec<Pending>> = BTreeMap::new();
        for lane in lanes.iter().copied() {
            let jobs = self.waiting.lane(lane);
            if let Some(left) = give_way.filter(|_| lane != Lane::Emergency && !jobs.is_empty()) {
                pause = pause.min(left);
                continue;
            }
            let mut passed_over = std::collections::VecDeque::new();
            while permitted.len() < CLAIM_MAX {
                let Some(job) = jobs.pop_front() else { break };
                if let Some(worker) = elsewhere.get(&job.account) {
                    to_tell.entry(*worker).or_default().push(job);
                    continue;
                }
                if exhausted.contains(&job.account) {
                    passed_over.push_back(job);
                    continue;
                }
                let Some(slot) = self.places.take(lane) else {
                    passed_over.push_back(job);
                    break;
                };
                match self.worker.shares.permit(job.account, lane) {
                    Ok(Permit { share, mut places }) => {
                        places.push(slot);
                        permitted.push(Permitted { job, share, places });
                    }
                    Err(NoPermit::Elsewhere(worker)) => {
                        self.places.put_back(slot);
                        elsewhere.insert(job.account, worker);
                        to_tell.entry(worker).or_default().push(job);
                    }
                    Err(reason) => {
                        self.places.put_back(slot);
                        if let NoPermit::Wait(wait) = reason {
                            pause = pause.min(wait);
                        }
                        exhausted.push(job.account);
                        passed_over.push_back(job);
                    }
                }
            }
            while let Some(job) = passed_over.pop_back() {
                jobs.push_front(job);
            }
        }
        for permitted in &permitted {
            self.waits.note(permitted);
            self.waiting.took(permitted.job.key);
        }
        self.places.looked();
        for (worker, jobs) in to_tell {
            jobs.iter().for_each(|job| self.waiting.took(job.key));
            self.tell(worker, jobs);
        }
        (permitted, pause.max(Duration::from_millis(1)))
    }

    /// Jobs that another worker was told of wait here again as soon as this one may send them: an emergency among them
    /// comes before what general jobs arrived since.
    fn take_back_told(&mut self) {
        let shares = &self.worker.shares;
        let back: Vec<Pending> = self.told.extract_if(.., |job| !shares.is_elsewhere(job.account)).collect();
        for job in back {
            // What another message of its job has made void is settled with those that are overdue.
            let void = self.waiting.push(job);
            self.told.extend(void);
        }
    }

    /// Tells `worker` of jobs that it may send and this one may not. One that was told of here is told of no further:
    /// it is lacked, so that whoever has no use for the share gives it up.
    fn tell(&mut self, worker: WorkerId, jobs: Vec<Pending>) {
        let (own, told): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.message.is_some());
        told.iter().for_each(|job| self.worker.shares.lacked(job.account));
        if own.is_empty() {
            return;
        }
        let (publisher, channel, jobs) = (Arc::clone(&self.worker.publisher), self.channel, own.clone());
        self.sends.spawn(async move { told::tell(&publisher, channel, worker, &jobs).await });
        let arrived = Stopwatch::start_by(&self.worker.clock);
        self.told.extend(own.into_iter().map(|job| Pending { arrived: arrived.clone(), ..job }));
    }

    pub async fn drop_canceled(&mut self) {
        let cancels = self.worker.cancels.clone();
        let canceled = |job: &Pending| cancels.contains(job.key.campaign);
        let mut dropped = self.waiting.extract(canceled);
        dropped.extend(self.told.extract_if(.., |job| canceled(job)));
        acknowledge(&dropped).await;
    }

    /// Jobs that wait too long, and those whose account is stopped or rests: another may send them.
    pub async fn give_back_overdue(&mut self) {
        let shares = &self.worker.shares;
        let out = self.waiting.extract(|job| shares.is_out(job.account));
        claim::give_back(&self.worker, &out, WaitReason::ProviderBusy).await;
        let overdue = self.waiting.extract(|job| job.arrived.elapsed() >= permit_wait(job.lane));
        claim::give_back(&self.worker, &overdue, WaitReason::Limiter).await;
        let told: Vec<Pending> =
            self.told.extract_if(.., |job| job.arrived.elapsed() >= told_wait(job.lane)).collect();
        // Whoever was told has no use for its share, then.
        if claim::give_back(&self.worker, &told, WaitReason::Limiter).await > 0 {
            told.iter().for_each(|job| self.worker.shares.lacked(job.account));
        }
    }

    /// Jobs that wait here for a permit, and those that another worker was told of.
    pub fn waiting(&self) -> impl Iterator<Item = &Pending> {
        self.waiting.all().chain(&self.told)
    }

    /// What was not claimed goes to another worker.
    pub async fn leave(&mut self) {
        for job in self.waiting.extract(|_| true).into_iter().chain(std::mem::take(&mut self.told)) {
            let Some(part) = job.message else { continue };
            if part.give_back().await.is_err() {
                return;
            }
        }
    }
}

fn told_wait(lane: Lane) -> Duration {
    match lane {
        Lane::Emergency => EMERGENCY_PERMIT_WAIT,
        Lane::Priority | Lane::General => TOLD_WAIT,
    }
}

fn permit_wait(lane: Lane) -> Duration {
    match lane {
        Lane::Emergency => EMERGENCY_PERMIT_WAIT,
        Lane::Priority | Lane::General => PERMIT_WAIT,
    }
}

#[cfg(test)]
mod tests;
