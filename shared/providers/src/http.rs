//! One request to a vendor: what came back, or how far it got.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};

use crate::{Answer, ProvidersError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Shorter than vendors keep an idle connection: a request written into one that is being closed
/// would be lost, not refused.
const POOL_IDLE: Duration = Duration::from_secs(15);
const POOL_IDLE_PER_HOST_MAX: usize = 512;
/// No answer of ours is larger: the longest is a page of 300 events.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The client for every vendor: short connects, kept connections, no redirects and no resends, for a
/// second request of one claim must never start by itself (promise 2).
pub fn http_client() -> Result<Client, ProvidersError> {
    // An error means that the process has chosen its TLS provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_IDLE_PER_HOST_MAX)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("tocsin/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(ProvidersError::Client)
}

/// The vendor answered; its body may have broken off.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Whole(Vec<u8>),
    Broken,
}

impl Reply {
    pub fn bytes(&self) -> &[u8] {
        match &self.body {
            Body::Whole(bytes) => bytes,
            Body::Broken => &[],
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `Retry-After` in seconds (wire A.6). The date form is not used by our vendors.
    pub fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after")?.trim().parse().ok().map(Duration::from_secs)
    }
}

/// No answer. The words never hold the URL, which names the account and may name a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoReply {
    /// The request was not written.
    NotSent(String),
    /// It was, or may have been.
    Lost(String),
}

impl NoReply {
    pub fn into_answer(self) -> Answer {
        match self {
            Self::NotSent(why) => Answer::NotSent { why },
            Self::Lost(why) => Answer::Lost { why },
        }
    }

    pub fn into_why(self) -> String {
        match self {
            Self::NotSent(why) | Self::Lost(why) => why,
        }
    }
}

/// Sends `request` and reads its answer, all within `deadline`.
pub(crate) async fn exchange(request: RequestBuilder, deadline: Duration) -> Result<Reply, NoReply> {
    let response = request.timeout(deadline).send().await.map_err(no_reply)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read(response).await;
    Ok(Reply { status, headers, body })
}

async fn read(mut response: Response) -> Body {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= BODY_BYTES_MAX => bytes.extend_from_slice(&chunk),
            Ok(None) => return Body::Whole(bytes),
            Ok(Some(_)) | Err(_) => return Body::Broken,
        }
    }
}

/// Only a request that could not be built or found no connection is known not to have been written.
fn no_reply(error: reqwest::Error) -> NoReply {
    let (before_write, timeout) = (error.is_connect() || error.is_builder(), error.is_timeout());
    let why = match (before_write, timeout) {
        (true, true) => "no connection in time".to_owned(),
        (false, true) => "no answer in time".to_owned(),
        (true | false, false) => root_cause(&error.without_url()),
    };
    if before_write { NoReply::NotSent(why) } else { NoReply::Lost(why) }
}

/// The innermost error says what happened ("connection refused"); the outer ones only where.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
