//! The broker's URL: read strictly, and never printed with its password.

use std::fmt;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError};
use lapin::uri::AMQPUri;

use crate::error::QueueError;

/// Seconds. Two missed ones and the connection is taken to be dead.
const HEARTBEAT: u16 = 10;

#[derive(Clone)]
pub(super) struct Address(AMQPUri);

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, QueueError> {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        match scheme {
            Some("amqp" | "amqps") => {}
            // The scheme is not echoed: in a malformed URL the password may stand there.
            Some(_) => return Err(fault("its scheme must be amqp or amqps")),
            None => return Err(fault("it must look like amqp://user:password@host:5672/vhost")),
        }
        let mut uri: AMQPUri = url.parse().map_err(|error: String| {
            fault(&format!("{error} (special characters in user and password must be percent-encoded)"))
        })?;
        // The parser takes an IPv6 literal for no host at all and would go to localhost.
        if let Some(host) = ipv6_host(url) {
            uri.authority.host = host.to_owned();
        }
        if uri.vhost.is_empty() {
            uri.vhost = "/".to_owned();
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self(uri))
    }

    pub(super) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }

    /// Names what a failed connect means, as far as the broker said.
    pub(super) fn explain(&self, error: lapin::Error) -> QueueError {
        let address = self.to_string();
        let refusal = match error.kind() {
            ErrorKind::ProtocolError(refusal) => refusal.kind().clone(),
            _ => return QueueError::Connect { address, source: error },
        };
        match refusal {
            AMQPErrorKind::Soft(lapin::protocol::AMQPSoftError::ACCESSREFUSED) => {
                QueueError::Credentials { address, user: self.0.authority.userinfo.username.clone() }
            }
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
                QueueError::VirtualHost { address, vhost: self.0.vhost.clone() }
            }
            _ => QueueError::Connect { address, source: error },
        }
    }
}

fn fault(fault: &str) -> QueueError {
    QueueError::Address { fault: fault.to_owned() }
}

fn ipv6_host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.strip_prefix('[')?.split_once(']').map(|(host, _)| host)
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { scheme, authority, vhost, .. } = &self.0;
        let vhost = vhost.replace('/', "%2F");
        write!(f, "{scheme}://{}:{}/{vhost}", authority.host, authority.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_user_and_password() {
        let cases = [
            ("amqp://bell:s3cret@mq.example:5673/tocsin", "amqp://mq.example:5673/tocsin"),
            ("amqp://bell:s3cret@mq.example", "amqp://mq.example:5672/%2F"),
            ("amqp://bell:s3cret@mq.example/", "amqp://mq.example:5672/%2F"),
            ("amqps://bell:s3cret@mq.example/%2f", "amqps://mq.example:5671/%2F"),
            ("amqp://bell:s3cret@[::1]:5673/tocsin", "amqp://::1:5673/tocsin"),
            ("amqp://127.0.0.1", "amqp://127.0.0.1:5672/%2F"),
        ];
        for (url, shown) in cases {
            assert_eq!(Address::parse(url).unwrap().to_string(), shown, "{url}");
        }
    }

    #[test]
    fn a_wrong_address_is_refused_with_its_fault_and_without_its_password() {
        let cases = [
            ("http://bell:s3cret@mq.example", "scheme must be amqp or amqps"),
            ("bell:s3cret@mq.example", "must look like"),
            ("s3cret", "must look like"),
            ("", "must look like"),
            ("amqp://bell:s3cret@mq.example:port", "invalid port number"),
            ("amqp://bell:s3cret#1@mq.example/", "percent-encoded"),
            ("amqp://bell:s3cret@mq.example/?heartbeat=soon", "invalid digit"),
        ];
        for (url, expected) in cases {
            let fault = Address::parse(url).map(|address| address.to_string()).unwrap_err().to_string();
            assert!(fault.contains(expected), "{url}: {fault}");
            assert!(!fault.contains("s3cret"), "{fault}");
        }
    }

    #[test]
    fn a_heartbeat_is_set_unless_the_address_has_one() {
        for (url, heartbeat) in [("amqp://mq.example", 10), ("amqp://mq.example?heartbeat=3", 3)] {
            assert_eq!(Address::parse(url).unwrap().uri().query.heartbeat, Some(heartbeat), "{url}");
        }
    }
}
