//! What can go wrong between a process and its broker.

use std::time::Duration;

/// No variant ever holds the password of the broker's address.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The configured address cannot be used; `fault` names the part that is wrong.
    #[error("the broker's address is wrong: {fault}")]
    Address { fault: String },

    /// Nobody answers there, or not in AMQP.
    #[error("cannot connect to the broker at {address}")]
    Connect {
        address: String,
        #[source]
        source: lapin::Error,
    },

    #[error("the broker at {address} refuses the user {user:?}: check name, password and permissions")]
    Credentials { address: String, user: String },

    #[error("the broker at {address} does not let us use the virtual host {vhost:?}: create it, or grant it")]
    VirtualHost { address: String, vhost: String },

    /// A queue or exchange of that name exists with other properties.
    #[error("cannot declare {name}: {remedy}")]
    Topology {
        name: String,
        remedy: &'static str,
        #[source]
        source: lapin::Error,
    },

    /// The session is broken. Open another.
    #[error("the broker session is lost: {reason}")]
    Lost { reason: String },

    /// The broker did not answer in time. The session is given up with it, as nothing is known of
    /// what it did.
    #[error("the broker did not answer within {after:?} while {doing}")]
    Deadline { doing: &'static str, after: Duration },

    #[error("the broker failed {doing}")]
    Operation {
        doing: &'static str,
        #[source]
        source: lapin::Error,
    },

    /// The dead-letter queue did not take the message, which therefore stays unsettled.
    #[error("the dead-letter queue did not take a message")]
    NotDeadLettered,

    /// The queue that a dead letter was to go back to did not take it, so that it stays where it is.
    #[error("the queue did not take a dead letter back")]
    NotRequeued,

    /// AMQP header names hold at most 255 bytes.
    #[error("a message header's name is longer than 255 bytes")]
    HeaderName,
}
