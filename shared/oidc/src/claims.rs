//! What a token says, held against what we asked for: a decision of values and `now`.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::issuer::Settings;

/// Clocks differ, but not by more.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);
/// A token is fetched as soon as the browser is back: an older one was kept.
const AGE_MAX: TimeDelta = TimeDelta::minutes(10);
const LOGIN_CHARS_MAX: usize = 320;

/// Who came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The issuer's own id of them.
    pub subject: String,
    /// What they sign in as: of the configured claim.
    pub login: String,
    /// As the issuer calls them.
    pub name: Option<String>,
    /// Of the configured claim; empty when none is configured.
    pub groups: Vec<String>,
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("it is no signed token")]
    Malformed,
    #[error("it is not signed by RS256 or ES256")]
    Algorithm,
    #[error("it demands an extension that is not known here")]
    Critical,
    #[error("none of the issuer's keys is the one that it names")]
    UnknownKey,
    #[error("its signature is not the issuer's")]
    Signature,
    #[error("what it says is not what an ID token says")]
    Claims,
    #[error("it is another issuer's")]
    Issuer,
    #[error("it is for another client")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYet,
    #[error("it was issued too long ago")]
    Old,
    #[error("it was asked for by another sign-in")]
    Nonce,
    #[error("it lacks the claim that users are known by")]
    NoLogin,
    #[error("the issuer has not verified the email address")]
    Unverified,
}

/// Times are in seconds; some issuers write fractions.
#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    nonce: Option<String>,
    name: Option<String>,
    #[serde(flatten)]
    others: serde_json::Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn clients(&self) -> &[String] {
        match self {
            Self::One(client) => std::slice::from_ref(client),
            Self::Several(clients) => clients,
        }
    }
}

/// Who a token whose signature is the issuer's is about.
pub(crate) fn check(
    claims: &[u8],
    settings: &Settings,
    nonce: &str,
    now: DateTime<Utc>,
) -> Result<Identity, TokenFault> {
    let claims: Claims = serde_json::from_slice(claims).map_err(|_| TokenFault::Claims)?;
    if claims.iss != settings.issuer {
        return Err(TokenFault::Issuer);
    }
    check_audience(&claims, &settings.client_id)?;
    check_times(&claims, now)?;
    if claims.nonce.as_deref() != Some(nonce) {
        return Err(TokenFault::Nonce);
    }
    if claims.sub.is_empty() {
        return Err(TokenFault::Claims);
    }
    let login = login(&claims, &settings.login_claim)?;
    let groups = settings.groups_claim.as_deref().and_then(|claim| claims.others.get(claim));
    Ok(Identity {
        login,
        groups: groups.map(texts).unwrap_or_default(),
        subject: claims.sub,
        name: claims.name,
    })
}

/// Where a token is for several, or says for whom it was made, that must be us.
fn check_audience(claims: &Claims, client_id: &str) -> Result<(), TokenFault> {
    let clients = claims.aud.clients();
    let is_for_us = clients.iter().any(|client| client == client_id);
    let made_for = claims.azp.as_deref();
    let is_made_for_us = made_for.map_or(clients.len() == 1, |client| client == client_id);
    if is_for_us && is_made_for_us { Ok(()) } else { Err(TokenFault::Audience) }
}

fn check_times(claims: &Claims, now: DateTime<Utc>) -> Result<(), TokenFault> {
    let (expires, issued) = (instant(claims.exp)?, instant(claims.iat)?);
    if now >= expires + LEEWAY {
        return Err(TokenFault::Expired);
    }
    if issued > now + LEEWAY {
        return Err(TokenFault::NotYet);
    }
    if issued + AGE_MAX + LEEWAY < now {
        return Err(TokenFault::Old);
    }
    match claims.nbf.map(instant).transpose()? {
        Some(begins) if begins > now + LEEWAY => Err(TokenFault::NotYet),
        Some(_) | None => Ok(()),
    }
}

/// No year that calendars do not have, or adding to it would overflow.
fn instant(seconds: f64) -> Result<DateTime<Utc>, TokenFault> {
    const LATEST_SECONDS: f64 = 253_402_300_799.0;
    if !(0.0..=LATEST_SECONDS).contains(&seconds) {
        return Err(TokenFault::Claims);
    }
    DateTime::from_timestamp(seconds as i64, 0).ok_or(TokenFault::Claims)
}

/// An email address counts when the issuer says that it is theirs: else anybody could write an administrator's there.
fn login(claims: &Claims, claim: &str) -> Result<String, TokenFault> {
    let login = claims.others.get(claim).and_then(Value::as_str).map(str::trim).unwrap_or_default();
    if login.is_empty() || login.contains('\0') || login.chars().count() > LOGIN_CHARS_MAX {
        return Err(TokenFault::NoLogin);
    }
    if claim == "email" {
        let verified = claims.others.get("email_verified");
        let is_verified = verified.is_some_and(|it| *it == Value::Bool(true) || it == "true");
        if !is_verified {
            return Err(TokenFault::Unverified);
        }
    }
    Ok(login.to_owned())
}

/// A list of texts, or one.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(several) => several.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn settings(claim: &str) -> Settings {
        Settings {
            issuer: "https://id.example.org".to_owned(),
            client_id: "tocsin".to_owned(),
            client_secret: None,
            return_url: "https://tocsin.example.org/sign-in/one/return".to_owned(),
            scopes: vec!["openid".to_owned()],
            login_claim: claim.to_owned(),
            groups_claim: Some("groups".to_owned()),
        }
    }

    fn checked(claim: &str, change: Value) -> Result<Identity, TokenFault> {
        let mut claims = json!({
            "iss": "https://id.example.org", "sub": "248289", "aud": "tocsin", "exp": NOW + 300, "iat": NOW,
            "nonce": "drawn", "email": "ana@north.example", "email_verified": true, "name": "Ana",
            "groups": ["office", "tocsin"], "upn": "ana@north.example",
        });
        for (key, value) in change.as_object().unwrap() {
            claims[key] = value.clone();
        }
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        check(&serde_json::to_vec(&claims).unwrap(), &settings(claim), "drawn", now)
    }

    #[test]
    fn what_was_asked_for_says_who_came_back() {
        let identity = checked("email", json!({})).unwrap();
        assert_eq!((identity.subject.as_str(), identity.login.as_str()), ("248289", "ana@north.example"));
        assert_eq!(
            (identity.groups, identity.name.as_deref()),
            (vec!["office".to_owned(), "tocsin".to_owned()], Some("Ana"))
        );
        for change in [
            json!({"aud": ["tocsin"]}),
            json!({"aud": ["tocsin", "other"], "azp": "tocsin"}),
            json!({"exp": NOW - 59}),
            json!({"iat": NOW + 60, "nbf": NOW + 60}),
            json!({"iat": NOW - 659}),
            json!({"exp": (NOW + 300) as f64 + 0.5}),
            json!({"email_verified": "true"}),
            json!({"groups": "tocsin"}),
        ] {
            assert!(checked("email", change.clone()).is_ok(), "{change}");
        }
        assert!(
            checked("upn", json!({"email_verified": null})).is_ok(),
            "what is no email address is the issuer's own"
        );
    }

    #[test]
    fn what_was_not_asked_for_is_not_believed() {
        let mut believed = Vec::new();
        for (change, fault) in [
            (json!({"iss": "https://id.example.org/"}), TokenFault::Issuer),
            (json!({"iss": "https://evil.example"}), TokenFault::Issuer),
            (json!({"aud": "other"}), TokenFault::Audience),
            (json!({"aud": []}), TokenFault::Audience),
            (json!({"aud": ["tocsin", "other"]}), TokenFault::Audience),
            (json!({"azp": "other"}), TokenFault::Audience),
            (json!({"exp": NOW - 60}), TokenFault::Expired),
            (json!({"exp": "never"}), TokenFault::Claims),
            (json!({"exp": null}), TokenFault::Claims),
            (json!({"exp": 1e300}), TokenFault::Claims),
            (json!({"iat": NOW + 61}), TokenFault::NotYet),
            (json!({"iat": null}), TokenFault::Claims),
            (json!({"iat": NOW - 661}), TokenFault::Old),
            (json!({"nbf": NOW + 61}), TokenFault::NotYet),
            (json!({"nbf": "soon"}), TokenFault::Claims),
            (json!({"nonce": "another"}), TokenFault::Nonce),
            (json!({"nonce": null}), TokenFault::Nonce),
            (json!({"sub": ""}), TokenFault::Claims),
            (json!({"email": null}), TokenFault::NoLogin),
            (json!({"email": " "}), TokenFault::NoLogin),
            (json!({"email": "a\0b"}), TokenFault::NoLogin),
            (json!({"email": ["ana@north.example"]}), TokenFault::NoLogin),
            (json!({"email_verified": false}), TokenFault::Unverified),
            (json!({"email_verified": null}), TokenFault::Unverified),
        ] {
            let answer = checked("email", change.clone());
            if answer != Err(fault) {
                believed.push(format!("{change}: {answer:?}"));
            }
        }
        assert!(believed.is_empty(), "{believed:#?}");
    }
}
