//! Every request that arrived, and every message that was accepted, kept small: a million of them
//! fit in 200 MB.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tocsin_domain::Channel;

use super::detection::Detection;
use super::fate::{Fate, Step};
use super::record::{Acceptance, Arrival, Kind, MessageId, Record, Snapshot};

/// Texts that differ for every recipient would need more room than all the rest.
const TEXTS_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct Ledger {
    /// Tells this run's ids from another's.
    run: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Entry>,
    messages: Vec<Message>,
    texts: Texts,
}

#[derive(Debug)]
struct Entry {
    arrived_micros: i64,
    token: Option<Box<str>>,
    to: Option<Box<str>>,
    message: Option<u32>,
    answered: u16,
    channel: Channel,
    kind: Kind,
}

#[derive(Debug)]
struct Message {
    entry: u32,
    callback: u32,
    origin: u32,
    body: u32,
    fate: Fate,
    step: Step,
    detection: Detection,
    ended: bool,
    /// The first message of its request, whose vendor id all of them have.
    first: u32,
}

/// Texts that many messages share, each kept once.
#[derive(Debug, Default)]
struct Texts {
    all: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Texts {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let (text, number): (Arc<str>, u32) = (text.into(), self.all.len() as u32);
        self.all.push(text.clone());
        self.numbers.insert(text, number);
        number
    }

    /// The number of `text`, or of the empty text when too many are kept already.
    fn number_within(&mut self, text: &str, max: usize) -> u32 {
        let full = self.all.len() >= max && !self.numbers.contains_key(text);
        self.number(if full { "" } else { text })
    }

    fn text(&self, number: u32) -> Arc<str> {
        self.all[number as usize].clone()
    }
}

impl Ledger {
    pub(super) fn new(started_at: DateTime<Utc>) -> Self {
        Self { run: started_at.timestamp_micros() as u64, inner: Mutex::default() }
    }

    /// Writes down a request that creates nothing. `about` is the message that it names.
    pub(super) fn arrived(&self, at: DateTime<Utc>, arrival: Arrival<'_>, about: Option<MessageId>) {
        self.lock().enter(at, arrival, about.map(|id| id.0));
    }

    /// Writes down a send and creates its message, in one step: neither is ever seen without the other.
    pub(super) fn accepted(
        &self,
        at: DateTime<Utc>,
        arrival: Arrival<'_>,
        acceptance: Acceptance<'_>,
    ) -> Snapshot {
        let mut inner = self.lock();
        let number = inner.messages.len() as u32;
        let entry = inner.enter(at, arrival, Some(number));
        let message = Message {
            entry,
            callback: inner.texts.number(acceptance.callback),
            origin: inner.texts.number(acceptance.origin),
            body: inner.texts.number_within(acceptance.body, TEXTS_MAX),
            fate: acceptance.fate,
            step: Step::Queued,
            detection: acceptance.detection,
            ended: false,
            first: acceptance.with.map_or(number, |first| first.0),
        };
        inner.messages.push(message);
        self.snapshot(&inner, number)
    }

    pub(super) fn message(&self, id: MessageId) -> Option<Snapshot> {
        let inner = self.lock();
        ((id.0 as usize) < inner.messages.len()).then(|| self.snapshot(&inner, id.0))
    }

    /// The message of a vendor id of this run.
    pub(super) fn find(&self, provider_id: &str) -> Option<Snapshot> {
        let hex = provider_id.get(2..)?;
        let (run, number) = hex.split_at_checked(16)?;
        if u64::from_str_radix(run, 16).ok()? != self.run {
            return None;
        }
        let id = MessageId(u32::from_str_radix(number, 16).ok()?);
        self.message(id).filter(|found| found.provider_id == provider_id)
    }

    /// The newest messages to `to`, newest first.
    pub(super) fn sent_to(&self, channel: Channel, to: &str, max: usize) -> Vec<Snapshot> {
        let inner = self.lock();
        let of_number = |message: &Message| {
            let entry = &inner.entries[message.entry as usize];
            entry.channel == channel && entry.to.as_deref() == Some(to)
        };
        let newest_first = inner.messages.iter().enumerate().rev();
        newest_first
            .filter(|(_, message)| of_number(message))
            .take(max)
            .map(|(number, _)| self.snapshot(&inner, number as u32))
            .collect()
    }

    /// The message has come to `step`. None when it was ended at another before, so that nothing more comes
    /// of it.
    pub(super) fn advance(&self, id: MessageId, step: Step) -> Option<Snapshot> {
        let mut inner = self.lock();
        let message = inner.messages.get_mut(id.0 as usize)?;
        if message.ended && step != message.step {
            return None;
        }
        message.step = message.step.max(step);
        Some(self.snapshot(&inner, id.0))
    }

    /// Ends a message that is at one of the steps `from` at the step `at`. False when it is at none of them.
    pub(super) fn end(&self, id: MessageId, from: &[Step], at: Step) -> bool {
        let mut inner = self.lock();
        match inner.messages.get_mut(id.0 as usize) {
            Some(message) if from.contains(&message.step) => {
                message.step = at;
                message.ended = true;
                true
            }
            Some(_) | None => false,
        }
    }

    /// At most `max` records from the one numbered `from` on.
    pub(super) fn records(&self, from: usize, max: usize) -> Vec<Record> {
        let inner = self.lock();
        inner.entries.iter().skip(from).take(max).map(|entry| self.record(&inner, entry)).collect()
    }

    /// How many requests of each kind were answered how.
    pub(super) fn counts(&self) -> HashMap<(Channel, Kind, u16), u64> {
        let mut counts = HashMap::new();
        for entry in &self.lock().entries {
            *counts.entry((entry.channel, entry.kind, entry.answered)).or_default() += 1;
        }
        counts
    }

    fn record(&self, inner: &Inner, entry: &Entry) -> Record {
        Record {
            arrived_at: DateTime::from_timestamp_micros(entry.arrived_micros).unwrap_or_default(),
            channel: entry.channel,
            kind: entry.kind,
            token: entry.token.as_deref().map(str::to_owned),
            to: entry.to.as_deref().map(str::to_owned),
            from: entry
                .message
                .map(|number| inner.texts.text(inner.messages[number as usize].origin).to_string()),
            provider_id: entry.message.map(|number| self.provider_id(inner, number)),
            answered: entry.answered,
        }
    }

    fn snapshot(&self, inner: &Inner, number: u32) -> Snapshot {
        let message = &inner.messages[number as usize];
        let entry = &inner.entries[message.entry as usize];
        Snapshot {
            id: MessageId(number),
            channel: entry.channel,
            provider_id: self.provider_id(inner, number),
            arrived_at: DateTime::from_timestamp_micros(entry.arrived_micros).unwrap_or_default(),
            to: entry.to.clone().unwrap_or_default(),
            token: entry.token.clone().unwrap_or_default(),
            callback: inner.texts.text(message.callback),
            origin: inner.texts.text(message.origin),
            body: inner.texts.text(message.body),
            fate: message.fate,
            step: message.step,
            detection: message.detection,
        }
    }

    /// `CA`/`SM` and 32 hexadecimal digits, or a message id of the sending domain.
    fn provider_id(&self, inner: &Inner, number: u32) -> String {
        let message = &inner.messages[number as usize];
        match inner.entries[message.entry as usize].channel {
            Channel::Voice => format!("CA{:016x}{number:016x}", self.run),
            Channel::Sms | Channel::Inbox => format!("SM{:016x}{number:016x}", self.run),
            Channel::Email => {
                format!("{:x}.{}@{}", self.run, message.first, inner.texts.text(message.origin))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn enter(&mut self, at: DateTime<Utc>, arrival: Arrival<'_>, message: Option<u32>) -> u32 {
        self.entries.push(Entry {
            arrived_micros: at.timestamp_micros(),
            token: arrival.token.map(Box::from),
            to: arrival.to.map(Box::from),
            message,
            answered: arrival.answered,
            channel: arrival.channel,
            kind: arrival.kind,
        });
        self.entries.len() as u32 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stays_small() {
        // Beside these, a million sends hold a million tokens (47 bytes) and numbers (12 bytes).
        assert!(size_of::<Entry>() <= 56, "{}", size_of::<Entry>());
        assert!(size_of::<Message>() <= 24, "{}", size_of::<Message>());
    }

    #[test]
    fn a_message_is_found_by_the_id_it_was_given_and_by_no_other() {
        let ledger = Ledger::new(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        let arrival = Arrival {
            channel: Channel::Voice,
            kind: Kind::Send,
            token: Some("tok"),
            to: Some("+14155550100"),
            answered: 201,
        };
        let detection = Detection::NotAsked;
        let acceptance = Acceptance {
            fate: Fate::Human,
            callback: "http://x/",
            origin: "+1",
            body: "",
            detection,
            with: None,
        };
        let sent = ledger.accepted(DateTime::default(), arrival, acceptance);
        assert_eq!(ledger.find(&sent.provider_id).unwrap().id, sent.id);
        let texted = sent.provider_id.replace("CA", "SM");
        for other in ["", "CA", "CA1", "CAé", texted.as_str(), &format!("CA{:032x}", 7)] {
            assert!(ledger.find(other).is_none(), "{other}");
        }
    }

    #[test]
    fn nothing_more_comes_of_a_canceled_call_and_an_answered_one_is_not_canceled() {
        let ledger = Ledger::new(DateTime::default());
        let arrival =
            Arrival { channel: Channel::Voice, kind: Kind::Send, token: None, to: None, answered: 201 };
        let detection = Detection::NotAsked;
        let acceptance =
            Acceptance { fate: Fate::Human, callback: "", origin: "", body: "", detection, with: None };
        let [canceled, answered] =
            [0, 1].map(|_| ledger.accepted(DateTime::default(), arrival, acceptance).id);
        assert!(ledger.advance(canceled, Step::Ringing).is_some());
        assert!(ledger.end(canceled, &[Step::Queued, Step::Ringing], Step::Canceled));
        assert!(ledger.advance(canceled, Step::Answered).is_none());
        assert_eq!(ledger.message(canceled).unwrap().step, Step::Canceled);
        assert!(ledger.advance(answered, Step::Answered).is_some());
        assert!(!ledger.end(answered, &[Step::Queued, Step::Ringing], Step::Canceled));
    }
}
