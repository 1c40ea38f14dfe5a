//! The catalogue as Prometheus scrapes it: in OpenMetrics, which carries exemplars, and in the older text format.

use std::fmt::Write as _;

use super::cell::{Exemplar, Value};
use super::family::{About, Kind, Metric, Series};

/// Content types of the two.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
pub const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    OpenMetrics,
    /// For whoever does not ask for the other: `curl`, `promtool check metrics`.
    Classic,
}

impl Format {
    /// What a request's `Accept` asks for.
    pub fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            Some(_) | None => Self::Classic,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => OPEN_METRICS,
            Self::Classic => CLASSIC,
        }
    }
}

/// Every metric that has a series.
pub fn text(metrics: &[&dyn Metric], format: Format) -> String {
    let mut text = String::new();
    for metric in metrics {
        let series = metric.read();
        if !series.is_empty() {
            write_family(&mut text, metric.about(), &series, format);
        }
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn write_family(text: &mut String, about: &About, all: &[Series], format: Format) {
    // OpenMetrics names a counter's family without what its samples end with.
    let family = match (format, about.kind) {
        (Format::OpenMetrics, Kind::Counter) => about.name.trim_end_matches("_total"),
        _ => about.name,
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {family} {}", about.help);
    let _ = writeln!(text, "# TYPE {family} {}", about.kind.as_str());
    for series in all {
        let pairs: Vec<(&str, &str)> =
            about.labels.iter().copied().zip(series.labels.iter().map(String::as_str)).collect();
        match &series.value {
            Value::Number(number) => {
                let _ = writeln!(text, "{}{} {}", about.name, labels(&pairs, None), decimal(*number));
            }
            Value::Histogram { buckets, sum } => {
                let mut count = 0;
                for bucket in buckets {
                    count += bucket.count;
                    let within = labels(&pairs, Some(&decimal(bucket.bound)));
                    let _ = write!(text, "{}_bucket{within} {count}", about.name);
                    if let (Format::OpenMetrics, Some(Exemplar { trace, value })) = (format, bucket.exemplar)
                    {
                        let _ = write!(text, " # {{trace_id=\"{trace}\"}} {}", decimal(value));
                    }
                    text.push('\n');
                }
                let plain = labels(&pairs, None);
                let _ = writeln!(text, "{}_sum{plain} {}", about.name, decimal(*sum));
                let _ = writeln!(text, "{}_count{plain} {count}", about.name);
            }
        }
    }
}

fn labels(pairs: &[(&str, &str)], bound: Option<&str>) -> String {
    let pairs = pairs.iter().copied().chain(bound.map(|bound| ("le", bound)));
    let written: Vec<String> = pairs.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if written.is_empty() { String::new() } else { format!("{{{}}}", written.join(",")) }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

/// With a point, as OpenMetrics has its bounds, so that a series has one name in both formats.
fn decimal(number: f64) -> String {
    match number {
        _ if number == f64::INFINITY => "+Inf".to_owned(),
        _ if number == f64::NEG_INFINITY => "-Inf".to_owned(),
        _ if number.is_nan() => "NaN".to_owned(),
        _ => format!("{number:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tocsin_domain::trace::TraceId;

    use super::super::cell::{Counter, Histogram};
    use super::super::family::{By, Family};
    use super::*;

    const SENT: About = About {
        name: "tocsin_test_sent_total",
        kind: Kind::Counter,
        labels: &["account"],
        by: By::Every,
        help: "Sent so.",
        bounds: &[],
    };
    const TOOK: About = About {
        name: "tocsin_test_seconds",
        kind: Kind::Histogram,
        labels: &[],
        help: "Took.",
        bounds: &[0.5, 1.0],
        ..SENT
    };

    fn sample() -> (Family<Counter, 1>, Family<Histogram, 0>) {
        let (sent, took) = (Family::<Counter, 1>::new(SENT), Family::<Histogram, 0>::new(TOOK));
        sent.of(["a\"b"]).add(3);
        took.of([]).took_in(Duration::from_millis(500), TraceId([7; 16]));
        took.of([]).observe(4.0);
        (sent, took)
    }

    #[test]
    fn open_metrics_carries_the_trace_of_the_latest_in_each_bucket() {
        let (sent, took) = sample();
        let expected = "\
# HELP tocsin_test_sent Sent so.
# TYPE tocsin_test_sent counter
tocsin_test_sent_total{account=\"a\\\"b\"} 3.0
# HELP tocsin_test_seconds Took.
# TYPE tocsin_test_seconds histogram
tocsin_test_seconds_bucket{le=\"0.5\"} 1 # {trace_id=\"07070707070707070707070707070707\"} 0.5
tocsin_test_seconds_bucket{le=\"1.0\"} 1
tocsin_test_seconds_bucket{le=\"+Inf\"} 2
tocsin_test_seconds_sum 4.5
tocsin_test_seconds_count 2
# EOF
";
        assert_eq!(text(&[&sent, &took], Format::OpenMetrics), expected);
    }

    #[test]
    fn the_older_format_names_counters_whole_and_has_no_exemplars() {
        let (sent, took) = sample();
        let text = text(&[&sent, &took], Format::Classic);
        assert!(text.contains("# TYPE tocsin_test_sent_total counter\n"), "{text}");
        assert!(text.contains("tocsin_test_seconds_bucket{le=\"0.5\"} 1\n"), "{text}");
        assert!(!text.contains("EOF"), "{text}");
    }

    #[test]
    fn a_metric_without_series_is_not_shown() {
        assert_eq!(text(&[&Family::<Counter, 1>::new(SENT)], Format::Classic), "");
    }

    #[test]
    fn prometheus_gets_what_it_asks_for() {
        let asked =
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75";
        assert_eq!(Format::accepted(Some(asked)), Format::OpenMetrics);
        assert_eq!(Format::accepted(Some("*/*")), Format::Classic);
        assert_eq!(Format::accepted(None), Format::Classic);
    }
}
