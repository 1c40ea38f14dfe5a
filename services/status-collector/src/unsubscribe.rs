//! A reader unsubscribes by the link in a mail (RFC 8058): mail programs post to it by themselves, people see a page with
//! a button. A look at the page changes nothing, for programs that check links open all of them.
//!
//! The token stands for one mail, and so for its address and its message type. Nobody is asked who he is: whoever has
//! the mail may end such mails to that address.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tocsin_domain::AttemptKey;
use tocsin_store::suppressions::Unsubscribed;
use tokio::time::timeout;

use crate::callback::Callback;
use crate::ingress::{Ingress, REQUEST_DEADLINE, Refusal, read_body};
use crate::reports::{Understood, bare_event};
use crate::tally;

/// Stands in a message for the provider's account that there is none of. No account has such a name.
pub const ACCOUNT: &str = "@unsubscribe";
/// What every post says: of a mail program (RFC 8058), and of the page's button.
const ONE_CLICK: [&[u8]; 2] = [b"List-Unsubscribe", b"One-Click"];

const ASK: &str = "<p>You will get no more emails of this kind at this address. Emergency messages still come.</p>\
<form method=\"post\"><input type=\"hidden\" name=\"List-Unsubscribe\" value=\"One-Click\">\
<button type=\"submit\">Unsubscribe</button></form>";
const DONE: &str = "<p>You will get no more emails of this kind at this address. Emergency messages still come. \
To get them again, ask your school's office.</p>";
const UNKNOWN: &str =
    "<p>This link is not complete, or too old. To end emails, ask your school's office.</p>";
const LATER: &str = "<p>This could not be kept just now. Please try again in a few minutes.</p>";

pub async fn page(State(ingress): State<Arc<Ingress>>, Path(token): Path<String>) -> Response {
    match ingress.collector.token_keys.read_unsubscribe(&token) {
        Ok(_) => html(StatusCode::OK, "Unsubscribe?", ASK),
        Err(_) => html(StatusCode::NOT_FOUND, "Unknown link", UNKNOWN),
    }
}

pub async fn post(
    State(ingress): State<Arc<Ingress>>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let counts = &ingress.collector.counts;
    let taking = timeout(REQUEST_DEADLINE, take(&ingress, &token, request));
    match taking.await.unwrap_or(Err(Refusal::Unavailable)) {
        Ok(()) => {
            counts.taken.add(1);
            tally::taken(&ingress.collector.registry, ACCOUNT);
            html(StatusCode::OK, "Unsubscribed", DONE)
        }
        Err(refusal) => {
            refusal.counter(counts).add(1);
            tally::refused(&ingress.collector.registry, ACCOUNT, &refusal);
            match refusal {
                Refusal::Unavailable => html(refusal.status(), "Not yet", LATER),
                _ => html(refusal.status(), "Unknown link", UNKNOWN),
            }
        }
    }
}

async fn take(ingress: &Ingress, token: &str, request: Request) -> Result<(), Refusal> {
    let attempt = ingress.collector.token_keys.read_unsubscribe(token).map_err(Refusal::Token)?;
    let (head, body) = request.into_parts();
    let body = read_body(body).await?;
    if !ONE_CLICK.iter().all(|word| contains(&body, word)) {
        return Err(Refusal::NoClick);
    }
    let raw = ingress.raw_request(&head, body);
    ingress.publish_reader(raw, attempt, ingress.collector.clock.now()).await
}

/// Written urlencoded or as multipart, the two words stand in it as they are.
fn contains(body: &[u8], word: &[u8]) -> bool {
    body.windows(word.len()).any(|window| window == word)
}

/// What a message of [`ACCOUNT`] says. Its event has no word, as one that reports nothing has none.
pub fn unsubscribed(callback: &Callback) -> Understood {
    let of = |attempt: AttemptKey| Unsubscribed { attempt, at: callback.received_at };
    Understood {
        events: vec![bare_event(callback)],
        unsubscribed: callback.attempt.map(of).into_iter().collect(),
        ..Understood::default()
    }
}

/// No script, nothing from elsewhere, and no address for whom the next page comes from.
fn html(status: StatusCode, title: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"></head><body><h1>{title}</h1>{body}</body></html>"
    );
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; form-action 'self'; frame-ancestors 'none'"),
        ),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, page).into_response()
}
