//! The promises, as far as they can be seen here: one module each. What is watched while a run goes on is kept in
//! [`Watch`]; what is judged when all has come to its end is read from the rows and the providers' ledger.

pub mod barred;
pub mod callbacks;
pub mod calls;
pub mod cancel;
pub mod claims;
pub mod correction;
pub mod counters;
pub mod emergency;
pub mod facts;
pub mod fairness;
pub mod inbox;
pub mod leases;
pub mod limited;
pub mod limits;
pub mod messages;
pub mod open;
pub mod outcome;
pub mod recallable;
pub mod redials;
pub mod senders;
pub mod throttles;
pub mod tokens;
pub mod windows;

use std::fmt;

use chrono::{DateTime, Utc};
use tocsin_worker::stages::Standing;

/// A promise of design.md, section 2, and what depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    NothingLost,
    NothingTwice,
    CancelMeansStop,
    NeverAboveTheLimit,
    EmergencyFirst,
    Fair,
    StaysRecallable,
    CallbacksAreSafe,
    WindowsAreData,
    CountersEqualTheLog,
    /// Who opted out or is suppressed is not contacted.
    NobodyBarred,
    /// Tokens spent are requests and denied claims; what the screen drops costs none.
    TokensAreAccountedFor,
    /// Nothing fails without a fault of the outside world.
    NothingFails,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingLost => "1, nothing lost",
            Self::NothingTwice => "2, nothing twice",
            Self::CancelMeansStop => "3, cancel means stop",
            Self::NeverAboveTheLimit => "4, never above the limit",
            Self::EmergencyFirst => "5, emergency first",
            Self::Fair => "6, fair",
            Self::StaysRecallable => "7, work stays recallable",
            Self::CallbacksAreSafe => "8, late and odd callbacks are safe",
            Self::WindowsAreData => "9, windows are data",
            Self::CountersEqualTheLog => "10, counters equal the log",
            Self::NobodyBarred => "nobody barred is contacted",
            Self::TokensAreAccountedFor => "tokens are accounted for",
            Self::NothingFails => "nothing fails by itself",
        })
    }
}

/// A promise that a run broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub promise: Promise,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "promise {}: {}", self.promise, self.what)
    }
}

impl std::error::Error for Violation {}

pub fn broken(promise: Promise, what: impl Into<String>) -> anyhow::Error {
    Violation { promise, what: what.into() }.into()
}

/// Err if `holds` does not.
pub fn hold(promise: Promise, holds: bool, what: impl FnOnce() -> String) -> anyhow::Result<()> {
    if holds { Ok(()) } else { Err(broken(promise, what())) }
}

/// What is remembered of a run to judge it.
#[derive(Debug, Default)]
pub struct Watch {
    pub tokens: tokens::Tokens,
    pub limits: limits::Spent,
    pub messages: messages::Messages,
    pub leases: leases::Leases,
    pub claims: claims::Claims,
    pub cancels: cancel::Cancels,
    pub throttles: throttles::Throttles,
    pub calls: calls::Calls,
    pub barred: barred::Barred,
    pub fairness: fairness::Fairness,
    pub callbacks: callbacks::Rising,
    pub released: limited::Released,
    pub senders: senders::Senders,
    pub untaken: correction::Untaken,
}

impl Watch {
    /// Tokens that pay a debt are of an account's rate, too.
    pub fn paid(&mut self, before: &[Standing], after: &[Standing], now: DateTime<Utc>) {
        for standing in after {
            let earlier = before.iter().find(|earlier| earlier.account == standing.account);
            let paid = standing.taken - earlier.map_or(0, |earlier| earlier.taken);
            if paid > 0 {
                self.limits.took(standing.account, now, paid);
            }
        }
    }
}
