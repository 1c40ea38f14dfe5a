//! Mail over SMTP, taken as a provider's submission server takes it (wire C.1): what is spoken on a connection is
//! [`session`], the words on the wire are [`reply`]'s and the crate `smtp-proto`'s, and [`connection`] carries them.
//!
//! Every mail stands in the same record as the requests over HTTP, with the reply's code in place of the status. Nothing
//! reports what becomes of an accepted mail: over SMTP a bounce would be a mail of its own.

mod behaviour;
mod connection;
mod reply;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::Shared;
use super::tls::{Made, make};

/// What the server calls itself.
const HOST: &str = "simulator.test";
/// More are told to come again.
const CONNECTIONS_MAX: usize = 1_000;
/// Mails are kept for whoever wants to read them, the newest first: so many bytes of them.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Addresses that were told to come again are remembered, so many of them.
const GREYLISTED_MAX: usize = 100_000;

/// Where the simulator takes mail.
#[derive(Debug, Clone)]
pub struct SmtpDoor {
    pub address: SocketAddr,
    /// Of STARTTLS, in DER: for `localhost` and 127.0.0.1, made for this run, and signed by itself.
    pub certificate: Vec<u8>,
}

/// An accepted mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub arrived_at: DateTime<Utc>,
    /// The envelope's.
    pub from: String,
    /// The envelope's.
    pub to: Vec<String>,
    /// Headers and body, as they were before the dots were stuffed.
    pub content: Vec<u8>,
}

/// What all connections have in common.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    kept: Mutex<Kept>,
    /// When each address was first told to come again.
    greylist: Mutex<HashMap<Box<str>, Instant>>,
}

#[derive(Debug, Default)]
struct Kept {
    mails: VecDeque<Mail>,
    bytes: usize,
}

impl Mailbox {
    pub(super) fn mails(&self) -> Vec<Mail> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).mails.iter().cloned().collect()
    }

    fn keep(&self, mail: Mail) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += mail.content.len();
        kept.mails.push_back(mail);
        while kept.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = kept.mails.pop_front() else { return };
            kept.bytes -= oldest.content.len();
        }
    }

    /// When this address first asked; now, if it never did.
    fn first_asked(&self, address: &str, now: Instant) -> Instant {
        let mut greylist = self.greylist.lock().unwrap_or_else(PoisonError::into_inner);
        if greylist.len() >= GREYLISTED_MAX {
            greylist.clear();
        }
        *greylist.entry(address.into()).or_insert(now)
    }
}

/// Listens until the simulator stops.
pub(super) async fn listen(
    shared: &Arc<Shared>,
    tasks: &TaskTracker,
    at: Option<SocketAddr>,
) -> anyhow::Result<SmtpDoor> {
    let at = at.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let listener =
        TcpListener::bind(at).await.with_context(|| format!("the simulator cannot take mail on {at}"))?;
    let address = listener.local_addr()?;
    let Made { acceptor: tls, der: certificate, .. } =
        make(HOST).context("no certificate for STARTTLS can be made")?;
    let (server, connections, stop) = (shared.clone(), tasks.clone(), shared.stop.clone());
    tasks.spawn(async move {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        stop.run_until_cancelled(async {
            loop {
                // A connection that broke before it was accepted is its client's affair.
                let Ok((stream, _)) = listener.accept().await else { continue };
                let place = places.clone().try_acquire_owned();
                connections.spawn(connection::serve(stream, server.clone(), tls.clone(), place.ok()));
            }
        })
        .await;
    });
    Ok(SmtpDoor { address, certificate })
}
