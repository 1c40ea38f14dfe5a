//! Where endpoints may be: on public hosts, and in networks that the configuration names for development. What is asked
//! for is somebody else's word, and must not lead a request of ours into our own network.

use std::net::IpAddr;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tocsin_domain::host::is_this_machine;
use tocsin_domain::network::{Network, is_public};

const URL_CHARS_MAX: usize = 2_000;

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// In these, plain http is spoken, too.
    named: Arc<[Network]>,
}

/// What is wrong with an address, as a sentence goes on after its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    #[error("has more than 2000 characters: shorten it")]
    TooLong,
    #[error("is no address: write https://, the host and the path")]
    NoUrl,
    #[error("is no https:// address: what it is told must not be read on the way")]
    NotHttps,
    #[error("holds a user or a password: leave them out, the signature says who sends")]
    Credentials,
    #[error("has a part after #, which is never sent: leave it out")]
    Fragment,
    #[error("lies in a private or reserved network: give a host on the public internet")]
    NotPublic,
}

/// Which addresses one client connects to.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    PublicAndNamed(Arc<[Network]>),
    Named(Arc<[Network]>),
}

/// Why no connection is made to a host.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no address of the host may be connected to")]
pub(crate) struct AddressRefused;

impl Rule {
    pub fn allows(&self, address: IpAddr) -> bool {
        let is_named = |named: &[Network]| named.iter().any(|network| network.contains(address));
        match self {
            Self::PublicAndNamed(named) => is_public(address) || is_named(named),
            Self::Named(named) => is_named(named),
        }
    }

    /// A host that is an address itself is never resolved, and so looked at here.
    pub fn allows_literal(&self, url: &Url) -> bool {
        literal(url).is_none_or(|address| self.allows(address))
    }
}

/// Looks names up and leaves out what may not be connected to: whatever the name led to a moment before, the connection is
/// made to what was looked at here.
impl Resolve for Rule {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = self.clone();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<_> = found.iter().copied().filter(|found| rule.allows(found.ip())).collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(AddressRefused.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

impl Reach {
    /// Beside the public internet, `named` networks.
    pub fn beside(named: Vec<Network>) -> Self {
        Self { named: named.into() }
    }

    pub(crate) fn secure(&self) -> Rule {
        Rule::PublicAndNamed(Arc::clone(&self.named))
    }

    pub(crate) fn plain(&self) -> Rule {
        Rule::Named(Arc::clone(&self.named))
    }

    /// Looks at what can be seen without asking for the name. The rest is seen at each connection.
    pub fn check(&self, text: &str) -> Result<Url, UrlFault> {
        if text.chars().count() > URL_CHARS_MAX {
            return Err(UrlFault::TooLong);
        }
        let url = Url::parse(text).map_err(|_| UrlFault::NoUrl)?;
        let rule = match url.scheme() {
            "https" => self.secure(),
            "http" if !self.named.is_empty() => self.plain(),
            _ => return Err(UrlFault::NotHttps),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(UrlFault::NoUrl)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlFault::Credentials);
        }
        if url.fragment().is_some() {
            return Err(UrlFault::Fragment);
        }
        let is_local_name = literal(&url).is_none() && is_this_machine(host.trim_end_matches('.'));
        let loopback = IpAddr::from([127, 0, 0, 1]);
        if !rule.allows_literal(&url) || (is_local_name && !rule.allows(loopback)) {
            return Err(UrlFault::NotPublic);
        }
        Ok(url)
    }
}

fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_on_a_public_host() {
        let reach = Reach::default();
        for text in
            ["https://hooks.example.org/tocsin?a=b", "https://8.8.8.8:8443/", "https://[2600:1f18::1]/"]
        {
            assert!(reach.check(text).is_ok(), "{text}");
        }
        for (text, fault) in [
            ("", UrlFault::NoUrl),
            ("hooks.example.org", UrlFault::NoUrl),
            ("https://", UrlFault::NoUrl),
            ("http://hooks.example.org/", UrlFault::NotHttps),
            ("ftp://hooks.example.org/", UrlFault::NotHttps),
            ("file:///etc/passwd", UrlFault::NotHttps),
            ("https://ana@hooks.example.org/", UrlFault::Credentials),
            ("https://hooks.example.org/#x", UrlFault::Fragment),
            ("https://localhost/", UrlFault::NotPublic),
            ("https://LOCALHOST./", UrlFault::NotPublic),
            ("https://127.0.0.1/", UrlFault::NotPublic),
            ("https://127.1/", UrlFault::NotPublic),
            ("https://0x7f.1/", UrlFault::NotPublic),
            ("https://2130706433/", UrlFault::NotPublic),
            ("https://169.254.169.254/latest/meta-data", UrlFault::NotPublic),
            ("https://[::1]/", UrlFault::NotPublic),
            ("https://[::ffff:127.0.0.1]/", UrlFault::NotPublic),
            ("https://[fd00:ec2::254]/", UrlFault::NotPublic),
            ("https://0.0.0.0/", UrlFault::NotPublic),
        ] {
            assert_eq!(reach.check(text).err(), Some(fault), "{text}");
        }
        assert_eq!(
            reach.check(&format!("https://a.example/{}", "x".repeat(2_000))).err(),
            Some(UrlFault::TooLong)
        );
    }

    #[test]
    fn a_named_network_is_reached_also_by_http_and_nothing_beside_it() {
        let reach = Reach::beside(vec!["127.0.0.0/8".parse().unwrap()]);
        for text in
            ["http://127.0.0.1:8000/", "https://127.0.0.1/", "http://localhost/", "http://hooks.example.org/"]
        {
            assert!(reach.check(text).is_ok(), "{text}: names are looked at when they are resolved");
        }
        for text in ["http://8.8.8.8/", "https://10.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/"] {
            assert_eq!(reach.check(text).err(), Some(UrlFault::NotPublic), "{text}");
        }
        let public = "8.8.8.8".parse().unwrap();
        assert!(reach.secure().allows(public) && !reach.plain().allows(public));
    }
}
