//! What was asked of a vendor over HTTP, for whoever traces it: when, whom, and what came of it; never a path with a number in
//! it, a query, a header or a body.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use reqwest::{Method, Request, Url};

use crate::http::{NoReply, Reply};

tokio::task_local! {
    static SEEN: RefCell<Vec<Exchange>>;
    static SINCE: Instant;
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub method: Method,
    pub host: String,
    pub port: u16,
    /// Scheme, host and what of the path tells nothing of anybody.
    pub url: String,
    /// None: no answer.
    pub status: Option<u16>,
    /// Why there is none: one of a closed set.
    pub failure: Option<&'static str>,
    /// Since the observation began.
    pub begun: Duration,
    pub ended: Duration,
}

/// Runs what asks a vendor, and tells of its requests. Requests that another task makes are not seen.
pub async fn observed<T>(asking: impl Future<Output = T>) -> (T, Vec<Exchange>) {
    let seeing = SEEN.scope(RefCell::default(), async {
        let answer = asking.await;
        (answer, SEEN.with(RefCell::take))
    });
    SINCE.scope(Instant::now(), seeing).await
}

/// A request that begins. None: nobody observes it.
pub(crate) fn begin(request: &Request) -> Option<Exchange> {
    let begun = SINCE.try_with(Instant::elapsed).ok()?;
    let url = request.url();
    Some(Exchange {
        method: request.method().clone(),
        host: url.host_str().unwrap_or_default().to_owned(),
        port: url.port_or_known_default().unwrap_or_default(),
        url: scrubbed(url),
        status: None,
        failure: None,
        begun,
        ended: begun,
    })
}

pub(crate) fn end(exchange: Option<Exchange>, reply: &Result<Reply, NoReply>) {
    let Some(exchange) = exchange else { return };
    let failure = match reply {
        Ok(_) => None,
        Err(NoReply::NotStarted) => Some("not_started"),
        Err(NoReply::NotSent(_)) => Some("not_sent"),
        Err(NoReply::Lost(_)) => Some("lost"),
    };
    let status = reply.as_ref().ok().map(|reply| reply.status.as_u16());
    let ended = SINCE.try_with(Instant::elapsed).unwrap_or(exchange.begun);
    // Within the same scope as it began: there is a list.
    let _ = SEEN.try_with(|seen| seen.borrow_mut().push(Exchange { status, failure, ended, ..exchange }));
}

/// A segment with a digit may be a number, an id or a token; one with @ is an address; one with % may be anything.
fn scrubbed(url: &Url) -> String {
    let tells = |segment: &str| segment.chars().any(|c| c.is_ascii_digit() || matches!(c, '@' | '%' | '+'));
    let mut scrubbed = url.origin().ascii_serialization();
    for segment in url.path_segments().into_iter().flatten() {
        scrubbed.push('/');
        scrubbed.push_str(if tells(segment) { "{}" } else { segment });
    }
    scrubbed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_neither_number_nor_id_nor_token() {
        let table = [
            (
                "https://api.twilio.com/2010-04-01/Accounts/AC0f1/Calls.json?To=%2B13125550100",
                "https://api.twilio.com/{}/Accounts/{}/Calls.json",
            ),
            (
                "http://user:secret@mail.example:8080/v3/mg.example/messages",
                "http://mail.example:8080/{}/mg.example/messages",
            ),
            ("https://sms.example/send/+13125550100", "https://sms.example/send/{}"),
            ("https://sms.example/send/ana@example.org", "https://sms.example/send/{}"),
            ("https://sms.example/", "https://sms.example/"),
        ];
        for (url, expected) in table {
            assert_eq!(scrubbed(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
