//! One request to an endpoint. It is made once, follows nothing, and ends within its deadline.

use std::error::Error;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Url, redirect};
use tocsin_domain::webhook::{Answer, Fault};
use tracing::{Instrument as _, field};

use crate::WebhooksError;
use crate::reach::{AddressRefused, Reach, Rule};

/// From the look-up of the name to the head of the answer.
pub const DEADLINE: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const POOL_IDLE: Duration = Duration::from_secs(15);
const POOL_IDLE_PER_HOST_MAX: usize = 4;

/// One attempt of a delivery.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    pub url: &'a str,
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub at: DateTime<Utc>,
    /// `webhook-signature`.
    pub signature: &'a str,
    /// `traceparent`, where it tells of something that has a trace.
    pub trace: Option<&'a str>,
    pub body: &'a str,
}

/// Cheap to clone: the same connections.
#[derive(Debug, Clone)]
pub struct Client {
    secure: reqwest::Client,
    plain: reqwest::Client,
    reach: Reach,
}

impl Client {
    pub fn new(reach: Reach) -> Result<Self, WebhooksError> {
        let (secure, plain) = (http_client(reach.secure())?, http_client(reach.plain())?);
        Ok(Self { secure, plain, reach })
    }

    /// Posts it and returns the answer's status; the answer's body is not read. The address is looked at again: what may be
    /// reached can have changed since it was taken.
    pub async fn post(&self, message: Message<'_>) -> Answer {
        let Ok(url) = self.reach.check(message.url) else { return Answer::None(Fault::AddressRefused) };
        let span = tracing::info_span!(
            "webhook.http",
            method = "POST",
            host = url.host_str().unwrap_or_default(),
            status = field::Empty,
            elapsed_ms = field::Empty
        );
        let begun = Instant::now();
        let answer = self.send(url, message).instrument(span.clone()).await;
        if let Answer::Status { status, .. } = answer {
            span.record("status", status);
        }
        span.record("elapsed_ms", u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        answer
    }

    async fn send(&self, url: Url, message: Message<'_>) -> Answer {
        let client = if url.scheme() == "https" { &self.secure } else { &self.plain };
        let mut request = client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.at.timestamp())
            .header("webhook-signature", message.signature)
            .body(message.body.to_owned());
        if let Some(trace) = message.trace {
            request = request.header("traceparent", trace);
        }
        match request.send().await {
            Ok(response) => Answer::Status {
                status: response.status().as_u16(),
                retry_after: retry_after(response.headers(), message.at),
            },
            Err(error) => Answer::None(fault(&error)),
        }
    }
}

/// No proxy: it would resolve names by itself, past the rule.
fn http_client(rule: Rule) -> Result<reqwest::Client, WebhooksError> {
    // An error means that the process has chosen its TLS provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(DEADLINE)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_IDLE_PER_HOST_MAX)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .dns_resolver(rule)
        .user_agent(concat!("tocsin/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(WebhooksError::Client)
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => (DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now).to_std().ok(),
    }
}

fn fault(error: &reqwest::Error) -> Fault {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(found) = cause {
        if found.is::<AddressRefused>() {
            return Fault::AddressRefused;
        }
        cause = found.source();
    }
    if error.is_timeout() {
        Fault::Timeout
    } else if error.is_connect() {
        Fault::NoConnection
    } else {
        Fault::BrokenOff
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn message<'a>(url: &'a str) -> Message<'a> {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        Message { url, id: "msg_1", at, signature: "v1,x", trace: None, body: "{}" }
    }

    fn on_this_machine() -> Client {
        Client::new(Reach::beside(vec!["127.0.0.0/8".parse().unwrap()])).unwrap()
    }

    /// Answers one request, and returns what was asked.
    async fn asked(answer: &str) -> (String, Answer) {
        asked_with(answer, None).await
    }

    async fn asked_with(answer: &str, trace: Option<&str>) -> (String, Answer) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request[..read].to_vec()).unwrap().to_ascii_lowercase()
        };
        let client = on_this_machine();
        let (request, answer) = tokio::join!(serve, client.post(Message { trace, ..message(&url) }));
        (request, answer)
    }

    #[tokio::test]
    async fn a_message_leads_to_a_trace_where_it_has_one() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let (request, _) = asked_with("HTTP/1.1 204 x\r\n\r\n", Some(trace)).await;
        assert!(request.contains(&format!("traceparent: {trace}\r\n")), "{request}");
        let (request, _) = asked("HTTP/1.1 204 x\r\n\r\n").await;
        assert!(!request.contains("traceparent"), "{request}");
    }

    #[tokio::test]
    async fn a_message_has_the_standards_headers() {
        let (request, answer) = asked("HTTP/1.1 204 x\r\n\r\n").await;
        assert_eq!(answer, Answer::Status { status: 204, retry_after: None });
        for line in [
            "post /hook http/1.1",
            "content-type: application/json",
            "webhook-id: msg_1",
            "webhook-timestamp: 1800000000",
            "webhook-signature: v1,x",
        ] {
            assert!(request.contains(line), "{line} in {request}");
        }
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = elsewhere.local_addr().unwrap();
        let (_, answer) =
            asked(&format!("HTTP/1.1 307 x\r\nlocation: http://{to}/\r\ncontent-length: 0\r\n\r\n")).await;
        assert_eq!(answer, Answer::Status { status: 307, retry_after: None });
        assert!(nobody_came(&elsewhere));
    }

    /// A connection that was made waits in the listener's queue.
    fn nobody_came(listener: &std::net::TcpListener) -> bool {
        listener.set_nonblocking(true).unwrap();
        listener.accept().is_err()
    }

    #[tokio::test]
    async fn how_long_to_wait_is_told_in_seconds_or_by_a_date() {
        for (header, seconds) in [("120", 120), ("Fri, 15 Jan 2027 08:01:40 GMT", 100)] {
            let (_, answer) =
                asked(&format!("HTTP/1.1 429 x\r\nretry-after: {header}\r\ncontent-length: 0\r\n\r\n")).await;
            let retry_after = Some(Duration::from_secs(seconds));
            assert_eq!(answer, Answer::Status { status: 429, retry_after }, "{header}");
        }
    }

    #[tokio::test]
    async fn what_is_not_public_is_not_connected_to_by_address_name_or_in_another_notation() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = Client::new(Reach::default()).unwrap();
        for host in ["127.0.0.1", "127.1", "[::ffff:127.0.0.1]", "[::1]", "localhost", "169.254.169.254"] {
            let url = format!("https://{host}:{port}/");
            assert_eq!(client.post(message(&url)).await, Answer::None(Fault::AddressRefused), "{host}");
        }
        // Past the look at the address: the resolver itself.
        let url = format!("https://localhost:{port}/");
        let by_name = client.send(Url::parse(&url).unwrap(), message(&url)).await;
        assert_eq!(by_name, Answer::None(Fault::AddressRefused));
        assert!(nobody_came(&listener));
    }

    #[tokio::test]
    async fn whoever_does_not_listen_or_says_nothing_is_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let breaks_off = async { drop(listener.accept().await.unwrap()) };
        let client = on_this_machine();
        let ((), answer) = tokio::join!(breaks_off, client.post(message(&url)));
        assert_eq!(answer, Answer::None(Fault::BrokenOff));
        drop(listener);
        assert_eq!(client.post(message(&url)).await, Answer::None(Fault::NoConnection));
    }
}
