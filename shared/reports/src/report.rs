//! What a report is made of: what is said of the message as a whole, and the rows.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::counters::{DeliveryInformation, Totals};
use tocsin_domain::window::Zone;
use tocsin_domain::{Channel, Outcome};

use crate::choice::Choice;

/// All but the rows.
#[derive(Debug, Clone)]
pub struct Report {
    pub district: String,
    /// The district's: every time is told in it.
    pub zone: Zone,
    /// The Message ID that users quote.
    pub number: i64,
    pub subject: String,
    /// It went to the district's test people only.
    pub test: bool,
    pub message_type: String,
    /// As users read it.
    pub status: String,
    pub sender: String,
    pub created_at: DateTime<Utc>,
    pub scheduled_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    /// Requirement 192.
    pub canceled: Option<Canceled>,
    /// When its numbers were read, of a message that is not over (191). None of one that is, so that its report is the
    /// same whenever it is made.
    pub as_of: Option<DateTime<Utc>>,
    pub channels: Vec<Channel>,
    pub totals: Totals,
    /// By channel of the message.
    pub delivery: Vec<DeliveryInformation>,
    /// Total Message Duration (53, 74); of a message that is not over, until `as_of`.
    pub duration: Option<Duration>,
    /// First Attempt Duration of the slowest channel (52).
    pub first_attempt: Option<Duration>,
    /// Whom it was for (48, 185): a name and what was chosen.
    pub criteria: Vec<(String, String)>,
    /// What it said.
    pub texts: Vec<Text>,
    pub choice: Choice,
}

impl Report {
    /// What stands at the head of it: nobody takes a test for the message itself.
    pub(crate) fn title(&self) -> &'static str {
        if self.test { "Sent Message Report of a Test" } else { "Sent Message Report" }
    }
}

#[derive(Debug, Clone)]
pub struct Canceled {
    pub at: DateTime<Utc>,
    pub by: Option<String>,
    pub reason: Option<String>,
}

/// One text of the message.
#[derive(Debug, Clone)]
pub struct Text {
    /// Whom it is for: its language and channel.
    pub heading: String,
    pub subject: Option<String>,
    /// Of calls: the recording that is played in place of the body.
    pub audio_url: Option<String>,
    /// Names of the files that go along.
    pub attachments: Vec<String>,
    pub body: String,
}

/// A recipient and one of its devices, or a recipient without any. Rows of one person follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub person: Person,
    pub recipient: String,
    pub student: Option<String>,
    pub device: Option<Device>,
}

/// The store's number of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person(pub i64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub channel: Channel,
    pub address: String,
    /// An earlier row of the message is sent to this device (63).
    pub duplicate: bool,
    /// Has it its final outcome?
    pub ended: bool,
    /// The best so far.
    pub outcome: Option<Outcome>,
    /// Of a duplicate: the outcome of the row that is sent in its place.
    pub sent_outcome: Option<Outcome>,
    /// The provider's own word.
    pub provider_code: Option<String>,
    /// Of the last status; until there is one, of the latest attempt.
    pub time: Option<DateTime<Utc>>,
}

impl Device {
    /// What became of the device itself, whichever row was sent there.
    fn reached_as(&self) -> Option<Outcome> {
        if self.duplicate { self.sent_outcome } else { self.outcome }
    }

    /// Rule 75; of the phone channels this decides who is contacted by phone (72, 73).
    pub(crate) fn contacts_by_phone(&self) -> bool {
        match self.channel {
            Channel::Voice | Channel::Sms => self.reached_as().is_some_and(Outcome::contacted),
            Channel::Email | Channel::Inbox => false,
        }
    }

    /// Did the delivery fail, by the first axis of decision D1? A canceled one did not (19). A device that two people
    /// share failed for both.
    pub(crate) fn failed(&self) -> bool {
        let over = self.ended || self.duplicate;
        let error = |outcome: Outcome| outcome.result() == tocsin_domain::AttemptResult::Error;
        over && self.reached_as().is_some_and(error)
    }
}
