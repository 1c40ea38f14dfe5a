//! How many callbacks went which way, since this process started.

use std::sync::atomic::{AtomicU64, Ordering};

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, count: usize) {
        self.add_all(count as u64);
    }

    pub(crate) fn add_all(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// What ingress answered, by reason, and what apply made of it.
#[derive(Debug, Default)]
pub struct Counts {
    /// Taken: the broker has it.
    pub taken: Counter,
    /// Of these, callbacks that came again under a signature that was taken before. They are not published again.
    pub repeated: Counter,
    /// No account of that name is configured.
    pub unknown_account: Counter,
    /// What stands where the token should is none.
    pub malformed_token: Counter,
    /// A token that was not minted with our keys.
    pub forged_token: Counter,
    /// Not signed by the provider, or too old.
    pub unverified: Counter,
    /// The body was too large or broke off.
    pub unreadable: Counter,
    /// The broker did not confirm in time.
    pub unavailable: Counter,
    /// Verified callbacks that the provider's adapter could not understand.
    pub unparsed: Counter,
    /// Reports whose status nobody has mapped (decision D8), or that the provider itself calls unknown.
    pub unmapped: Counter,
    /// Reports kept without an attempt.
    pub unmatched: Counter,
    /// Of these, reports that found their attempt later.
    pub rematched: Counter,
    /// Attempts whose row a report changed.
    pub changed: Counter,
    /// Addresses that reports suppressed or opted out.
    pub suppressed: Counter,
    /// Consents that texts moved.
    pub consents_moved: Counter,
    /// Addresses that unsubscribed from mails of one type.
    pub unsubscribed: Counter,
    /// Texts that speak of stopping in words of their own.
    pub for_review: Counter,
    /// Messages on a status queue that were no callback.
    pub dead_letters: Counter,
}
