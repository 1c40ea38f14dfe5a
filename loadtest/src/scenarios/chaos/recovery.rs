//! When the requests are back where they were.

use std::collections::VecDeque;
use std::time::Duration;

use tocsin_runtime::Stopwatch;
use tocsin_testkit::simulator::Simulator;

/// Of the limit.
const RECOVERED: f64 = 0.8;
const WITHIN: Duration = Duration::from_secs(20);
const LOOKS_PER_SECOND: usize = 10;

/// Seconds from now to the beginning of the first second close to the limit; None where none came in time.
pub async fn watch(simulator: &Simulator, rate: f64) -> Option<f64> {
    let since = Stopwatch::start();
    let mut second = Second::default();
    while since.elapsed() < WITHIN {
        if let Some(requests) = second.look(simulator.requests())
            && requests as f64 >= rate * RECOVERED
        {
            return Some((since.elapsed().as_secs_f64() - 1.0).max(0.0));
        }
        tokio::time::sleep(Duration::from_secs(1) / LOOKS_PER_SECOND as u32).await;
    }
    None
}

/// The counts of the last second.
#[derive(Debug, Default)]
struct Second {
    counts: VecDeque<u64>,
}

impl Second {
    /// How many came in the second that ends now; None before a second is over.
    fn look(&mut self, count: u64) -> Option<u64> {
        self.counts.push_back(count);
        if self.counts.len() <= LOOKS_PER_SECOND {
            return None;
        }
        let before = self.counts.pop_front()?;
        Some(count - before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_counts_only_what_came_within_it() {
        let mut second = Second::default();
        let seen: Vec<Option<u64>> = (0..13).map(|look| second.look(100 + look * 5)).collect();
        assert!(seen[..10].iter().all(Option::is_none));
        assert_eq!(seen[10..], [Some(50), Some(50), Some(50)]);
    }
}
