//! Where issuers may be: nobody may read or change on the way what they say.

use reqwest::Url;
use tocsin_domain::host::is_this_machine;

/// What is wrong with an address, as a sentence goes on after its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    #[error("is no address: write https:// and the host")]
    NoUrl,
    #[error("is no https:// address: whoever is between could sign in as anybody")]
    NotHttps,
    #[error("holds a user or a password: leave them out")]
    Credentials,
    #[error("has a part after #: leave it out")]
    Fragment,
}

/// https, or anything on this machine, for development.
pub fn check_address(text: &str) -> Result<(), AddressFault> {
    url(text).map(drop)
}

pub(crate) fn url(text: &str) -> Result<Url, AddressFault> {
    let url = Url::parse(text).map_err(|_| AddressFault::NoUrl)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(AddressFault::NoUrl)?;
    match url.scheme() {
        "https" => {}
        "http" if is_this_machine(host) => {}
        _ => return Err(AddressFault::NotHttps),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressFault::Credentials);
    }
    if url.fragment().is_some() {
        return Err(AddressFault::Fragment);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_reached_by_https_or_on_this_machine() {
        for text in
            ["https://id.example.org/realms/one", "http://127.0.0.1:9000", "http://localhost:9000/a?b=c"]
        {
            assert_eq!(check_address(text), Ok(()), "{text}");
        }
        for (text, fault) in [
            ("", AddressFault::NoUrl),
            ("id.example.org", AddressFault::NoUrl),
            ("http://id.example.org", AddressFault::NotHttps),
            ("http://localhost.example.org", AddressFault::NotHttps),
            ("ftp://id.example.org", AddressFault::NotHttps),
            ("javascript:alert(1)", AddressFault::NoUrl),
            ("https://ana@id.example.org", AddressFault::Credentials),
            ("https://id.example.org/#x", AddressFault::Fragment),
        ] {
            assert_eq!(check_address(text), Err(fault), "{text}");
        }
    }
}
