//! What one series holds. Cheap to add to from any thread; whoever adds often keeps the handle.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tocsin_domain::trace::TraceId;

use super::family::About;

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// What is so at the moment.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

/// How often something was at most so much, with the trace of the latest that fell into each bucket.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// One more than there are bounds: the last has none. Not cumulative.
    counts: Vec<u64>,
    sum: f64,
    exemplars: Vec<Option<Exemplar>>,
}

/// An observation whose trace can be looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exemplar {
    pub trace: TraceId,
    pub value: f64,
}

/// What a series is read as.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Number(f64),
    Histogram { buckets: Vec<Bucket>, sum: f64 },
}

/// Observations above the bucket before and at most `bound`; the last bucket's is infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    pub bound: f64,
    pub count: u64,
    pub exemplar: Option<Exemplar>,
}

/// What a family makes for new labels.
pub trait Cell {
    fn new(about: &About) -> Self;
    fn read(&self) -> Value;
}

impl Counter {
    pub fn one(&self) {
        self.add(1);
    }

    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl Histogram {
    pub fn observe(&self, value: f64) {
        self.enter(value, None);
    }

    pub fn took(&self, time: Duration) {
        self.enter(time.as_secs_f64(), None);
    }

    /// As [`Histogram::took`], of something that `trace` tells more of.
    pub fn took_in(&self, time: Duration, trace: TraceId) {
        self.enter(time.as_secs_f64(), Some(trace));
    }

    fn enter(&self, value: f64, trace: Option<TraceId>) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        // Whole between statements, so a panic elsewhere while it was held has not broken it.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.counts[place] += 1;
        state.sum += value;
        if let Some(trace) = trace {
            state.exemplars[place] = Some(Exemplar { trace, value });
        }
    }
}

impl Cell for Counter {
    fn new(_: &About) -> Self {
        Self::default()
    }

    // Exact up to 2^53, which no counter of ours reaches.
    #[allow(clippy::cast_precision_loss, reason = "as the formats have it")]
    fn read(&self) -> Value {
        Value::Number(self.get() as f64)
    }
}

impl Cell for Gauge {
    fn new(_: &About) -> Self {
        Self::default()
    }

    fn read(&self) -> Value {
        Value::Number(self.get())
    }
}

impl Cell for Histogram {
    fn new(about: &About) -> Self {
        let places = about.bounds.len() + 1;
        let state = State { counts: vec![0; places], sum: 0.0, exemplars: vec![None; places] };
        Self { bounds: about.bounds, state: Mutex::new(state) }
    }

    fn read(&self) -> Value {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets = bounds
            .zip(state.counts.iter().zip(&state.exemplars))
            .map(|(bound, (count, exemplar))| Bucket { bound, count: *count, exemplar: *exemplar })
            .collect();
        Value::Histogram { buckets, sum: state.sum }
    }
}
