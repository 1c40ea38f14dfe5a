//! Simulated time: one clock for all, which moves only when the driver says so. A machine's wall clock may be ahead or
//! behind; how fast time passes is the same for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_runtime::{Clock, Reading, SharedClock};

/// The Friday before the clocks change in the United States, 40 s before eight in Chicago: windows that open or close
/// then do so while a run goes on. What is written here is what the store's clock is set to.
pub const START: &str = "2030-03-08T13:59:20Z";
const START_SECONDS: i64 = 1_899_208_760;
/// Time passed before the start, so that nothing is near zero.
const BEFORE: Duration = Duration::from_secs(1_000_000);

/// Wall clocks are so far from the store's at most.
pub const SKEW_MAX: TimeDelta = TimeDelta::seconds(2);

/// Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub struct SimulatedClock {
    passed_micros: Arc<AtomicI64>,
    ahead: TimeDelta,
}

impl SimulatedClock {
    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }

    /// The same clock, on a machine whose wall clock is ahead of the store's, or behind it.
    pub fn ahead_by(&self, skew: TimeDelta) -> Self {
        Self { ahead: self.ahead + skew, ..self.clone() }
    }

    pub fn advance(&self, by: TimeDelta) {
        self.passed_micros.fetch_add(by.num_microseconds().unwrap_or(i64::MAX).max(0), Ordering::Relaxed);
    }

    /// Since the start.
    pub fn passed(&self) -> TimeDelta {
        TimeDelta::microseconds(self.passed_micros.load(Ordering::Relaxed))
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(START_SECONDS) + self.passed() + self.ahead
    }

    fn reading(&self) -> Reading {
        Reading::at(BEFORE + self.passed().to_std().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_what_the_store_is_told() {
        assert_eq!(SimulatedClock::default().now(), START.parse::<DateTime<Utc>>().unwrap());
    }
}
