//! How many requests the process may have open at once. Who waits to make one is let in by lane, and within a lane in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tocsin_domain::Lane;
use tokio::sync::oneshot;

/// A counted limit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OpenRequests {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    open: usize,
    most: usize,
    ended: u64,
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
    pub fn new(most: usize) -> Self {
        let waiting = Lane::ALL.map(|_| VecDeque::new());
        Self { state: Arc::new(Mutex::new(State { open: 0, most, ended: 0, waiting })) }
    }

    /// How many have ended so far.
    pub fn ended(&self) -> u64 {
        self.state().ended
    }

    /// Waits until one may be made for a job of `lane`.
    pub async fn enter(&self, lane: Lane) -> Open {
        let let_in = {
            let mut state = self.state();
            let free = state.open < state.most;
            let position = Lane::ALL.iter().position(|known| *known == lane);
            match position.and_then(|position| state.waiting.get_mut(position)).filter(|_| !free) {
                Some(line) => {
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

    #[tokio::test]
    async fn no_more_are_open_than_allowed_and_the_earliest_lane_is_let_in_first() {
        let requests = OpenRequests::new(2);
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
        assert_eq!((requests.ended(), requests.state().open), (5, 0));
    }

    #[tokio::test]
    async fn who_waits_no_longer_holds_up_nobody() {
        let requests = OpenRequests::new(1);
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
        let mut next = Box::pin(requests.enter(Lane::General));
        assert!((&mut next).now_or_never().is_none());
        drop(held);
        drop(next.now_or_never().unwrap());
        assert_eq!(requests.state().open, 0);
    }
}
