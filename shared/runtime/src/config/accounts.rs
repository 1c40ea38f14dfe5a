//! `[[accounts]]`: which keys each provider needs, and which limits make sense.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_domain::Channel;

use super::checks::{relay_address, web_address};
use super::file::RawAccount;
use super::secret::{Secret, SecretPlace};
use super::{AccountConfig, ConfigError, ProviderKind};

/// The accounts that have no fault, and the first fault of each that has one.
pub(super) fn check(
    raw: Vec<RawAccount>,
    environment: &BTreeMap<String, String>,
) -> (Vec<AccountConfig>, Vec<ConfigError>) {
    let mut names = BTreeSet::new();
    let (mut accounts, mut faults) = (Vec::with_capacity(raw.len()), Vec::new());
    for (position, account) in raw.into_iter().enumerate() {
        if !names.insert(account.name.clone()) {
            let fault = format!("{:?} is the name of another account too", account.name);
            faults.push(ConfigError::value(format!("accounts[{position}].name"), fault, "give each its own"));
            continue;
        }
        match check_one(position, account, environment) {
            Ok(account) => accounts.push(account),
            Err(fault) => faults.push(fault),
        }
    }
    (accounts, faults)
}

fn check_one(
    position: usize,
    raw: RawAccount,
    environment: &BTreeMap<String, String>,
) -> Result<AccountConfig, ConfigError> {
    check_name(position, &raw.name)?;
    let keys = Keys { account: raw.name.clone() };
    check_channel(&keys, raw.provider, raw.channel)?;
    let secret = SecretPlace { value: raw.secret, variable: raw.secret_env, file: raw.secret_file }
        .resolve(&keys.key("secret"), environment)?;
    let signing_key =
        SecretPlace { value: raw.signing_key, variable: raw.signing_key_env, file: raw.signing_key_file }
            .resolve(&keys.key("signing_key"), environment)?;
    let previous_signing_key = SecretPlace {
        value: raw.previous_signing_key,
        variable: raw.previous_signing_key_env,
        file: raw.previous_signing_key_file,
    }
    .resolve(&keys.key("previous_signing_key"), environment)?;
    if signing_key.is_none() && previous_signing_key.is_some() {
        return Err(ConfigError::missing(keys.key("signing_key"), "set it beside previous_signing_key"));
    }
    let address = match raw.provider {
        ProviderKind::Twilio | ProviderKind::Mailgun | ProviderKind::Gateway | ProviderKind::Inbox => {
            web_address
        }
        ProviderKind::Smtp => relay_address,
    };
    let account = AccountConfig {
        base_url: raw.base_url.map(|url| address(&keys.key("base_url"), url)).transpose()?,
        name: raw.name,
        channel: raw.channel,
        provider: raw.provider,
        user: raw.user,
        secret,
        signing_keys: signing_key.into_iter().chain(previous_signing_key).collect(),
        sender: raw.sender,
        domain: raw.domain,
        ca_file: raw.ca_file,
        profile: raw.profile,
        connections_max: raw.connections_max,
        district: raw.district,
        rate_per_second: raw.rate_per_second,
        burst: raw.burst,
        concurrency: raw.concurrency,
        reserve: raw.reserve,
        depth: raw.depth,
        weight: raw.weight.unwrap_or(1),
    };
    check_provider_keys(&keys, &account)?;
    check_limits(&keys, &account)?;
    Ok(account)
}

/// Names a key of one account in errors: `accounts.main-voice.secret`.
struct Keys {
    account: String,
}

impl Keys {
    fn key(&self, key: &str) -> String {
        format!("accounts.{}.{key}", self.account)
    }
}

fn check_name(position: usize, name: &str) -> Result<(), ConfigError> {
    let shaped = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if shaped && (1..=63).contains(&name.len()) {
        return Ok(());
    }
    let remedy = "use 1 to 63 lower-case letters, digits and hyphens: it becomes part of callback addresses";
    Err(ConfigError::value(
        format!("accounts[{position}].name"),
        format!("{name:?} is no account name"),
        remedy,
    ))
}

fn check_channel(keys: &Keys, provider: ProviderKind, channel: Channel) -> Result<(), ConfigError> {
    let serves: &[Channel] = match provider {
        ProviderKind::Twilio => &[Channel::Voice, Channel::Sms],
        ProviderKind::Mailgun | ProviderKind::Smtp => &[Channel::Email],
        ProviderKind::Gateway => &[Channel::Voice, Channel::Sms, Channel::Email],
        ProviderKind::Inbox => &[Channel::Inbox],
    };
    if serves.contains(&channel) {
        return Ok(());
    }
    let served: Vec<_> = serves.iter().map(|channel| channel.as_str()).collect();
    let remedy = format!("this provider serves {}", served.join(" and "));
    Err(ConfigError::value(keys.key("channel"), format!("{channel} does not fit the provider"), remedy))
}

fn check_provider_keys(keys: &Keys, account: &AccountConfig) -> Result<(), ConfigError> {
    let need = |present: bool, key: &str, remedy: &'static str| {
        if present { Ok(()) } else { Err(ConfigError::missing(keys.key(key), remedy)) }
    };
    let filled = |value: &Option<String>| value.as_ref().is_some_and(|value| !value.trim().is_empty());
    let secret = |secret: &Option<Secret>| secret.is_some();
    if account.ca_file.is_some() && account.provider != ProviderKind::Smtp {
        let remedy = "remove it, or set provider to smtp";
        return Err(ConfigError::value(keys.key("ca_file"), "is for SMTP relays", remedy));
    }
    if account.profile.is_some() && account.provider != ProviderKind::Gateway {
        let remedy = "remove it, or set provider to gateway";
        return Err(ConfigError::value(keys.key("profile"), "is for gateways", remedy));
    }
    let over_http = !matches!(account.provider, ProviderKind::Smtp | ProviderKind::Inbox);
    if account.connections_max.is_some() && !over_http {
        let remedy = "remove it: concurrency says how much is open at once";
        return Err(ConfigError::value(keys.key("connections_max"), "is for providers over HTTP", remedy));
    }
    match account.provider {
        ProviderKind::Twilio => {
            need(filled(&account.user), "user", "set it to the account SID (AC…)")?;
            need(secret(&account.secret), "secret", "set it, secret_env or secret_file to the auth token")?;
            need(filled(&account.sender), "sender", "set it to a number of the account, as +15550100123")
        }
        ProviderKind::Mailgun => {
            need(secret(&account.secret), "secret", "set it, secret_env or secret_file to the API key")?;
            need(filled(&account.domain), "domain", "set it to the sending domain")?;
            need(filled(&account.sender), "sender", "set it to the address that messages come from")
        }
        // A relay on this machine may want no login: the adapter knows.
        ProviderKind::Smtp => {
            need(
                account.base_url.is_some(),
                "base_url",
                "set it to smtps:// or smtp:// and the relay's host",
            )?;
            need(filled(&account.domain), "domain", "set it to the domain whose bounces come back to you")?;
            need(filled(&account.sender), "sender", "set it to the address that messages come from")?;
            let remedy =
                "set it, signing_key_env or signing_key_file to the password that bounces are posted with";
            need(!account.signing_keys.is_empty(), "signing_key", remedy)
        }
        // What else a gateway needs its profile says: the adapter checks it.
        ProviderKind::Gateway => {
            need(account.base_url.is_some(), "base_url", "set it to where the gateway's API begins")?;
            let remedy = "set it to call-codes, or to the file that describes the gateway's API";
            need(filled(&account.profile), "profile", remedy)?;
            need(filled(&account.sender), "sender", "set it to the number or address that messages come from")
        }
        ProviderKind::Inbox => Ok(()),
    }
}

fn check_limits(keys: &Keys, account: &AccountConfig) -> Result<(), ConfigError> {
    if let Some(rate) = account.rate_per_second
        && !(rate.is_finite() && rate > 0.0)
    {
        let remedy = "give a number above 0, or remove the key when the account has no limit";
        return Err(ConfigError::value(keys.key("rate_per_second"), format!("is {rate}"), remedy));
    }
    let whole = [
        ("burst", account.burst),
        ("concurrency", account.concurrency),
        ("depth", account.depth),
        ("weight", Some(account.weight)),
        ("connections_max", account.connections_max),
    ];
    for (key, number) in whole {
        if number == Some(0) {
            return Err(ConfigError::value(keys.key(key), "is 0", "give at least 1, or remove the key"));
        }
    }
    check_reserve(keys, account)
}

fn check_reserve(keys: &Keys, account: &AccountConfig) -> Result<(), ConfigError> {
    let key = keys.key("reserve");
    match (account.reserve, account.concurrency) {
        (None | Some(0), _) => Ok(()),
        (Some(_), None) => {
            Err(ConfigError::value(key, "is a part of concurrency, which is not set", "set concurrency too"))
        }
        (Some(reserve), Some(concurrency)) if reserve >= concurrency => {
            let fault = format!("{reserve} of {concurrency} leaves general messages nothing");
            Err(ConfigError::value(key, fault, "give less than concurrency"))
        }
        (Some(_), Some(_)) => Ok(()),
    }
}
