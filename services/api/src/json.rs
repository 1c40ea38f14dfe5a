//! Bodies of requests, up to the JSON value.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::problem::{Kind, Problem};
use crate::server::BODY_BYTES_MAX;

/// What a handler takes as its body.
pub(crate) type Received = Result<Bytes, BytesRejection>;

/// The body's value; None if there is no body.
pub(crate) fn optional(headers: &HeaderMap, received: Received) -> Result<Option<Value>, Problem> {
    let bytes = received.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(
                Kind::TooLarge,
                format!("the body is longer than {BODY_BYTES_MAX} bytes: shorten it"),
            )
        } else {
            Problem::new(Kind::NotJson, "the body broke off before its end: send it again")
        }
    })?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if !is_json(headers) {
        let remedy = "the body is not marked as JSON: send the header Content-Type: application/json";
        return Err(Problem::new(Kind::MediaType, remedy));
    }
    // The fault's text says where, and what was expected; it quotes nothing.
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|fault| Problem::new(Kind::NotJson, format!("the body is no JSON: {fault}")))
}

pub(crate) fn required(headers: &HeaderMap, received: Received) -> Result<Value, Problem> {
    optional(headers, received)?
        .ok_or_else(|| Problem::new(Kind::NotJson, "the body is empty: send what it is about as JSON"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
