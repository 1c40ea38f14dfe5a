//! What an issuer says of itself (OpenID Connect Discovery 1.0), and which of it is believed.

use reqwest::Url;
use serde::Deserialize;

use crate::{OidcError, address};

/// Put behind the issuer's own address.
pub(crate) const PATH: &str = "/.well-known/openid-configuration";

#[derive(Debug, Deserialize)]
pub(crate) struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// RFC 9207.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The addresses that were checked.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    pub authorization: Url,
    pub token: Url,
    pub keys: Url,
    pub secret: SecretIn,
    /// The issuer names itself when a browser comes back from it.
    pub names_itself: bool,
}

/// How a client says its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretIn {
    Header,
    Form,
}

impl Document {
    /// The issuer must be the one that was asked for, letter by letter, or one could speak for another.
    pub fn check(self, issuer: &str) -> Result<Endpoints, OidcError> {
        if self.issuer != issuer {
            return Err(OidcError::Discovery("it names another issuer than the one that is configured"));
        }
        let url = |text: &str, fault| address::url(text).map_err(|_| OidcError::Discovery(fault));
        Ok(Endpoints {
            authorization: url(&self.authorization_endpoint, "authorization_endpoint is no https address")?,
            token: url(&self.token_endpoint, "token_endpoint is no https address")?,
            keys: url(&self.jwks_uri, "jwks_uri is no https address")?,
            secret: secret_in(self.token_endpoint_auth_methods_supported.as_deref()),
            names_itself: self.authorization_response_iss_parameter_supported,
        })
    }
}

/// By the header, which every issuer takes that does not say what it takes.
fn secret_in(methods: Option<&[String]>) -> SecretIn {
    let takes = |method: &str| methods.is_none_or(|methods| methods.iter().any(|it| it == method));
    if takes("client_secret_basic") || !takes("client_secret_post") {
        SecretIn::Header
    } else {
        SecretIn::Form
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://id.example.org/one";

    fn checked(change: impl FnOnce(&mut Value)) -> Result<Endpoints, OidcError> {
        let mut document = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example.org/one/authorize",
            "token_endpoint": "https://id.example.org/one/token",
            "jwks_uri": "https://keys.example.org/one",
        });
        change(&mut document);
        serde_json::from_value::<Document>(document).unwrap().check(ISSUER)
    }

    #[test]
    fn a_document_is_believed_of_its_own_issuer_and_of_https_addresses() {
        assert_eq!(checked(|_| {}).unwrap().keys.as_str(), "https://keys.example.org/one");
        let refused = [
            ("issuer", "https://id.example.org/one/"),
            ("issuer", "https://id.example.org/two"),
            ("authorization_endpoint", "http://id.example.org/authorize"),
            ("authorization_endpoint", "javascript:alert(1)"),
            ("token_endpoint", "http://id.example.org/token"),
            ("jwks_uri", "file:///etc/keys"),
        ];
        for (key, value) in refused {
            let answer = checked(|document| document[key] = json!(value));
            assert!(matches!(answer, Err(OidcError::Discovery(_))), "{key} {value}: {answer:?}");
        }
    }

    #[test]
    fn the_secret_goes_where_the_issuer_takes_it() {
        for (methods, wanted) in [
            (json!(null), SecretIn::Header),
            (json!(["client_secret_post", "client_secret_basic"]), SecretIn::Header),
            (json!(["client_secret_post"]), SecretIn::Form),
            (json!(["private_key_jwt"]), SecretIn::Header),
        ] {
            let key = "token_endpoint_auth_methods_supported";
            assert_eq!(checked(|it| it[key] = methods.clone()).unwrap().secret, wanted, "{methods}");
        }
    }
}
