//! What `tocsin up` is to do, checked before anything is made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use tocsin_domain::Channel;
use tocsin_providers::Registry;
use tocsin_runtime::Config;
use tocsin_runtime::config::{AccountConfig, ProviderKind};
use tocsin_store::Store;
use tocsin_store::accounts::AccountLimits;
use tocsin_testkit::simulator::Simulator;

use super::{Args, sample};
use crate::client::is_this_machine;
use crate::embedded::DataDirectory;
use crate::exit::Failure;
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
    /// Whoever has an account.
    SignIn,
}

impl Plan {
    pub fn new(args: &Args, config: &Config) -> Result<Self> {
        let listen = args.listen.unwrap_or(config.api.listen);
        if args.sample.is_some() {
            simulators_alone(config)?;
        }
        let access = if args.sign_in { Entry::SignIn } else { Entry::Open };
        if access == Entry::Open {
            nobody_else_reaches(listen, config)?;
        }
        if config.accounts.iter().any(reports) {
            config.require_public_url()?;
        }
        Ok(Self { listen, access, sample: args.sample })
    }
}

/// Simulated providers serve neither people that real ones reach, nor a database that others use.
fn simulators_alone(config: &Config) -> Result<(), Failure> {
    if !config.accounts.is_empty() {
        return Err(Failure::usage(
            "--sample makes simulated providers, and the configuration has accounts at real ones: leave out \
             --sample, or the accounts (--config, TOCSIN_CONFIG)",
        ));
    }
    if config.database_url.is_some() {
        return Err(Failure::usage(
            "--sample makes simulated providers, and others may use the database of DATABASE_URL: unset \
             DATABASE_URL, or leave out --sample",
        ));
    }
    Ok(())
}

/// An open page is for whoever uses this machine. Who comes through a proxy cannot be told from them.
fn nobody_else_reaches(listen: SocketAddr, config: &Config) -> Result<(), Failure> {
    const REMEDY: &str = "and the page would be open to them: add --sign-in, which asks who it is";
    if !listen.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "--listen {listen}: others reach this address, {REMEDY}, or listen on 127.0.0.1"
        )));
    }
    if let Some(url) = &config.public_url
        && !is_this_machine(url)
    {
        return Err(Failure::usage(format!("public_url {url}: others reach this process there, {REMEDY}")));
    }
    if let Some(account) = config.accounts.iter().find(|account| reports(account)) {
        return Err(Failure::usage(format!(
            "accounts.{}: its provider reports to this process, so others reach it too, {REMEDY}",
            account.name
        )));
    }
    Ok(())
}

/// Does its provider call back?
fn reports(account: &AccountConfig) -> bool {
    match account.provider {
        ProviderKind::Twilio | ProviderKind::Mailgun | ProviderKind::Gateway => true,
        // Bounces come from one's own mail server: from another machine only where `--listen` lets it.
        ProviderKind::Smtp | ProviderKind::Inbox => false,
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
    pub fn choose(plan: &Plan, config: &Config, directory: &DataDirectory) -> Result<Self, Failure> {
        match (directory.sample().map(|sample| sample.students), plan.sample) {
            (Some(_), _) if !config.accounts.is_empty() => Err(Failure::usage(format!(
                "the data directory {} holds a sample district with simulated providers, and the configuration has \
                 accounts at real ones: give another directory with --data",
                directory.path().display()
            ))),
            (Some(_), _) if config.database_url.is_some() => Err(Failure::usage(format!(
                "the data directory {} holds a sample district with simulated providers, and others may use the \
                 database of DATABASE_URL: unset DATABASE_URL, or give another directory with --data",
                directory.path().display()
            ))),
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
