//! When a request may start, by its own instant.
//!
//! A permit's token is taken before the claim, and a claim takes as long as it takes: of two permits a second apart
//! the first may be held up and both requests start together. So each share has a second bucket of the same rate and
//! burst, from which a request takes as late as it can. What it holds outlives the share: a smaller one keeps what fits
//! into it, and one that is empty or over closes the gate to what was claimed under it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tocsin_domain::lease::Share;
use tocsin_runtime::SharedClock;
use tokio::sync::MutexGuard as Place;

/// The shortest pause before the bucket is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Through which the requests of one account or sender go, whatever share this worker has of it.
#[derive(Debug)]
pub struct Gate {
    clock: SharedClock,
    bucket: Mutex<Bucket>,
    /// Requests go in the order in which they came.
    line: tokio::sync::Mutex<()>,
    /// Those in line.
    waiting: AtomicU32,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// None: nothing may start.
    pace: Option<Pace>,
    /// Below zero: owed.
    tokens: f64,
    /// When there were so many.
    at: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Pace {
    Unlimited,
    Limited { per_second: f64, burst: f64 },
}

/// Whoever is in line, until this is dropped.
struct InLine<'a> {
    waiting: &'a AtomicU32,
    /// The head of the line.
    _head: Option<Place<'a, ()>>,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Gate {
    /// Closed, and empty: what was sent by others just before is not known here.
    pub fn new(clock: &SharedClock) -> Self {
        let bucket = Bucket { pace: None, tokens: 0.0, at: clock.reading().monotonic() };
        Self {
            clock: clock.clone(),
            bucket: Mutex::new(bucket),
            line: tokio::sync::Mutex::default(),
            waiting: AtomicU32::new(0),
        }
    }

    /// The share is this from now on. `goes_on`: the one before was this worker's until now.
    pub fn set(&self, share: &Share, goes_on: bool) {
        let mut bucket = self.now();
        if !goes_on {
            bucket.tokens = bucket.tokens.min(0.0);
        }
        bucket.pace = Pace::of(share);
        bucket.tokens = match bucket.pace {
            // Nothing is owed where there is no limit, and nothing saved up.
            Some(Pace::Unlimited) => 0.0,
            Some(Pace::Limited { burst, .. }) => bucket.tokens.min(burst),
            None => bucket.tokens.min(0.0),
        };
    }

    /// Nothing starts any more.
    pub fn close(&self) {
        self.set(&Share::NOTHING, false);
    }

    pub fn is_closed(&self) -> bool {
        self.now().pace.is_none()
    }

    /// How long no further permit should be taken, because requests with one wait here. What they had to wait for, the
    /// next would wait for behind them, and so for ever.
    pub fn backlog(&self) -> Option<Duration> {
        let waits = self.waiting.load(Ordering::Acquire) > 0;
        waits.then(|| self.now().wait_for(1).unwrap_or_default().max(LOOK_AGAIN))
    }

    /// What a request weighs beyond one token.
    pub fn charge(&self, tokens: u32) {
        let mut bucket = self.now();
        if bucket.pace != Some(Pace::Unlimited) {
            bucket.tokens -= f64::from(tokens);
        }
    }

    fn put_back(&self, requests: u32) {
        let mut bucket = self.now();
        if let Some(Pace::Limited { burst, .. }) = bucket.pace {
            bucket.tokens = (bucket.tokens + f64::from(requests)).min(burst);
        }
    }

    fn pass(&self, requests: u32) -> bool {
        let mut bucket = self.now();
        let open = bucket.wait_for(requests).is_none();
        if open && matches!(bucket.pace, Some(Pace::Limited { .. })) {
            bucket.tokens -= f64::from(requests);
        }
        open
    }

    /// Until as many may start together; nothing is taken. A gate that closes lets everybody by: what it is closed to is
    /// seen by the last look.
    async fn opens(&self, requests: u32) {
        loop {
            let Some(wait) = self.now().wait_for(requests) else { return };
            tokio::time::sleep(wait.max(LOOK_AGAIN)).await;
        }
    }

    async fn in_line(&self) -> InLine<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        // Counted out also if it is given up meanwhile.
        let mut place = InLine { waiting: &self.waiting, _head: None };
        place._head = Some(self.line.lock().await);
        place
    }

    fn is_unlimited(&self) -> bool {
        self.now().pace == Some(Pace::Unlimited)
    }

    /// The bucket as it is now.
    fn now(&self) -> MutexGuard<'_, Bucket> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that it never goes back.
        let now = self.clock.reading().monotonic();
        if let Some(Pace::Limited { per_second, burst }) = bucket.pace {
            let passed = now.saturating_sub(bucket.at).as_secs_f64();
            bucket.tokens = (bucket.tokens + passed * per_second).min(burst);
        }
        bucket.at = now;
        bucket
    }
}

/// Waits until so many requests may start together, and takes what they need of both gates, a sender's and its
/// account's, or of one alone.
pub async fn through(own: &Gate, account: Option<&Gate>, requests: u32) {
    if own.is_unlimited() && account.is_none_or(Gate::is_unlimited) {
        return;
    }
    let _own = own.in_line().await;
    let Some(account) = account else {
        while !own.pass(requests) {
            own.opens(requests).await;
        }
        return;
    };
    loop {
        // First its own, so that it keeps no other sender from the account meanwhile. Nobody else takes of it.
        own.opens(requests).await;
        let _account = account.in_line().await;
        account.opens(requests).await;
        // A renewal may have made either less.
        if !own.pass(requests) {
            continue;
        }
        if account.pass(requests) {
            return;
        }
        own.put_back(requests);
    }
}

impl Bucket {
    /// None: so many may start now, or nothing may at all. More than fit into the bucket wait until it is full, and
    /// leave a debt.
    fn wait_for(&self, requests: u32) -> Option<Duration> {
        let Some(Pace::Limited { per_second, burst }) = self.pace else { return None };
        let lacking = f64::from(requests).min(burst) - self.tokens;
        (lacking > 0.0).then(|| Duration::try_from_secs_f64(lacking / per_second).unwrap_or(Duration::MAX))
    }
}

impl Pace {
    fn of(share: &Share) -> Option<Self> {
        if share.is_empty() {
            return None;
        }
        Some(match share.rate_per_second {
            None => Self::Unlimited,
            Some(per_second) => {
                Self::Limited { per_second, burst: f64::from(share.burst.unwrap_or(1).max(1)) }
            }
        })
    }
}

#[cfg(test)]
mod tests;
