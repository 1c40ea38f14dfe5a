//! Percentiles, medians and the busiest second.

use std::time::Duration;

use serde::Serialize;

/// A distribution in three numbers, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

/// None of nothing.
pub fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let max = *values.last()?;
    Some(Spread { p50: rank(&values, 0.50), p99: rank(&values, 0.99), max })
}

/// The values at these shares. None of nothing.
pub fn percentiles<const N: usize>(mut values: Vec<f64>, shares: [f64; N]) -> Option<[f64; N]> {
    values.sort_by(f64::total_cmp);
    (!values.is_empty()).then(|| shares.map(|share| rank(&values, share)))
}

/// None of nothing. Of an even number the lower one in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    (!values.is_empty()).then(|| rank(&values, 0.5))
}

/// The smallest value that at least this share of `sorted`, which is not empty, does not exceed.
fn rank(sorted: &[f64], share: f64) -> f64 {
    let nearest = (share * sorted.len() as f64).ceil() as usize;
    sorted[nearest.clamp(1, sorted.len()) - 1]
}

/// The most of `times` (microseconds, sorted) that lie within any window of this length: one that begins with a time
/// and does not hold what lies a whole length later.
pub fn worst_window(times: &[i64], length: Duration) -> usize {
    let length = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
    let mut first = 0;
    let mut worst = 0;
    for (last, time) in times.iter().enumerate() {
        while time - times[first] >= length {
            first += 1;
        }
        worst = worst.max(last + 1 - first);
    }
    worst
}

/// How many of `times` (microseconds, sorted) lie in each window of this length that ends a step later than the one
/// before; the first ends with the first time.
pub fn windows(times: &[i64], length: Duration, step: Duration) -> Vec<usize> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Vec::new() };
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX).max(1);
    let (length, step) = (micros(length), micros(step));
    let before = |instant: i64| times.partition_point(|time| *time <= instant);
    let ends = (0..).map(|number| first + number * step).take_while(|end| *end < last + step);
    ends.map(|end| before(end) - before(end - length)).collect()
}

/// How many of `times` (microseconds, sorted) lie in each whole step from the first on.
pub fn per_step(times: &[i64], step: Duration) -> Vec<usize> {
    let Some(first) = times.first() else { return Vec::new() };
    per_step_since(*first, times, step)
}

/// The same from another instant on, before which nothing counts.
pub fn per_step_since(first: i64, times: &[i64], step: Duration) -> Vec<usize> {
    let step = i64::try_from(step.as_micros()).unwrap_or(i64::MAX).max(1);
    let mut counts = Vec::new();
    for time in times {
        if *time < first {
            continue;
        }
        let index = usize::try_from((time - first) / step).unwrap_or(0);
        if counts.len() <= index {
            counts.resize(index + 1, 0);
        }
        counts[index] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn percentiles_are_values_that_were_measured() {
        assert_eq!(spread(vec![]), None);
        assert_eq!(spread(vec![7.0]), Some(Spread { p50: 7.0, p99: 7.0, max: 7.0 }));
        let hundred = (1..=100).rev().map(f64::from).collect();
        assert_eq!(spread(hundred), Some(Spread { p50: 50.0, p99: 99.0, max: 100.0 }));
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn the_worst_window_is_found_wherever_it_begins() {
        let cases: [(&[i64], usize); 5] = [
            (&[], 0),
            (&[5], 1),
            (&[0, 999_999, 1_000_000], 2),
            (&[0, 400_000, 900_000, 1_300_000, 1_390_000, 2_500_000], 4),
            (&[0, 1_000_000, 2_000_000], 1),
        ];
        for (times, worst) in cases {
            assert_eq!(worst_window(times, SECOND), worst, "{times:?}");
        }
    }

    #[test]
    fn steps_without_anything_are_counted_too() {
        assert_eq!(per_step(&[10, 20, 2_500_010], SECOND), [2, 0, 1]);
        assert_eq!(per_step(&[], SECOND), Vec::<usize>::new());
        assert_eq!(per_step_since(15, &[10, 20, 2_500_010], SECOND), [1, 0, 1]);
    }

    #[test]
    fn windows_overlap_and_hold_what_came_within_their_length() {
        let half = SECOND / 2;
        assert_eq!(windows(&[0, 400_000, 900_000, 1_300_000], SECOND, half), [1, 2, 2, 2]);
        assert_eq!(windows(&[7], SECOND, half), [1]);
        assert_eq!(windows(&[], SECOND, half), Vec::<usize>::new());
    }
}
