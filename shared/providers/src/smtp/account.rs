//! What an SMTP account needs, checked before anything is sent.

use std::fmt;

use hmac::{Hmac, Mac as _};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use reqwest::Url;
use sha2::Sha256;

use super::message::is_ascii;
use super::relay::{Relay, Security};
use crate::account::is_this_machine;
use crate::file::Room;
use crate::keys::hmac_sha256;
use crate::passwords::Passwords;
use crate::{AccountSettings, ProvidersError};

/// TLS at once (RFC 8314).
const SUBMISSIONS_PORT: u16 = 465;
/// STARTTLS (RFC 6409).
const SUBMISSION_PORT: u16 = 587;
/// What else the password may come to sign has another beginning.
const MESSAGE_IDS: &str = "message-id";
const PEM_BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

pub(super) struct SmtpAccount {
    pub relay: Relay,
    pub sender: Mailbox,
    /// Of the return path and the Message-ID.
    pub domain: String,
    pub passwords: Passwords,
    /// Tags Message-IDs. By the current password: a change of it changes the ids of jobs under way, no more.
    pub message_ids: Hmac<Sha256>,
    /// For mails with files.
    pub room: Room,
}

impl fmt::Debug for SmtpAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpAccount").finish_non_exhaustive()
    }
}

impl SmtpAccount {
    pub fn new(settings: &AccountSettings) -> Result<Self, ProvidersError> {
        settings.check_names()?;
        let url = settings.parse_base_url()?;
        let host = host(settings, &url)?;
        let security = security(settings, &url, &host)?;
        let domain = settings.checked_domain()?.to_owned();
        let sender =
            settings.sender.parse().ok().filter(|sender: &Mailbox| is_ascii(&sender.email)).ok_or_else(
                || settings.fault("sender", "must be an email address, with or without a name"),
            )?;
        let Some(current) = settings.signing_keys.first() else {
            return Err(settings.fault("signing_keys", "needs the password that bounces are posted with"));
        };
        let message_ids = hmac_sha256(current).chain_update(MESSAGE_IDS);
        let default_port = if url.scheme() == "smtps" { SUBMISSIONS_PORT } else { SUBMISSION_PORT };
        let relay = Relay::new(
            (host, url.port().unwrap_or(default_port)),
            security,
            credentials(settings, &url)?,
            ClientId::Domain(domain.clone()),
        );
        Ok(Self {
            relay,
            sender,
            domain,
            passwords: Passwords::new(&settings.signing_keys),
            message_ids,
            room: Room::default(),
        })
    }
}

fn host(settings: &AccountSettings, url: &Url) -> Result<String, ProvidersError> {
    if !matches!(url.path(), "" | "/") {
        return Err(settings.fault("base_url", "must end with its host or port"));
    }
    match url.host_str() {
        Some(host) if !host.is_empty() => {
            Ok(host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase())
        }
        Some(_) | None => Err(settings.fault("base_url", "has no host")),
    }
}

fn security(settings: &AccountSettings, url: &Url, host: &str) -> Result<Security, ProvidersError> {
    match url.scheme() {
        "smtps" => Ok(Security::Implicit(tls(settings, host)?)),
        "smtp" if is_this_machine(url) => match settings.ca_file {
            None => Ok(Security::None),
            Some(_) => {
                Err(settings.fault("ca_file", "does nothing for smtp:// on this machine: use smtps://"))
            }
        },
        "smtp" => Ok(Security::StartTls(tls(settings, host)?)),
        _ => Err(settings.fault("base_url", "must be smtps:// or smtp://")),
    }
}

/// With a `ca_file` no other authority is trusted: whoever names one has a relay of their own.
fn tls(settings: &AccountSettings, host: &str) -> Result<TlsParameters, ProvidersError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = &settings.ca_file {
        let pem = std::fs::read(path).map_err(|_| settings.fault("ca_file", "cannot be read"))?;
        let holds_one = pem.windows(PEM_BEGIN.len()).any(|window| window == PEM_BEGIN);
        let certificate = Certificate::from_pem(&pem).ok().filter(|_| holds_one);
        let certificate =
            certificate.ok_or_else(|| settings.fault("ca_file", "holds no certificate in PEM"))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build().map_err(|_| settings.fault("ca_file", "holds a certificate that cannot be used"))
}

/// Only a relay on this machine may do without.
fn credentials(settings: &AccountSettings, url: &Url) -> Result<Option<Credentials>, ProvidersError> {
    match (settings.user.is_empty(), settings.secret.is_empty()) {
        (true, true) if is_this_machine(url) => Ok(None),
        (true, _) => Err(settings.fault("user", "is missing")),
        (false, true) => Err(settings.fault("secret", "is missing")),
        (false, false) => {
            Ok(Some(Credentials::new(settings.user.clone(), settings.secret.reveal().to_owned())))
        }
    }
}
