//! The router, what surrounds every request, and serving it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Router};
use tocsin_queue::Publisher;
use tocsin_runtime::health::Health;
use tocsin_runtime::{SharedClock, Stopwatch, Tasks};
use tocsin_store::Store;
use tokio::net::TcpListener;
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::directory::{changes, links, people};
use crate::problem::{Kind, Problem};
use crate::{
    PageAccess, accounts, audience, campaigns, cancel, communications, consent_policy, consents, console,
    correction, directory, editing, forecast, imports, inbox, limits, message_types, messages, policies,
    receipt, recipients, report, series, suppressions, templates, unsubscribes,
};

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
}

#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("the API cannot be served any longer")]
    Serve(#[source] std::io::Error),
}

/// `/v1`, the console's pages, `/livez` and `/readyz`. Ready means that the store answers with the schema we need; the broker
/// is not asked, because no request depends on it.
pub fn router(api: Api) -> Router {
    let store = api.store.clone();
    let health = Health::new(api.tasks.stopping().clone()).check("store", move || {
        let store = store.clone();
        async move { store.check().await }
    });
    Router::new()
        .route("/v1/campaigns", post(campaigns::create).get(campaigns::list))
        .route("/v1/campaigns/forecast", post(forecast::ask))
        .route("/v1/campaigns/{id}", get(campaigns::show).patch(editing::edit))
        .route("/v1/campaigns/{id}/forecast", get(forecast::show))
        .route("/v1/campaigns/{id}/cancel", post(cancel::cancel))
        .route("/v1/campaigns/{id}/receipt", get(receipt::show))
        .route("/v1/campaigns/{id}/receipt/{part}", get(receipt::list))
        .route("/v1/campaigns/{id}/correction", post(correction::create))
        .route("/v1/campaigns/{id}/recipients", get(recipients::list))
        .route("/v1/campaigns/{id}/report", get(report::file))
        .route("/v1/campaigns/preview", post(messages::preview))
        .route("/v1/campaigns/{id}/recipients/{recipient}/message", get(messages::sent))
        .route("/v1/audience/count", post(audience::count))
        .route("/v1/audience/people", post(audience::people))
        .route("/v1/schools", get(directory::schools))
        .route("/v1/classes", get(directory::classes))
        .route("/v1/people", get(people::list).post(changes::create))
        .route("/v1/people/{person}", get(people::show).put(changes::change).delete(changes::deactivate))
        .route("/v1/people/{person}/preferences", put(directory::preferences::put))
        .route("/v1/people/{person}/communications", get(communications::list))
        .route("/v1/people/{person}/devices", post(changes::add_device))
        .route("/v1/people/{person}/devices/{channel}/{address}", delete(changes::remove_device))
        .route("/v1/people/{person}/students/{student}", put(links::add_contact).delete(links::end_contact))
        .route("/v1/people/{person}/schools/{school}", put(links::enrol).delete(links::end_enrolment))
        .route("/v1/imports", get(imports::list).post(imports::create).layer(imports::body_limit()))
        .route("/v1/imports/{id}", get(imports::show))
        .route("/v1/imports/{id}/problems", get(imports::problems))
        .route("/v1/imports/{id}/apply", post(imports::apply))
        .route("/v1/series", post(series::create).get(series::list))
        .route("/v1/series/{id}", get(series::show).patch(series::edit))
        .route("/v1/series/{id}/cancel", post(series::cancel))
        .route("/v1/series/{id}/occurrences", get(series::occurrences))
        .route("/v1/message-types", get(message_types::list))
        .route("/v1/templates", post(templates::create).get(templates::list))
        .route("/v1/templates/{id}", get(templates::show).put(templates::replace).delete(templates::remove))
        .route("/v1/policies/{message_type}", get(policies::show).put(policies::put))
        .route("/v1/limits", get(limits::show).put(limits::put))
        .route("/v1/consents", get(consents::list))
        .route("/v1/consents.csv", get(consents::file))
        .route("/v1/consents/{phone}", get(consents::show).put(consents::change))
        .route("/v1/accounts", get(accounts::list))
        .route("/v1/consent-policy", get(consent_policy::show).put(consent_policy::change))
        .route("/v1/suppressions", get(suppressions::list).post(suppressions::add))
        .route("/v1/suppressions/{channel}/{address}", delete(suppressions::lift))
        .route("/v1/unsubscribes", get(unsubscribes::list))
        .route("/v1/unsubscribes/{message_type}/{address}", delete(unsubscribes::lift))
        .route("/v1/people/{person}/inbox", get(inbox::list))
        .route("/v1/people/{person}/inbox/unread", get(inbox::unread))
        .route("/v1/people/{person}/inbox/read", post(inbox::mark_all))
        .route("/v1/people/{person}/inbox/{message}", get(inbox::show))
        .route("/v1/people/{person}/inbox/{message}/read", put(inbox::mark_read).delete(inbox::mark_unread))
        .merge(console::routes(&api))
        .layer(Extension(report::Renders::default()))
        .with_state(api)
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_route)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(answered))
        .merge(health.router().method_not_allowed_fallback(wrong_method))
}

/// Serves until the tasks are asked to stop, then finishes the requests that have begun.
pub async fn serve(api: Api, listener: TcpListener) -> Result<(), ApiError> {
    let stopping = api.tasks.stopping().clone();
    axum::serve(listener, router(api))
        .with_graceful_shutdown(async move { stopping.cancelled().await })
        .await
        .map_err(ApiError::Serve)
}

/// One span and one log line for each request, and an answer in time. The path is logged as its route:
/// a path may hold a phone number, and a query anything.
async fn answered(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
    let span = tracing::info_span!("request", method = %request.method(), route, district.id = Empty);
    async move {
        let since = Stopwatch::start();
        let answer = tokio::time::timeout(REQUEST_DEADLINE, next.run(request)).await;
        let response = answer.unwrap_or_else(|_| Problem::too_slow(REQUEST_DEADLINE).into_response());
        let elapsed_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status = response.status().as_u16(), elapsed_ms, "request answered");
        response
    }
    .instrument(span)
    .await
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
