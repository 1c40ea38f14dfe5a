//! Callbacks as metrics: by account, and how long they took to be applied.

use chrono::{DateTime, Utc};
use tocsin_domain::Lane;
use tocsin_providers::{Registry, TokenError};
use tocsin_queue::Queue;
use tocsin_runtime::metrics::{CALLBACK_LAG, CALLBACKS};
use tocsin_store::events::{About, Event};

use crate::ingress::Refusal;

/// Where no account is known by the name that a request gives, or a reader clicked: names are not taken from strangers.
const NO_ACCOUNT: &str = "";

/// Counters begin at zero, or nobody could tell that the first one is one more.
pub fn begin(registry: &Registry) {
    for lane in Lane::ALL {
        CALLBACK_LAG.of([lane.as_str()]);
    }
    for account in registry.names() {
        for result in ["taken", "unverified", "applied", "unmatched", "unparsed"] {
            CALLBACKS.of([&account, result]);
        }
    }
    for result in ["unknown_account", "malformed_token", "forged_token", "unavailable", "dead_letter"] {
        CALLBACKS.of([NO_ACCOUNT, result]);
    }
}

pub fn taken(registry: &Registry, account: &str) {
    count(registry, account, "taken");
}

pub fn repeated(account: &str) {
    CALLBACKS.of([account, "repeated"]).one();
}

pub fn refused(registry: &Registry, account: &str, refusal: &Refusal) {
    let result = match refusal {
        Refusal::UnknownAccount => "unknown_account",
        Refusal::Token(TokenError::Malformed) => "malformed_token",
        Refusal::Token(TokenError::Forged) => "forged_token",
        Refusal::Unreadable | Refusal::NoClick => "unreadable",
        Refusal::Unverified(_) => "unverified",
        Refusal::Unavailable => "unavailable",
    };
    count(registry, account, result);
}

/// What was verified, and nobody understands or can read.
pub fn odd(account: &str, result: &'static str, reports: usize) {
    CALLBACKS.of([account, result]).add(reports as u64);
}

pub fn dead_letter() {
    CALLBACKS.of([NO_ACCOUNT, "dead_letter"]).one();
}

/// These events are written.
pub fn applied(events: &[Event], queue: Queue, now: DateTime<Utc>) {
    let lag = match queue {
        Queue::Status(lane) => Some(CALLBACK_LAG.of([lane.as_str()])),
        _ => None,
    };
    for event in events {
        let result = match event.about {
            About::Attempt(_) | About::Nothing => "applied",
            About::Missing(_) => "unmatched",
        };
        CALLBACKS.of([&event.account, result]).one();
        if let Some(lag) = &lag {
            lag.observe((now - event.received_at).as_seconds_f64().max(0.0));
        }
    }
}

fn count(registry: &Registry, account: &str, result: &'static str) {
    let account = if registry.get(account).is_some() { account } else { NO_ACCOUNT };
    CALLBACKS.of([account, result]).one();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_stranger_gives_is_no_label() {
        let registry = Registry::build(Vec::new()).unwrap();
        refused(&registry, "no-such-account", &Refusal::UnknownAccount);
        assert!(CALLBACKS.of([NO_ACCOUNT, "unknown_account"]).get() >= 1);
        let shown = tocsin_runtime::metrics::text(&[&CALLBACKS], tocsin_runtime::metrics::Format::Classic);
        assert!(!shown.contains("no-such-account"), "{shown}");
    }
}
