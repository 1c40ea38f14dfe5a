//! Addresses of servers, taken from the environment.

use anyhow::{Context as _, Result, bail};

/// The same address with `name` as its path: another database, another vhost. Queries stay.
pub(crate) fn with_path(address: &str, name: &str) -> Result<String> {
    let (scheme, rest) = address.split_once("://").context("the address has no scheme://")?;
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let query = path.find('?').map_or("", |at| &path[at..]);
    Ok(format!("{scheme}://{authority}/{name}{query}"))
}

/// The user of the address, or `otherwise`.
pub(crate) fn user<'a>(address: &'a str, otherwise: &'a str) -> &'a str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let userinfo = rest.split_once('@').map_or("", |(userinfo, _)| userinfo);
    let user = userinfo.split(':').next().unwrap_or_default();
    if user.is_empty() { otherwise } else { user }
}

/// An `http://user:password@host:port` address, in its parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HttpAddress {
    /// `user:password`.
    pub credentials: String,
    /// `host:port`.
    pub authority: String,
}

pub(crate) fn http(address: &str) -> Result<HttpAddress> {
    let Some(rest) = address.trim_end_matches('/').strip_prefix("http://") else {
        bail!("only http:// is spoken here: the management interface of a test broker is a local one");
    };
    let (credentials, authority) = rest.rsplit_once('@').unwrap_or(("guest:guest", rest));
    if authority.contains('/') {
        bail!("the address of the management interface has a path");
    }
    Ok(HttpAddress { credentials: credentials.to_owned(), authority: authority.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_replaced_and_the_query_kept() {
        let cases = [
            ("postgres://u:p@h:5432/postgres", "postgres://u:p@h:5432/new"),
            ("postgres://u@h", "postgres://u@h/new"),
            ("postgres://u@%2Frun%2Fpostgresql/db", "postgres://u@%2Frun%2Fpostgresql/new"),
            ("amqp://guest:guest@h:5672/%2f?heartbeat=10", "amqp://guest:guest@h:5672/new?heartbeat=10"),
            ("amqp://h?heartbeat=10", "amqp://h/new?heartbeat=10"),
        ];
        for (address, expected) in cases {
            assert_eq!(with_path(address, "new").unwrap(), expected);
        }
        assert!(with_path("host=localhost dbname=x", "new").is_err());
    }

    #[test]
    fn the_user_is_read_or_assumed() {
        assert_eq!(user("amqp://me:secret@h/x", "guest"), "me");
        assert_eq!(user("amqp://h/x", "guest"), "guest");
    }

    #[test]
    fn a_management_address_has_credentials_and_authority() {
        let parts = |credentials: &str| HttpAddress {
            credentials: credentials.to_owned(),
            authority: "h:15672".to_owned(),
        };
        assert_eq!(http("http://u:p@h:15672/").unwrap(), parts("u:p"));
        assert_eq!(http("http://h:15672").unwrap(), parts("guest:guest"));
        assert!(http("https://h:15672").is_err());
    }
}
