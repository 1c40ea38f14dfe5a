//! A number that its provider refuses is stopped: no job is released to it until it serves again.

use std::collections::BTreeSet;

use anyhow::Result;
use tocsin_domain::AccountId;

use super::{Promise, hold};
use crate::broker::PublishedJob;

#[derive(Debug, Default)]
pub struct Senders {
    stopped: BTreeSet<AccountId>,
}

impl Senders {
    /// A worker has heard that the number's provider refuses it.
    pub fn refused(&mut self, sender: AccountId) {
        self.stopped.insert(sender);
    }

    /// All of them serve again.
    pub fn resumed(&mut self) -> impl Iterator<Item = AccountId> {
        std::mem::take(&mut self.stopped).into_iter()
    }

    pub fn is_stopped(&self, sender: AccountId) -> bool {
        self.stopped.contains(&sender)
    }

    pub fn released(&self, published: &[PublishedJob]) -> Result<()> {
        let to_stopped = published.iter().find(|job| self.stopped.contains(&job.account));
        hold(Promise::NeverAboveTheLimit, to_stopped.is_none(), || {
            format!("{to_stopped:?} was released to a number that is stopped")
        })
    }
}
