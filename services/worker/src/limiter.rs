//! One worker's share of an account's rate, spent token by token.
//!
//! `governor` keeps the bucket; we never await in it (it waits on timers of its own). A new bucket begins
//! empty, because what was spent under the share before it is not known here.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use tocsin_runtime::SharedClock;

/// A bucket that begins empty. Clones share it. None inside: no limit.
#[derive(Debug, Clone)]
pub struct Limiter {
    bucket: Option<Arc<Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    limiter: RateLimiter<NotKeyed, Arrival, Passing, NoOpMiddleware<Duration>>,
    clock: Passing,
    spending: Spending,
    arrival: Arrival,
    /// Between two tokens.
    interval: Duration,
}

/// When the bucket is full again, as `governor` keeps it: a token that is taken moves it on by an interval, and one that
/// is put back moves it back. So nothing is left over of either. Clones share it.
#[derive(Debug, Clone, Default)]
struct Arrival(Arc<Mutex<Option<Nanos>>>);

impl Arrival {
    fn move_back(&self, interval: Duration) {
        let mut arrival = self.state();
        *arrival = arrival.map(|arrival| arrival.saturating_sub(interval.into()));
    }

    fn state(&self) -> MutexGuard<'_, Option<Nanos>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for Arrival {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut arrival = self.state();
        let (decided, next) = decide(*arrival)?;
        *arrival = Some(next);
        Ok(decided)
    }
}

/// The worker's clock, as `governor` reads it.
#[derive(Debug, Clone)]
struct Passing(SharedClock);

impl governor::clock::Clock for Passing {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.reading().monotonic()
    }
}

/// An account's spending. It outlives the share under which tokens were spent. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Spending {
    /// Tokens still to be paid for sends that cost more than the one their permit took.
    debt: Arc<AtomicU32>,
    /// Tokens ever taken.
    taken: Arc<AtomicU64>,
}

impl Spending {
    /// Tokens ever taken from a bucket, those that paid a debt included.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// Tokens still to be paid.
    pub fn debt(&self) -> u32 {
        self.debt.load(Ordering::Acquire)
    }
}

impl Limiter {
    /// `rate_per_second` None: no limit, and nothing is owed; zero or less: no token ever.
    pub fn new(
        rate_per_second: Option<f64>,
        burst: Option<u32>,
        spending: Spending,
        clock: &SharedClock,
    ) -> Option<Self> {
        let Some(rate) = rate_per_second else {
            spending.debt.store(0, Ordering::Release);
            return Some(Self { bucket: None });
        };
        if rate.is_nan() || rate <= 0.0 {
            return None;
        }
        let burst = NonZeroU32::new(burst.unwrap_or(1)).unwrap_or(NonZeroU32::MIN);
        let interval = Duration::try_from_secs_f64(1.0 / rate).ok()?;
        let quota = Quota::with_period(interval)?.allow_burst(burst);
        let clock = Passing(Arc::clone(clock));
        let arrival = Arrival::default();
        let limiter = RateLimiter::new(quota, arrival.clone(), clock.clone());
        // Cannot be refused: the bucket is full and the cost is its size.
        let _ = limiter.check_n(burst);
        let bucket = Bucket { limiter, clock, spending, arrival, interval };
        Some(Self { bucket: Some(Arc::new(bucket)) })
    }

    /// Takes one token if there is one; else says how long until there is.
    pub fn take(&self) -> Result<(), Duration> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        loop {
            if let Err(not_until) = bucket.limiter.check() {
                return Err(not_until.wait_time_from(bucket.clock.now()));
            }
            let Spending { debt, taken } = &bucket.spending;
            taken.fetch_add(1, Ordering::AcqRel);
            let paid = debt.fetch_update(Ordering::AcqRel, Ordering::Acquire, |debt| debt.checked_sub(1));
            if paid.is_err() {
                return Ok(());
            }
        }
    }

    /// Gives back the token that was just taken: the bucket is as if it had not been.
    pub fn put_back(&self) {
        if let Some(bucket) = &self.bucket {
            bucket.arrival.move_back(bucket.interval);
            bucket.spending.taken.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Pays with the tokens that are there what is owed.
    pub fn pay(&self) {
        if self.bucket.as_ref().is_some_and(|bucket| bucket.spending.debt() > 0) && self.take().is_ok() {
            self.put_back();
        }
    }

    /// Charges what a send cost beyond its one token, to be paid before the next permit.
    pub fn charge(&self, tokens: u32) {
        if let Some(bucket) = &self.bucket {
            bucket.spending.debt.fetch_add(tokens, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use tocsin_runtime::SystemClock;

    use super::*;
    use crate::test_clock::TestClock;

    fn limiter(rate_per_second: Option<f64>, burst: u32, spending: &Spending) -> Option<Limiter> {
        let clock: SharedClock = Arc::new(SystemClock);
        Limiter::new(rate_per_second, Some(burst), spending.clone(), &clock)
    }

    #[test]
    fn a_token_that_is_given_back_can_be_had_again_once() {
        // A token in a fifth of a second: none comes while this looks.
        let spending = Spending::default();
        let limiter = limiter(Some(5.0), 1, &spending).unwrap();
        let (mut tries, taken) = (0_u64, || limiter.take().is_ok());
        while !taken() {
            tries += 1;
        }
        assert!(tries > 0, "it begins empty");
        limiter.put_back();
        assert_eq!(spending.taken(), 0);
        assert_eq!([taken(), taken()], [true, false]);
        assert_eq!(spending.taken(), 1);
    }

    /// A token a second, of which none is used for a time: each is given back, now and then or at once.
    #[test]
    fn tokens_that_are_given_back_do_not_add_up() {
        for looks in [vec![1_900], vec![1_000, 1_900, 2_800], (1_000..=5_500).step_by(250).collect()] {
            let passed = Arc::new(TestClock::default());
            let clock: SharedClock = passed.clone();
            let limiter = Limiter::new(Some(1.0), None, Spending::default(), &clock).unwrap();
            let had_at = |time: u64| {
                passed.set(time);
                limiter.take().is_ok()
            };
            for look in &looks {
                assert!(had_at(*look), "{look} of {looks:?}");
                limiter.put_back();
            }
            let last = looks.last().unwrap() + 50;
            let had: Vec<u64> = (last..last + 2_000).step_by(50).filter(|time| had_at(*time)).collect();
            assert_eq!(had, [last, last + 1_000], "{looks:?}");
        }
    }

    #[test]
    fn a_new_share_begins_empty() {
        let limiter = limiter(Some(0.001), 10, &Spending::default()).unwrap();
        assert!(limiter.take().is_err());
    }

    #[test]
    fn without_a_limit_there_is_always_a_token() {
        let limiter = limiter(None, 1, &Spending::default()).unwrap();
        limiter.charge(1_000);
        assert!((0..10_000).all(|_| limiter.take().is_ok()));
    }

    #[test]
    fn a_rate_of_nothing_is_no_limiter() {
        for rate in [0.0, -1.0, f64::NAN] {
            assert!(limiter(Some(rate), 1, &Spending::default()).is_none(), "{rate}");
        }
    }

    #[test]
    fn debt_is_paid_before_the_next_token_also_under_the_next_share() {
        // One token a nanosecond: the bucket is never the reason to wait here.
        let spending = Spending::default();
        let share = || limiter(Some(1e9), 1_000, &spending).unwrap();
        share().charge(3);
        let next = share();
        while next.take().is_err() {}
        assert_eq!((spending.debt(), spending.taken()), (0, 4));
    }
}
