//! The queue: where due work waits for a worker, and callbacks for the collector.
//!
//! PostgreSQL decides and the broker delivers, so what is here may be lost, doubled or late without
//! harm to a campaign: a message carries ids, never a name, a number or text (raw callbacks, on the
//! status queues, are the one exception). [`Broker`] is the seam. [`RabbitBroker`] is what
//! production runs on, [`MemoryBroker`] serves tests and the single-process mode, and one
//! conformance suite holds both to the same behaviour.
//!
//! A service's loop is: open a [`Session`], consume, work until [`Session::lost`] or until
//! [`Consumer::next_batch`] ends, and begin again. Nothing here reconnects behind the caller's back
//! except [`Publisher`], which has nothing to subscribe again.
//!
//! The lapin crate logs whole messages at `warn` and below: a process's log filter keeps `lapin` at
//! `error`, so that no raw callback reaches a log.

mod broker;
mod consumer;
pub mod dead_letters;
mod error;
mod life;
mod memory;
mod message;
mod publisher;
mod rabbit;
pub mod topology;

pub use broker::{Broker, Session};
pub use consumer::{Acker, Consumer};
pub use error::QueueError;
pub use memory::MemoryBroker;
pub use message::{Delivery, Destination, Message, Published, Queue, TRACE_HEADER, Tag, trace_header};
pub use publisher::Publisher;
pub use rabbit::RabbitBroker;
