//! The exporter: OTLP over gRPC, or as protobuf over HTTP.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use uuid::Uuid;

use super::{TelemetryError, names};
use crate::config::OtlpProtocol;

pub type Exporter = opentelemetry_otlp::SpanExporter;

/// Where collectors take spans over HTTP.
const HTTP_PATH: &str = "/v1/traces";

pub fn exporter(
    endpoint: &str,
    protocol: OtlpProtocol,
    role: &'static str,
    deadline: Duration,
) -> Result<Exporter, TelemetryError> {
    // An error means that the process has chosen its TLS provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let failed = |error: &dyn std::fmt::Display| TelemetryError::Exporter {
        endpoint: endpoint.to_owned(),
        why: error.to_string(),
    };
    let mut exporter = match protocol {
        OtlpProtocol::Grpc => Exporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(deadline)
            .build()
            .map_err(|error| failed(&error))?,
        OtlpProtocol::Http => {
            let client =
                reqwest::Client::builder().timeout(deadline).build().map_err(|error| failed(&error))?;
            Exporter::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_http_client(client)
                .with_endpoint(http_address(endpoint))
                .with_timeout(deadline)
                .build()
                .map_err(|error| failed(&error))?
        }
    };
    exporter.set_resource(&resource(role));
    Ok(exporter)
}

/// Whoever names the host alone means the path that collectors have.
fn http_address(endpoint: &str) -> String {
    let is_whole = endpoint.ends_with(HTTP_PATH);
    if is_whole { endpoint.to_owned() } else { format!("{endpoint}{HTTP_PATH}") }
}

/// This process. What `OTEL_RESOURCE_ATTRIBUTES` says of it comes along, but for what is said here.
fn resource(role: &'static str) -> Resource {
    Resource::builder()
        .with_attributes([
            KeyValue::new(names::resource::SERVICE_NAME, "tocsin"),
            KeyValue::new(names::resource::SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
            KeyValue::new(names::resource::SERVICE_INSTANCE_ID, Uuid::now_v7().to_string()),
            KeyValue::new(names::resource::ROLE, role),
        ])
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_alone_is_given_the_path_of_collectors() {
        let table = [
            ("http://otel:4318", "http://otel:4318/v1/traces"),
            ("https://otel.example/tenant-1", "https://otel.example/tenant-1/v1/traces"),
            ("http://otel:4318/v1/traces", "http://otel:4318/v1/traces"),
        ];
        for (endpoint, address) in table {
            assert_eq!(http_address(endpoint), address);
        }
    }
}
