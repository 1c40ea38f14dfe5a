//! A collector of traces, as OpenTelemetry's protocol has it: over gRPC and as protobuf over HTTP, at one address each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tocsin_domain::trace::TraceId;
use tocsin_runtime::Tasks;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::wait_until;

/// A span as it was received, with its ids in hexadecimal digits, as the log has them.
#[derive(Debug, Clone)]
pub struct Received {
    pub trace: String,
    pub id: String,
    /// Empty: it is below nothing.
    pub parent: String,
    pub name: String,
    /// The role of the process that sent it.
    pub role: String,
    pub span: Span,
}

impl Received {
    /// An attribute's text, or its number in digits.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let found = self.span.attributes.iter().find(|attribute| attribute.key == name)?;
        text(found.value.as_ref()?.value.as_ref()?)
    }

    /// Trace and span of each link.
    pub fn links(&self) -> Vec<(String, String)> {
        self.span.links.iter().map(|link| (hex::encode(&link.trace_id), hex::encode(&link.span_id))).collect()
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::BoolValue(yes) => Some(yes.to_string()),
        _ => None,
    }
}

/// The collector. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct OtlpReceiver {
    spans: Arc<Mutex<Vec<Received>>>,
}

/// Where it listens.
#[derive(Debug, Clone)]
pub struct Addresses {
    pub grpc: String,
    pub http: String,
}

impl OtlpReceiver {
    /// Listens until `tasks` are stopped.
    pub async fn start(tasks: &Tasks) -> Result<(Self, Addresses)> {
        let receiver = Self::default();
        let grpc = TcpListener::bind("127.0.0.1:0").await?;
        let http = TcpListener::bind("127.0.0.1:0").await?;
        let address = |listener: &TcpListener| -> Result<String> {
            let address: SocketAddr = listener.local_addr()?;
            Ok(format!("http://{address}"))
        };
        let addresses = Addresses { grpc: address(&grpc)?, http: address(&http)? };
        let (service, stopping) = (TraceServiceServer::new(receiver.clone()), tasks.stopping().clone());
        tasks.spawn_essential("otlp grpc", async move {
            let stopped = async move { stopping.cancelled().await };
            let server = tonic::transport::Server::builder().add_service(service);
            server.serve_with_incoming_shutdown(TcpIncoming::from(grpc), stopped).await
        });
        let router = Router::new().route("/v1/traces", post(over_http)).with_state(receiver.clone());
        let stopping = tasks.stopping().clone();
        tasks.spawn_essential("otlp http", async move {
            let stopped = async move { stopping.cancelled().await };
            axum::serve(http, router).with_graceful_shutdown(stopped).await
        });
        Ok((receiver, addresses))
    }

    /// What came so far, in its order.
    pub fn spans(&self) -> Vec<Received> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// By their traces.
    pub fn traces(&self) -> BTreeMap<String, Vec<Received>> {
        let mut traces: BTreeMap<String, Vec<Received>> = BTreeMap::new();
        for span in self.spans() {
            traces.entry(span.trace.clone()).or_default().push(span);
        }
        traces
    }

    /// The traces, once they hang together: processes send what they have twice a second, each by itself.
    ///
    /// # Errors
    /// What is still wrong with them after `within`, as [`faults`] has it.
    pub async fn connected(&self, within: Duration) -> Result<BTreeMap<String, Vec<Received>>> {
        let outside = BTreeSet::new();
        let connected = async || faults(&self.traces(), &outside).is_empty();
        // What is wrong says more than that it was waited for.
        wait_until("the traces to hang together", within, connected).await.ok();
        let traces = self.traces();
        let found = faults(&traces, &outside);
        ensure!(found.is_empty(), "{found:#?}");
        Ok(traces)
    }

    fn take(&self, request: ExportTraceServiceRequest) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        for of_resource in request.resource_spans {
            let attributes = of_resource.resource.map(|resource| resource.attributes).unwrap_or_default();
            let role = attributes.iter().find(|attribute| attribute.key == "tocsin.role");
            let role = role.and_then(|role| text(role.value.as_ref()?.value.as_ref()?)).unwrap_or_default();
            for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(Received {
                    trace: hex::encode(&span.trace_id),
                    id: hex::encode(&span.span_id),
                    parent: hex::encode(&span.parent_span_id),
                    name: span.name.clone(),
                    role: role.clone(),
                    span,
                });
            }
        }
    }
}

/// What is wrong with how traces hang together: a span that is below none and not the trace's root, one whose parent is not in its trace, a link that leads to no trace, two
/// spans of one id that are not the same. `outside` are spans of others that may be parents and linked to.
pub fn faults(traces: &BTreeMap<String, Vec<Received>>, outside: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for (trace, spans) in traces {
        let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
        if ids.len() < spans.len() {
            faults.push(format!("{trace}: {} spans have {} ids", spans.len(), ids.len()));
        }
        for span in spans {
            if span.parent.is_empty() && !is_root(span) {
                faults.push(format!("{trace}: {} is below nothing", span.name));
            }
            if !span.parent.is_empty()
                && !ids.contains(span.parent.as_str())
                && !outside.contains(&span.parent)
            {
                faults.push(format!("{trace}: {} is below {}, which is not there", span.name, span.parent));
            }
            for (linked, at) in span.links() {
                let there = traces.get(&linked).is_some_and(|spans| spans.iter().any(|span| span.id == at));
                if !there && !outside.contains(&at) {
                    faults.push(format!("{trace}: {} leads to {linked} {at}, which is not there", span.name));
                }
            }
        }
    }
    faults
}

fn is_root(span: &Received) -> bool {
    let trace: Option<[u8; 16]> = span.span.trace_id.as_slice().try_into().ok();
    trace.is_some_and(|trace| TraceId(trace).root().0 == span.span.span_id.as_slice())
}

#[tonic::async_trait]
impl TraceService for OtlpReceiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.take(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn over_http(State(receiver): State<OtlpReceiver>, body: Bytes) -> (StatusCode, Vec<u8>) {
    match ExportTraceServiceRequest::decode(body) {
        Ok(request) => {
            receiver.take(request);
            (StatusCode::OK, ExportTraceServiceResponse::default().encode_to_vec())
        }
        Err(_) => (StatusCode::BAD_REQUEST, Vec::new()),
    }
}
