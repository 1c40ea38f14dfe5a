//! What travels over the queue, and where to.

use bytes::Bytes;
use tocsin_domain::{Channel, Lane};

/// A message to publish. Header values are short texts such as the trace context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub to: Destination,
    pub body: Bytes,
    pub headers: Vec<(String, String)>,
    /// Written to disk before it is confirmed. Quorum queues always do, so this matters only to
    /// control messages, which nobody needs after a restart.
    pub persistent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Destination {
    Queue(Queue),
    /// Every session that has a control consumer at this moment. It is [`Published::Unroutable`]
    /// when none has.
    Control,
}

/// The durable queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Due jobs of a channel and lane.
    Jobs(Channel, Lane),
    /// Accepted sends to be recalled at their provider after a cancel.
    Recall(Channel),
    /// Attempts of which nothing was heard, to be sought at their provider.
    LookUp(Channel),
    /// The same, of emergencies: no number of others stands before them.
    EmergencyLookUp(Channel),
    /// The same, of campaigns that somebody wants to know of: what is overdue does not wait for it.
    Refresh(Channel),
    /// Raw provider callbacks, by the lane of the attempt they speak of.
    Status(Lane),
    /// Raw texts that people sent to our numbers.
    Inbound,
    /// What could not be parsed, or lost its consumer too often.
    DeadLetters,
}

/// The broker's answer to one published message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// Stored by the broker in at least one queue.
    Confirmed,
    /// No queue is bound there: nothing was stored.
    Unroutable,
    /// The broker could not store it now.
    Refused,
}

/// Names the header of W3C Trace Context.
pub const TRACE_HEADER: &str = "traceparent";

/// The headers of a message that was published within a trace, or outside of any.
pub fn trace_header(traceparent: Option<String>) -> Vec<(String, String)> {
    traceparent.map(|traceparent| (TRACE_HEADER.to_owned(), traceparent)).into_iter().collect()
}

/// Names a delivery to the [`Acker`](crate::Acker) of the consumer it came from, and to no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub(crate) u64);

/// A message handed to this consumer. It stays unsettled until acknowledged, given back or dead-lettered.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub tag: Tag,
    pub body: Bytes,
    pub headers: Vec<(String, String)>,
    /// It was handed out before: to a consumer that vanished, or that gave it back.
    pub redelivered: bool,
}

impl Delivery {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
