//! Provider accounts that do not send as they should: said where campaigns are looked at, for it may be why one is slow.

use chrono::{DateTime, Utc};
use tocsin_store::tenant::accounts::{AccountState, ServingAccount};
use tocsin_store::{StoreError, Tenant};

use super::when::{Stamp, Zone};
use super::words;

/// One such account.
pub(super) struct Ailing {
    pub name: String,
    pub channel: &'static str,
    pub words: &'static str,
    /// Why it was stopped.
    pub reason: Option<String>,
    pub since: Option<Stamp>,
    /// Does nothing go out by it until somebody acts?
    pub stopped: bool,
}

pub(super) async fn ailing(
    tenant: &Tenant,
    zone: Zone,
    now: DateTime<Utc>,
) -> Result<Vec<Ailing>, StoreError> {
    let accounts = tenant.accounts().await?;
    Ok(accounts.into_iter().filter_map(|account| Ailing::of(account, zone, now)).collect())
}

impl Ailing {
    /// None: it sends.
    fn of(account: ServingAccount, zone: Zone, now: DateTime<Utc>) -> Option<Self> {
        Some(Self {
            words: words::account(account.state)?,
            name: account.name,
            channel: words::channel(account.channel),
            reason: account.reason,
            since: account.since.map(|at| zone.stamp(at, now)),
            stopped: account.state == AccountState::Stopped,
        })
    }
}
