//! How many requests the process may have open at once. Who waits to make one is let in by lane, and within a lane in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tocsin_domain::Lane;
use tocsin_runtime::{SharedClock, Stopwatch};
use tokio::sync::oneshot;

/// How fast requests end is told by the slower of the last two spans of at least this length: that many time out together
/// says nothing about the next ones.
const SPAN: Duration = Duration::from_millis(20);

/// A counted limit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OpenRequests {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    open: usize,
    most: usize,
    /// Requests that ended in the span that began then, and how many a second did in the two before.
    ended: u32,
    span: Stopwatch,
    clock: SharedClock,
    rates: [f64; 2],
    /// The emergencies' first.
    waiting: [VecDeque<oneshot::Sender<Open>>; Lane::ALL.len()],
}

/// A request that may be made. Another may be when it is dropped.
#[derive(Debug)]
pub struct Open {
    /// None: somebody else has it.
    requests: Option<OpenRequests>,
}

impl OpenRequests {
    pub fn new(most: usize, clock: &SharedClock) -> Self {
        let (waiting, span) = (Lane::ALL.map(|_| VecDeque::new()), Stopwatch::start_by(clock));
        let clock = Arc::clone(clock);
        let state = State { open: 0, most, ended: 0, span, clock, rates: [0.0; 2], waiting };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// How many will end within `time`, if they go on ending as they have. Where a provider hangs, none does.
    pub fn ending_within(&self, time: Duration) -> usize {
        let mut state = self.state();
        let elapsed = state.span.elapsed();
        if elapsed >= SPAN {
            state.rates = [f64::from(state.ended) / elapsed.as_secs_f64(), state.rates[0]];
            state.ended = 0;
            state.span = Stopwatch::start_by(&state.clock);
        }
        let [last, before] = state.rates;
        (last.min(before) * time.as_secs_f64()) as usize
    }

    /// Waits until one may be made for a job of `lane`.
    pub async fn enter(&self, lane: Lane) -> Open {
        let let_in = {
            let mut state = self.state();
            let free = state.open < state.most;
            let position = Lane::ALL.iter().position(|known| *known == lane);
            match position.and_then(|position| state.waiting.get_mut(position)).filter(|_| !free) {
                Some(line) => {
                    // Whoever waited longest gave up first.
                    while line.front().is_some_and(oneshot::Sender::is_closed) {
                        line.pop_front();
                    }
                    let (next, let_in) = oneshot::channel();
                    line.push_back(next);
                    let_in
                }
                None => {
                    state.open += 1;
                    return self.open();
                }
            }
        };
        // It is sent to whoever waits, for the state lives as long as they do.
        let_in.await.unwrap_or_else(|_| {
            self.state().open += 1;
            self.open()
        })
    }

    fn open(&self) -> Open {
        Open { requests: Some(self.clone()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(requests) = self.requests.take() else { return };
        let mut state = requests.state();
        state.ended += 1;
        while let Some(next) = state.waiting.iter_mut().find_map(VecDeque::pop_front) {
            match next.send(requests.open()) {
                Ok(()) => return,
                // Nobody waits there any more.
                Err(mut unsent) => unsent.requests = None,
            }
        }
        state.open -= 1;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::test_clock::TestClock;

    fn requests(most: usize) -> (OpenRequests, Arc<TestClock>) {
        let clock = Arc::new(TestClock::default());
        let shared: SharedClock = clock.clone();
        (OpenRequests::new(most, &shared), clock)
    }

    #[tokio::test]
    async fn no_more_are_open_than_allowed_and_the_earliest_lane_is_let_in_first() {
        let (requests, _) = requests(2);
        let mut held = vec![requests.enter(Lane::General).await, requests.enter(Lane::General).await];
        let mut general = Box::pin(requests.enter(Lane::General));
        let mut later = Box::pin(requests.enter(Lane::General));
        let mut emergency = Box::pin(requests.enter(Lane::Emergency));
        for waiting in [&mut general, &mut later, &mut emergency] {
            assert!(waiting.now_or_never().is_none());
        }
        held.pop();
        assert!((&mut general).now_or_never().is_none(), "an emergency waits");
        held.push(emergency.now_or_never().unwrap());
        held.pop();
        assert!((&mut later).now_or_never().is_none(), "another came before");
        held.push(general.now_or_never().unwrap());
        held.clear();
        drop(later.now_or_never().unwrap());
        assert_eq!(requests.state().open, 0);
    }

    #[tokio::test]
    async fn who_waits_no_longer_holds_up_nobody_and_is_forgotten() {
        let (requests, _) = requests(1);
        let held = requests.enter(Lane::General).await;
        let mut gone = Box::pin(requests.enter(Lane::Emergency));
        assert!((&mut gone).now_or_never().is_none());
        // Of one that waits and of one that was let in and never looked.
        let mut let_in = Box::pin(requests.enter(Lane::Priority));
        assert!((&mut let_in).now_or_never().is_none());
        drop(gone);
        drop(held);
        drop(let_in);
        let held = requests.enter(Lane::General).now_or_never().unwrap();
        for _ in 0..3 {
            assert!(requests.enter(Lane::General).now_or_never().is_none());
        }
        let mut next = Box::pin(requests.enter(Lane::General));
        assert!((&mut next).now_or_never().is_none());
        let waiting: usize = requests.state().waiting.iter().map(VecDeque::len).sum();
        assert_eq!(waiting, 1, "who gave up is forgotten");
        drop(held);
        drop(next.now_or_never().unwrap());
        assert_eq!(requests.state().open, 0);
    }

    #[tokio::test]
    async fn what_ends_steadily_is_expected_to_go_on_and_a_burst_is_not() {
        let (requests, clock) = requests(100);
        let ending = || requests.ending_within(SPAN);
        let end = async |count| {
            for _ in 0..count {
                drop(requests.enter(Lane::General).await);
            }
            clock.advance(SPAN.as_millis() as u64);
        };
        assert_eq!(ending(), 0);
        end(50).await;
        assert_eq!(ending(), 0, "one span");
        end(40).await;
        assert_eq!(ending(), 40);
        end(0).await;
        assert_eq!(ending(), 0, "they hang");
        end(90).await;
        assert_eq!(ending(), 0, "they time out together");
        end(90).await;
        assert_eq!(ending(), 90);
        clock.advance(100 * SPAN.as_millis() as u64);
        assert_eq!(ending(), 0, "long ago");
    }
}
