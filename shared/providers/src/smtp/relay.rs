//! Connections to the relay: opened where none is free, kept for the next mail, never used in the middle of one.
//!
//! lettre has a pool of its own. It takes back a connection whose mail was given up half-way, and the next mail
//! would be written into that one; it tells nobody how far a mail had got; and it starts tasks that nobody tracks.
//! So lettre's connection is used and the pool is this: ADR 0024.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use super::reply::{Failure, Stage};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than relays keep an idle connection: Postfix under stress hangs up after 10 s.
const KEPT_FOR: Duration = Duration::from_secs(8);
/// More are never open at once than the account's concurrency allows; this is for accounts without one.
const KEPT_MAX: usize = 64;
/// Both are plain text inside TLS. XOAUTH2 wants tokens that expire, which the settings cannot hold.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

pub(super) enum Security {
    Implicit(TlsParameters),
    /// Nothing is said before it but EHLO.
    StartTls(TlsParameters),
    /// This machine only.
    None,
}

pub(super) struct Relay {
    address: (String, u16),
    pub(super) security: Security,
    credentials: Option<Credentials>,
    hello: ClientId,
    kept: Mutex<Vec<Kept>>,
}

/// A connection on which no mail is under way.
struct Kept {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").finish_non_exhaustive()
    }
}

impl Relay {
    pub fn new(
        address: (String, u16),
        security: Security,
        credentials: Option<Credentials>,
        hello: ClientId,
    ) -> Self {
        Self { address, security, credentials, hello, kept: Mutex::default() }
    }

    /// The connection that was used last. Those that were idle for too long are closed meanwhile.
    pub fn take(&self) -> Option<AsyncSmtpConnection> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.since.elapsed() < KEPT_FOR);
        kept.pop().map(|kept| kept.connection)
    }

    /// Only for a connection whose last answer was read: on any other the next mail would read this one's.
    pub fn keep(&self, connection: AsyncSmtpConnection) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX && !connection.has_broken() {
            kept.push(Kept { connection, since: Instant::now() });
        }
    }

    /// A connection on which a mail may begin. `stage` tells how far it got.
    pub async fn connect(&self, stage: &mut Stage) -> Result<AsyncSmtpConnection, Failure> {
        *stage = Stage::Connect;
        let (host, port) = &self.address;
        let at_once = match &self.security {
            Security::Implicit(tls) => Some(tls.clone()),
            Security::StartTls(_) | Security::None => None,
        };
        let address = (host.as_str(), *port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT_TIMEOUT), &self.hello, at_once, None)
                .await?;
        if let Security::StartTls(tls) = &self.security {
            *stage = Stage::StartTls;
            if !connection.can_starttls() {
                return Err(Failure::Broken("the relay does not offer STARTTLS".to_owned()));
            }
            connection.starttls(tls.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            *stage = Stage::Auth;
            if connection.server_info().get_auth_mechanism(&MECHANISMS).is_none() {
                return Err(Failure::Lacks("no PLAIN or LOGIN"));
            }
            connection.auth(&MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}
