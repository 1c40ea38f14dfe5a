//! What serves a campaign over one channel: the accounts and senders that it may use, and what its district and its
//! author allow.

use std::fmt;

use crate::limits::DistrictLimit;
use crate::{AccountId, Channel, Lane};

/// An account or a sender as it stands now.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountState {
    pub id: AccountId,
    /// Of a sender: its account.
    pub parent: Option<AccountId>,
    pub name: String,
    /// Does it serve the campaign's district alone?
    pub own: bool,
    /// Now: its own, or less since its provider throttled it.
    pub rate_per_second: Option<f64>,
    pub slowed: bool,
    pub concurrency: Option<u32>,
    pub reserve: u32,
    pub depth: Option<u32>,
    pub stopped: bool,
}

/// What the campaign's own people allow.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct District {
    pub limit: Option<DistrictLimit>,
    /// The campaign's author's.
    pub campaign_rate_per_second: Option<f64>,
}

/// Why nothing can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unserved {
    NoAccount,
    Stopped(Vec<String>),
}

/// What all of them together let through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Capacity {
    /// In the unit that the provider counts. None: no limit.
    pub rate_per_second: Option<f64>,
    /// Attempts under way at once: of voice calls until they end.
    pub places: Option<u32>,
    /// Requests open at once, of channels whose attempts take no place for longer.
    pub requests: Option<u32>,
    /// Jobs, of all the district's campaigns.
    pub district_rate_per_second: Option<f64>,
    pub district_places: Option<u32>,
    /// Jobs, of this campaign.
    pub campaign_rate_per_second: Option<f64>,
    /// What is to be told of it.
    pub notes: Vec<String>,
}

impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAccount => f.write_str("no provider account serves the channel: nothing will be sent"),
            Self::Stopped(names) => {
                write!(
                    f,
                    "stopped, so that nothing will be sent until they are resumed: {}",
                    names.join(", ")
                )
            }
        }
    }
}

impl Capacity {
    /// Of the accounts of `channel`, as release chooses among them: a district that has any of its own uses those only.
    pub fn of(
        channel: Channel,
        lane: Lane,
        accounts: &[AccountState],
        district: District,
    ) -> Result<Self, Unserved> {
        let whole = || accounts.iter().filter(|account| account.parent.is_none());
        let own = whole().any(|account| account.own && !account.stopped);
        let serving = whole().filter(|account| account.own == own && !account.stopped);
        let parts: Vec<Self> =
            serving.filter_map(|account| Self::of_account(channel, lane, account, accounts)).collect();
        if parts.is_empty() {
            let stopped: Vec<String> =
                accounts.iter().filter(|one| one.stopped).map(|one| one.name.clone()).collect();
            return Err(if stopped.is_empty() { Unserved::NoAccount } else { Unserved::Stopped(stopped) });
        }
        let limit = district.limit.filter(|limit| limit.holds_for(lane));
        let mut notes: Vec<String> = parts.iter().flat_map(|part| part.notes.clone()).collect();
        let stopped = accounts.iter().filter(|one| one.stopped);
        notes.extend(stopped.map(|one| format!("{} is stopped and sends nothing", one.name)));
        Ok(Self {
            rate_per_second: sum(parts.iter().map(|part| part.rate_per_second)),
            places: sum(parts.iter().map(|part| part.places)),
            requests: sum(parts.iter().map(|part| part.requests)),
            district_rate_per_second: limit.and_then(|limit| limit.rate_per_second),
            district_places: limit.and_then(|limit| limit.concurrency),
            campaign_rate_per_second: district.campaign_rate_per_second,
            notes,
        })
    }

    /// None: it has senders, and all of them are stopped.
    fn of_account(
        channel: Channel,
        lane: Lane,
        account: &AccountState,
        all: &[AccountState],
    ) -> Option<Self> {
        let senders: Vec<&AccountState> =
            all.iter().filter(|sender| sender.parent == Some(account.id)).collect();
        let sending: Vec<&AccountState> = senders.iter().filter(|sender| !sender.stopped).copied().collect();
        if !senders.is_empty() && sending.is_empty() {
            return None;
        }
        // Without a limit of its own a sender may use all of its account's.
        let of_senders = !sending.is_empty();
        let rates = sum(sending.iter().map(|sender| sender.rate_per_second)).filter(|_| of_senders);
        let concurrencies = sum(sending.iter().map(|sender| sender.concurrency)).filter(|_| of_senders);
        let reserve = if lane == Lane::General { account.reserve } else { 0 };
        let concurrency = account.concurrency.map(|places| places.saturating_sub(reserve));
        let concurrency = smaller(concurrency, concurrencies);
        let calls = channel == Channel::Voice;
        let slowed = std::iter::once(account).chain(sending.iter().copied()).filter(|one| one.slowed);
        Some(Self {
            rate_per_second: smaller(account.rate_per_second, rates),
            places: smaller(concurrency.filter(|_| calls), account.depth),
            requests: concurrency.filter(|_| !calls),
            notes: slowed.map(|one| format!("{} was slowed by its provider lately", one.name)).collect(),
            ..Self::default()
        })
    }

    /// Does nothing limit it but the engine itself?
    pub fn is_unlimited(&self) -> bool {
        let rates = [self.rate_per_second, self.district_rate_per_second, self.campaign_rate_per_second];
        rates.iter().all(Option::is_none) && self.places.is_none() && self.district_places.is_none()
    }
}

/// None as soon as one of them has no limit.
fn sum<T: std::iter::Sum>(limits: impl Iterator<Item = Option<T>>) -> Option<T> {
    limits.sum()
}

fn smaller<T: PartialOrd>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other < one { other } else { one }),
        (one, other) => one.or(other),
    }
}
