//! HTTP Basic authentication, as both vendors want it.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tocsin_providers::Secret;

pub(super) fn is_allowed(headers: &HeaderMap, user: &str, password: &Secret) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(encoded) = given.and_then(|text| text.strip_prefix("Basic ")) else { return false };
    let Ok(decoded) = STANDARD.decode(encoded) else { return false };
    let expected = [user.as_bytes(), b":", password.reveal().as_bytes()].concat();
    decoded == expected
}
