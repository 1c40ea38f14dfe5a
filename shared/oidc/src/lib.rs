//! Signing in through an OpenID Connect issuer: the authorization code flow with PKCE, state and nonce, from where the
//! browser is sent to who came back. It knows neither pages nor store; docs/adr/0048-oidc.md says why it is built this way.

mod address;
mod claims;
mod discovery;
mod http;
mod issuer;
mod keys;
mod token;

pub use address::{AddressFault, check_address};
pub use claims::{Identity, TokenFault};
pub use issuer::{Challenge, ClientSecret, Issuer, Settings};

/// Why nobody came back from an issuer whom we believe.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
    #[error("the issuer's {what} cannot be reached")]
    Unreachable { what: &'static str, source: reqwest::Error },
    #[error("the issuer's {what} answered with status {status}")]
    Status { what: &'static str, status: u16 },
    #[error("the issuer's {what} is longer than {most} bytes")]
    TooLong { what: &'static str, most: usize },
    #[error("the issuer's {what} is not what it should be")]
    Malformed { what: &'static str, source: serde_json::Error },
    #[error("the issuer's configuration: {0}")]
    Discovery(&'static str),
    /// It was used, is too old, or is another client's.
    #[error("the issuer does not take the code")]
    Code,
    #[error("the issuer's ID token is not believed: {0}")]
    Token(#[source] TokenFault),
}
