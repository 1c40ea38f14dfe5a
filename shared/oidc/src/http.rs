//! One request to an issuer. It follows nothing, ends within its deadline, and reads so much and no more.

use std::time::Duration;

use reqwest::{RequestBuilder, Response, Url, redirect};
use serde::de::DeserializeOwned;

use crate::OidcError;

/// Somebody looks at a page that does not come meanwhile.
const DEADLINE: Duration = Duration::from_secs(8);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Cheap to clone: the same connections.
#[derive(Debug, Clone)]
pub(crate) struct Http(reqwest::Client);

impl Http {
    pub fn new() -> Result<Self, OidcError> {
        // An error means that the process has chosen its TLS provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(DEADLINE)
            // Where the secret and the keys' address go is what was checked, and nothing further.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("tocsin/", env!("CARGO_PKG_VERSION")))
            .build()
            .map(Self)
            .map_err(OidcError::Client)
    }

    pub async fn get<T: DeserializeOwned>(&self, what: &'static str, url: Url) -> Result<T, OidcError> {
        let response = send(what, self.0.get(url)).await?;
        if !response.status().is_success() {
            return Err(OidcError::Status { what, status: response.status().as_u16() });
        }
        json(what, response).await
    }

    /// Posts a form, as a client that says who it is or as one that has no secret.
    pub async fn post(
        &self,
        what: &'static str,
        url: Url,
        form: &[(&str, &str)],
        authorization: Option<&str>,
    ) -> Result<Response, OidcError> {
        let mut request = self.0.post(url).form(form);
        if let Some(authorization) = authorization {
            request = request.header(reqwest::header::AUTHORIZATION, authorization);
        }
        send(what, request).await
    }
}

async fn send(what: &'static str, request: RequestBuilder) -> Result<Response, OidcError> {
    request.send().await.map_err(unreachable(what))
}

pub(crate) async fn json<T: DeserializeOwned>(
    what: &'static str,
    mut response: Response,
) -> Result<T, OidcError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable(what))? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(OidcError::TooLong { what, most: BODY_BYTES_MAX });
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|source| OidcError::Malformed { what, source })
}

fn unreachable(what: &'static str) -> impl Fn(reqwest::Error) -> OidcError {
    move |source| OidcError::Unreachable { what, source: source.without_url() }
}
