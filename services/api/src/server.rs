//! The router, what surrounds every request, and serving it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use tocsin_queue::Publisher;
use tocsin_runtime::health::Health;
use tocsin_runtime::telemetry::{Spans, request};
use tocsin_runtime::{SharedClock, Stopwatch, Tasks};
use tocsin_store::Store;
use tocsin_webhooks::Settings;
use tokio::net::TcpListener;
use tracing::Instrument as _;
use tracing::field::{self, Empty};

use crate::counting::Counting;
use crate::problem::{Kind, Problem};
use crate::routes::{self, Door};
use crate::traced::{self, Answered};
use crate::{PageAccess, console, report};

/// A request's body at most. The largest content, an email of 1 MiB, fits with room for its escapes.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// A request that has no answer by then gets a 503. It covers reading the body too.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// What the API stands on. Clones share all of it.
#[derive(Debug, Clone)]
pub struct Api {
    /// Opened with [`tocsin_store::Access::Tenants`] in a process of its own.
    pub store: Store,
    /// For control messages. The API works without a broker: it only makes things fast.
    pub publisher: Arc<Publisher>,
    pub clock: SharedClock,
    /// Tracks the control messages under way; its shutdown ends [`serve`] and readiness.
    pub tasks: Tasks,
    /// Who sees the console's pages.
    pub page: PageAccess,
    /// None: the installation sends no webhooks.
    pub webhooks: Option<Settings>,
    /// Where traces go.
    pub spans: Spans,
}

#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("the API cannot be served any longer")]
    Serve(#[source] std::io::Error),
}

/// `/v1`, the console's pages, `/livez` and `/readyz`. Ready means that the store answers with the schema we need; the broker
/// is not asked, because no request depends on it.
pub fn router(api: Api) -> Router {
    let health = health(&api);
    routes::router(routes::served(routes::rest()), Door::Key, &api)
        .merge(console::routes(&api))
        .layer(Extension(report::Renders::default()))
        .layer(Extension(Counting::default()))
        .with_state(api.clone())
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_route)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(api, answered))
        .merge(health.router().method_not_allowed_fallback(wrong_method))
}

/// Ready while the store answers. The broker is told of, and not needed.
pub fn health(api: &Api) -> Health {
    let (store, publisher) = (api.store.clone(), Arc::clone(&api.publisher));
    Health::new(&api.tasks)
        .check("store", move || {
            let store = store.clone();
            async move { store.check().await }
        })
        .watch("broker", move || {
            let publisher = Arc::clone(&publisher);
            async move { publisher.session().await.map(drop) }
        })
}

/// Serves until the tasks are asked to stop, then finishes the requests that have begun.
pub async fn serve(api: Api, listener: TcpListener) -> Result<(), ApiError> {
    let stopping = api.tasks.stopping().clone();
    axum::serve(listener, router(api).into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move { stopping.cancelled().await })
        .await
        .map_err(ApiError::Serve)
}

/// One span and one log line for each request, and an answer in time. The path is logged as its route:
/// a path may hold a phone number, and a query anything.
async fn answered(State(api): State<Api>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
    let traced = traced::begin(&api, request.headers());
    let at = traced.as_ref().map(|traced| traced.context);
    let span = tracing::info_span!("request", method = %request.method(), route, district.id = Empty,
        trace_id = at.map(|at| field::display(at.trace)), span_id = at.map(|at| field::display(at.span)));
    let page = console::wants_page(request.headers());
    let (method, route) = (request.method().clone(), route.to_owned());
    let answering = async {
        let (since, begun) = (Stopwatch::start(), api.clock.now());
        let answer = tokio::time::timeout(REQUEST_DEADLINE, next.run(request)).await;
        let response = answer.unwrap_or_else(|_| {
            let problem = Problem::too_slow(REQUEST_DEADLINE);
            if page { console::too_slow(&method, problem) } else { problem.into_response() }
        });
        let (status, elapsed) = (response.status().as_u16(), since.elapsed());
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status, elapsed_ms, "request answered");
        if let Some(traced) = &traced {
            let ended = begun + elapsed;
            let answered = Answered { method: method.as_str(), route: &route, status, begun, ended };
            traced::end(&api, traced, &answered);
        }
        response
    };
    request::within(traced.clone(), answering).instrument(span).await
}

async fn unknown_route(headers: HeaderMap) -> Response {
    console::unknown_page(&headers).unwrap_or_else(|| {
        let remedy = "nothing is served under this path: the API begins with /v1/campaigns";
        Problem::new(Kind::UnknownRoute, remedy).into_response()
    })
}

/// The answer's `Allow` header names the methods that there are.
async fn wrong_method() -> Problem {
    Problem::new(Kind::WrongMethod, "this path is not served by this method: use one of the Allow header")
}
