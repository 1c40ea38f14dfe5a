//! The console: pages for people, rendered here, over the same methods of the store as the REST API.
//!
//! Every page works without script; `console.js` only makes them move. Whoever sees one is a
//! [`access::Visitor`], who sees one district. docs/adr/0010-console.md says why it is built this way.

mod access;
pub(crate) mod account;
mod accounts;
pub(crate) mod activities;
pub(crate) mod approvals;
pub(crate) mod assets;
pub(crate) mod audit;
mod bar;
pub(crate) mod cancel;
pub(crate) mod communications;
pub(crate) mod compose;
pub(crate) mod consents;
pub(crate) mod correction;
pub(crate) mod detail;
pub(crate) mod docs;
mod form;
mod guard;
pub(crate) mod help;
pub(crate) mod imports;
pub(crate) mod issuer;
pub(crate) mod keys;
pub(crate) mod list;
mod live;
pub(crate) mod log;
mod multipart;
pub(crate) mod new_person;
mod page;
pub(crate) mod people;
pub(crate) mod person;
mod plot;
mod reason;
pub(crate) mod receipt;
pub(crate) mod recipients;
pub(crate) mod refresh;
pub(crate) mod report;
pub(crate) mod roles;
mod rows;
pub(crate) mod sent;
pub(crate) mod series;
mod session;
pub(crate) mod settings;
pub(crate) mod sign_in;
pub(crate) mod skip;
mod summary;
pub(crate) mod templates;
pub(crate) mod upcoming;
pub(crate) mod users;
pub(crate) mod watch;
pub(crate) mod webhooks;
mod when;
pub(crate) mod why;
pub(crate) mod words;

use axum::http::{HeaderMap, Method, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Router};
use tocsin_domain::rights::{Outlook, Right};

pub(crate) use access::authorise;
pub use access::{IssuerDoor, PageAccess, Passwords, SignIn};

use self::access::Visitor;
use crate::needs::SENDS;
use crate::problem::Problem;
use crate::routes::{self, Door};
use crate::server::Api;

pub(crate) fn routes(api: &Api) -> Router<Api> {
    routes::router(routes::pages(), Door::Page, api)
        .layer(Extension(watch::Watches::default()))
        .layer(from_fn_with_state(api.clone(), guard::guard))
}

/// `GET /`: the first page that the visitor may see.
pub(crate) async fn front(visitor: Visitor) -> Redirect {
    let sees_messages = visitor.tenant.actor().is_some_and(|actor| actor.outlook() != Outlook::None);
    Redirect::to(if sees_messages {
        access::HOME
    } else if SENDS.iter().any(|right| visitor.tenant.may(*right)) {
        "/compose"
    } else if visitor.tenant.may(Right::ReadDirectory) {
        "/people"
    } else if visitor.tenant.may(Right::Consents) {
        "/consents"
    } else if visitor.tenant.may(Right::Settings) {
        "/settings"
    } else if visitor.tenant.may(Right::Administration) {
        "/users"
    } else if visitor.tenant.may(Right::Audit) {
        "/audit"
    } else {
        "/account"
    })
}

/// The page of a path that nothing is served under, for those who want pages.
pub(crate) fn unknown_page(headers: &HeaderMap) -> Option<Response> {
    wants_page(headers).then(|| {
        let mut response = page::Refused::unknown_page().into_response();
        guard::protect(&mut response);
        response
    })
}

/// The page of a request that had no answer in time.
pub(crate) fn too_slow(method: &Method, problem: Problem) -> Response {
    let mut response = page::Refused::from(problem).into_response();
    guard::ask_again(method, &mut response);
    guard::protect(&mut response);
    response
}

/// Is it a person who looks, and no program?
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("text/html")
}
