//! The catalogue in the words of OTLP. Everything is cumulative since the process began, as it is scraped.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric as OtlpMetric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::cell::{Bucket, Value};
use super::family::{About, Kind, Metric, Series};

/// Whose metrics these are. Times are in nanoseconds since 1970.
#[derive(Debug, Clone)]
pub struct Source {
    pub version: String,
    pub role: String,
    /// Tells one process from the next.
    pub instance: String,
    pub began_at: u64,
}

pub fn request(metrics: &[&dyn Metric], source: &Source, now: u64) -> ExportMetricsServiceRequest {
    let of = |metric: &&dyn Metric| {
        let series = metric.read();
        (!series.is_empty()).then(|| converted(metric.about(), &series, source.began_at, now))
    };
    let attributes = [
        ("service.name", "tocsin"),
        ("service.version", &source.version),
        ("service.instance.id", &source.instance),
        ("tocsin.role", &source.role),
    ];
    let resource = Resource { attributes: attributes.map(attribute).into(), ..Resource::default() };
    let scope = InstrumentationScope {
        name: "tocsin".to_owned(),
        version: source.version.clone(),
        ..InstrumentationScope::default()
    };
    let scope_metrics = ScopeMetrics {
        scope: Some(scope),
        metrics: metrics.iter().filter_map(of).collect(),
        ..ScopeMetrics::default()
    };
    let resource_metrics = ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![scope_metrics],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
}

fn converted(about: &About, all: &[Series], began_at: u64, now: u64) -> OtlpMetric {
    let labels = |series: &Series| -> Vec<KeyValue> {
        about.labels.iter().zip(&series.labels).map(|(name, value)| attribute((name, value))).collect()
    };
    let number = |series: &Series| match &series.value {
        Value::Number(number) => Some(NumberDataPoint {
            attributes: labels(series),
            start_time_unix_nano: began_at,
            time_unix_nano: now,
            value: Some(number_data_point::Value::AsDouble(*number)),
            ..NumberDataPoint::default()
        }),
        Value::Histogram { .. } => None,
    };
    let distribution = |series: &Series| match &series.value {
        Value::Histogram { buckets, sum } => Some(HistogramDataPoint {
            attributes: labels(series),
            start_time_unix_nano: began_at,
            time_unix_nano: now,
            count: buckets.iter().map(|bucket| bucket.count).sum(),
            sum: Some(*sum),
            bucket_counts: buckets.iter().map(|bucket| bucket.count).collect(),
            explicit_bounds: about.bounds.to_vec(),
            exemplars: buckets.iter().filter_map(|bucket| exemplar(bucket, now)).collect(),
            ..HistogramDataPoint::default()
        }),
        Value::Number(_) => None,
    };
    let cumulative = AggregationTemporality::Cumulative.into();
    let data = match about.kind {
        Kind::Counter => metric::Data::Sum(Sum {
            data_points: all.iter().filter_map(number).collect(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        Kind::Gauge => metric::Data::Gauge(Gauge { data_points: all.iter().filter_map(number).collect() }),
        Kind::Histogram => metric::Data::Histogram(Histogram {
            data_points: all.iter().filter_map(distribution).collect(),
            aggregation_temporality: cumulative,
        }),
    };
    OtlpMetric {
        name: about.name.to_owned(),
        description: about.help.to_owned(),
        data: Some(data),
        ..OtlpMetric::default()
    }
}

fn exemplar(bucket: &Bucket, now: u64) -> Option<Exemplar> {
    let seen = bucket.exemplar?;
    Some(Exemplar {
        time_unix_nano: now,
        trace_id: seen.trace.0.to_vec(),
        span_id: seen.trace.root().0.to_vec(),
        value: Some(exemplar::Value::AsDouble(seen.value)),
        ..Exemplar::default()
    })
}

fn attribute((name, value): (&str, &str)) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: name.to_owned(), value: Some(value), ..KeyValue::default() }
}
