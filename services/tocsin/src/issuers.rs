//! The issuers through whom people sign in, as they are configured.

use anyhow::{Context as _, Result};
use tocsin_api::{IssuerDoor, Passwords, SignIn};
use tocsin_oidc::{ClientSecret, Issuer, Settings};
use tocsin_runtime::Config;
use tocsin_runtime::config::IssuerConfig;

/// What sign-ins go by. No issuer is asked for anything yet: one that is away keeps nobody else out.
pub(crate) fn sign_in(config: &Config) -> Result<SignIn> {
    let console = config.sign_in.url.as_deref().unwrap_or_default();
    let doors = config.sign_in.issuers.iter().map(|issuer| door(issuer, console));
    Ok(SignIn {
        url: config.sign_in.url.clone(),
        proxies: config.api.proxies,
        passwords: if config.sign_in.passwords { Passwords::Taken } else { Passwords::Refused },
        issuers: doors.collect::<Result<_>>()?,
    })
}

fn door(config: &IssuerConfig, console: &str) -> Result<IssuerDoor> {
    let settings = Settings {
        issuer: config.issuer.clone(),
        client_id: config.client_id.clone(),
        client_secret: config.secret.as_ref().map(|secret| ClientSecret::new(secret.expose())),
        return_url: format!("{console}/sign-in/{}/return", config.name),
        scopes: config.scopes.clone(),
        login_claim: config.login_claim.clone(),
        groups_claim: config.groups_claim.clone(),
    };
    Ok(IssuerDoor {
        name: config.name.clone(),
        title: config.title.clone(),
        issuer: Issuer::new(settings).with_context(|| format!("oidc.{}", config.name))?,
        district: config.district.clone(),
        roles: config.roles.clone(),
        new_user_role: config.new_user_role.clone(),
    })
}
