//! What holds for every page: headers that browsers obey, and posts from our own pages only.

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tocsin_domain::host::is_this_machine;

use super::access::PageAccess;
use super::page::Refused;
use crate::server::Api;

/// No script, style or frame but our own, and none within the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // With `no-referrer` browsers would not say where a post comes from either.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// What could not be shown for now is asked for again by the browser itself. What was posted is not: that is for its sender to say.
const AGAIN_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// Pages hold names and addresses: no copy of them is kept, but of assets, which say so themselves.
const NO_COPY: HeaderValue = HeaderValue::from_static("no-store");

pub(crate) async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let mut response = match refusal(&api.page, &method, request.headers()) {
        Some(refused) => refused.into_response(),
        None => next.run(request).await,
    };
    ask_again(&method, &mut response);
    protect(&mut response);
    response
}

pub(crate) fn ask_again(method: &Method, response: &mut Response) {
    if method == Method::GET && response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::REFRESH, AGAIN_SECONDS);
    }
}

pub(crate) fn protect(response: &mut Response) {
    let headers = response.headers_mut();
    headers.extend(HEADERS);
    // Browsers show a PDF by a page of their own, which our policy would forbid its scripts and styles. What is saved and not
    // shown keeps its own.
    let is = |name: HeaderName, begins: &str| {
        headers.get(name).is_some_and(|value: &HeaderValue| value.as_bytes().starts_with(begins.as_bytes()))
    };
    if is(header::CONTENT_TYPE, "application/pdf") && !is(header::CONTENT_DISPOSITION, "attachment") {
        headers.remove(header::CONTENT_SECURITY_POLICY);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(NO_COPY);
}

fn refusal(access: &PageAccess, method: &Method, headers: &HeaderMap) -> Option<Refused> {
    if let PageAccess::Open(_) = access
        && headers.keys().any(is_of_proxy)
    {
        return Some(Refused {
            status: StatusCode::FORBIDDEN,
            title: "This came through a proxy",
            detail:
                "Without sign-in the console answers on this machine only, and behind a proxy it cannot tell \
                     who asks: start it with --sign-in, or open it here, as http://localhost with its port."
                    .to_owned(),
        });
    }
    if let PageAccess::Open(_) = access
        && !host(headers).is_some_and(|host| is_loopback(&host))
    {
        return Some(Refused {
            status: StatusCode::MISDIRECTED_REQUEST,
            title: "This address is not served",
            detail: "Without sign-in the console answers on this machine only: open it as http://localhost \
                     or http://127.0.0.1, with its port."
                .to_owned(),
        });
    }
    if method == Method::POST && !from_our_page(headers) {
        return Some(Refused {
            status: StatusCode::FORBIDDEN,
            title: "This did not come from the console",
            detail:
                "The request came from another site, or the browser did not say from where. Open the console \
                     itself and try again there."
                    .to_owned(),
        });
    }
    None
}

/// Set by who passes a request on for somebody else, and by no browser.
fn is_of_proxy(name: &HeaderName) -> bool {
    matches!(name.as_str(), "forwarded" | "via" | "x-real-ip") || name.as_str().starts_with("x-forwarded-")
}

/// Browsers say where a post comes from, and no page can change what they say. What says nothing is refused.
fn from_our_page(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let from = origin(headers).map(|(_, authority)| authority);
    from.is_some() && from == host(headers)
}

/// Scheme and authority of the page that the request came from, as its browser says.
pub(crate) fn origin(headers: &HeaderMap) -> Option<(String, Authority)> {
    let (scheme, authority) = headers.get(header::ORIGIN)?.to_str().ok()?.split_once("://")?;
    Some((scheme.to_owned(), authority.parse().ok()?))
}

pub(crate) fn host(headers: &HeaderMap) -> Option<Authority> {
    headers.get(header::HOST)?.to_str().ok()?.parse().ok()
}

pub(crate) fn is_loopback(authority: &Authority) -> bool {
    is_this_machine(authority.host())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_loopback() {
        for (authority, loopback) in [
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("127.0.0.1:80", true),
            ("127.9.9.9", true),
            ("[::1]:8080", true),
            ("localhost.evil.example", false),
            ("127.0.0.1.nip.io:8080", false),
            ("10.0.0.1", false),
            ("[::2]", false),
        ] {
            assert_eq!(is_loopback(&authority.parse().unwrap()), loopback, "{authority}");
        }
    }

    #[test]
    fn posts_are_taken_from_our_own_pages_only() {
        let cases: [(&[(&'static str, &str)], bool); 7] = [
            (&[("host", "a.example"), ("origin", "https://a.example")], true),
            (&[("host", "a.example"), ("origin", "https://b.example")], false),
            (&[("host", "a.example:1"), ("origin", "http://a.example:2")], false),
            (&[("host", "a.example"), ("origin", "null")], false),
            (&[("host", "a.example")], false),
            (&[("host", "inner"), ("origin", "https://outer"), ("sec-fetch-site", "same-origin")], true),
            (
                &[("host", "a.example"), ("origin", "https://a.example"), ("sec-fetch-site", "same-site")],
                false,
            ),
        ];
        for (pairs, taken) in cases {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
                .collect();
            assert_eq!(from_our_page(&headers), taken, "{pairs:?}");
        }
    }
}
