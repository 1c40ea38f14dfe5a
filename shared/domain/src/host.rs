//! Which hosts are this machine: what goes there, nobody reads on the way.

use std::net::IpAddr;

/// Is it a loopback address, or the name that no other site's DNS can make its own? An address of IPv6 may stand in
/// brackets, as URLs have it.
pub fn is_this_machine(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_and_localhost_are_this_machine() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]", "::1"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "localhost.example.org",
            "127.0.0.1.nip.io",
            "10.0.0.1",
            "0.0.0.0",
            "[::2]",
            "[::1",
            "[localhost]",
            "example.org",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
