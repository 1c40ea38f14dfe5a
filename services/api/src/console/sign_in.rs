//! Signing in with an email address and a password, signing out, and choosing a district where nobody signs in. Who comes from
//! an issuer is `issuer.rs`'s.

use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use tocsin_domain::DistrictId;
use tocsin_store::callers::{Candidate, Use};
use tocsin_store::districts::District;
use tocsin_store::tenant::sessions::NewSession;
use uuid::Uuid;

use super::access::{DISTRICT_COOKIE, HOME, PageAccess, Passwords, SignIn, address, cookie, own_page};
use super::page::{Refused, Shell, answer};
use super::session::{IDLE, LIFETIME, SESSION_COOKIE, Secure, for_secret, secure, set_cookie};
use crate::credentials::{Compared, Try, compare, normalised};
use crate::problem::{Kind, Problem};
use crate::secret;
use crate::server::Api;

/// Why one is asked to sign in, said above the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    First,
    Expired,
    /// Somewhere else: by signing out, a new password, an administrator.
    Ended,
    Wrong,
    TooMany {
        minutes: i64,
    },
    /// The password is right in several districts.
    Several(Vec<Candidate>),
    /// The browser did not come back from an issuer as it was sent, or too late, or twice.
    NotBack,
    /// The issuer let nobody in, or did not say who it is in a way that we believe.
    Unproven {
        title: String,
    },
    /// The issuer does not answer.
    Silent {
        title: String,
    },
    /// Whoever comes from the issuer is no user.
    Stranger {
        title: String,
        login: String,
    },
    /// None of the groups of whoever comes from the issuer has a role.
    WithoutRole {
        title: String,
    },
    /// A user of several districts comes from the issuer of that path.
    SeveralThrough {
        path: String,
        districts: Vec<Candidate>,
    },
}

/// An issuer to go to.
#[derive(Debug)]
struct Through {
    title: String,
    path: String,
}

#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub(crate) struct SignInPage {
    shell: Shell,
    why: Why,
    email: String,
    /// Where to go on.
    next: String,
    passwords: Passwords,
    issuers: Vec<Through>,
}

#[derive(Debug, Template)]
#[template(path = "districts.html")]
pub(crate) struct ChooserPage {
    shell: Shell,
    districts: Vec<District>,
    next: String,
}

impl SignInPage {
    pub fn first(rules: &SignIn, next: String) -> Self {
        Self::of(rules, Why::First, next)
    }

    pub fn expired(rules: &SignIn, next: String) -> Self {
        Self::of(rules, Why::Expired, next)
    }

    pub fn ended(rules: &SignIn, next: String) -> Self {
        Self::of(rules, Why::Ended, next)
    }

    pub fn of(rules: &SignIn, why: Why, next: String) -> Self {
        let doors = rules.issuers.iter();
        let issuers = doors.map(|door| Through { title: door.title.clone(), path: path(&door.name, &next) });
        Self {
            shell: Shell::bare("Sign in"),
            why,
            email: String::new(),
            issuers: issuers.collect(),
            passwords: rules.passwords,
            next,
        }
    }
}

/// Where one goes to an issuer, and on from there.
pub(crate) fn path(issuer: &str, next: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("/sign-in/{issuer}?{query}")
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
        PageAccess::SignIn(rules) => answer(StatusCode::OK, &SignInPage::first(rules, HOME.to_owned())),
        PageAccess::Open(_) => Redirect::to(HOME).into_response(),
    }
}

/// `POST /sign-in` with `email`, `password`, `next`, and `district` where it was asked for.
pub(crate) async fn sign_in(
    State(api): State<Api>,
    extensions: Extensions,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let PageAccess::SignIn(rules) = &api.page else { return Ok(Redirect::to(HOME).into_response()) };
    if rules.passwords == Passwords::Refused {
        return Err(Refused {
            status: StatusCode::FORBIDDEN,
            title: "Passwords are not taken here",
            detail:
                "Whoever runs Tocsin has decided so. Choose one of the ways that the sign-in page offers."
                    .to_owned(),
        });
    }
    let secure = for_secret(&headers)?;
    let next = own_page(&field(&body, "next").unwrap_or_default()).to_owned();
    let email = field(&body, "email").unwrap_or_default();
    let tried = Try {
        // The store cannot hold a NUL character, and no user has one.
        login: &normalised(&email).replace('\0', "\u{fffd}"),
        password: &field(&body, "password").unwrap_or_default(),
        address: &address(&extensions, &headers, rules.proxies),
        district: field(&body, "district").and_then(|id| id.parse().ok()),
    };
    let page = |why| SignInPage { email: email.clone(), ..SignInPage::of(rules, why, next.clone()) };
    match compare(&api, &tried).await? {
        Compared::Right { user, password_hash } => {
            let entry = Entry { user: user.user, password_hash: &password_hash, through: None, secure };
            match begin(&api, &headers, user.district, &entry).await? {
                Some(cookie) => Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&next)).into_response()),
                // The password was changed, or the user deactivated, while it was compared.
                None => Ok(page(Why::Wrong).into_response()),
            }
        }
        Compared::Several(districts) => Ok(answer(StatusCode::OK, &page(Why::Several(districts)))),
        Compared::Wrong => Ok(page(Why::Wrong).into_response()),
        Compared::TooMany { until } => {
            Ok(too_many(&page(Why::TooMany { minutes: minutes(&api, until) }), &api, until))
        }
    }
}

/// Who has shown who they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub user: Uuid,
    /// As it was when they showed it.
    pub password_hash: &'a str,
    /// The issuer who vouched; None: the password was compared.
    pub through: Option<&'a str>,
    pub secure: Secure,
}

/// A new session under a new token, whatever token the browser sent; that one ends. None: the password is another by now.
pub(crate) async fn begin(
    api: &Api,
    headers: &HeaderMap,
    district: DistrictId,
    entry: &Entry<'_>,
) -> Result<Option<HeaderValue>, Refused> {
    let now = api.clock.now();
    let token = drawn()?;
    let before = cookie(headers, SESSION_COOKIE).map(secret::hash);
    let new = NewSession {
        token_hash: &secret::hash(&token),
        user: entry.user,
        password_hash: entry.password_hash,
        ends_at: now + LIFETIME,
        replaces: before.as_deref(),
        through: entry.through,
    };
    if !api.store.tenant(district).begin_session(&new, now).await? {
        return Ok(None);
    }
    tracing::info!(district.id = %district, user.id = %entry.user, "signed in to the console");
    set_cookie(SESSION_COOKIE, &token, LIFETIME.num_seconds(), entry.secure).map(Some)
}

/// A secret for one browser.
pub(crate) fn drawn() -> Result<String, Refused> {
    Ok(secret::token().map_err(|error| {
        tracing::error!(%error, "the system gives no random bytes");
        Problem::new(Kind::Internal, "the request failed by a fault of ours, which was logged")
    })?)
}

pub(crate) fn minutes(api: &Api, until: DateTime<Utc>) -> i64 {
    (until - api.clock.now()).num_minutes() + 1
}

pub(crate) fn too_many<T: Template>(page: &T, api: &Api, until: DateTime<Utc>) -> Response {
    let mut response = answer(StatusCode::TOO_MANY_REQUESTS, page);
    let seconds = (until - api.clock.now()).num_seconds().max(0) + 1;
    if let Ok(seconds) = HeaderValue::from_str(&seconds.to_string()) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// `POST /sign-out`: ends the session, not only its cookie.
pub(crate) async fn sign_out(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Refused> {
    if let Some(token) = cookie(&headers, SESSION_COOKIE) {
        let (hash, now) = (secret::hash(token), api.clock.now());
        if let Some(session) = api.store.visitor_of_session(&hash, now, IDLE, Use::ByItself).await? {
            api.store.tenant(session.known.district).end_session(&hash, now).await?;
        }
    }
    let secure = secure(&headers).unwrap_or(Secure::Yes);
    let cookie = set_cookie(SESSION_COOKIE, "", 0, secure)?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/sign-in")).into_response())
}

/// `GET /districts`: where nobody signs in and there are several.
pub(crate) async fn districts(State(api): State<Api>) -> Result<Response, Refused> {
    let PageAccess::Open(directory) = &api.page else { return Err(Refused::unknown_page()) };
    Ok(ChooserPage::new(directory.districts().await?, HOME.to_owned()).into_response())
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

/// A field of a posted form.
pub(crate) fn field(body: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(body).find(|(is, _)| is == name).map(|(_, value)| value.into_owned())
}
