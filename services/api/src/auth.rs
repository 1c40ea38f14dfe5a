//! Who asks: an API key is the district.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use sha2::{Digest as _, Sha256};
use tocsin_store::Tenant;
use tracing::Span;

use crate::problem::{Kind, Problem};
use crate::server::Api;

/// The district whose key came with the request. Only this makes a [`Tenant`], so a handler that touches
/// the store cannot forget to ask for the key.
pub(crate) struct Caller(pub Tenant);

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let key = bearer(parts).ok_or_else(|| {
            Problem::new(Kind::Unauthorized, "no API key: send the header Authorization: Bearer <key>")
        })?;
        let district = api.store.district_of_key(&Sha256::digest(key)).await?.ok_or_else(|| {
            Problem::new(Kind::Unauthorized, "the API key is unknown or revoked: ask for a new one")
        })?;
        Span::current().record("district.id", tracing::field::display(district));
        Ok(Self(api.store.tenant(district)))
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, key) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}
