//! Screen and permit: which of the waiting jobs is claimed next.

use std::sync::Arc;
use std::time::Duration;

use tocsin_domain::{Channel, Lane, WaitReason};
use tocsin_queue::{Acker, Consumer, Delivery};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Worker;
use crate::claim::{self, Permitted};
use crate::pending::{Pending, Waiting, acknowledge};
use crate::record::Outcomes;
use crate::shares::NoPermit;
use crate::slots::Line;

/// Messages taken from a lane at once.
pub const INTAKE_MAX: usize = 500;
/// Jobs claimed in one statement.
const CLAIM_MAX: usize = 200;
/// Claims under way at once: while one commits, the next is asked.
const CLAIMS_AT_ONCE: usize = 3;
/// A job that finds no permit for this long goes back to its row, so that it holds neither the window nor
/// the prefetch.
const PERMIT_WAIT: Duration = Duration::from_secs(5);
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
    places: Line,
    claims: Arc<Semaphore>,
    sends: TaskTracker,
    outcomes: mpsc::Sender<Outcomes>,
    over: CancellationToken,
}

impl Dispatch {
    pub fn new(
        worker: Worker,
        channel: Channel,
        sends: TaskTracker,
        outcomes: mpsc::Sender<Outcomes>,
        over: CancellationToken,
    ) -> Self {
        let claims = Arc::new(Semaphore::new(CLAIMS_AT_ONCE));
        let places = worker.slots.line();
        Self { worker, channel, waiting: Waiting::default(), places, claims, sends, outcomes, over }
    }

    /// Takes jobs until `over`, or until the session is lost.
    pub async fn run(mut self, lanes: Lanes) {
        let Lanes { mut emergency, mut priority, mut general } = lanes;
        let mut cancels = self.worker.cancels.changes();
        loop {
            let pause = self.claim_what_may().await;
            let claims = Arc::clone(&self.claims);
            let busy = !self.waiting.is_empty();
            // Emergencies are taken in first; a job that waits is looked at again when anything moves.
            let (lane, batch) = tokio::select! {
                biased;
                () = self.over.cancelled() => break,
                batch = emergency.next_batch(INTAKE_MAX) => (Lane::Emergency, batch),
                batch = priority.next_batch(INTAKE_MAX) => (Lane::Priority, batch),
                batch = general.next_batch(INTAKE_MAX) => (Lane::General, batch),
                _ = cancels.changed() => {
                    self.drop_canceled().await;
                    continue;
                }
                () = self.places.freed(), if busy => continue,
                _ = claims.acquire(), if busy && claims.available_permits() == 0 => continue,
                () = tokio::time::sleep(pause), if busy => {
                    self.give_back_overdue().await;
                    continue;
                }
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

    /// Reads messages, and screens: a job of a canceled campaign is dropped without costing a token.
    pub async fn take_in(&mut self, lane: Lane, batch: Vec<Delivery>, acker: Acker) {
        let mut canceled = Vec::new();
        for delivery in batch {
            match Pending::read(&delivery, self.channel, lane, &acker, &self.worker.clock) {
                Ok(job) if self.worker.cancels.contains(job.key.campaign) => canceled.push(job),
                Ok(job) => self.waiting.push(job),
                Err(reason) => {
                    tracing::error!(channel = %self.channel, lane = %lane, reason, "message goes to dead letters");
                    if let Err(error) = acker.dead_letter(&delivery, &reason).await {
                        tracing::warn!(%error, "message will be delivered again");
                    }
                }
            }
        }
        acknowledge(&canceled).await;
    }

    /// Claims as many waiting jobs as have permits, in batches of what is there, emergencies first. Returns
    /// how long to wait for the next permit at most.
    async fn claim_what_may(&mut self) -> Duration {
        let mut pause = LOOK_AGAIN;
        while let Ok(turn) = Arc::clone(&self.claims).try_acquire_owned() {
            let (permitted, wait) = self.permits();
            pause = pause.min(wait);
            if permitted.is_empty() {
                break;
            }
            let (worker, channel, outcomes) = (self.worker.clone(), self.channel, self.outcomes.clone());
            let (sends, over) = (self.sends.clone(), self.over.clone());
            self.sends.spawn(async move {
                claim::run(&worker, channel, permitted, turn, &sends, &outcomes, &over).await;
            });
        }
        pause
    }

    /// Takes permits for waiting jobs, lane by lane. A waiting emergency takes the next place of the process, and
    /// the next token and place of its account: no later lane takes what an earlier one waits for.
    pub fn permits(&mut self) -> (Vec<Permitted>, Duration) {
        let mut permitted = Vec::new();
        let mut pause = LOOK_AGAIN;
        let mut exhausted = Vec::new();
        for lane in Lane::ALL {
            let jobs = self.waiting.lane(lane);
            let mut passed_over = std::collections::VecDeque::new();
            while permitted.len() < CLAIM_MAX {
                let Some(job) = jobs.pop_front() else { break };
                if exhausted.contains(&job.account) {
                    passed_over.push_back(job);
                    continue;
                }
                let Some(slot) = self.places.take(lane) else {
                    passed_over.push_back(job);
                    break;
                };
                match self.worker.shares.permit(job.account, lane) {
                    Ok((share, place)) => permitted.push(Permitted { job, share, places: [place, slot] }),
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
        self.places.looked();
        (permitted, pause.max(Duration::from_millis(1)))
    }

    pub async fn drop_canceled(&mut self) {
        let cancels = self.worker.cancels.clone();
        let dropped = self.waiting.extract(|job| cancels.contains(job.key.campaign));
        acknowledge(&dropped).await;
    }

    pub async fn give_back_overdue(&mut self) {
        let overdue = self.waiting.extract(|job| job.arrived.elapsed() >= PERMIT_WAIT);
        claim::give_back(&self.worker, &overdue, WaitReason::Limiter).await;
    }

    /// Jobs that wait here for a permit.
    pub fn waiting(&self) -> impl Iterator<Item = &Pending> {
        self.waiting.all()
    }

    /// What was not claimed goes to another worker.
    pub async fn leave(&mut self) {
        for job in self.waiting.extract(|_| true) {
            if job.acker.give_back(&[job.tag]).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
