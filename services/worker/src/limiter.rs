//! One worker's share of an account's rate, spent token by token.
//!
//! `governor` keeps the bucket; we never await in it (it waits on timers of its own). A bucket begins with what was in
//! that of the share before it, where that one was this worker's until now; else empty, because what others spent is not
//! known here.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use tocsin_domain::lease::Share;
use tocsin_runtime::SharedClock;

/// A bucket of tokens. Clones share it. None inside: no limit.
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
    /// No earlier than what `arrival` counts from.
    begun: Duration,
    /// Between two tokens.
    interval: Duration,
    burst: NonZeroU32,
}

/// When the bucket is full again, as `governor` keeps it: a token that is taken moves it on by an interval, and one that
/// is put back moves it back. So nothing is left over of either. Clones share it.
#[derive(Debug, Clone, Default)]
struct Arrival(Arc<Mutex<Option<Nanos>>>);

impl Arrival {
    fn full_in(wait: Duration) -> Self {
        Self(Arc::new(Mutex::new(Some(wait.into()))))
    }

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
    /// With `tokens`, as far as they fit. A share without a rate: no limit, and nothing is owed; of zero or less: no token
    /// ever.
    pub fn new(share: &Share, tokens: f64, spending: Spending, clock: &SharedClock) -> Option<Self> {
        let Some(rate) = share.rate_per_second else {
            spending.debt.store(0, Ordering::Release);
            return Some(Self { bucket: None });
        };
        if rate.is_nan() || rate <= 0.0 {
            return None;
        }
        let burst = NonZeroU32::new(share.burst.unwrap_or(1)).unwrap_or(NonZeroU32::MIN);
        let interval = Duration::try_from_secs_f64(1.0 / rate).ok()?;
        let quota = Quota::with_period(interval)?.allow_burst(burst);
        let clock = Passing(Arc::clone(clock));
        let size = f64::from(burst.get());
        let arrival = Arrival::full_in(interval.mul_f64(size - tokens.clamp(0.0, size)));
        let limiter = RateLimiter::new(quota, arrival.clone(), clock.clone());
        let begun = clock.now();
        let bucket = Bucket { limiter, clock, spending, arrival, begun, interval, burst };
        Some(Self { bucket: Some(Arc::new(bucket)) })
    }

    /// Takes all that is in the bucket, parts of a token too, for the one that follows it. Whoever has this one still
    /// finds nothing in it.
    pub fn pour_out(&self) -> f64 {
        let Some(bucket) = &self.bucket else { return 0.0 };
        let mut arrival = bucket.arrival.state();
        let now: Nanos = bucket.clock.now().saturating_sub(bucket.begun).into();
        let until_full = arrival.unwrap_or_default().saturating_sub(now).as_u64();
        *arrival = Some(now + Nanos::from(bucket.interval) * u64::from(bucket.burst.get()));
        let size = f64::from(bucket.burst.get());
        (size - until_full as f64 / bucket.interval.as_nanos() as f64).clamp(0.0, size)
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

    fn share(rate_per_second: Option<f64>, burst: u32) -> Share {
        Share { rate_per_second, burst: Some(burst), ..Share::default() }
    }

    fn limiter(rate_per_second: Option<f64>, burst: u32, spending: &Spending) -> Option<Limiter> {
        let clock: SharedClock = Arc::new(SystemClock);
        Limiter::new(&share(rate_per_second, burst), 0.0, spending.clone(), &clock)
    }

    #[test]
    fn what_is_poured_out_is_had_of_the_next_as_far_as_it_fits_and_of_the_first_no_more() {
        let passed = Arc::new(TestClock::default());
        let clock: SharedClock = passed.clone();
        let next = |rate, burst, tokens| {
            Limiter::new(&share(Some(rate), burst), tokens, Spending::default(), &clock).unwrap()
        };
        let count = |limiter: &Limiter| (0..10).take_while(|_| limiter.take().is_ok()).count();
        // A token in 2 s; after 7 s it is three and a half.
        let first = next(0.5, 5, 0.0);
        passed.set(7_000);
        let tokens = first.pour_out();
        assert!((tokens - 3.5).abs() < 1e-6, "{tokens}");
        assert_eq!([count(&first), count(&next(0.1, 2, tokens)), count(&next(0.1, 9, tokens))], [0, 2, 3]);
        // Of a half the other half is waited for, at the rate that there is now.
        let half = next(0.1, 1, 0.5);
        passed.set(11_900);
        assert_eq!(count(&half), 0);
        passed.set(12_000);
        assert_eq!([count(&half), count(&first)], [1, 2]);
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
            let limiter = Limiter::new(&share(Some(1.0), 1), 0.0, Spending::default(), &clock).unwrap();
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
        let bucket = || limiter(Some(1e9), 1_000, &spending).unwrap();
        bucket().charge(3);
        let next = bucket();
        while next.take().is_err() {}
        assert_eq!((spending.debt(), spending.taken()), (0, 4));
    }
}
