//! Metrics: one catalogue, counted where things happen, shown at `/metrics` and pushed by OTLP.
//!
//! A metric is a static of [`catalogue`]: whoever counts names it, asks for the series of its labels and adds to it. A
//! process has one of each, whatever roles it runs (docs/adr/0042-metrics.md). `docs/METRICS.md` is written from the catalogue.

mod catalogue;
mod cell;
mod exposition;
mod family;
mod otlp;
#[cfg(test)]
mod page;
mod push;

use std::collections::{BTreeMap, BTreeSet};

use tocsin_domain::{Channel, Outcome};

pub use self::catalogue::*;
pub use self::cell::{Bucket, Cell, Counter, Exemplar, Gauge, Histogram, Value};
pub use self::exposition::{CLASSIC, Format, OPEN_METRICS, text};
pub use self::family::{About, By, Family, Kind, Metric, Series};
pub use self::push::{PushError, start_pushing};

/// Every name that a sample in a scrape may have: what rules and dashboards may ask for.
pub fn sample_names() -> BTreeSet<String> {
    let of = |about: &About| match about.kind {
        Kind::Counter | Kind::Gauge => vec![about.name.to_owned()],
        Kind::Histogram => ["bucket", "sum", "count"].map(|part| format!("{}_{part}", about.name)).to_vec(),
    };
    CATALOGUE.iter().flat_map(|metric| of(metric.about())).collect()
}

/// Counts what attempts came to, as the store wrote it.
pub fn note_outcomes(outcomes: &BTreeMap<(Channel, Outcome), u64>) {
    for ((channel, outcome), attempts) in outcomes {
        OUTCOMES.of([channel.as_str(), outcome.code()]).add(*attempts);
    }
}

/// What every process shows from its start on.
pub fn begin(version: &str, role: &str) {
    BUILD_INFO.of([version, role]).set(1.0);
    DRAINING.set(0.0);
    TRACE_SPANS_DROPPED.of([]);
}
