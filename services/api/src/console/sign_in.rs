//! Signing in with an API key, signing out, and choosing a district where nobody signs in.

use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use sha2::{Digest as _, Sha256};
use tocsin_store::districts::District;

use super::access::{DISTRICT_COOKIE, PageAccess, SESSION_COOKIE, own_page};
use super::guard::{host, is_loopback, origin};
use super::page::{Refused, Shell, answer};
use super::session::{LIFETIME, Session};
use crate::server::Api;

/// Why one is asked to sign in, said above the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    First,
    Expired,
    Revoked,
    /// The key that was just given is none.
    Wrong,
}

#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub(crate) struct SignInPage {
    shell: Shell,
    why: Why,
    /// Where to go on.
    next: String,
}

#[derive(Debug, Template)]
#[template(path = "districts.html")]
pub(crate) struct ChooserPage {
    shell: Shell,
    districts: Vec<District>,
    next: String,
}

impl SignInPage {
    pub fn first(next: String) -> Self {
        Self::of(Why::First, next)
    }

    pub fn expired(next: String) -> Self {
        Self::of(Why::Expired, next)
    }

    pub fn revoked(next: String) -> Self {
        Self::of(Why::Revoked, next)
    }

    fn of(why: Why, next: String) -> Self {
        Self { shell: Shell::bare("Sign in"), why, next }
    }
}

impl IntoResponse for SignInPage {
    fn into_response(self) -> Response {
        answer(StatusCode::UNAUTHORIZED, &self)
    }
}

impl ChooserPage {
    pub fn new(districts: Vec<District>, next: String) -> Self {
        Self { shell: Shell::bare("Districts"), districts, next }
    }
}

impl IntoResponse for ChooserPage {
    fn into_response(self) -> Response {
        answer(StatusCode::OK, &self)
    }
}

/// `GET /sign-in`.
pub(crate) async fn show(State(api): State<Api>) -> Response {
    match &api.page {
        PageAccess::SignIn(_) => answer(StatusCode::OK, &SignInPage::first("/campaigns".to_owned())),
        PageAccess::Open(_) => Redirect::to("/campaigns").into_response(),
    }
}

/// `POST /sign-in` with `key` and `next`.
pub(crate) async fn sign_in(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let PageAccess::SignIn(keys) = &api.page else { return Ok(Redirect::to("/campaigns").into_response()) };
    let next = own_page(&field(&body, "next").unwrap_or_default()).to_owned();
    let Some(secure) = secure(&headers) else {
        return Err(Refused {
            status: StatusCode::FORBIDDEN,
            title: "Sign-in needs https",
            detail: "This page came over plain http from another machine, where anybody between could read the key. \
                     Open it by https, or on the machine itself as http://localhost."
                .to_owned(),
        });
    };
    let hash = Sha256::digest(field(&body, "key").unwrap_or_default().trim());
    let wrong = SignInPage::of(Why::Wrong, next.clone());
    let Some(district) = api.store.district_of_key(&hash).await? else { return Ok(wrong.into_response()) };
    let Some(key) = api.store.tenant(district).key_of_hash(&hash).await? else {
        return Ok(wrong.into_response());
    };
    let session = Session { key: key.id, district, until: api.clock.now() + LIFETIME };
    tracing::info!(district.id = %district, key.id = %key.id, "signed in to the console");
    let cookie = set_cookie(SESSION_COOKIE, &keys.token(&session), LIFETIME.num_seconds(), secure)?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&next)).into_response())
}

/// `POST /sign-out`.
pub(crate) async fn sign_out(headers: HeaderMap) -> Result<Response, Refused> {
    let secure = secure(&headers).unwrap_or(Secure::Yes);
    let cookie = set_cookie(SESSION_COOKIE, "", 0, secure)?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/sign-in")).into_response())
}

/// `GET /districts`: where nobody signs in and there are several.
pub(crate) async fn districts(State(api): State<Api>) -> Result<Response, Refused> {
    let PageAccess::Open(directory) = &api.page else { return Err(Refused::unknown_page()) };
    Ok(ChooserPage::new(directory.districts().await?, "/campaigns".to_owned()).into_response())
}

/// `POST /districts` with `district` and `next`.
pub(crate) async fn choose(State(api): State<Api>, body: Bytes) -> Result<Response, Refused> {
    let PageAccess::Open(directory) = &api.page else { return Err(Refused::unknown_page()) };
    let chosen = field(&body, "district").unwrap_or_default();
    let known = directory.districts().await?.into_iter().find(|district| district.id.to_string() == chosen);
    let Some(district) = known else { return Ok(Redirect::to("/districts").into_response()) };
    let cookie = set_cookie(DISTRICT_COOKIE, &district.id.to_string(), LIFETIME.num_seconds(), Secure::No)?;
    let next = field(&body, "next").unwrap_or_default();
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(own_page(&next))).into_response())
}

/// May the cookie travel by https only?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secure {
    Yes,
    /// On loopback, where nobody is between.
    No,
}

/// By the address of the page that the browser shows, which no proxy between changes. None: plain http
/// over a network.
fn secure(headers: &HeaderMap) -> Option<Secure> {
    match origin(headers) {
        Some((scheme, _)) if scheme == "https" => Some(Secure::Yes),
        Some((_, authority)) => is_loopback(&authority).then_some(Secure::No),
        // Let in as `Sec-Fetch-Site: same-origin`, which browsers say by https and on loopback only.
        None if host(headers).is_some_and(|host| is_loopback(&host)) => Some(Secure::No),
        None => Some(Secure::Yes),
    }
}

fn set_cookie(name: &str, value: &str, seconds: i64, secure: Secure) -> Result<HeaderValue, Refused> {
    let secure = match secure {
        Secure::Yes => "; Secure",
        Secure::No => "",
    };
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&cookie).map_err(|_| Refused {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        title: "Internal error",
        detail: "the sign-in could not be written".to_owned(),
    })
}

/// A field of a posted form.
pub(crate) fn field(body: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(body).find(|(is, _)| is == name).map(|(_, value)| value.into_owned())
}
