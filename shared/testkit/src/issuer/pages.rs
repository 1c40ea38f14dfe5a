//! What the issuer serves, as strict as issuers are.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{CLIENT_ID, CLIENT_SECRET, Grant, Kept};

pub(super) async fn configuration(State(kept): State<Arc<Kept>>) -> Json<Value> {
    let url = &kept.url;
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/keys"),
        "response_types_supported": ["code"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

pub(super) async fn keys(State(kept): State<Arc<Kept>>) -> Json<Value> {
    let mut inner = kept.lock();
    inner.keys_asked += 1;
    Json(inner.keys.set())
}

/// A page that asks whether it is you.
pub(super) async fn ask(State(kept): State<Arc<Kept>>, RawQuery(query): RawQuery) -> Response {
    if let Err(fault) = wanted(query.as_deref()) {
        return (StatusCode::BAD_REQUEST, fault).into_response();
    }
    let name = kept.lock().person["name"].as_str().unwrap_or("somebody").to_owned();
    let action = query.unwrap_or_default().replace('&', "&amp;").replace('"', "&quot;");
    Html(format!(
        "<!doctype html><html lang=en><title>Issuer</title><h1>Who are you?</h1>\
         <form method=post action=\"/authorize?{action}\"><button id=me>I am {name}</button></form>"
    ))
    .into_response()
}

/// It is: back, with a code.
pub(super) async fn answer(State(kept): State<Arc<Kept>>, RawQuery(query): RawQuery) -> Response {
    let (grant, state) = match wanted(query.as_deref()) {
        Ok(wanted) => wanted,
        Err(fault) => return (StatusCode::BAD_REQUEST, fault).into_response(),
    };
    let mut inner = kept.lock();
    inner.drawn += 1;
    let code = format!("code-{}", inner.drawn);
    let back = form_urlencoded::Serializer::new(String::new())
        .append_pair("code", &code)
        .append_pair("state", &state)
        .append_pair("iss", &kept.url)
        .finish();
    let back = format!("{}?{back}", grant.return_url);
    inner.codes.insert(code, grant);
    Redirect::to(&back).into_response()
}

/// A code for a token, once.
pub(super) async fn token(State(kept): State<Arc<Kept>>, headers: HeaderMap, body: String) -> Response {
    let is_client = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok()) == Some(&basic());
    if !is_client {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" }))).into_response();
    }
    let form = fields(body.as_bytes());
    let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let grant = kept.lock().codes.remove(text("code"));
    let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(text("code_verifier")));
    let is_granted = text("grant_type") == "authorization_code";
    let granted = grant
        .filter(|grant| is_granted && grant.return_url == text("redirect_uri") && grant.challenge == proof);
    let Some(grant) = granted else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    };
    match kept.token(&grant) {
        Ok(token) => {
            Json(json!({ "id_token": token, "access_token": "x", "token_type": "Bearer" })).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// What a code is asked for, and the state.
fn wanted(query: Option<&str>) -> Result<(Grant, String), String> {
    let query = fields(query.unwrap_or_default().as_bytes());
    let text = |name: &str| query.get(name).cloned().ok_or_else(|| format!("{name} is missing"));
    for (name, value) in
        [("response_type", "code"), ("client_id", CLIENT_ID), ("code_challenge_method", "S256")]
    {
        if text(name)? != value {
            return Err(format!("{name} is not {value}"));
        }
    }
    if !text("scope")?.split(' ').any(|scope| scope == "openid") {
        return Err("scope lacks openid".to_owned());
    }
    let grant = Grant {
        nonce: text("nonce")?,
        challenge: text("code_challenge")?,
        return_url: text("redirect_uri")?,
    };
    Ok((grant, text("state")?))
}

fn fields(encoded: &[u8]) -> BTreeMap<String, String> {
    form_urlencoded::parse(encoded).into_owned().collect()
}

/// RFC 6749, section 2.3.1.
fn basic() -> String {
    let escaped = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", escaped(CLIENT_ID), escaped(CLIENT_SECRET))))
}
