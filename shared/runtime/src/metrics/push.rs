//! Pushing metrics by OTLP, where the configuration names a collector.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use prost::Message as _;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::Notify;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use uuid::Uuid;

use super::CATALOGUE;
use super::otlp::{self, Source};
use crate::config::{OtlpConfig, OtlpProtocol};
use crate::{Clock as _, Progress, SystemClock, Tasks, run_ticker};

/// A collector that has not answered by then is asked again with the next push.
const DEADLINE: Duration = Duration::from_secs(10);
/// Where collectors take metrics over HTTP.
const HTTP_PATH: &str = "/v1/metrics";

#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error("metrics.otlp_endpoint {0}: no collector can be reached there; write it as http://host:4317")]
    Endpoint(String, #[source] tonic::transport::Error),
    #[error("no HTTP client for metrics.otlp_endpoint")]
    Client(#[source] reqwest::Error),
    #[error("the collector does not take metrics: {0}")]
    Grpc(Box<tonic::Status>),
    #[error("the collector does not take metrics")]
    Http(#[source] reqwest::Error),
    #[error("the collector did not answer in time")]
    TooSlow,
}

/// A connection to a collector, which is made when it is needed and again after it was lost.
#[derive(Debug, Clone)]
enum Pusher {
    Grpc(MetricsServiceClient<Channel>),
    Http { client: reqwest::Client, address: String },
}

/// Pushes until `tasks` are asked to stop, and once more then.
///
/// # Errors
/// The endpoint is none. That nobody answers there is found out later, and logged.
pub fn start_pushing(config: &OtlpConfig, version: &str, role: &str, tasks: &Tasks) -> Result<(), PushError> {
    let pusher = Pusher::new(config)?;
    let source = Source {
        version: version.to_owned(),
        role: role.to_owned(),
        instance: Uuid::now_v7().to_string(),
        began_at: now(),
    };
    let (every, stopping) = (config.interval, tasks.stopping().clone());
    tasks.spawn("metrics push", async move {
        let last = (pusher.clone(), source.clone());
        let tick = async move || {
            let request = otlp::request(CATALOGUE, &source, now());
            pusher.clone().push(request).await?;
            Ok::<_, PushError>(Progress::Idle)
        };
        run_ticker("metrics.push", every, &Notify::new(), &stopping, tick).await;
        let (pusher, source) = last;
        if let Err(error) = pusher.push(otlp::request(CATALOGUE, &source, now())).await {
            tracing::debug!(%error, "the last metrics were not pushed");
        }
    });
    Ok(())
}

impl Pusher {
    fn new(config: &OtlpConfig) -> Result<Self, PushError> {
        let failed = |error| PushError::Endpoint(config.endpoint.clone(), error);
        match config.protocol {
            OtlpProtocol::Grpc => {
                let mut endpoint = Endpoint::from_shared(config.endpoint.clone()).map_err(failed)?;
                if config.endpoint.starts_with("https://") {
                    let tls = ClientTlsConfig::new().with_native_roots();
                    endpoint = endpoint.tls_config(tls).map_err(failed)?;
                }
                Ok(Self::Grpc(MetricsServiceClient::new(endpoint.connect_lazy())))
            }
            OtlpProtocol::Http => {
                let client =
                    reqwest::Client::builder().timeout(DEADLINE).build().map_err(PushError::Client)?;
                Ok(Self::Http { client, address: http_address(&config.endpoint) })
            }
        }
    }

    async fn push(self, request: ExportMetricsServiceRequest) -> Result<(), PushError> {
        tokio::time::timeout(DEADLINE, self.send(request)).await.unwrap_or(Err(PushError::TooSlow))
    }

    async fn send(self, request: ExportMetricsServiceRequest) -> Result<(), PushError> {
        match self {
            Self::Grpc(mut client) => {
                client.export(request).await.map_err(|status| PushError::Grpc(Box::new(status)))?;
            }
            Self::Http { client, address } => {
                let post = client.post(address).header(CONTENT_TYPE, "application/x-protobuf");
                let answer = post.body(request.encode_to_vec()).send().await;
                answer.and_then(reqwest::Response::error_for_status).map_err(PushError::Http)?;
            }
        }
        Ok(())
    }
}

/// Whoever names the host alone means the path that collectors have.
fn http_address(endpoint: &str) -> String {
    let is_whole = endpoint.ends_with(HTTP_PATH);
    if is_whole { endpoint.to_owned() } else { format!("{endpoint}{HTTP_PATH}") }
}

fn now() -> u64 {
    let nanos = SystemClock.now().timestamp_nanos_opt().unwrap_or_default();
    u64::try_from(nanos).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Bytes;
    use axum::routing::post;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
    use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
        MetricsService, MetricsServiceServer,
    };
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use tocsin_domain::trace::TraceId;
    use tokio::net::TcpListener;

    use super::super::{About, BUILD_INFO, By, Family, Histogram, Kind};
    use super::*;

    const TOOK: About = About {
        name: "tocsin_test_seconds",
        kind: Kind::Histogram,
        labels: &["account"],
        by: By::Every,
        help: "Took.",
        bounds: &[0.5, 1.0],
    };

    fn source() -> Source {
        Source { version: "1.2.3".into(), role: "worker".into(), instance: "one".into(), began_at: 5 }
    }

    #[test]
    fn a_histogram_keeps_its_buckets_and_the_traces_of_its_exemplars() {
        let took = Family::<Histogram, 1>::new(TOOK);
        took.of(["sms"]).took_in(Duration::from_millis(750), TraceId([7; 16]));
        took.of(["sms"]).observe(9.0);
        let request = otlp::request(&[&took], &source(), 9);
        let scope = &request.resource_metrics[0].scope_metrics[0];
        let metric = &scope.metrics[0];
        let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
        let point = &histogram.data_points[0];
        assert_eq!((metric.name.as_str(), point.count, point.sum), ("tocsin_test_seconds", 2, Some(9.75)));
        assert_eq!((&point.bucket_counts[..], &point.explicit_bounds[..]), (&[0, 1, 1][..], &[0.5, 1.0][..]));
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (5, 9));
        assert_eq!(point.attributes[0].key, "account");
        assert_eq!(point.exemplars.len(), 1);
        assert_eq!(point.exemplars[0].trace_id, [7; 16]);
    }

    /// A collector that keeps what is posted to it.
    async fn collector() -> (String, Arc<Mutex<Vec<ExportMetricsServiceRequest>>>) {
        let taken: Arc<Mutex<Vec<ExportMetricsServiceRequest>>> = Arc::default();
        let keep = Arc::clone(&taken);
        let take = move |body: Bytes| {
            keep.lock().unwrap().push(ExportMetricsServiceRequest::decode(body).unwrap());
            std::future::ready(())
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route(HTTP_PATH, post(take));
        Tasks::new().spawn("collector", async move { axum::serve(listener, router).await.unwrap() });
        (address, taken)
    }

    /// The same over gRPC.
    #[derive(Clone, Default)]
    struct Taking(Arc<Mutex<Vec<ExportMetricsServiceRequest>>>);

    #[tonic::async_trait]
    impl MetricsService for Taking {
        async fn export(
            &self,
            request: tonic::Request<ExportMetricsServiceRequest>,
        ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
            self.0.lock().unwrap().push(request.into_inner());
            Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
        }
    }

    #[tokio::test]
    async fn a_collector_takes_them_over_grpc() {
        let taking = Taking::default();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = MetricsServiceServer::new(taking.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        Tasks::new().spawn("collector", async move {
            let incoming = tonic::transport::server::TcpIncoming::from(listener);
            server.serve_with_incoming(incoming).await.unwrap();
        });
        let pusher = Pusher::new(&config(endpoint, OtlpProtocol::Grpc)).unwrap();
        let took = Family::<Histogram, 1>::new(TOOK);
        took.of(["sms"]).observe(0.7);
        let expected = otlp::request(&[&took], &source(), 9);
        pusher.push(expected.clone()).await.unwrap();
        let taken = taking.0.lock().unwrap();
        assert_eq!(*taken, [expected]);
    }

    fn config(endpoint: String, protocol: OtlpProtocol) -> OtlpConfig {
        OtlpConfig { endpoint, protocol, interval: Duration::from_secs(3_600) }
    }

    #[tokio::test]
    async fn what_is_counted_is_pushed_at_once_and_when_the_process_leaves() {
        // An error means that another test did it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (endpoint, taken) = collector().await;
        BUILD_INFO.of(["1.2.3", "pushed"]).set(1.0);
        let tasks = Tasks::new();
        start_pushing(&config(endpoint, OtlpProtocol::Http), "1.2.3", "worker", &tasks).unwrap();
        while taken.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(tasks.stop(DEADLINE).await.unfinished, Vec::<&str>::new());
        let taken = taken.lock().unwrap();
        assert_eq!(taken.len(), 2);
        let metrics = &taken[1].resource_metrics[0].scope_metrics[0].metrics;
        assert!(metrics.iter().any(|metric| metric.name == "tocsin_build_info"), "{metrics:?}");
        let resource = taken[0].resource_metrics[0].resource.clone().unwrap();
        assert!(resource.attributes.iter().any(|attribute| attribute.key == "tocsin.role"), "{resource:?}");
    }

    #[tokio::test]
    async fn a_collector_that_is_not_there_is_an_error_over_either_protocol() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for protocol in [OtlpProtocol::Grpc, OtlpProtocol::Http] {
            let pusher = Pusher::new(&config("http://127.0.0.1:1".to_owned(), protocol)).unwrap();
            let pushed = pusher.push(otlp::request(CATALOGUE, &source(), 9)).await;
            assert!(matches!(pushed, Err(PushError::Grpc(_) | PushError::Http(_))), "{pushed:?}");
        }
    }

    #[test]
    fn a_host_alone_is_given_the_path_of_collectors() {
        let table = [
            ("http://otel:4318", "http://otel:4318/v1/metrics"),
            ("https://otel.example/tenant-1", "https://otel.example/tenant-1/v1/metrics"),
            ("http://otel:4318/v1/metrics", "http://otel:4318/v1/metrics"),
        ];
        for (endpoint, address) in table {
            assert_eq!(http_address(endpoint), address);
        }
    }
}
