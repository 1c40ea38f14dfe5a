//! Addresses that are not tried any more, and why (requirements 149, 158 and 167).

use serde::{Deserialize, Serialize};

use crate::consent::ConsentChange;
use crate::state::numbered;
use crate::{Channel, Outcome};

numbered! {
    /// Why an address is suppressed.
    SuppressionReason {
        /// A mail came back for good.
        HardBounce = 1 => "hard_bounce",
        /// Its owner marked a mail as spam.
        Complaint = 2 => "complaint",
        /// Its owner unsubscribed from mails.
        Unsubscribe = 3 => "unsubscribe",
        /// A landline, or another phone that takes no texts.
        NotTextCapable = 4 => "not_text_capable",
        /// Its owner is not to be called.
        DoNotCall = 5 => "do_not_call",
        /// The district wants it so.
        Requested = 6 => "requested",
    }
}

impl SuppressionReason {
    /// What a job to such an address ends with.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::HardBounce => Outcome::Dropped,
            Self::Complaint | Self::Unsubscribe | Self::Requested => Outcome::Suppressed,
            Self::NotTextCapable => Outcome::Ineligible,
            Self::DoNotCall => Outcome::DoNotCall,
        }
    }

    /// The channels whose addresses can have it.
    pub fn channels(self) -> &'static [Channel] {
        match self {
            Self::HardBounce | Self::Complaint | Self::Unsubscribe => &[Channel::Email],
            Self::NotTextCapable => &[Channel::Sms],
            Self::DoNotCall => &[Channel::Voice],
            Self::Requested => &Channel::ALL,
        }
    }
}

/// What a provider tells of an address itself, beyond the one attempt that it reports about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFact {
    /// Consent was withdrawn at the provider: the same as a STOP to us.
    OptedOut,
    Suppress(SuppressionReason),
}

impl AddressFact {
    /// The change of consent that it is; None: it is a suppression.
    pub fn consent(self) -> Option<ConsentChange> {
        match self {
            Self::OptedOut => Some(ConsentChange::Stop),
            Self::Suppress(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AttemptResult;

    #[test]
    fn a_suppressed_job_ends_undispatched_and_no_reason_is_without_a_channel() {
        for reason in SuppressionReason::ALL {
            assert_eq!(reason.outcome().result(), AttemptResult::NotDispatched, "{reason}");
            assert!(!reason.channels().is_empty(), "{reason}");
        }
    }
}
