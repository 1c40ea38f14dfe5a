//! What is written down of a request, and what is known of an accepted message.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tocsin_domain::Channel;

use super::detection::Detection;
use super::fate::{Fate, Step};

/// One request, as the outside world saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub arrived_at: DateTime<Utc>,
    pub channel: Channel,
    pub kind: Kind,
    /// The attempt's callback token, as it came.
    pub token: Option<String>,
    /// Whom a send or a look-up concerns.
    pub to: Option<String>,
    /// What an accepted send came from: our number, or the sending domain.
    #[serde(default)]
    pub from: Option<String>,
    /// Set exactly when a send was accepted, or a recall named a message that exists.
    pub provider_id: Option<String>,
    /// HTTP status, or over SMTP the reply's code; 0 when the request was left without an answer.
    pub answered: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Send,
    Recall,
    LookUp,
}

/// Numbers an accepted message; part of its vendor id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MessageId(pub u32);

/// A request as it is written down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub channel: Channel,
    pub kind: Kind,
    pub token: Option<&'a str>,
    pub to: Option<&'a str>,
    pub answered: u16,
}

/// What an accepted send adds to its arrival.
#[derive(Debug, Clone, Copy)]
pub(super) struct Acceptance<'a> {
    pub fate: Fate,
    /// The callback address without its token.
    pub callback: &'a str,
    /// Our number, or the sending domain.
    pub origin: &'a str,
    /// The text that a look-up gives back; of a call, where it wants its keys; empty for mails.
    pub body: &'a str,
    pub detection: Detection,
    /// The first message of the same request, if it asks for several.
    pub with: Option<MessageId>,
}

/// One accepted message as the callbacks and look-ups need it.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub id: MessageId,
    pub channel: Channel,
    pub provider_id: String,
    pub arrived_at: DateTime<Utc>,
    pub to: Box<str>,
    pub token: Box<str>,
    pub callback: Arc<str>,
    pub origin: Arc<str>,
    pub body: Arc<str>,
    pub fate: Fate,
    pub step: Step,
    pub detection: Detection,
}
