//! Signatures that were used, for vendors whose signature does not cover what it signs (wire B.2): whoever has seen one
//! could put another body beside it. Each is taken once.
//!
//! As many are kept as fit, the newest: what is forgotten, or was seen by another process, is bounded by the age that
//! the adapter accepts.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

/// Some 6 MiB.
const KEPT_MAX: usize = 100_000;

/// Stands for what makes a signature unlike any other of its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 16]);

impl Signature {
    pub fn of(account: &str, nonce: &str) -> Self {
        let digest = Sha256::new().chain_update(account).chain_update([0]).chain_update(nonce).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }
}

#[derive(Debug, Default)]
pub struct Seen(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    all: HashSet<Signature>,
    /// Oldest first.
    order: VecDeque<Signature>,
}

impl Seen {
    pub fn contains(&self, signature: Signature) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all.contains(&signature)
    }

    /// Kept only when its callback was taken: one that was not is posted again under the same signature.
    pub fn keep(&self, signature: Signature) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.all.insert(signature) {
            return;
        }
        kept.order.push_back(signature);
        if kept.order.len() > KEPT_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.all.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_known_until_it_is_among_the_oldest_and_belongs_to_its_account() {
        let seen = Seen::default();
        let signature = |number: usize| Signature::of("mail", &number.to_string());
        for number in 0..=KEPT_MAX {
            seen.keep(signature(number));
            seen.keep(signature(number));
        }
        assert!(!seen.contains(signature(0)));
        assert!(seen.contains(signature(1)) && seen.contains(signature(KEPT_MAX)));
        assert!(!seen.contains(Signature::of("other", "1")));
    }
}
