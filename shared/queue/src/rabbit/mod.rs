//! RabbitMQ by lapin.
//!
//! lapin's own recovery stays off: it was seen to hang when the broker stopped under load. A
//! session that breaks is dropped whole, and every wait for the broker has a deadline.

mod address;
mod declare;
mod feed;
mod ledger;
mod link;
mod publishing;
mod session;
mod settle;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::{Connection, ConnectionProperties};
use tokio::time::timeout;

use crate::broker::{Broker, Session};
use crate::error::QueueError;

use address::Address;
use session::RabbitSession;

/// How long the broker may take over any one answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// A RabbitMQ server, 3.10 or later.
#[derive(Clone)]
pub struct RabbitBroker {
    address: Address,
    deadline: Duration,
}

impl RabbitBroker {
    /// `url` is `amqp://user:password@host:port/vhost`, or `amqps://` for TLS with the system's
    /// roots. Without a virtual host, or with an empty one, it is `/`. Nothing is opened yet.
    pub fn new(url: &str) -> Result<Self, QueueError> {
        Ok(Self { address: Address::parse(url)?, deadline: DEADLINE })
    }

    /// How long the broker may take over any one answer, a whole published batch included, before
    /// the session is given up. 10 s unless set.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }
}

#[async_trait]
impl Broker for RabbitBroker {
    async fn connect(&self, name: &str) -> Result<Arc<dyn Session>, QueueError> {
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connecting = Connection::connect_uri(self.address.uri(), properties);
        let connection = timeout(self.deadline, connecting)
            .await
            .map_err(|_| QueueError::Deadline { doing: "connecting", after: self.deadline })?
            .map_err(|error| self.address.explain(error))?;
        let session = RabbitSession::open(connection, self.deadline);
        if let Err(error) = session.declare_topology().await {
            session.close().await;
            return Err(error);
        }
        Ok(Arc::new(session))
    }
}

impl fmt::Debug for RabbitBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitBroker").field("address", &self.address.to_string()).finish_non_exhaustive()
    }
}
