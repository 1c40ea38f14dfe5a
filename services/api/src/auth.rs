//! Who asks the REST API: whoever has an API key, with that key's rights.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest as _, Sha256};
use tocsin_store::Tenant;
use tracing::Span;

use crate::fields::{Faults, Fields, named};
use crate::needs::{Needs, unnamed};
use crate::problem::{Kind, Problem};
use crate::server::Api;

/// The district whose key came with the request, for that key. A request gets it from [`authorise`] alone, so a handler
/// that touches the store cannot forget to ask for the key, and none is reached without the right that its route needs.
pub(crate) struct Caller(pub Tenant);

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        parts.extensions.get::<Tenant>().cloned().map(Self).ok_or_else(unnamed)
    }
}

/// The parameter `mine` of a list.
pub(crate) fn read_mine(fields: &mut Fields, faults: &mut Faults) -> bool {
    let name = |mine: bool| if mine { "true" } else { "false" };
    let mine =
        fields.take("mine").and_then(|field| field.parsed(faults, |text| named(text, &[true, false], name)));
    mine.unwrap_or(false)
}

/// Stands before every route of the table that needs anything.
pub(crate) async fn authorise(
    State((api, needs)): State<(Api, Needs)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let tenant = caller(&api, request.headers()).await?;
    needs.check(&tenant, &mut request).await?;
    request.extensions_mut().insert(tenant);
    Ok(next.run(request).await)
}

async fn caller(api: &Api, headers: &HeaderMap) -> Result<Tenant, Problem> {
    let key = bearer(headers).ok_or_else(|| {
        Problem::new(Kind::Unauthorized, "no API key: send the header Authorization: Bearer <key>")
    })?;
    let known = api.store.caller_of_key(&Sha256::digest(key)).await?.ok_or_else(|| {
        Problem::new(Kind::Unauthorized, "the API key is unknown or revoked: ask for a new one")
    })?;
    Span::current().record("district.id", tracing::field::display(known.district));
    Ok(api.store.tenant(known.district).acting_as(Arc::new(known.actor)))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}
