//! Which steps are due when, and which of them are to be posted.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::detection::Detection;
use super::fate::Step;
use super::record::{MessageId, Snapshot};
use super::scenario::{CallbackEvents, Callbacks};

/// A vendor tries a few times; real ones wait for minutes in between.
const RETRIES_MAX: u8 = 4;
const RETRY_WAIT: Duration = Duration::from_millis(250);

/// One step of one message, due to happen and perhaps to be posted.
#[derive(Debug)]
pub(super) struct Due {
    at: Instant,
    /// Keeps what is due at the same instant in order.
    order: u64,
    pub message: MessageId,
    pub step: Step,
    /// The vendor's number of this report among its message's.
    pub sequence: u8,
    pub post: bool,
    tries: u8,
    early: Option<oneshot::Sender<()>>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// What came of the reports so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackCounts {
    /// Taken by the receiver.
    pub taken: u64,
    /// Refused, or given up.
    pub failed: u64,
    /// Posts beyond each report's first.
    pub retried: u64,
    /// Kept back by the scenario.
    pub lost: u64,
    /// Due later, waiting or on their way.
    pub pending: u64,
}

/// All steps of one message.
#[derive(Debug)]
pub(super) struct Plan {
    /// The steps' times are as if the vendor had begun then.
    pub made_at: Instant,
    pub steps: Vec<Due>,
}

impl Plan {
    /// The same, begun at another time.
    pub(super) fn begun_at(mut self, at: Instant) -> Self {
        let waited = at.saturating_duration_since(self.made_at);
        self.steps.iter_mut().for_each(|due| due.at += waited);
        Self { made_at: at, ..self }
    }
}

/// How one message is to be reported.
pub(super) struct Manner<'a> {
    pub callbacks: &'a Callbacks,
    pub subscribed: &'a dyn Fn(Step) -> bool,
    /// The request's latency: reports follow the answer, but for the early ones.
    pub answered_in: Duration,
    /// Whether it has to wait for its turn: then nothing of it is early.
    pub waits: bool,
}

/// What came of one post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Post {
    Taken,
    Refused,
    /// To be posted again, some time later.
    Again,
}

#[derive(Debug)]
pub(super) struct CallbackQueue {
    due: Mutex<BinaryHeap<Reverse<Due>>>,
    changed: Notify,
    idle: Notify,
    pending: AtomicUsize,
    order: AtomicU64,
    taken: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    lost: AtomicU64,
}

impl CallbackQueue {
    pub(super) fn new() -> Self {
        Self {
            due: Mutex::default(),
            changed: Notify::new(),
            idle: Notify::new(),
            pending: AtomicUsize::new(0),
            order: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    pub(super) fn counts(&self) -> CallbackCounts {
        CallbackCounts {
            taken: self.taken.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            retried: self.retried.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            pending: self.pending.load(Ordering::Acquire) as u64,
        }
    }

    pub(super) async fn done(&self) {
        loop {
            let idle = self.idle.notified();
            if self.pending.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Plans all steps of a message accepted now. What is returned resolves when the first report of
    /// an early message has been posted. The steps count as pending, and are not due before they are begun.
    pub(super) fn plan(
        &self,
        message: &Snapshot,
        manner: &Manner<'_>,
        rng: &mut StdRng,
    ) -> (Plan, Option<oneshot::Receiver<()>>) {
        let callbacks = manner.callbacks;
        let steps = message.fate.steps(message.channel);
        let early = rng.random_bool(callbacks.early) && !manner.waits;
        let made_at = Instant::now();
        let mut at = made_at + if early { Duration::ZERO } else { manner.answered_in };
        let mut planned: Vec<Due> = Vec::with_capacity(steps.len());
        let mut sequence = 0;
        for &step in steps {
            if !(early && planned.is_empty()) {
                at += callbacks.delay.draw(rng);
            }
            let wanted = match callbacks.events {
                CallbackEvents::All => true,
                CallbackEvents::Final => step.is_final() || step == Step::Pressed || steps.len() == 1,
            };
            let mut due = self.due(message.id, step, at);
            if wanted && (manner.subscribed)(step) && !message.callback.is_empty() {
                due.sequence = sequence;
                due.post = !rng.random_bool(callbacks.lost);
                self.lost.fetch_add(u64::from(!due.post), Ordering::Relaxed);
                // A key is no report of the call's progress, and has no number.
                sequence += u8::from(step != Step::Pressed);
            }
            if due.post && rng.random_bool(callbacks.duplicate) {
                let again = at + callbacks.delay.draw(rng);
                planned.push(Due { post: true, sequence: due.sequence, ..self.due(message.id, step, again) });
            }
            planned.push(due);
        }
        if message.detection == Detection::Beside && steps.contains(&Step::Answered) {
            planned.extend(self.detection(message, callbacks, &planned, rng));
        }
        if rng.random_bool(callbacks.reorder) {
            reverse_posts(&mut planned);
        }
        let receiver = early.then(|| mark_first(&mut planned)).flatten();
        self.pending.fetch_add(planned.len(), Ordering::AcqRel);
        (Plan { made_at, steps: planned }, receiver)
    }

    /// The vendor begins to work on a message.
    pub(super) fn begin(&self, plan: Plan) {
        if plan.steps.is_empty() {
            return;
        }
        self.lock().extend(plan.steps.into_iter().map(Reverse));
        self.changed.notify_one();
    }

    /// Nothing comes of what was planned.
    pub(super) fn give_up(&self, plan: &Plan) {
        plan.steps.iter().for_each(|_| self.finish());
    }

    /// The report of who answered: some time after the answer, or too late, after the end.
    fn detection(
        &self,
        call: &Snapshot,
        callbacks: &Callbacks,
        planned: &[Due],
        rng: &mut StdRng,
    ) -> Option<Due> {
        let late = rng.random_bool(callbacks.detection_late);
        let after = |due: &&Due| if late { due.step.is_final() } else { due.step == Step::Answered };
        let at = planned.iter().filter(after).map(|due| due.at).max()?;
        let delay = if late { callbacks.detection_delay } else { callbacks.delay };
        let mut due = self.due(call.id, Step::Detected, at + delay.draw(rng));
        due.post = !call.callback.is_empty() && !rng.random_bool(callbacks.detection_lost);
        self.lost.fetch_add(u64::from(!due.post), Ordering::Relaxed);
        Some(due)
    }

    /// Reports at once that a call was ended from outside.
    pub(super) fn report_ended(&self, message: &Snapshot, at: Step) {
        let mut due = self.due(message.id, at, Instant::now());
        due.post = !message.callback.is_empty();
        // A call that is ended so has reported at most that it was initiated, that it rang and that
        // it was answered.
        due.sequence = 3;
        self.push(due);
    }

    fn due(&self, message: MessageId, step: Step, at: Instant) -> Due {
        let order = self.order.fetch_add(1, Ordering::Relaxed);
        Due { at, order, message, step, sequence: 0, post: false, tries: 0, early: None }
    }

    fn push(&self, due: Due) {
        self.pending.fetch_add(1, Ordering::AcqRel);
        self.lock().push(Reverse(due));
        self.changed.notify_one();
    }

    /// The next step if its time has come, else when that will be.
    pub(super) fn pop(&self) -> Result<Due, Option<Instant>> {
        let mut due = self.lock();
        match due.peek() {
            Some(Reverse(next)) if next.at > Instant::now() => Err(Some(next.at)),
            Some(_) => due.pop().map(|Reverse(next)| next).ok_or(None),
            None => Err(None),
        }
    }

    /// A step that is not posted has happened.
    pub(super) fn passed(&self) {
        self.finish();
    }

    /// The post of a step has come to its end, or is due again.
    pub(super) fn posted(&self, mut due: Due, post: Post) {
        // Early means posted before the answer, taken or not.
        if let Some(early) = due.early.take() {
            let _ = early.send(());
        }
        match post {
            Post::Taken => self.taken.fetch_add(1, Ordering::Relaxed),
            Post::Again if due.tries < RETRIES_MAX => {
                due.at = Instant::now() + RETRY_WAIT * 2_u32.pow(u32::from(due.tries));
                due.tries += 1;
                self.push(due);
                self.retried.fetch_add(1, Ordering::Relaxed)
            }
            Post::Again | Post::Refused => self.failed.fetch_add(1, Ordering::Relaxed),
        };
        self.finish();
    }

    /// Returns when there may be something to pop: at `next`, or when something was planned.
    pub(super) async fn wait(&self, next: Option<Instant>) {
        match next {
            Some(at) => {
                tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = self.changed.notified() => {}
                }
            }
            None => self.changed.notified().await,
        }
    }

    fn finish(&self) {
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BinaryHeap<Reverse<Due>>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the posts each other's times, last first. What happens to the message keeps its order: a
/// step never goes back.
fn reverse_posts(planned: &mut [Due]) {
    let mut posts: Vec<&mut Due> = planned.iter_mut().filter(|due| due.post).collect();
    let times: Vec<Instant> = posts.iter().map(|due| due.at).collect();
    for (due, at) in posts.iter_mut().zip(times.iter().rev()) {
        due.at = *at;
    }
    // Reports due at the same instant go by their order.
    let orders: Vec<u64> = posts.iter().map(|due| due.order).collect();
    for (due, order) in posts.iter_mut().zip(orders.iter().rev()) {
        due.order = *order;
    }
}

fn mark_first(planned: &mut [Due]) -> Option<oneshot::Receiver<()>> {
    let first = planned.iter_mut().filter(|due| due.post).min()?;
    let (sender, receiver) = oneshot::channel();
    first.early = Some(sender);
    Some(receiver)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use tocsin_domain::Channel;

    use super::*;
    use crate::simulator::ledger::Ledger;
    use crate::simulator::record::{Acceptance, Arrival, Kind};
    use crate::simulator::{Fate, clock};

    /// The posts of one answered call, in the order they are due.
    fn posts(behaviour: &Callbacks, detection: Detection) -> Vec<(Step, u8)> {
        let queue = CallbackQueue::new();
        let ledger = Ledger::new(clock::now());
        let arrival =
            Arrival { channel: Channel::Voice, kind: Kind::Send, token: Some("t"), to: None, answered: 201 };
        let acceptance = Acceptance {
            fate: Fate::Human,
            callback: "http://x/",
            origin: "",
            body: "",
            detection,
            with: None,
        };
        let call = ledger.accepted(clock::now(), arrival, acceptance);
        let mut rng = StdRng::seed_from_u64(1);
        let manner =
            Manner { callbacks: behaviour, subscribed: &|_| true, answered_in: Duration::ZERO, waits: false };
        queue.begin(queue.plan(&call, &manner, &mut rng).0);
        let due = std::iter::from_fn(|| queue.pop().ok());
        due.filter(|due| due.post).map(|due| (due.step, due.sequence)).collect()
    }

    #[test]
    fn posts_keep_their_order_or_reverse_it_and_their_number_either_way() {
        let mut steps =
            vec![(Step::Initiated, 0), (Step::Ringing, 1), (Step::Answered, 2), (Step::Completed, 3)];
        assert_eq!(posts(&Callbacks::default(), Detection::NotAsked), steps);
        steps.reverse();
        let reorder = Callbacks { reorder: 1.0, ..Callbacks::default() };
        assert_eq!(posts(&reorder, Detection::NotAsked), steps);
    }

    #[test]
    fn only_the_last_step_is_posted_where_the_scenario_wants_no_more() {
        let last = Callbacks { events: CallbackEvents::Final, ..Callbacks::default() };
        assert_eq!(posts(&last, Detection::First), [(Step::Completed, 0)]);
    }

    #[test]
    fn who_answered_is_told_beside_the_call_late_or_never() {
        let step_of = |behaviour: Callbacks| {
            let posts = posts(&behaviour, Detection::Beside);
            posts.iter().position(|(step, _)| *step == Step::Detected)
        };
        let delay = super::super::Delay::Fixed(0);
        let usual = Callbacks { delay, ..Callbacks::default() };
        assert!(step_of(usual.clone()).is_some());
        assert_eq!(step_of(Callbacks { detection_late: 1.0, ..usual.clone() }), Some(4), "after the end");
        assert_eq!(step_of(Callbacks { detection_lost: 1.0, ..usual }), None);
    }
}
