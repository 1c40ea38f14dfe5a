//! Was this process given the processor when it asked for it? What it saw arrive together may have come one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tocsin_runtime::{Stopwatch, Tasks};

const EVERY: Duration = Duration::from_millis(10);

/// Looks every 10 ms until it is dropped.
#[derive(Debug)]
pub struct Stalls {
    worst_micros: Arc<AtomicU64>,
    tasks: Tasks,
}

impl Stalls {
    pub fn watch(tasks: &Tasks) -> Self {
        let (tasks, worst_micros) = (tasks.child(), Arc::new(AtomicU64::new(0)));
        let worst = Arc::clone(&worst_micros);
        tasks.spawn("stalls", async move {
            loop {
                let asleep = Stopwatch::start();
                tokio::time::sleep(EVERY).await;
                let late = asleep.elapsed().saturating_sub(EVERY);
                worst.fetch_max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
        Self { worst_micros, tasks }
    }

    /// How late it was at the most.
    pub fn worst(&self) -> Duration {
        Duration::from_micros(self.worst_micros.load(Ordering::Relaxed))
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.tasks.abort();
    }
}
