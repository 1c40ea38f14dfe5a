//! The console: pages for people, rendered here, over the same methods of the store as the REST API.
//!
//! Every page works without script; `console.js` only makes them move. Whoever sees one is a
//! [`access::Visitor`], who sees one district. docs/adr/0010-console.md says why it is built this way.

mod access;
mod accounts;
mod assets;
mod bar;
mod cancel;
mod communications;
mod compose;
mod consents;
mod correction;
mod detail;
mod guard;
mod help;
mod list;
mod live;
mod log;
mod page;
mod people;
mod person;
mod receipt;
mod recipients;
mod report;
mod rows;
mod sent;
mod series;
mod session;
mod sign_in;
mod summary;
mod upcoming;
mod watch;
mod when;
pub(crate) mod words;

use axum::http::{HeaderMap, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};

pub use access::PageAccess;
pub use session::SessionKeys;

use crate::server::Api;

pub(crate) fn routes(api: &Api) -> Router<Api> {
    Router::new()
        .route("/", get(async || Redirect::to("/campaigns")))
        .route("/campaigns", get(list::show))
        .route("/campaigns/{id}", get(detail::show))
        .route("/campaigns/{id}/events", get(watch::events))
        .route("/campaigns/{id}/recipients", get(recipients::show))
        .route("/campaigns/{id}/report", get(report::show))
        .route("/campaigns/{id}/report/file", get(report::file))
        .route("/campaigns/{id}/cancel", get(cancel::ask).post(cancel::cancel))
        .route("/campaigns/{id}/receipt/{part}", get(receipt::show))
        .route("/campaigns/{id}/correction", get(correction::ask).post(correction::send))
        .route("/consents", get(consents::show))
        .route("/consents.csv", get(consents::file))
        .route("/help/statuses", get(help::statuses))
        .route("/people", get(people::show))
        .route("/people/{person}", get(person::show))
        .route("/people/{person}/preferences", post(person::prefer))
        .route("/people/{person}/communications", get(communications::show))
        .route("/people/{person}/communications/{campaign}/{recipient}", get(sent::show))
        .route("/campaigns/{id}/edit", get(compose::editing::campaign).post(compose::editing::post_campaign))
        .route("/upcoming", get(upcoming::show))
        .route("/log", get(log::show))
        .route("/series/{id}", get(series::show))
        .route("/series/{id}/cancel", get(series::ask).post(series::cancel))
        .route("/series/{id}/edit", get(compose::editing::series).post(compose::editing::post_series))
        .route("/compose", get(compose::show).post(compose::post))
        .route("/compose/segments", post(compose::segments))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/districts", get(sign_in::districts).post(sign_in::choose))
        .route("/assets/{name}", get(assets::serve))
        .layer(Extension(watch::Watches::default()))
        .layer(from_fn_with_state(api.clone(), guard::guard))
}

/// The page of a path that nothing is served under, for those who want pages.
pub(crate) fn unknown_page(headers: &HeaderMap) -> Option<Response> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("text/html").then(|| {
        let mut response = page::Refused::unknown_page().into_response();
        guard::protect(&mut response);
        response
    })
}
