//! Every exchange, queue and limit on the broker, in one place.
//!
//! | exchange | kind | queues |
//! | --- | --- | --- |
//! | `tocsin.jobs` | direct | `<channel>.<lane>`, `<channel>.recall`, `<channel>.look-up`, `<channel>.look-up.emergency`, `<channel>.look-up.refresh` |
//! | `tocsin.status` | direct | `status.<lane>`, `inbound` |
//! | `tocsin.control` | fanout | one exclusive queue per session that asks for it |
//! | `tocsin.dead` | fanout | `dead-letters` |
//!
//! A queue is bound under its own name. Lanes are queues of their own, because quorum queues have
//! no priorities and one lane's backlog must not stand before another's.

use std::time::Duration;

use tocsin_domain::{Channel, Lane};

use crate::message::{Destination, Queue};

pub const JOBS_EXCHANGE: &str = "tocsin.jobs";
pub const STATUS_EXCHANGE: &str = "tocsin.status";
pub const CONTROL_EXCHANGE: &str = "tocsin.control";
pub const DEAD_EXCHANGE: &str = "tocsin.dead";

/// A message handed out this often without being settled goes to the dead letters: it is taken to
/// be what kills its consumers. Giving back counts as well, but to RabbitMQ 4.3 and newer.
pub const DELIVERIES_MAX: u32 = 20;

/// The dead letters have no such limit, in a number that every release of RabbitMQ takes for one: RabbitMQ 4 sets 20 where there is
/// none, and its own word for none, -1, is 0 to RabbitMQ 3.
pub const DEAD_REDELIVERIES_MAX: i32 = 1_000_000_000;

/// A control message older than this is void: who was not there to hear it loads the open cancels
/// from the store.
pub const CONTROL_TTL: Duration = Duration::from_secs(60);

/// How many control messages wait for one process; the oldest are dropped beyond it. It bounds the
/// broker's memory when a process has frozen.
pub const CONTROL_LENGTH_MAX: u32 = 10_000;

/// How many unsettled control messages a process holds.
pub const CONTROL_PREFETCH: u16 = 256;

/// Set on a dead letter: why, in words.
pub const REASON_HEADER: &str = "x-tocsin-reason";
/// Set on a dead letter: the name of the queue it was taken from.
pub const QUEUE_HEADER: &str = "x-tocsin-queue";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExchangeKind {
    Direct,
    Fanout,
}

pub(crate) const EXCHANGES: [(&str, ExchangeKind); 4] = [
    (JOBS_EXCHANGE, ExchangeKind::Direct),
    (STATUS_EXCHANGE, ExchangeKind::Direct),
    (CONTROL_EXCHANGE, ExchangeKind::Fanout),
    (DEAD_EXCHANGE, ExchangeKind::Fanout),
];

impl Queue {
    /// All durable queues, the dead letters first, so that what the others give up has a place to go.
    pub fn all() -> impl Iterator<Item = Self> {
        let jobs = Channel::ALL.into_iter().flat_map(|channel| {
            let lanes = Lane::ALL.into_iter().map(move |lane| Self::Jobs(channel, lane));
            lanes.chain([
                Self::Recall(channel),
                Self::LookUp(channel),
                Self::EmergencyLookUp(channel),
                Self::Refresh(channel),
            ])
        });
        let status = Lane::ALL.into_iter().map(Self::Status).chain([Self::Inbound]);
        [Self::DeadLetters].into_iter().chain(jobs).chain(status)
    }

    /// The queue's name on the broker, which is its routing key too.
    pub fn name(self) -> String {
        match self {
            Self::Jobs(channel, lane) => format!("{channel}.{lane}"),
            Self::Recall(channel) => format!("{channel}.recall"),
            Self::LookUp(channel) => format!("{channel}.look-up"),
            Self::EmergencyLookUp(channel) => format!("{channel}.look-up.emergency"),
            Self::Refresh(channel) => format!("{channel}.look-up.refresh"),
            Self::Status(lane) => format!("status.{lane}"),
            Self::Inbound => "inbound".to_owned(),
            Self::DeadLetters => "dead-letters".to_owned(),
        }
    }

    /// The queue of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|queue| queue.name() == name)
    }

    /// As OpenTelemetry names a destination of RabbitMQ's: the exchange, and the routing key, which is the queue's name.
    pub fn destination(self) -> String {
        format!("{}:{}", self.exchange(), self.name())
    }

    pub(crate) fn exchange(self) -> &'static str {
        match self {
            Self::Jobs(..)
            | Self::Recall(_)
            | Self::LookUp(_)
            | Self::EmergencyLookUp(_)
            | Self::Refresh(_) => JOBS_EXCHANGE,
            Self::Status(_) | Self::Inbound => STATUS_EXCHANGE,
            Self::DeadLetters => DEAD_EXCHANGE,
        }
    }
}

impl Destination {
    /// Exchange and routing key.
    pub(crate) fn route(self) -> (&'static str, String) {
        match self {
            Self::Queue(queue) => (queue.exchange(), queue.name()),
            Self::Control => (CONTROL_EXCHANGE, String::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_queue_has_a_name_of_its_own() {
        let names: Vec<String> = Queue::all().map(Queue::name).collect();
        assert_eq!(names.len(), 33);
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        for name in
            ["sms.emergency", "voice.recall", "email.look-up", "status.general", "inbound", "dead-letters"]
        {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }
}
