//! Signing in through an issuer: the browser is sent there, and comes back with a code (docs/adr/0048-oidc.md).

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse as _, Redirect, Response};
use chrono::TimeDelta;
use tocsin_domain::DistrictId;
use tocsin_domain::address::Email;
use tocsin_domain::rights::{Actor, ActorKind, Grant};
use tocsin_oidc::{Challenge, Identity, OidcError};
use tocsin_store::Tenant;
use tocsin_store::callers::Candidate;
use tocsin_store::issuers::{CameBack, SentAway};
use tocsin_store::tenant::users::{NewUser, Saved, UserChange};
use uuid::Uuid;

use super::access::{HOME, IssuerDoor, PageAccess, SignIn, address, cookie, own_page};
use super::page::{Refused, Shell, answer};
use super::session::{Secure, set_cookie_for_return};
use super::sign_in::{Entry, SignInPage, Why, begin, drawn, field, minutes, path, too_many};
use crate::credentials::{SPAN, TRIES_OF_ADDRESS, normalised, subject};
use crate::password;
use crate::problem::Problem;
use crate::secret;
use crate::server::Api;

/// Which browser was sent away.
const BROWSER_COOKIE: &str = "tocsin_sign_in";
/// Long enough to find a second factor.
const AWAY: TimeDelta = TimeDelta::minutes(10);
const NAME_CHARS_MAX: usize = 120;

/// The way on. A redirect would be the other site's still, and browsers send our cookie with none of those.
#[derive(Debug, Template)]
#[template(path = "signed_in.html")]
struct SignedInPage {
    shell: Shell,
    next: String,
}

/// What a return came to.
enum Return {
    Entered { cookie: HeaderValue, next: String },
    Refused(Why),
}

/// `GET /sign-in/{issuer}` with `next`, and `district` of whoever has several.
pub(crate) async fn go(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    extensions: Extensions,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (rules, door) = door(&api, &name)?;
    let (now, query) = (api.clock.now(), query.unwrap_or_default());
    let next = own_page(&field(query.as_bytes(), "next").unwrap_or_default()).to_owned();
    let from = subject("address", &address(&extensions, &headers, rules.proxies));
    if let Some(until) = api.store.take_guess(&[(from, TRIES_OF_ADDRESS)], now, SPAN).await? {
        let why = Why::TooMany { minutes: minutes(&api, until) };
        return Ok(too_many(&SignInPage::of(rules, why, next), &api, until));
    }
    let challenge = Challenge { state: drawn()?, nonce: drawn()?, verifier: drawn()? };
    let there = match door.issuer.begin(&challenge, now).await {
        Ok(there) => there,
        Err(error) => return Ok(refused(rules, why(door, &error), next)),
    };
    let browser = drawn()?;
    let sent = SentAway {
        state_hash: &secret::hash(&challenge.state),
        browser_hash: &secret::hash(&browser),
        issuer: &door.name,
        nonce: &challenge.nonce,
        verifier: &challenge.verifier,
        next: &next,
        district: field(query.as_bytes(), "district").and_then(|id| id.parse().ok()),
        ends_at: now + AWAY,
    };
    api.store.keep_sign_in(&sent, now).await?;
    let cookie = set_cookie_for_return(BROWSER_COOKIE, &browser, AWAY.num_seconds(), secure(door))?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&there)).into_response())
}

/// `GET /sign-in/{issuer}/return` with `state`, and `code` or `error`.
pub(crate) async fn come_back(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    extensions: Extensions,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (rules, door) = door(&api, &name)?;
    let query = query.unwrap_or_default();
    let Some(kept) = kept(&api, door, query.as_bytes(), &headers).await? else {
        return Ok(refused(rules, Why::NotBack, HOME.to_owned()));
    };
    let next = own_page(&kept.next).to_owned();
    let (cookie, next) = match enter(&api, door, kept, query.as_bytes(), &headers).await? {
        Return::Entered { cookie, next } => (cookie, next),
        Return::Refused(why) => return Ok(refused(rules, why, next)),
    };
    // Else an office of many would be taken for somebody who guesses.
    let from = subject("address", &address(&extensions, &headers, rules.proxies));
    api.store.forget_guess(&[], &from).await?;
    let forget = set_cookie_for_return(BROWSER_COOKIE, "", 0, secure(door))?;
    let page = answer(StatusCode::OK, &SignedInPage { shell: Shell::bare("Signed in"), next });
    Ok((AppendHeaders([(header::SET_COOKIE, cookie), (header::SET_COOKIE, forget)]), page).into_response())
}

/// The browser that was sent away, once.
async fn kept(
    api: &Api,
    door: &IssuerDoor,
    query: &[u8],
    headers: &HeaderMap,
) -> Result<Option<CameBack>, Refused> {
    let (Some(state), Some(browser)) = (field(query, "state"), cookie(headers, BROWSER_COOKIE)) else {
        return Ok(None);
    };
    let (state, browser) = (secret::hash(&state), secret::hash(browser));
    Ok(api.store.take_sign_in(&state, &browser, &door.name, api.clock.now()).await?)
}

async fn enter(
    api: &Api,
    door: &IssuerDoor,
    kept: CameBack,
    query: &[u8],
    headers: &HeaderMap,
) -> Result<Return, Refused> {
    let Some(code) = field(query, "code") else {
        tracing::info!(issuer = door.name, "the issuer let nobody in");
        return Ok(Return::Refused(Why::Unproven { title: door.title.clone() }));
    };
    let challenge = Challenge { state: String::new(), nonce: kept.nonce, verifier: kept.verifier };
    let says = field(query, "iss");
    let identity = match door.issuer.finish(&code, says.as_deref(), &challenge, api.clock.now()).await {
        Ok(identity) => identity,
        Err(error) => return Ok(Return::Refused(why(door, &error))),
    };
    let login = normalised(&identity.login);
    let roles = roles_of(door, &identity.groups);
    if roles.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Return::Refused(Why::WithoutRole { title: door.title.clone() }));
    }
    let mut users = candidates(api, door, &login, kept.district).await?;
    let user = match (users.pop(), users.is_empty()) {
        (Some(user), true) => (user.district, user.user),
        (Some(last), false) => {
            users.push(last);
            return Ok(Return::Refused(Why::SeveralThrough {
                path: path(&door.name, &kept.next),
                districts: users,
            }));
        }
        (None, _) => match newcomer(api, door, &login, &identity, roles.clone()).await? {
            Some(user) => user,
            None => {
                let why = Why::Stranger { title: door.title.clone(), login: identity.login };
                return Ok(Return::Refused(why));
            }
        },
    };
    let (district, user) = user;
    let tenant = tenant_of(api, door, district);
    if let Some(roles) = roles {
        give_roles(api, &tenant, user, roles).await?;
    }
    // It is not compared, but whoever deactivates the user or changes the password meanwhile ends this.
    let Some(hash) = tenant.password_hash(user).await? else { return Ok(Return::Refused(Why::NotBack)) };
    let entry = Entry { user, password_hash: &hash, through: Some(&door.name), secure: secure(door) };
    Ok(match begin(api, headers, district, &entry).await? {
        Some(cookie) => Return::Entered { cookie, next: own_page(&kept.next).to_owned() },
        None => Return::Refused(Why::NotBack),
    })
}

/// Active users of that login who may come from there.
async fn candidates(
    api: &Api,
    door: &IssuerDoor,
    login: &str,
    chosen: Option<DistrictId>,
) -> Result<Vec<Candidate>, Refused> {
    let mut users = api.store.users_of_login(login).await?;
    users.retain(|user| door.district.as_ref().is_none_or(|only| *only == user.district_name));
    users.retain(|user| chosen.is_none_or(|chosen| chosen == user.district));
    Ok(users)
}

/// What the groups give; None: the issuer gives no roles.
fn roles_of(door: &IssuerDoor, groups: &[String]) -> Option<Vec<String>> {
    if door.roles.is_empty() {
        return None;
    }
    let given: BTreeSet<&String> = groups.iter().filter_map(|group| door.roles.get(group)).collect();
    Some(given.into_iter().cloned().collect())
}

/// Whoever is no user becomes one, where it is configured. Who was deactivated stays so.
async fn newcomer(
    api: &Api,
    door: &IssuerDoor,
    login: &str,
    identity: &Identity,
    roles: Option<Vec<String>>,
) -> Result<Option<(DistrictId, Uuid)>, Refused> {
    let (Some(role), Some(name), Ok(_)) = (&door.new_user_role, &door.district, Email::parse(login)) else {
        return Ok(None);
    };
    let Some(district) = api.store.district_of_name(name).await? else {
        tracing::error!(issuer = door.name, "the issuer's district is none: add it, or mend oidc.district");
        return Ok(None);
    };
    let called = identity.name.as_deref().map(|name| name.replace(char::is_control, " ")).unwrap_or_default();
    let called: String = called.trim().chars().take(NAME_CHARS_MAX).collect();
    let new = NewUser {
        id: Uuid::new_v4(),
        login: login.to_owned(),
        display_name: if called.is_empty() { login.to_owned() } else { called },
        // Of a password that nobody knows.
        password_hash: password::hash(drawn()?).await.map_err(Problem::from)?,
        roles: roles.unwrap_or_else(|| vec![role.clone()]),
    };
    let saved = tenant_of(api, door, district).add_user(&new, api.clock.now()).await?;
    if saved != Saved::Done {
        return Ok(None);
    }
    tracing::info!(issuer = door.name, user.id = %new.id, "whoever came from an issuer is a user now");
    Ok(Some((district, new.id)))
}

async fn give_roles(api: &Api, tenant: &Tenant, user: Uuid, roles: Vec<String>) -> Result<(), Refused> {
    let has = tenant.user(user).await?.map(|user| user.roles).unwrap_or_default();
    if has.iter().collect::<BTreeSet<_>>() != roles.iter().collect() {
        let change = UserChange { roles: Some(roles), ..UserChange::default() };
        tenant.change_user(user, &change, api.clock.now()).await?;
        tracing::info!(user.id = %user, "an issuer's groups changed the user's roles");
    }
    Ok(())
}

/// What the issuer decides about users is the issuer's in the audit.
fn tenant_of(api: &Api, door: &IssuerDoor, district: DistrictId) -> Tenant {
    let name = format!("issuer {}", door.name);
    let actor = Actor { kind: ActorKind::Nobody, id: None, name, grant: Grant::default() };
    api.store.tenant(district).acting_as(Arc::new(actor))
}

fn door<'a>(api: &'a Api, name: &str) -> Result<(&'a SignIn, &'a IssuerDoor), Refused> {
    let PageAccess::SignIn(rules) = &api.page else { return Err(Refused::unknown_page()) };
    let door = rules.issuers.iter().find(|door| door.name == name).ok_or_else(Refused::unknown_page)?;
    Ok((rules, door))
}

/// By the address that the browser comes back to, as it is configured.
fn secure(door: &IssuerDoor) -> Secure {
    if door.issuer.return_url().starts_with("https://") { Secure::Yes } else { Secure::No }
}

/// What is said of it. The log says more: a token that is not believed may be somebody's try.
fn why(door: &IssuerDoor, error: &OidcError) -> Why {
    let title = door.title.clone();
    match error {
        OidcError::Client(_)
        | OidcError::Unreachable { .. }
        | OidcError::Status { .. }
        | OidcError::TooLong { .. }
        | OidcError::Malformed { .. }
        | OidcError::Discovery(_) => {
            tracing::error!(issuer = door.name, error = %told(error), "nobody can sign in through the issuer");
            Why::Silent { title }
        }
        OidcError::Code | OidcError::Token(_) => {
            tracing::warn!(issuer = door.name, error = %told(error), "a sign-in through the issuer is refused");
            Why::Unproven { title }
        }
    }
}

/// With its causes.
fn told(error: &OidcError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(found) = cause {
        text = format!("{text}: {found}");
        cause = found.source();
    }
    text
}

fn refused(rules: &SignIn, why: Why, next: String) -> Response {
    let status = match why {
        Why::Silent { .. } => StatusCode::BAD_GATEWAY,
        Why::SeveralThrough { .. } => StatusCode::OK,
        _ => StatusCode::UNAUTHORIZED,
    };
    answer(status, &SignInPage::of(rules, why, next))
}
