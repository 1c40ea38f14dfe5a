//! A provider account's settings, and what is wrong with them before they are used.

use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use tocsin_domain::{Channel, host};

use crate::ProvidersError;

/// A key or password. Shown nowhere but where a request is signed; it can be read from a
/// configuration, and not be written into anything.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whose API the account speaks; with the channel it chooses the adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Voice and SMS (wire A).
    Twilio,
    /// Email (wire B).
    Mailgun,
    /// Email over a relay of one's own (wire C).
    Smtp,
    /// Any channel, over any API that a profile describes.
    Gateway,
}

/// One provider account, as an operator configures it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSettings {
    /// Names the account in the callback address, so letters, digits, `-` and `_` only.
    pub name: String,
    pub channel: Channel,
    pub kind: ProviderKind,
    /// Scheme and host, e.g. `https://api.twilio.com`. Plain http for this machine only.
    /// SMTP: `smtps://host[:465]` (TLS at once) or `smtp://host[:587]` (STARTTLS, but on this machine).
    pub base_url: String,
    /// Twilio: the AccountSid. Mailgun: `api`. SMTP: the login; empty for a relay on this machine.
    pub user: String,
    /// Twilio: the AuthToken. Mailgun: the API key. SMTP: the login's password.
    pub secret: Secret,
    /// Keys that callbacks may be signed with, new and old. Twilio: `secret` when empty. SMTP: passwords
    /// of whoever posts bounces.
    #[serde(default)]
    pub signing_keys: Vec<Secret>,
    /// Our number in E.164, or the From address.
    pub sender: String,
    /// Mailgun's sending domain. SMTP: the domain of return path and Message-ID, whose bounces come back to us.
    #[serde(default)]
    pub domain: Option<String>,
    /// SMTP: certificates in PEM that the relay's is checked against, in place of the machine's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Gateway: the profile that describes it, by its name or file.
    #[serde(default)]
    pub profile: Option<String>,
    /// Over HTTP: requests of this process that are open at once, at most.
    #[serde(default)]
    pub connections_max: Option<usize>,
}

impl AccountSettings {
    /// Checks what every adapter over HTTP relies on and returns the parsed `base_url`.
    pub(crate) fn checked_base_url(&self) -> Result<Url, ProvidersError> {
        self.check_names()?;
        if self.user.is_empty() {
            return Err(self.fault("user", "is missing"));
        }
        if self.secret.is_empty() {
            return Err(self.fault("secret", "is missing"));
        }
        let url = self.parse_base_url()?;
        match url.scheme() {
            "https" => Ok(url),
            "http" if is_this_machine(&url) => Ok(url),
            "http" => Err(self.fault("base_url", "must be https: plain http is for this machine only")),
            _ => Err(self.fault("base_url", "must be https")),
        }
    }

    /// Checks what every adapter relies on.
    pub(crate) fn check_names(&self) -> Result<(), ProvidersError> {
        let name_is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || !self.name.chars().all(name_is_plain) {
            return Err(self.fault("name", "may hold only letters, digits, - and _"));
        }
        if self.sender.trim().is_empty() {
            return Err(self.fault("sender", "is missing"));
        }
        if self.signing_keys.iter().any(Secret::is_empty) {
            return Err(self.fault("signing_keys", "holds an empty key: anyone could sign with it"));
        }
        Ok(())
    }

    /// The domain that mails are sent from.
    pub(crate) fn checked_domain(&self) -> Result<&str, ProvidersError> {
        let domain = self.domain.as_deref().unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if domain.is_empty() || domain.contains("..") || !domain.chars().all(plain) {
            return Err(self.fault("domain", "must be the sending domain's name"));
        }
        Ok(domain)
    }

    pub(crate) fn fault(&self, key: &'static str, fault: &'static str) -> ProvidersError {
        ProvidersError::Account { account: self.name.clone(), key, fault }
    }

    pub(crate) fn parse_base_url(&self) -> Result<Url, ProvidersError> {
        let url = Url::parse(&self.base_url).map_err(|_| self.fault("base_url", "is not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.fault("base_url", "must not hold credentials: use user and secret"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(self.fault("base_url", "must end with its host or path"));
        }
        Ok(url)
    }
}

pub(crate) fn is_this_machine(url: &Url) -> bool {
    url.host_str().is_some_and(host::is_this_machine)
}
