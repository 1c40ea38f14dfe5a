//! The two kinds of time: instants of the calendar, and time that has passed.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Tells the time of the calendar, and how time passes. Passed as a parameter, so that tests decide what time it is.
pub trait Clock: Send + Sync + Debug {
    fn now(&self) -> DateTime<Utc>;

    /// What a [`Stopwatch`] reads. Time that a test sets passes as it does on this machine, unless the test's clock
    /// says otherwise.
    fn reading(&self) -> Reading {
        Reading::take()
    }
}

pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clock, the one place where it is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the Clock that all others are told to take")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// Time since a moment, by the stricter of two clocks.
///
/// The monotonic clock goes on while the process is stopped, but not while the machine is suspended; the boot-time
/// clock counts a suspend too. A wait that must not be too long (`send_by`, a lease) takes the larger reading, so
/// that neither a freeze nor a suspend is missed.
#[derive(Debug, Clone)]
pub struct Stopwatch {
    started: Reading,
    /// None: this machine's.
    clock: Option<SharedClock>,
}

impl Stopwatch {
    /// Goes by this machine's clocks.
    pub fn start() -> Self {
        Self { started: Reading::take(), clock: None }
    }

    /// Goes by `clock`.
    pub fn start_by(clock: &SharedClock) -> Self {
        Self { started: clock.reading(), clock: Some(Arc::clone(clock)) }
    }

    pub fn elapsed(&self) -> Duration {
        let now = self.clock.as_ref().map_or_else(Reading::take, |clock| clock.reading());
        now.since(self.started)
    }
}

/// Both clocks, each as the time since its own zero.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    monotonic: Duration,
    boot: Duration,
}

impl Reading {
    /// Of a clock that never stops.
    pub fn at(passed: Duration) -> Self {
        Self { monotonic: passed, boot: passed }
    }

    pub fn monotonic(self) -> Duration {
        self.monotonic
    }

    fn take() -> Self {
        Self { monotonic: duration(clock_gettime(ClockId::Monotonic)), boot: boot_time() }
    }

    fn since(self, earlier: Self) -> Duration {
        let monotonic = self.monotonic.saturating_sub(earlier.monotonic);
        monotonic.max(self.boot.saturating_sub(earlier.boot))
    }
}

#[cfg(target_os = "linux")]
fn boot_time() -> Duration {
    duration(clock_gettime(ClockId::Boottime))
}

/// Elsewhere (macOS) the monotonic clock counts a suspend by itself.
#[cfg(not(target_os = "linux"))]
fn boot_time() -> Duration {
    duration(clock_gettime(ClockId::Monotonic))
}

fn duration(time: Timespec) -> Duration {
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn elapsed_is_the_larger_of_both_clocks() {
        let started = Reading { monotonic: 10 * SECOND, boot: 100 * SECOND };
        let cases = [
            ("both go on", 13, 103, 3),
            ("a suspend stops the monotonic clock only", 11, 3_700, 3_600),
            ("a boot-time clock that lags does not shorten", 15, 101, 5),
            ("neither runs backwards", 9, 99, 0),
        ];
        for (case, monotonic, boot, expected) in cases {
            let now = Reading { monotonic: monotonic * SECOND, boot: boot * SECOND };
            assert_eq!(now.since(started), expected * SECOND, "{case}");
        }
    }

    #[test]
    fn a_stopwatch_goes_by_the_clock_that_it_was_started_by() {
        #[derive(Debug, Default)]
        struct Passed(std::sync::atomic::AtomicU64);
        impl Clock for Passed {
            fn now(&self) -> DateTime<Utc> {
                DateTime::UNIX_EPOCH
            }
            fn reading(&self) -> Reading {
                Reading::at(Duration::from_secs(self.0.load(std::sync::atomic::Ordering::Relaxed)))
            }
        }
        let passed = Arc::new(Passed::default());
        let clock: SharedClock = passed.clone();
        let stopwatch = Stopwatch::start_by(&clock);
        passed.0.store(7, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(stopwatch.elapsed(), 7 * SECOND);
    }

    #[test]
    fn a_stopwatch_never_runs_backwards() {
        let stopwatch = Stopwatch::start();
        let first = stopwatch.elapsed();
        assert!(stopwatch.elapsed() >= first);
    }
}
