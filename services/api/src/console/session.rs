//! The cookie of a sign-in: a token that is drawn for it. What it stands for is a row of the store.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use chrono::TimeDelta;

use super::guard::{host, is_loopback, origin};
use super::page::Refused;

pub(crate) const SESSION_COOKIE: &str = "tocsin_session";
/// A working day.
pub(crate) const LIFETIME: TimeDelta = TimeDelta::hours(12);
/// Without anybody there.
pub(crate) const IDLE: Duration = Duration::from_secs(60 * 60);

/// May the cookie travel by https only?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secure {
    Yes,
    /// On loopback, where nobody is between.
    No,
}

/// By the address of the page that the browser shows, which no proxy between changes. None: plain http
/// over a network.
pub(crate) fn secure(headers: &HeaderMap) -> Option<Secure> {
    match origin(headers) {
        Some((scheme, _)) if scheme == "https" => Some(Secure::Yes),
        Some((_, authority)) => is_loopback(&authority).then_some(Secure::No),
        // Let in as `Sec-Fetch-Site: same-origin`, which browsers say by https and on loopback only.
        None if host(headers).is_some_and(|host| is_loopback(&host)) => Some(Secure::No),
        None => Some(Secure::Yes),
    }
}

/// The cookie, or the page that says why there can be none.
pub(crate) fn for_secret(headers: &HeaderMap) -> Result<Secure, Refused> {
    secure(headers).ok_or_else(|| Refused {
        status: StatusCode::FORBIDDEN,
        title: "Sign-in needs https",
        detail: "This page came over plain http from another machine, where anybody between could read the password. \
                 Open it by https, or on the machine itself as http://localhost."
            .to_owned(),
    })
}

pub(crate) fn set_cookie(
    name: &str,
    value: &str,
    seconds: i64,
    secure: Secure,
) -> Result<HeaderValue, Refused> {
    write_cookie(name, value, seconds, secure, "Strict")
}

/// One that is sent back by whoever comes from another site by a link or a redirect.
pub(crate) fn set_cookie_for_return(
    name: &str,
    value: &str,
    seconds: i64,
    secure: Secure,
) -> Result<HeaderValue, Refused> {
    write_cookie(name, value, seconds, secure, "Lax")
}

fn write_cookie(
    name: &str,
    value: &str,
    seconds: i64,
    secure: Secure,
    same_site: &str,
) -> Result<HeaderValue, Refused> {
    let secure = match secure {
        Secure::Yes => "; Secure",
        Secure::No => "",
    };
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}");
    HeaderValue::from_str(&cookie).map_err(|_| Refused {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        title: "Internal error",
        detail: "The sign-in could not be written.".to_owned(),
    })
}
