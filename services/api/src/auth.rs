//! Who asks: an API key is the district.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use sha2::{Digest as _, Sha256};
use tocsin_store::Tenant;
use tracing::Span;

use crate::fields::{Faults, Fields, named};
use crate::problem::{Kind, Problem};
use crate::server::Api;
use crate::submission::DEFAULT_ACTOR;

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

/// Under which name callers of the API make things where they do not say: whose things `mine=true` means.
pub(crate) fn own_name() -> &'static str {
    DEFAULT_ACTOR
}

/// The parameter `mine` of a list: None is everybody's.
pub(crate) fn read_mine(fields: &mut Fields, faults: &mut Faults) -> Option<String> {
    let name = |mine: bool| if mine { "true" } else { "false" };
    let field = fields.take("mine")?;
    let mine = field.parsed(faults, |text| named(text, &[true, false], name))?;
    mine.then(|| own_name().to_owned())
}

fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, key) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}
