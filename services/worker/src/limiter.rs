//! One worker's share of an account's rate, spent token by token.
//!
//! `governor` keeps the bucket; we never await in it (it waits on timers of its own). A new bucket begins
//! empty, because what was spent under the share before it is not known here.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tocsin_runtime::Stopwatch;

/// A bucket that begins empty. Clones share it. None inside: no limit.
#[derive(Debug, Clone)]
pub struct Limiter {
    bucket: Option<Arc<Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
    debt: Debt,
    /// A token that was taken at that time and not used.
    unused: Mutex<Option<Stopwatch>>,
    /// Between two tokens.
    interval: Duration,
}

/// Tokens still to be paid for sends that cost more than the one their permit took. It is the account's: it
/// outlives the share under which it was made.
pub type Debt = Arc<AtomicU32>;

impl Limiter {
    /// `rate_per_second` None: no limit; zero or less: no token ever.
    pub fn new(rate_per_second: Option<f64>, burst: Option<u32>, debt: Debt) -> Option<Self> {
        let Some(rate) = rate_per_second else { return Some(Self { bucket: None }) };
        if rate.is_nan() || rate <= 0.0 {
            return None;
        }
        let burst = NonZeroU32::new(burst.unwrap_or(1)).unwrap_or(NonZeroU32::MIN);
        let interval = Duration::try_from_secs_f64(1.0 / rate).ok()?;
        let quota = Quota::with_period(interval)?.allow_burst(burst);
        let clock = DefaultClock::default();
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
        // Cannot be refused: the bucket is full and the cost is its size.
        let _ = limiter.check_n(burst);
        let bucket = Bucket { limiter, clock, debt, unused: Mutex::default(), interval };
        Some(Self { bucket: Some(Arc::new(bucket)) })
    }

    /// Takes one token if there is one; else says how long until there is.
    pub fn take(&self) -> Result<(), Duration> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        if bucket.unused().take().is_some_and(|taken| taken.elapsed() < bucket.interval) {
            return Ok(());
        }
        loop {
            if let Err(not_until) = bucket.limiter.check() {
                return Err(not_until.wait_time_from(bucket.clock.now()));
            }
            let paid =
                bucket.debt.fetch_update(Ordering::AcqRel, Ordering::Acquire, |debt| debt.checked_sub(1));
            if paid.is_err() {
                return Ok(());
            }
        }
    }

    /// Gives back the token that was just taken. It can be had for as long as the bucket has not made another in its
    /// place: with both the burst would be exceeded by one.
    pub fn put_back(&self) {
        if let Some(bucket) = &self.bucket {
            *bucket.unused() = Some(Stopwatch::start());
        }
    }

    /// Charges what a send cost beyond its one token, to be paid before the next permit.
    pub fn charge(&self, tokens: u32) {
        if let Some(bucket) = &self.bucket {
            bucket.debt.fetch_add(tokens, Ordering::AcqRel);
        }
    }
}

impl Bucket {
    fn unused(&self) -> MutexGuard<'_, Option<Stopwatch>> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_given_back_can_be_had_again_once() {
        // A token in a fifth of a second: none comes while this looks.
        let limiter = Limiter::new(Some(5.0), Some(1), Debt::default()).unwrap();
        let (mut tries, taken) = (0_u64, || limiter.take().is_ok());
        while !taken() {
            tries += 1;
        }
        assert!(tries > 0, "it begins empty");
        limiter.put_back();
        assert_eq!([taken(), taken()], [true, false]);
    }

    #[test]
    fn a_token_that_was_given_back_and_the_one_in_its_place_are_one() {
        let limiter = Limiter::new(Some(1_000.0), Some(1), Debt::default()).unwrap();
        while limiter.take().is_err() {}
        limiter.put_back();
        let waited = Stopwatch::start();
        while waited.elapsed() < Duration::from_millis(3) {}
        assert!(limiter.take().is_ok());
        let bucket = limiter.bucket.as_ref().unwrap();
        assert!(bucket.unused().is_none());
    }

    #[test]
    fn a_new_share_begins_empty() {
        let limiter = Limiter::new(Some(0.001), Some(10), Debt::default()).unwrap();
        assert!(limiter.take().is_err());
    }

    #[test]
    fn without_a_limit_there_is_always_a_token() {
        let limiter = Limiter::new(None, None, Debt::default()).unwrap();
        limiter.charge(1_000);
        assert!((0..10_000).all(|_| limiter.take().is_ok()));
    }

    #[test]
    fn a_rate_of_nothing_is_no_limiter() {
        for rate in [0.0, -1.0, f64::NAN] {
            assert!(Limiter::new(Some(rate), Some(1), Debt::default()).is_none(), "{rate}");
        }
    }

    #[test]
    fn debt_is_paid_before_the_next_token_also_under_the_next_share() {
        // One token a nanosecond: the bucket is never the reason to wait here.
        let debt = Debt::default();
        let limiter = || Limiter::new(Some(1e9), Some(1_000), Arc::clone(&debt)).unwrap();
        limiter().charge(3);
        let next = limiter();
        while next.take().is_err() {}
        assert_eq!(debt.load(Ordering::Acquire), 0);
    }
}
