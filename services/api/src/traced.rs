//! Requests as spans, and the first span of the campaigns that they make.

use std::sync::Arc;

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use tocsin_domain::CampaignId;
use tocsin_domain::trace::Context;
use tocsin_runtime::telemetry::request::{Request, needed};
use tocsin_runtime::telemetry::{CampaignSpans, Kind, Span, names};
use tocsin_store::Tenant;

use crate::Api;

/// The request's place in its caller's trace, or the beginning of one.
pub(crate) fn begin(api: &Api, headers: &HeaderMap) -> Option<Arc<Request>> {
    let values = headers.get_all("traceparent").iter().map(|value| value.to_str().unwrap_or_default());
    Request::new(Context::parse_only(values), api.spans.sampling()).map(Arc::new)
}

/// A request that was answered. The route tells which, never the path.
#[derive(Debug)]
pub(crate) struct Answered<'a> {
    pub method: &'a str,
    pub route: &'a str,
    pub status: u16,
    pub begun: DateTime<Utc>,
    pub ended: DateTime<Utc>,
}

/// Its span: of those that are kept, of faults, and of what was slow.
pub(crate) fn end(api: &Api, request: &Request, answered: &Answered<'_>) {
    let Answered { method, route, status, begun, ended } = *answered;
    let is_fault = status >= 500;
    if !api.spans.on() || !(request.is_kept() || is_fault || api.spans.is_slow(ended - begun)) {
        return;
    }
    let mut span = Span::new(request.context.trace, request.context.span, format!("{method} {route}"))
        .between(begun, ended)
        .kind(Kind::Server)
        .with(names::HTTP_METHOD, method.to_owned())
        .with(names::HTTP_ROUTE, route.to_owned())
        .with(names::URL_SCHEME, "http")
        .with(names::HTTP_STATUS, i64::from(status));
    if let Some(parent) = request.parent {
        span = span.below(parent);
    }
    api.spans.emit(if is_fault { span.failed(status.to_string()) } else { span });
}

/// The tenant for a statement that makes a campaign, which then leads to this request.
pub(crate) fn making(tenant: &Tenant) -> Tenant {
    tenant.clone().within(needed())
}

/// What was done for a campaign from `begun` until now. The request that did it is linked, and kept.
pub(crate) fn did(api: &Api, campaign: CampaignId, name: &'static str, begun: DateTime<Utc>) {
    if !api.spans.on() {
        return;
    }
    let request = needed();
    CampaignSpans::new(api.spans.clone()).did(
        campaign,
        name,
        (begun, api.clock.now()),
        |span| match request {
            Some(request) => span.linked(request, names::link::REQUESTED_BY),
            None => span,
        },
    );
}
