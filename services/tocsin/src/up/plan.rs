//! What `tocsin up` is to do, checked before anything is made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Result, bail};
use tocsin_domain::Channel;
use tocsin_providers::Registry;
use tocsin_runtime::Config;
use tocsin_store::Store;
use tocsin_store::accounts::AccountLimits;
use tocsin_testkit::simulator::Simulator;

use super::{Args, sample};
use crate::embedded::DataDirectory;
use crate::{roles, system};

#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub listen: SocketAddr,
    pub access: Entry,
    sample: Option<u32>,
}

/// Who may use the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Whoever uses this machine.
    Open,
    /// Whoever has an API key.
    SignIn,
}

impl Plan {
    pub fn new(args: &Args, config: &Config) -> Result<Self> {
        let listen = args.listen.unwrap_or(config.api.listen);
        if !listen.ip().is_loopback() && !args.sign_in {
            bail!(
                "--listen {listen}: others reach this address, and the page would be open to them: add --sign-in, \
                 which asks for an API key, or listen on 127.0.0.1"
            );
        }
        if args.sample.is_some() && !config.accounts.is_empty() {
            bail!(
                "--sample makes simulated providers, and the configuration has accounts at real ones: leave out \
                 --sample, or the accounts (--config, TOCSIN_CONFIG)"
            );
        }
        let access = if args.sign_in { Entry::SignIn } else { Entry::Open };
        Ok(Self { listen, access, sample: args.sample })
    }
}

/// Where this machine finds what listens on `address`.
pub fn local_url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// Who is asked to call, text and mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Providers {
    /// The simulator: only ever with a sample district.
    Simulated { students: u32 },
    /// The configured accounts.
    Configured,
    /// Nobody: the portal inbox needs no provider.
    InboxOnly,
}

impl Providers {
    /// A directory that was begun with a sample goes on with it.
    pub fn choose(plan: &Plan, config: &Config, directory: &DataDirectory) -> Result<Self> {
        match (directory.sample().map(|sample| sample.students), plan.sample) {
            (Some(_), _) if !config.accounts.is_empty() => bail!(
                "the data directory {} holds a sample district with simulated providers, and the configuration has \
                 accounts at real ones: give another directory with --data",
                directory.path().display()
            ),
            (Some(students), _) | (None, Some(students)) => Ok(Self::Simulated { students }),
            (None, None) if config.accounts.is_empty() => Ok(Self::InboxOnly),
            (None, None) => Ok(Self::Configured),
        }
    }

    pub fn registry(self, config: &Config, simulator: Option<&Simulator>) -> Result<Arc<Registry>> {
        let simulated = simulator.map(|simulator| {
            let accounts = Channel::ALL.into_iter().filter_map(|channel| simulator.account(channel));
            accounts.collect()
        });
        Ok(Arc::new(match simulated {
            Some(accounts) => Registry::build(accounts)?,
            None => roles::registry(config)?,
        }))
    }

    pub async fn limits(self, config: &Config, store: &Store) -> Result<Vec<AccountLimits>> {
        Ok(match self {
            Self::Simulated { .. } => {
                let limits = sample::limits();
                Channel::ALL.into_iter().map(|channel| system::account_limits(channel, &limits)).collect()
            }
            Self::Configured => roles::configured_limits(config, store).await?,
            Self::InboxOnly => vec![system::account_limits(Channel::Inbox, &[])],
        })
    }
}
