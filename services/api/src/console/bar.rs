//! The bar of results: what attempts came to so far and what is open, end to end.

use super::page::Count;

/// The counters that a bar is made of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Results {
    pub successful: i64,
    pub error: i64,
    pub canceled: i64,
    pub not_sent: i64,
    pub open: i64,
}

/// A part of the bar, in thousandths of its length.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub name: &'static str,
    pub class: &'static str,
    pub count: Count,
    pub from: i64,
    pub width: i64,
}

/// Widths are differences of rounded ends, so that they add up to the whole.
pub(crate) fn parts(results: Results) -> Vec<Part> {
    let counts = [
        ("Successful", "good", results.successful),
        ("Error", "bad", results.error),
        ("Canceled", "stopped", results.canceled),
        ("Not sent", "quiet", results.not_sent),
        ("Open", "open", results.open),
    ];
    let whole: i64 = counts.iter().map(|(.., count)| count).sum();
    let place = |count: i64| if whole == 0 { 0 } else { count * 1000 / whole };
    let mut before = 0;
    counts
        .into_iter()
        .map(|(name, class, count)| {
            let from = place(before);
            before += count;
            Part { name, class, count: Count(count), from, width: place(before) - from }
        })
        .collect()
}

/// Rounded down: 100 means all of them.
pub(crate) fn percent(part: i64, whole: i64) -> i64 {
    if whole <= 0 { 0 } else { (part.clamp(0, whole) * 100) / whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_whole_whatever_the_counts() {
        for (successful, error, open) in [(1, 1, 1), (0, 0, 7), (333, 1, 0), (999_999, 1, 12)] {
            let parts = parts(Results { successful, error, open, ..Results::default() });
            assert_eq!(parts.iter().map(|part| part.width).sum::<i64>(), 1000);
            assert!(parts.windows(2).all(|pair| pair[0].from + pair[0].width == pair[1].from));
        }
        assert!(parts(Results::default()).iter().all(|part| part.width == 0));
    }

    #[test]
    fn a_hundred_percent_is_all_of_them() {
        for (part, whole, is) in [(0, 0, 0), (999, 1000, 99), (1000, 1000, 100), (-1, 10, 0)] {
            assert_eq!(percent(part, whole), is, "{part} of {whole}");
        }
    }
}
