//! A text that a person sent to one of our numbers, and how its vendor wants it answered.

use std::fmt;

use sha2::{Digest as _, Sha256};
use tocsin_domain::consent::keyword::Keyword;
use uuid::Uuid;

/// An inbound text. Its `Debug` hides sender and body.
#[derive(Clone, PartialEq, Eq)]
pub struct InboundText {
    /// The vendor's id of the text, the same in every copy of it.
    pub id: String,
    /// The sender, in E.164.
    pub from: String,
    pub body: String,
    /// What the vendor took it for, where it says so. It outranks the body.
    pub taken_for: Option<Keyword>,
}

impl fmt::Debug for InboundText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundText").field("id", &self.id).finish_non_exhaustive()
    }
}

impl InboundText {
    /// Names the text among all events: a copy that the vendor posts again has the same.
    pub fn event_id(&self, account: &str) -> Uuid {
        let digest = Sha256::new().chain_update(account).chain_update([0]).chain_update(&self.id).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}

/// What the vendor hears, with status 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub content_type: &'static str,
    pub body: String,
}
