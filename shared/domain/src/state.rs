//! The states of campaign, job and attempt. docs/STATES.md draws how one follows another.

use serde::{Deserialize, Serialize};

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal => $text:literal,)* }) => {
        $(#[$doc])*
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(i16)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The number this state is stored as.
            pub fn number(self) -> i16 {
                self as i16
            }

            pub fn from_number(number: i16) -> Option<Self> {
                Self::ALL.iter().copied().find(|state| state.number() == number)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use numbered;

numbered! {
    /// Where a campaign stands (requirements 2-12, 16).
    CampaignState {
        /// Its time has not come.
        Scheduled = 1 => "scheduled",
        /// The audience is being turned into recipients and jobs. Nobody has been reached yet,
        /// but for an emergency, which turns to Sending with its first release.
        Processing = 2 => "processing",
        /// Jobs are being released.
        Sending = 3 => "sending",
        /// A cancel is committed; what is already with the providers is being recalled.
        Canceling = 4 => "canceling",
        /// Ended, at least one device was tried without error, or none was to be tried.
        Sent = 5 => "sent",
        /// Ended, and every attempt came to an error.
        Errored = 6 => "errored",
        Canceled = 7 => "canceled",
        /// Ended with an empty audience: a valid end, not an error (requirement 190).
        NoRecipients = 8 => "no_recipients",
        /// Could not be expanded; nobody was reached (requirement 11).
        Failed = 9 => "failed",
        /// Canceled before it left Processing: off the lists, its audit entry stays (decision D4).
        Discarded = 10 => "discarded",
    }
}

impl CampaignState {
    /// May a job of this campaign be claimed?
    pub fn may_claim(self) -> bool {
        matches!(self, Self::Sending)
    }

    /// Has the campaign come to its end?
    pub fn is_final(self) -> bool {
        match self {
            Self::Scheduled | Self::Processing | Self::Sending | Self::Canceling => false,
            Self::Sent
            | Self::Errored
            | Self::Canceled
            | Self::NoRecipients
            | Self::Failed
            | Self::Discarded => true,
        }
    }
}

numbered! {
    /// Where a job stands. Its row is written when it is released, claimed and ended.
    JobState {
        /// Waits for its `due_at`, with a reason.
        Waiting = 1 => "waiting",
        /// Released: a message of its present generation is, or will be, on the queue.
        Queued = 2 => "queued",
        /// Its latest attempt is asking, accepted or unknown.
        Claimed = 3 => "claimed",
        /// Has its final outcome.
        Ended = 4 => "ended",
    }
}

numbered! {
    /// Where one attempt stands at its provider.
    AttemptState {
        /// Claimed, the provider's answer still open: in flight.
        Asking = 1 => "asking",
        /// The provider holds it; its outcome is still to come.
        Accepted = 2 => "accepted",
        /// Nothing more is expected; later reports may still raise its outcome.
        Settled = 3 => "settled",
        /// Nobody can say whether the provider was asked. Not an error and not retryable by itself.
        Unknown = 4 => "unknown",
    }
}

numbered! {
    /// Why a waiting job waits.
    WaitReason {
        /// Not yet tried; waits for its turn.
        Turn = 1 => "turn",
        /// Its last attempt came to a redialable outcome.
        Redial = 2 => "redial",
        /// The provider was busy or down: tried again, no attempt used up.
        ProviderBusy = 3 => "provider_busy",
        /// No permit came within its time: gave way to others.
        Limiter = 4 => "limiter",
        /// Its claim was too late to be sent: nobody was asked.
        NotAsked = 5 => "not_asked",
        /// The broker lost or refused its message.
        Republish = 6 => "republish",
        /// Emergency only: its last attempt stayed unknown past the doubt period.
        Doubt = 7 => "doubt",
        /// Outside the hours in which its recipient may be contacted.
        Window = 8 => "window",
        /// No account serves its channel.
        NoAccount = 9 => "no_account",
        /// Neither its recipient's time zone is known nor its district's (decision D10).
        ZoneUnknown = 10 => "zone_unknown",
        /// An operator stopped the sending of its district, or of all.
        Stopped = 11 => "stopped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Channel, Lane};

    macro_rules! assert_names_and_numbers {
        ($($name:ident),*) => {$(
            for state in $name::ALL.iter().copied() {
                assert_eq!($name::from_number(state.number()), Some(state));
                assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
                assert_eq!(state.to_string(), state.as_str());
            }
            assert_eq!($name::from_number(0), None);
            assert_eq!($name::from_number(99), None);
        )*};
    }

    #[test]
    fn numbers_and_names_are_read_back() {
        assert_names_and_numbers!(CampaignState, JobState, AttemptState, WaitReason, Channel, Lane);
        for channel in Channel::ALL {
            assert_eq!(channel.as_str().parse(), Ok(channel));
        }
        for lane in Lane::ALL {
            assert_eq!(lane.as_str().parse(), Ok(lane));
        }
        assert!("fax".parse::<Channel>().is_err() && "urgent".parse::<Lane>().is_err());
    }

    #[test]
    fn jobs_are_claimed_only_while_sending_and_never_at_the_end() {
        for state in CampaignState::ALL {
            assert_eq!(state.may_claim(), *state == CampaignState::Sending);
            assert!(!(state.may_claim() && state.is_final()));
        }
    }
}
