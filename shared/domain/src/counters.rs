//! The numbers of the message detail and of the delivery summary, recounted from the rows
//! (requirements 49-55 and 65-74, decisions D1 and D3).
//!
//! The store keeps these numbers as tallies. What stands here is what each of them means, in a form that
//! runs, so that an auditor can recount a campaign and a test can compare (promise 10). A recount holds an
//! entry for each person and each address of its campaign.

mod standing;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{AttemptResult, Channel, Outcome};

pub use standing::{Stage, Standing};

/// A recipient and one of its devices; or a recipient who has none. A person with several devices, or
/// reached on behalf of several students, has several rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// The store's number of the person.
    pub person: i64,
    pub device: Option<Device<'a>>,
}

/// What became of a device: its job and the job's attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device<'a> {
    pub channel: Channel,
    /// Normalised (see [`crate::address`]).
    pub address: &'a str,
    /// The student of its dedupe key: none but where each student has a message of its own (decision D2).
    pub student: Option<i64>,
    /// Marked † or &: an earlier row of the campaign is sent to this device (requirement 63).
    pub duplicate: bool,
    /// Another row to this address, on behalf of another student, stands for it in the totals of addresses.
    pub repeats: bool,
    /// Has the job its final outcome?
    pub ended: bool,
    /// The best outcome so far.
    pub outcome: Option<Outcome>,
    /// The result of each attempt, in their order.
    pub attempts: Vec<AttemptResult>,
    /// From the start of dispatch to the first attempt, if there was one.
    pub first_attempt: Option<Duration>,
}

impl Device<'_> {
    /// Attempts that count (51). One that nobody took, or of which no status ever came back, was not
    /// dispatched as the pages say it (82-86).
    fn dispatched(&self) -> impl Iterator<Item = AttemptResult> {
        self.attempts.iter().copied().filter(|result| *result != AttemptResult::NotDispatched)
    }

    fn stage(&self) -> Stage {
        Stage::of(self.ended, !self.attempts.is_empty())
    }
}

/// Delivery Information of one channel (requirements 51 and 52). Duplicates are in `duplicates` only (63).
///
/// `attempts` = attempts that came to a success, an error or a cancel, and those under way. A device that
/// ended without any such attempt counts once as what its outcome says: canceled before it was tried,
/// expired (an error, decision D12), or not dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryInformation {
    pub channel: Channel,
    /// Total Devices: eligible devices. There may be more of them than recipients.
    pub devices: u64,
    /// Total Attempts, redials included.
    pub attempts: u64,
    /// Total Successful, by the first axis of decision D1.
    pub successful: u64,
    /// Total Error.
    pub error: u64,
    /// Total Canceled.
    pub canceled: u64,
    /// Devices without a final outcome yet.
    pub open: u64,
    pub duplicates: u64,
    /// Devices of which nothing was dispatched: opted out, suppressed, without any status.
    pub not_dispatched: u64,
    /// Devices at which somebody pressed 0 to confirm (75).
    pub confirmed: u64,
    /// First Attempt Duration (52): from the start of dispatch until each device that was to be tried
    /// had been tried once. None until then, and where none was tried.
    pub first_attempt: Option<Duration>,
}

/// The numbers over all channels. An address to which several messages go, one for each student, counts once, and
/// as the one of them that stands for it went; its people count by each of them (docs/adr/0019-totals.md).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// Total Recipients (49, 65): unique people. Two who share a phone are two.
    pub recipients: u64,
    /// Recipients with No Device (50): unique people without any available or selected device.
    pub no_device: u64,
    /// Total Inbox (66): unique inboxes that were delivered to.
    pub inbox: u64,
    /// Total Emails (67): unique addresses, whatever became of them.
    pub emails: u64,
    /// Total Voice (68): unique numbers, whatever became of them.
    pub voice: u64,
    /// Total Text (69): unique numbers, opted out or not.
    pub text: u64,
    /// By decision D3 counted as [`Totals::voice_attempted`].
    pub inbox_attempted: u64,
    /// By decision D3 counted as [`Totals::voice_attempted`].
    pub emails_attempted: u64,
    /// Total Voice Attempted (70): unique numbers without the canceled ones. While a campaign runs,
    /// also without those that were not tried yet.
    pub voice_attempted: u64,
    /// Total Text Attempted (71): as by voice, and without those that opted out.
    pub text_attempted: u64,
    /// Recipients contacted successfully by phone (72): unique people with a call or text that reached a
    /// phone of theirs by rule 75. Of a shared phone everybody counts, though only one row was sent: whoever has
    /// that row, or a duplicate of it.
    pub contacted_by_phone: u64,
    /// Recipients not contacted by phone (73), whom reports mark with an asterisk (62): all others.
    pub not_contacted_by_phone: u64,
    /// Email Delivery Progress (55, 193): of the unique addresses, how many in a hundred have a result,
    /// rounded down. None without emails.
    pub email_progress_percent: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recount {
    pub totals: Totals,
    /// One for each channel that has devices, in the channels' order.
    pub channels: Vec<DeliveryInformation>,
}

/// Total Message Duration (53), End time less Start time (74): from the start of dispatch until nothing
/// more was expected, redials and waits for status included.
pub fn total_duration(started_at: DateTime<Utc>, ended_at: DateTime<Utc>) -> Duration {
    (ended_at - started_at).to_std().unwrap_or_default()
}

/// Counts `rows`, all rows of one campaign in any order.
pub fn recount<'a>(rows: impl IntoIterator<Item = Row<'a>>) -> Recount {
    let mut people: HashMap<i64, Person> = HashMap::new();
    let mut addresses: HashMap<(Channel, &'a str), Standing> = HashMap::new();
    let mut reached: HashSet<Key<'a>> = HashSet::new();
    let mut channels: BTreeMap<Channel, Delivery> = BTreeMap::new();
    for row in rows {
        let person = people.entry(row.person).or_default();
        let Some(device) = row.device else { continue };
        person.has_device = true;
        let key = (device.channel, device.address, device.student);
        if is_phone(device.channel) {
            person.phones.push(key);
        }
        channels.entry(device.channel).or_default().take(&device);
        if device.duplicate {
            continue;
        }
        let standing = Standing::of(device.channel, device.stage(), device.outcome);
        if standing.contacted {
            reached.insert(key);
        }
        let address = addresses.entry((device.channel, device.address)).or_default();
        if !device.repeats {
            *address = address.or(standing);
        }
    }
    Recount {
        totals: totals(&people, &addresses, &reached),
        channels: channels.into_iter().map(|(channel, counted)| counted.finish(channel)).collect(),
    }
}

fn is_phone(channel: Channel) -> bool {
    match channel {
        Channel::Voice | Channel::Sms => true,
        Channel::Email | Channel::Inbox => false,
    }
}

/// The rows of which one is sent: see [`crate::dedupe::DedupeKey`].
type Key<'a> = (Channel, &'a str, Option<i64>);

#[derive(Default)]
struct Person<'a> {
    has_device: bool,
    phones: Vec<Key<'a>>,
}

fn totals(
    people: &HashMap<i64, Person<'_>>,
    addresses: &HashMap<(Channel, &str), Standing>,
    reached: &HashSet<Key<'_>>,
) -> Totals {
    let count = |channel: Channel, counts: fn(&Standing) -> bool| {
        addresses.iter().filter(|((of, _), standing)| *of == channel && counts(standing)).count() as u64
    };
    let all = |_: &Standing| true;
    let attempted = |address: &Standing| address.attempted;
    let was_contacted = |person: &Person<'_>| person.phones.iter().any(|phone| reached.contains(phone));
    let recipients = people.len() as u64;
    let contacted_by_phone = people.values().filter(|person| was_contacted(person)).count() as u64;
    let emails = count(Channel::Email, all);
    let emails_with_result = count(Channel::Email, |address| address.has_result);
    Totals {
        recipients,
        no_device: people.values().filter(|person| !person.has_device).count() as u64,
        inbox: count(Channel::Inbox, |address| address.contacted),
        emails,
        voice: count(Channel::Voice, all),
        text: count(Channel::Sms, all),
        inbox_attempted: count(Channel::Inbox, attempted),
        emails_attempted: count(Channel::Email, attempted),
        voice_attempted: count(Channel::Voice, attempted),
        text_attempted: count(Channel::Sms, attempted),
        contacted_by_phone,
        not_contacted_by_phone: recipients - contacted_by_phone,
        email_progress_percent: progress_percent(emails_with_result, emails),
    }
}

/// Of `addresses`, how many in a hundred have a result, rounded down; None of none.
pub fn progress_percent(with_result: u64, addresses: u64) -> Option<u8> {
    (100 * with_result.min(addresses)).checked_div(addresses).map(|percent| percent as u8)
}

/// One channel's counters under way.
#[derive(Default)]
struct Delivery {
    devices: u64,
    attempts: u64,
    successful: u64,
    error: u64,
    canceled: u64,
    open: u64,
    duplicates: u64,
    not_dispatched: u64,
    confirmed: u64,
    last_first_attempt: Option<Duration>,
    /// Devices that are still to be tried for the first time.
    untried: u64,
}

impl Delivery {
    fn take(&mut self, device: &Device<'_>) {
        if device.duplicate {
            self.duplicates += 1;
            return;
        }
        self.devices += 1;
        self.open += u64::from(!device.ended);
        self.confirmed += u64::from(device.outcome == Some(Outcome::Confirmed));
        self.untried += u64::from(device.stage() == Stage::Untried);
        self.last_first_attempt = self.last_first_attempt.max(device.first_attempt);
        self.attempts += device.dispatched().count() as u64;
        for result in device.dispatched() {
            self.count(result);
        }
        if device.ended && device.dispatched().next().is_none() {
            self.count(device.outcome.map_or(AttemptResult::NotDispatched, Outcome::result));
        }
    }

    fn count(&mut self, result: AttemptResult) {
        match result {
            AttemptResult::Open => {}
            AttemptResult::Successful => self.successful += 1,
            AttemptResult::Error => self.error += 1,
            AttemptResult::Canceled => self.canceled += 1,
            AttemptResult::NotDispatched => self.not_dispatched += 1,
        }
    }

    fn finish(self, channel: Channel) -> DeliveryInformation {
        DeliveryInformation {
            channel,
            devices: self.devices,
            attempts: self.attempts,
            successful: self.successful,
            error: self.error,
            canceled: self.canceled,
            open: self.open,
            duplicates: self.duplicates,
            not_dispatched: self.not_dispatched,
            confirmed: self.confirmed,
            first_attempt: self.last_first_attempt.filter(|_| self.untried == 0),
        }
    }
}

#[cfg(test)]
mod tests;
