//! One request to a vendor: what came back, or how far it got.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{Instrument as _, field};

use crate::{Answer, ProvidersError, SendRequest, observed};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Shorter than vendors keep an idle connection: a request written into one that is being closed
/// would be lost, not refused.
const POOL_IDLE: Duration = Duration::from_secs(15);
const POOL_IDLE_PER_HOST_MAX: usize = 512;
/// No answer of ours is larger: the longest is a page of 300 events.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Requests of one process to one account that are open at once, where nobody says otherwise: more than a worker has
/// open by default, so that a place is waited for only where several share the process.
pub const CONNECTIONS_MAX: usize = 500;

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

/// An account's way to its vendor: connections of its own, and so many requests at once, whatever they are for. Cheap to
/// clone: the same connections and the same places.
#[derive(Debug, Clone)]
pub struct AccountClient {
    http: Client,
    /// One place for each request that is open, and so for each connection.
    places: Arc<Semaphore>,
}

impl AccountClient {
    pub fn new(connections_max: usize) -> Result<Self, ProvidersError> {
        let places = Arc::new(Semaphore::new(connections_max.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Self { http: http_client()?, places })
    }

    /// Builds requests for [`exchange`].
    pub(crate) fn http(&self) -> &Client {
        &self.http
    }
}

/// How long a request may wait for its place, and how long it may take with that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Within {
    pub start: Duration,
    pub deadline: Duration,
}

impl Within {
    /// Of messages that are asked for together: as the most urgent of them.
    pub fn of<'a>(requests: impl IntoIterator<Item = &'a SendRequest>) -> Self {
        let of_one = |request: &SendRequest| Self { start: request.start_within, deadline: request.deadline };
        let sooner = |one: Self, other: Self| Self {
            start: one.start.min(other.start),
            deadline: one.deadline.min(other.deadline),
        };
        requests.into_iter().map(of_one).reduce(sooner).unwrap_or(Self::deadline(Duration::ZERO))
    }

    /// Of what may start at any time until then.
    pub fn deadline(deadline: Duration) -> Self {
        Self { start: deadline, deadline }
    }
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
    /// It found no place in time: nothing is known of the vendor.
    NotStarted,
    /// The request was not written.
    NotSent(String),
    /// It was, or may have been.
    Lost(String),
}

impl NoReply {
    pub fn into_answer(self) -> Answer {
        match self {
            Self::NotStarted => Answer::NotStarted,
            Self::NotSent(why) => Answer::NotSent { why },
            Self::Lost(why) => Answer::Lost { why },
        }
    }

    pub fn into_why(self) -> String {
        match self {
            Self::NotStarted => "too many requests of ours are open at the account".to_owned(),
            Self::NotSent(why) | Self::Lost(why) => why,
        }
    }
}

/// Sends `request` when there is a place for it and reads its answer, all within the deadline. Its span tells method, host, status and duration, within
/// the caller's, which tells the account; never the path, which may hold a number or an id.
pub(crate) async fn exchange(
    client: &AccountClient,
    request: RequestBuilder,
    within: Within,
) -> Result<Reply, NoReply> {
    let asked = Instant::now();
    // Given back when the answer is read. The semaphore is never closed.
    let Ok(Ok(_place)) = timeout(within.start.min(within.deadline), client.places.acquire()).await else {
        return Err(NoReply::NotStarted);
    };
    let (client, request) = request.timeout(within.deadline.saturating_sub(asked.elapsed())).build_split();
    let request = request.map_err(no_reply)?;
    // At debug, as all that the client logs within it.
    let span = tracing::debug_span!("provider.http", method = %request.method(),
        host = request.url().host_str().unwrap_or_default(), status = field::Empty, elapsed_ms = field::Empty);
    let seen = observed::begin(&request);
    let begun = Instant::now();
    let asking = async {
        let response = client.execute(request).await.map_err(no_reply)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response).await;
        Ok(Reply { status, headers, body })
    };
    let reply = asking.instrument(span.clone()).await;
    observed::end(seen, &reply);
    if let Ok(reply) = &reply {
        span.record("status", reply.status.as_u16());
    }
    span.record("elapsed_ms", begun.elapsed().as_millis() as u64);
    reply
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

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tracing_subscriber::fmt::format::FmtSpan;

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Answers one request with `answer`, which ends the connection.
    async fn exchanged(answer: &[u8]) -> Result<Reply, NoReply> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/Accounts/AC1/Messages/+13125550100", listener.local_addr().unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.unwrap();
            // Whoever asks may have read enough.
            let _ = stream.write_all(answer).await;
        };
        let client = AccountClient::new(1).unwrap();
        let request = client.http().post(url).body("To=%2B13125550100");
        tokio::join!(exchange(&client, request, Within::deadline(Duration::from_secs(5))), serve).0
    }

    #[tokio::test]
    async fn a_request_has_a_span_that_tells_whom_and_what_and_neither_path_nor_body() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::DEBUG)
            .with_span_events(FmtSpan::CLOSE)
            .with_writer(move || writer.clone())
            .finish();
        // Global, for beside a thread's own the other tests' threads may have left the span's place without interest.
        tracing::subscriber::set_global_default(subscriber).unwrap();
        let account = tracing::debug_span!("provider.send", account = "main-text");
        let reply = exchanged(b"HTTP/1.1 503 x\r\ncontent-length: 2\r\n\r\n{}").instrument(account).await;
        assert_eq!(reply.unwrap().status, 503);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let within = || text.lines().filter(|line| line.contains("main-text"));
        let closes = |line: &&str| line.contains("provider.http") && line.contains("\"message\":\"close\"");
        let line = within().find(closes).unwrap();
        for part in ["\"method\":\"POST\"", "\"host\":\"127.0.0.1\"", "\"status\":503", "elapsed_ms"] {
            assert!(line.contains(part), "no {part} in {line}");
        }
        for line in within() {
            assert!(!line.contains("Accounts") && !line.contains("3125550100"), "{line}");
        }
    }

    /// No answer of a vendor fills this process's memory, and none leads elsewhere.
    #[tokio::test]
    async fn a_long_answer_is_cut_off_and_a_redirect_is_not_followed() {
        let mut long = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        long.resize(long.len() + BODY_BYTES_MAX + 1, b'x');
        assert!(matches!(exchanged(&long).await.unwrap().body, Body::Broken));
        let elsewhere = b"HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(exchanged(elsewhere).await.unwrap().status, 307);
    }
}
