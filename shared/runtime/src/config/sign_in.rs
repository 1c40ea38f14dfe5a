//! `[sign_in]` and `[[oidc]]`: how people sign in to the console, and through whom.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Uri;
use tocsin_domain::host::is_this_machine;

use super::ConfigError;
use super::file::{RawIssuer, RawSignIn};
use super::secret::{Secret, SecretPlace};

const SCOPES: [&str; 3] = ["openid", "email", "profile"];
const LOGIN_CLAIM: &str = "email";

/// How people sign in to the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInConfig {
    /// Where browsers reach the console, without a slash at the end. Present where there are issuers.
    pub url: Option<String>,
    /// May one sign in with a password?
    pub passwords: bool,
    /// Names are unique.
    pub issuers: Vec<IssuerConfig>,
}

/// An OpenID Connect issuer whom users may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerConfig {
    /// Lower-case letters, digits and hyphens: it is part of the address that browsers come back to.
    pub name: String,
    /// What people call it: the page says "Sign in with" before it.
    pub title: String,
    /// As the issuer writes itself.
    pub issuer: String,
    pub client_id: String,
    /// None: a public client.
    pub secret: Option<Secret>,
    pub scopes: Vec<String>,
    /// The claim that holds the email address that users have here.
    pub login_claim: String,
    pub groups_claim: Option<String>,
    /// The name of the only district whose users come from it; those of all when None.
    pub district: Option<String>,
    /// Which group has which role. Empty: users keep the roles that they have here.
    pub roles: BTreeMap<String, String>,
    /// With this role whoever is no user yet becomes one. None: whoever is none stays out.
    pub new_user_role: Option<String>,
}

pub(super) fn check(
    raw: RawSignIn,
    issuers: Vec<RawIssuer>,
    environment: &BTreeMap<String, String>,
) -> Result<SignInConfig, Vec<ConfigError>> {
    let mut faults = Vec::new();
    let url = match raw.url.map(|url| secure_address("sign_in.url", url)).transpose() {
        Ok(url) => url.map(|url| url.trim_end_matches('/').to_owned()),
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    if url.is_none() && faults.is_empty() && !issuers.is_empty() {
        let remedy = "set it to where browsers reach the console, as https://tocsin.example.org";
        faults.push(ConfigError::missing("sign_in.url", remedy));
    }
    if !raw.passwords && issuers.is_empty() {
        let remedy = "name an issuer by [[oidc]], or set it to true";
        faults.push(ConfigError::value("sign_in.passwords", "lets nobody sign in", remedy));
    }
    let (mut names, mut checked) = (BTreeSet::new(), Vec::with_capacity(issuers.len()));
    for (position, issuer) in issuers.into_iter().enumerate() {
        if !names.insert(issuer.name.clone()) {
            let fault = format!("{:?} is the name of another issuer too", issuer.name);
            faults.push(ConfigError::value(format!("oidc[{position}].name"), fault, "give each its own"));
            continue;
        }
        match check_one(position, issuer, environment) {
            Ok(issuer) => checked.push(issuer),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() {
        Ok(SignInConfig { url, passwords: raw.passwords, issuers: checked })
    } else {
        Err(faults)
    }
}

fn check_one(
    position: usize,
    raw: RawIssuer,
    environment: &BTreeMap<String, String>,
) -> Result<IssuerConfig, ConfigError> {
    let shaped =
        raw.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !shaped || !(1..=63).contains(&raw.name.len()) {
        let remedy = "use 1 to 63 lower-case letters, digits and hyphens: it becomes part of an address";
        let fault = format!("{:?} is no issuer's name", raw.name);
        return Err(ConfigError::value(format!("oidc[{position}].name"), fault, remedy));
    }
    let key = |key: &str| format!("oidc.{}.{key}", raw.name);
    if raw.client_id.trim().is_empty() {
        return Err(ConfigError::missing(key("client_id"), "set it to what the issuer calls Tocsin"));
    }
    let secret = SecretPlace { value: raw.secret, variable: raw.secret_env, file: raw.secret_file }
        .resolve(&key("secret"), environment)?;
    let scopes = raw.scopes.unwrap_or_else(|| SCOPES.map(str::to_owned).to_vec());
    if !scopes.iter().any(|scope| scope == "openid") {
        let remedy = "add it: without it the issuer says nothing of who signed in";
        return Err(ConfigError::value(key("scopes"), "lacks \"openid\"", remedy));
    }
    let gives_roles = !raw.roles.is_empty();
    if gives_roles && raw.groups_claim.is_none() {
        let remedy = "name the claim that holds the groups, as \"groups\"";
        return Err(ConfigError::missing(key("groups_claim"), remedy));
    }
    if (gives_roles || raw.new_user_role.is_some()) && raw.district.is_none() {
        let remedy = "name the district whose roles these are: an issuer gives roles in one district only";
        return Err(ConfigError::missing(key("district"), remedy));
    }
    Ok(IssuerConfig {
        title: raw.title.unwrap_or_else(|| raw.name.clone()),
        issuer: secure_address(&key("issuer"), raw.issuer)?,
        client_id: raw.client_id,
        secret,
        scopes,
        login_claim: raw.login_claim.unwrap_or_else(|| LOGIN_CLAIM.to_owned()),
        groups_claim: raw.groups_claim,
        district: raw.district,
        roles: raw.roles,
        new_user_role: raw.new_user_role,
        name: raw.name,
    })
}

/// As it was written: an issuer is known by its letters.
fn secure_address(key: &str, url: String) -> Result<String, ConfigError> {
    let remedy = "write https:// and the host; http:// is for this machine only";
    let refused = |fault: &str| ConfigError::value(key, format!("{url:?} {fault}"), remedy);
    let uri: Uri = url.parse().map_err(|_| refused("is no address"))?;
    let host = uri.host().ok_or_else(|| refused("names no host"))?;
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if is_this_machine(host) => {}
        _ => return Err(refused("is no https:// address")),
    }
    if uri.query().is_some()
        || url.contains('#')
        || uri.authority().is_some_and(|it| it.as_str().contains('@'))
    {
        return Err(refused("is more than an address and a path"));
    }
    Ok(url)
}
