//! A clock that tests set.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_runtime::{Clock, SharedClock};

/// Stands still until it is told otherwise. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: Arc<Mutex<DateTime<Utc>>>,
}

impl ManualClock {
    pub fn at(now: DateTime<Utc>) -> Self {
        Self { now: Arc::new(Mutex::new(now)) }
    }

    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }

    pub fn set(&self, now: DateTime<Utc>) {
        *self.lock() = now;
    }

    /// Moves the clock; backwards too, as a corrected machine's does.
    pub fn advance(&self, by: TimeDelta) {
        *self.lock() += by;
    }

    fn lock(&self) -> MutexGuard<'_, DateTime<Utc>> {
        // An instant is whole whoever panicked while holding it.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_still_until_it_is_told() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = ManualClock::at(start);
        let seen = clock.shared();
        assert_eq!(seen.now(), start);
        clock.advance(TimeDelta::hours(2));
        assert_eq!(seen.now(), start + TimeDelta::hours(2));
        clock.set(start);
        assert_eq!(seen.now(), start);
    }
}
