//! Time that passes when a test says so.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_runtime::{Clock, Reading};

#[derive(Debug, Default)]
pub struct TestClock {
    milliseconds: AtomicU64,
}

impl TestClock {
    /// Sets the time that has passed since it began.
    pub fn set(&self, milliseconds: u64) {
        self.milliseconds.store(milliseconds, Ordering::Relaxed);
    }

    pub fn advance(&self, milliseconds: u64) {
        self.milliseconds.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }

    fn reading(&self) -> Reading {
        Reading::at(Duration::from_millis(self.milliseconds.load(Ordering::Relaxed)))
    }
}
