//! What a request is answered, when, and how an answer can fail to come.

use std::future::pending;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::behaviour::Fault;

/// How long an answer waits for an early report to be taken.
const EARLY_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) enum Reply {
    Json {
        status: u16,
        body: String,
        retry_after_seconds: Option<u64>,
    },
    Text {
        status: u16,
        body: &'static str,
    },
    /// The connection is closed without an answer.
    Dropped,
    /// The connection stays open without an answer.
    Hang,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub reply: Reply,
    pub latency: Duration,
    /// Resolves when the first report has been posted, where it is to come before the answer.
    pub early: Option<oneshot::Receiver<()>>,
}

impl Reply {
    pub(super) fn json(status: u16, body: String) -> Self {
        Self::Json { status, body, retry_after_seconds: None }
    }

    /// What the record says: 0 for no answer.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Json { status, .. } | Self::Text { status, .. } => *status,
            Self::Dropped | Self::Hang => 0,
        }
    }

    /// The reply to a request that meets a fault before it is processed. None for the fault that
    /// comes after.
    pub(super) fn of_fault(fault: Fault, error_body: fn(u16) -> String) -> Option<Self> {
        match fault {
            Fault::Throttled { retry_after_seconds } => {
                Some(Self::Json { status: 429, body: error_body(429), retry_after_seconds })
            }
            Fault::ServerError => Some(Self::json(503, error_body(503))),
            Fault::Hang => Some(Self::Hang),
            Fault::Dropped => None,
        }
    }
}

impl Answer {
    pub(super) async fn give(self, stop: &CancellationToken) -> Response {
        let at = Instant::now() + self.latency;
        if let Some(early) = self.early {
            // Whether it was taken or not, the request is answered.
            let _ = tokio::time::timeout(EARLY_LIMIT, early).await;
        }
        tokio::time::sleep_until(at).await;
        match self.reply {
            Reply::Json { status, body, retry_after_seconds } => {
                let mut response = (status_code(status), body).into_response();
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                if let Some(seconds) = retry_after_seconds {
                    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                response
            }
            Reply::Text { status, body } => (status_code(status), body).into_response(),
            Reply::Dropped => dropped(),
            Reply::Hang => {
                stop.run_until_cancelled(pending::<()>()).await;
                dropped()
            }
        }
    }
}

/// A body that fails at once makes the server close the connection before it has written anything.
fn dropped() -> Response {
    let failure = Err::<Bytes, _>(io::Error::other("dropped as the scenario wants"));
    Response::new(Body::from_stream(stream::iter([failure])))
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
