//! Webhooks to a district's own systems (Standard Webhooks): which events there are, when one is tried again, and when an
//! endpoint is given up.

mod facts;
mod pass;
mod retry;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::facts::{CampaignFacts, CampaignNews, FACTS_ALL};
pub use self::pass::{Pass, REVISED_FOR, next_pass};
pub use self::retry::{
    ATTEMPTS_MAX, Answer, DisabledReason, FAILING_FOR_MAX, Fault, HOLD_MIN, NextTry, gives_up, next_try,
};

use crate::{Channel, Outcome};

/// Endpoints of one district.
pub const ENDPOINTS_MAX: usize = 20;
/// Devices told of in one event: so many are less than 20 KB, what receivers are asked to take at most.
pub const DEVICES_MAX: usize = 75;
/// A body is shorter than this.
pub const BODY_BYTES_MAX: usize = 20_000;

macro_rules! events {
    ($($(#[doc = $doc:literal])* $name:ident => $text:literal, $tells:literal;)*) => {
        /// What may be told of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventType { $($(#[doc = $doc])* $name),* }

        impl EventType {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name, which stays as it is.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// As a user reads it.
            pub fn tells(self) -> &'static str {
                match self { $(Self::$name => $tells),* }
            }
        }
    };
}

events! {
    CampaignAccepted => "campaign.accepted", "A campaign was stored: it is scheduled, or begins at once";
    CampaignSending => "campaign.sending", "The first messages of a campaign were released";
    CampaignCanceling => "campaign.canceling", "Somebody canceled a campaign";
    CampaignCanceled => "campaign.canceled", "A cancel is through: nothing more is sent";
    CampaignCompleted => "campaign.completed", "A campaign came to its end";
    CampaignFailed => "campaign.failed", "A campaign failed before it reached anyone";
    CampaignClosed => "campaign.closed", "Every device of a campaign has its outcome";
    DeviceOutcome => "device.outcome", "Devices have their final outcome, or a late report changed it";
    ApprovalRequested => "approval.requested", "An emergency waits for a second person";
    /// Sent when somebody asks for it; nobody subscribes to it.
    WebhookTest => "webhook.test", "A test that somebody asked for";
}

impl EventType {
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.as_str() == name)
    }

    /// Those that an endpoint asks for.
    pub fn asked_for() -> Vec<Self> {
        Self::ALL.iter().copied().filter(|event| *event != Self::WebhookTest).collect()
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// By which key of the configuration an endpoint's secret is made, and which of its secrets it is. The secret itself is
/// kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    pub key: String,
    pub number: i32,
}

/// What a device came to: nothing by which somebody could be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceNews {
    pub job: i32,
    pub recipient: i32,
    pub channel: Channel,
    pub outcome: Outcome,
    pub ended_at: DateTime<Utc>,
    /// What was told before; it changed by a late report.
    pub before: Option<Outcome>,
}

crate::state::numbered! {
    /// Where a delivery stands: one event on its way to one endpoint.
    DeliveryState {
        /// Is sent, for the first time or again, when its time has come and its endpoint is enabled.
        Waiting = 1 => "waiting",
        /// The endpoint took it.
        Delivered = 2 => "delivered",
        /// Given up.
        Failed = 3 => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_the_standards_letters_and_lead_back() {
        for event in EventType::ALL {
            assert_eq!(EventType::named(event.as_str()), Some(*event));
            let shaped = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || byte == b'.';
            assert!(event.as_str().bytes().all(shaped), "{event}");
        }
        assert_eq!(EventType::named("campaign.*"), None);
        assert!(!EventType::asked_for().contains(&EventType::WebhookTest));
    }
}
