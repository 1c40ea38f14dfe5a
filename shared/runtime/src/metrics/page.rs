//! docs/METRICS.md, written from the catalogue.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::CATALOGUE;

const HEAD: &str = "\
# Metrics

Written from the code (`shared/runtime/src/metrics/catalogue.rs`); a test holds them together and says how to write it anew.
Every role serves them at `/metrics` of `health.listen`, as OpenMetrics with exemplars to whoever asks for that and in the older
text format else, and pushes them by OTLP where `metrics.otlp_endpoint` is set. [ADR 42](adr/0042-metrics.md) says why so.

*Shown by* names who counts it. Gauges of the planner are read from the store and the broker, so every planner shows the same:
take `max` over instances, not `sum`. They are absent while they cannot be read. Labels take their values from closed sets and
from the names of the configured accounts. `channel` is voice, sms, email or inbox; `lane` emergency, priority or general.
Times are in seconds, of histograms the bounds of the buckets are given.

| metric | type | labels | shown by | meaning |
| --- | --- | --- | --- | --- |
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for about in CATALOGUE.iter().map(|metric| metric.about()) {
        let labels: Vec<String> = about.labels.iter().map(|label| format!("`{label}`")).collect();
        let bounds: Vec<String> = about.bounds.iter().map(f64::to_string).collect();
        let buckets = match bounds.is_empty() {
            true => String::new(),
            false => format!(" Buckets: {}.", bounds.join(", ")),
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {}{buckets} |",
            about.name,
            about.kind.as_str(),
            labels.join(", "),
            about.by.as_str(),
            about.help,
        );
    }
    page
}

#[test]
fn the_page_is_what_the_catalogue_says() {
    crate::pages::hold(Path::new("docs/METRICS.md"), &page());
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    let mut seen = BTreeSet::new();
    for about in CATALOGUE.iter().map(|metric| metric.about()) {
        let (name, kind) = (about.name, about.kind.as_str());
        assert!(seen.insert(name), "{name} stands twice");
        assert!(name.starts_with("tocsin_"), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        assert_eq!(about.bounds.is_empty(), kind != "histogram", "{name}");
        assert!(about.bounds.is_sorted(), "{name}");
        assert!(about.help.ends_with('.') && !about.help.contains(['\n', '\\', '|']), "{name}");
        assert!(!about.labels.contains(&"le"), "{name}");
    }
}
