//! What this worker tells of an account when it renews its share: what it used, whether it lacked anything,
//! and what the provider said.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tocsin_domain::failover::Answers;
use tocsin_domain::{AccountId, JobKey};
use tocsin_runtime::{SharedClock, Stopwatch};
use tocsin_store::leases::{Throttled, Usage};

use crate::answers::Window;

/// A worker that used nothing for so long is idle. Shorter pauses must not cost it its share: what it gets
/// instead begins empty.
pub const IDLE_AFTER: Duration = Duration::from_secs(3);
/// The rate of use is measured over at least this time.
const MEASURE: Duration = Duration::from_millis(500);

/// One account's usage since it was reported last.
#[derive(Debug)]
pub struct Meter {
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    used: u32,
    lacked: u32,
    /// Since it used or lacked a token last.
    quiet: Option<Stopwatch>,
    /// Since it began, or a job met it last.
    unused: Stopwatch,
    measured: Stopwatch,
    used_since_measured: u32,
    used_per_second: f64,
    throttled: Option<Throttled>,
    answers: Window,
    /// The job for which the account was refused last, since it took anything.
    refused: Option<JobKey>,
}

impl Meter {
    pub fn new(clock: &SharedClock) -> Self {
        let state = State {
            used: 0,
            lacked: 0,
            quiet: None,
            unused: Stopwatch::start_by(clock),
            measured: Stopwatch::start_by(clock),
            used_since_measured: 0,
            used_per_second: 0.0,
            throttled: None,
            answers: Window::default(),
            refused: None,
        };
        Self { clock: Arc::clone(clock), state: Mutex::new(state) }
    }

    pub fn used(&self, tokens: u32) {
        let mut state = self.state();
        state.used = state.used.saturating_add(tokens);
        state.used_since_measured = state.used_since_measured.saturating_add(tokens);
        state.moved(&self.clock);
    }

    /// A job found no permit.
    pub fn lacked(&self) {
        let mut state = self.state();
        state.lacked = state.lacked.saturating_add(1);
        state.moved(&self.clock);
    }

    /// A job came that another worker may send: that is no demand, and still the account is used here.
    pub fn met(&self) {
        self.state().unused = Stopwatch::start_by(&self.clock);
    }

    /// For how long there has been no use for it here.
    pub fn unused_for(&self) -> Duration {
        self.state().unused.elapsed()
    }

    /// The provider said "too fast"; of several waits the longest counts.
    pub fn throttled(&self, retry_after: Option<Duration>) {
        let mut state = self.state();
        let known = state.throttled.and_then(|throttled| throttled.retry_after);
        state.throttled = Some(Throttled { retry_after: known.max(retry_after) });
    }

    /// The account was refused for this job. Was it for another one before, and has taken nothing since?
    pub fn refused(&self, job: JobKey) -> bool {
        self.state().refused.replace(job).is_some_and(|before| before != job)
    }

    /// It took something.
    pub fn accepted(&self) {
        self.state().refused = None;
    }

    /// Names the account's health at the moment, for the answers to requests that begin now.
    pub fn health_epoch(&self) -> i32 {
        self.state().answers.epoch()
    }

    /// The account came to the health of `epoch`.
    pub fn health_is(&self, epoch: i32) {
        self.state().answers.begin(epoch);
    }

    /// What came of requests that began at the health of `epoch`.
    pub fn answered(&self, epoch: i32, answers: Answers) {
        self.state().answers.count(epoch, answers, &self.clock);
    }

    /// What is to be reported; counting begins anew. What the provider said stays until it has been heard. Whoever used
    /// and lacked nothing for `idle_after` is idle.
    pub fn report(&self, account: AccountId, taken: i64, idle_after: Duration) -> Usage {
        let mut state = self.state();
        if state.measured.elapsed() >= MEASURE {
            state.used_per_second =
                f64::from(state.used_since_measured) / state.measured.elapsed().as_secs_f64();
            state.used_since_measured = 0;
            state.measured = Stopwatch::start_by(&self.clock);
        }
        let recently = state.quiet.as_ref().is_some_and(|quiet| quiet.elapsed() < idle_after);
        let demand = state.used.saturating_add(state.lacked).max(u32::from(recently));
        (state.used, state.lacked) = (0, 0);
        let (used_per_second, throttled) = (state.used_per_second, state.throttled);
        let (health_epoch, answers) = (state.answers.epoch(), state.answers.sum());
        Usage { account, taken, demand, used_per_second, throttled, answers, health_epoch }
    }

    /// The store has heard what the provider said.
    pub fn heard(&self, throttled: Option<Throttled>) {
        let mut state = self.state();
        if state.throttled == throttled {
            state.throttled = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn moved(&mut self, clock: &SharedClock) {
        let now = Stopwatch::start_by(clock);
        self.quiet = Some(now.clone());
        self.unused = now;
    }
}

#[cfg(test)]
mod tests {
    use tocsin_runtime::SystemClock;

    use super::*;

    const ACCOUNT: AccountId = AccountId(1);

    fn meter() -> Meter {
        let clock: SharedClock = Arc::new(SystemClock);
        Meter::new(&clock)
    }

    #[test]
    fn a_pause_is_not_idleness() {
        let meter = meter();
        assert_eq!(meter.report(ACCOUNT, 1, IDLE_AFTER).demand, 0, "never used");
        meter.used(2);
        meter.lacked();
        assert_eq!(meter.report(ACCOUNT, 1, IDLE_AFTER).demand, 3);
        assert_eq!(meter.report(ACCOUNT, 1, IDLE_AFTER).demand, 1, "a pause");
    }

    #[test]
    fn what_the_provider_said_is_told_until_it_was_heard() {
        let meter = meter();
        meter.throttled(Some(Duration::from_secs(7)));
        meter.throttled(None);
        let told = meter.report(ACCOUNT, 1, IDLE_AFTER).throttled;
        assert_eq!(told, Some(Throttled { retry_after: Some(Duration::from_secs(7)) }));
        assert_eq!(meter.report(ACCOUNT, 1, IDLE_AFTER).throttled, told);
        meter.heard(told);
        assert_eq!(meter.report(ACCOUNT, 1, IDLE_AFTER).throttled, None);
        meter.throttled(None);
        meter.heard(None);
        assert!(meter.report(ACCOUNT, 1, IDLE_AFTER).throttled.is_some(), "said since");
    }
}
