//! A metric with all its series, by the values of its labels.

use std::sync::{Arc, PoisonError, RwLock};

use super::cell::{Cell, Counter, Gauge, Histogram, Value};

/// What the catalogue says of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct About {
    /// As it is scraped; of a counter with `_total`.
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub by: By,
    /// One sentence or two, ending with a full stop.
    pub help: &'static str,
    /// Of a histogram: what the buckets hold at most.
    pub bounds: &'static [f64],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Which processes show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Every,
    Api,
    Planner,
    Worker,
    Collector,
}

/// One metric with its series. Series are few: labels take their values from closed sets and from the accounts that are
/// configured, never from what a stranger sends.
#[derive(Debug)]
pub struct Family<T, const N: usize> {
    about: About,
    /// Ordered by the labels' values.
    series: RwLock<Vec<([String; N], Arc<T>)>>,
}

/// One series as it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// In the order of the metric's labels.
    pub labels: Vec<String>,
    pub value: Value,
}

/// A family, whatever it holds.
pub trait Metric: Sync {
    fn about(&self) -> &About;
    fn read(&self) -> Vec<Series>;
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl By {
    /// As docs/METRICS.md has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Every => "every role",
            Self::Api => "api",
            Self::Planner => "planner",
            Self::Worker => "worker",
            Self::Collector => "status-collector",
        }
    }
}

impl<T: Cell, const N: usize> Family<T, N> {
    pub(super) const fn new(about: About) -> Self {
        Self { about, series: RwLock::new(Vec::new()) }
    }

    /// The series of these labels, begun at zero if it is new.
    pub fn of(&self, labels: [&str; N]) -> Arc<T> {
        {
            let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
            if let Ok(at) = place(&series, labels) {
                return Arc::clone(&series[at].1);
            }
        }
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        match place(&series, labels) {
            // Another thread was here in between.
            Ok(at) => Arc::clone(&series[at].1),
            Err(at) => {
                let made = Arc::new(T::new(&self.about));
                series.insert(at, (labels.map(str::to_owned), Arc::clone(&made)));
                made
            }
        }
    }
}

impl<const N: usize> Family<Gauge, N> {
    /// These are all its series from now on: what is not among them is no more.
    pub fn replace(&self, values: impl IntoIterator<Item = ([String; N], f64)>) {
        let mut series: Vec<([String; N], Arc<Gauge>)> = values
            .into_iter()
            .map(|(labels, value)| {
                let gauge = Gauge::default();
                gauge.set(value);
                (labels, Arc::new(gauge))
            })
            .collect();
        series.sort_by(|(one, _), (other, _)| one.cmp(other));
        *self.series.write().unwrap_or_else(PoisonError::into_inner) = series;
    }

    /// Nothing is known of it.
    pub fn clear(&self) {
        self.replace([]);
    }
}

impl Family<Gauge, 0> {
    pub fn set(&self, value: f64) {
        self.of([]).set(value);
    }
}

impl Family<Counter, 0> {
    pub fn add(&self, count: u64) {
        self.of([]).add(count);
    }
}

impl Family<Histogram, 0> {
    pub fn observe(&self, value: f64) {
        self.of([]).observe(value);
    }
}

impl<T: Cell + Send + Sync, const N: usize> Metric for Family<T, N> {
    fn about(&self) -> &About {
        &self.about
    }

    fn read(&self) -> Vec<Series> {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        series.iter().map(|(labels, cell)| Series { labels: labels.to_vec(), value: cell.read() }).collect()
    }
}

fn place<T, const N: usize>(series: &[([String; N], Arc<T>)], labels: [&str; N]) -> Result<usize, usize> {
    series.binary_search_by(|(known, _)| known.iter().map(String::as_str).cmp(labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About = About {
        name: "tocsin_test_total",
        kind: Kind::Counter,
        labels: &["channel", "lane"],
        by: By::Every,
        help: "For this test.",
        bounds: &[],
    };

    #[test]
    fn the_same_labels_are_the_same_series() {
        let family = Family::<Counter, 2>::new(ABOUT);
        family.of(["sms", "general"]).add(2);
        family.of(["email", "general"]).one();
        family.of(["sms", "general"]).one();
        family.of(["sms", "emergency"]);
        let read: Vec<(String, f64)> = family
            .read()
            .into_iter()
            .map(|series| match series.value {
                Value::Number(number) => (series.labels.join(" "), number),
                Value::Histogram { .. } => panic!("a counter"),
            })
            .collect();
        let expected = [("email general", 1.0), ("sms emergency", 0.0), ("sms general", 3.0)];
        assert_eq!(read, expected.map(|(labels, number)| (labels.to_owned(), number)));
    }

    #[test]
    fn what_is_replaced_is_gone() {
        let family = Family::<Gauge, 1>::new(ABOUT);
        family.replace([(["b".to_owned()], 2.0), (["a".to_owned()], 1.0)]);
        assert_eq!(family.of(["a"]).get(), 1.0);
        family.replace([(["b".to_owned()], 3.0)]);
        assert_eq!(family.read().len(), 1);
        assert_eq!(family.of(["b"]).get(), 3.0);
    }
}
