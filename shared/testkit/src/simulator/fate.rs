//! What can become of a call, a text or a mail, and the steps a vendor reports on the way.

use serde::{Deserialize, Serialize};
use tocsin_domain::Channel;

/// Drawn when the request is accepted; `invalid` and `opted_out` are refused instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    // Calls. With `completed` nobody says who answered.
    Completed,
    Human,
    /// A person who presses 0 where the call asks for it.
    Confirmed,
    Machine,
    Fax,
    Busy,
    NoAnswer,
    // Texts.
    Undelivered,
    /// No phone that takes texts, as the carrier finds out.
    Landline,
    /// Taken by the carrier, and never heard of again.
    Sent,
    OptedOut,
    // Mails.
    Bounced,
    /// Refused for a time, then delivered.
    SoftBounced,
    /// Not sent because the vendor suppresses the address.
    Dropped,
    Rejected,
    Opened,
    /// Delivered, then marked as spam.
    Complained,
    /// Delivered, then bounced after all.
    DelayedBounce,
    // Several channels.
    Delivered,
    Failed,
    Invalid,
    /// Accepted, and nothing is ever reported.
    Silent,
}

/// What an attempt has come to. Ordered: an attempt never goes back to a lesser step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    Queued,
    Initiated,
    Ringing,
    Answered,
    /// Who answered is known; the call goes on.
    Detected,
    /// Somebody pressed 0; the call goes on.
    Pressed,
    Sent,
    SoftBounced,
    Completed,
    Busy,
    NoAnswer,
    Canceled,
    Failed,
    Undelivered,
    Rejected,
    Dropped,
    Delivered,
    Opened,
    Bounced,
    Complained,
}

impl Step {
    pub(super) fn is_final(self) -> bool {
        self > Self::SoftBounced
    }
}

impl Fate {
    pub(super) fn default_for(channel: Channel) -> Self {
        match channel {
            Channel::Voice => Self::Completed,
            Channel::Sms | Channel::Email | Channel::Inbox => Self::Delivered,
        }
    }

    pub(super) fn fits(self, channel: Channel) -> bool {
        let channels: &[Channel] = match self {
            Self::Completed
            | Self::Human
            | Self::Confirmed
            | Self::Machine
            | Self::Fax
            | Self::Busy
            | Self::NoAnswer => &[Channel::Voice],
            Self::Undelivered | Self::Landline | Self::Sent | Self::OptedOut => &[Channel::Sms],
            Self::Bounced
            | Self::SoftBounced
            | Self::Dropped
            | Self::Rejected
            | Self::Opened
            | Self::Complained
            | Self::DelayedBounce => &[Channel::Email],
            Self::Delivered => &[Channel::Sms, Channel::Email],
            Self::Failed => &[Channel::Voice, Channel::Sms],
            Self::Invalid | Self::Silent => &[Channel::Voice, Channel::Sms, Channel::Email],
        };
        channels.contains(&channel)
    }

    /// The steps in their order.
    pub(super) fn steps(self, channel: Channel) -> &'static [Step] {
        use Step::{
            Answered, Bounced, Busy, Complained, Completed, Delivered, Dropped, Failed, Initiated, NoAnswer,
            Opened, Pressed, Rejected, Ringing, Sent, SoftBounced, Undelivered,
        };
        match self {
            Self::Completed | Self::Human | Self::Machine | Self::Fax => {
                &[Initiated, Ringing, Answered, Completed]
            }
            Self::Confirmed => &[Initiated, Ringing, Answered, Pressed, Completed],
            Self::Busy => &[Initiated, Ringing, Busy],
            Self::NoAnswer => &[Initiated, Ringing, NoAnswer],
            Self::Failed if channel == Channel::Voice => &[Initiated, Failed],
            Self::Failed => &[Failed],
            Self::Delivered if channel == Channel::Sms => &[Sent, Delivered],
            Self::Delivered => &[Delivered],
            Self::Undelivered => &[Sent, Undelivered],
            Self::Landline => &[Undelivered],
            Self::Sent => &[Sent],
            Self::Bounced => &[Bounced],
            Self::SoftBounced => &[SoftBounced, Delivered],
            Self::Dropped => &[Dropped],
            Self::Rejected => &[Rejected],
            Self::Opened => &[Delivered, Opened],
            Self::Complained => &[Delivered, Complained],
            Self::DelayedBounce => &[Delivered, Bounced],
            Self::Silent | Self::Invalid | Self::OptedOut => &[],
        }
    }

    /// In the words of a detection that waits for the end of the greeting.
    pub(super) fn answered_by(self) -> Option<&'static str> {
        match self {
            Self::Human | Self::Confirmed => Some("human"),
            Self::Machine => Some("machine_end_beep"),
            Self::Fax => Some("fax"),
            Self::Completed
            | Self::Busy
            | Self::NoAnswer
            | Self::Undelivered
            | Self::Landline
            | Self::Sent
            | Self::OptedOut
            | Self::Bounced
            | Self::SoftBounced
            | Self::Dropped
            | Self::Rejected
            | Self::Opened
            | Self::Complained
            | Self::DelayedBounce
            | Self::Delivered
            | Self::Failed
            | Self::Invalid
            | Self::Silent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reported_fate_but_a_lone_sent_ends_in_a_final_step() {
        for channel in [Channel::Voice, Channel::Sms, Channel::Email] {
            for name in [
                "completed",
                "human",
                "confirmed",
                "machine",
                "fax",
                "busy",
                "no_answer",
                "undelivered",
                "landline",
                "bounced",
                "soft_bounced",
                "dropped",
                "rejected",
                "opened",
                "complained",
                "delayed_bounce",
                "delivered",
                "failed",
            ] {
                let fate: Fate = serde_json::from_value(name.into()).unwrap();
                if fate.fits(channel) {
                    let steps = fate.steps(channel);
                    assert!(steps.is_sorted() && steps.last().is_some_and(|step| step.is_final()), "{name}");
                }
            }
        }
    }
}
