//! Ingress: from a provider's request to a message on the status queue of its lane.
//!
//! Nothing here asks the store, so callbacks are taken while it is away, and nothing is answered 200 before
//! the broker has it. (What a call says stands in the store: `calls`.) Refusals come in the order of what they cost: account, token, then the body.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::join4;
use tocsin_domain::trace::TraceId;
use tocsin_domain::{AttemptKey, Lane};
use tocsin_providers::{Provider, RawRequest, Reply, TokenError, VerifyError, token_of_url};
use tocsin_queue::{Publisher, Queue};
use tokio::time::timeout;
use tracing::field;
use uuid::{NoContext, Timestamp, Uuid};

use crate::callback::Callback;
use crate::outbox::Outbox;
use crate::seen::{Seen, Signature};
use crate::traced::{self, Taken};
use crate::{Collector, Counter, Counts, tally, unsubscribe};

/// The largest batch of events that a vendor posts is far smaller.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// For reading the body and waiting for the broker, in all; Twilio waits for 15 s (wire A.5).
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// The HTTP side of the collector.
#[derive(Debug, Clone)]
pub struct Ingress {
    pub(crate) collector: Collector,
    outboxes: Outboxes,
    /// Signatures that were taken. Of this process: another's refuse its own.
    seen: Arc<Seen>,
}

/// One for each lane, each with a connection of its own: what waits in one is never before another's.
#[derive(Debug, Clone)]
struct Outboxes {
    emergency: Outbox,
    priority: Outbox,
    general: Outbox,
    inbound: Outbox,
}

/// Why a request is not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    UnknownAccount,
    Token(TokenError),
    Unreadable,
    /// It does not say that somebody unsubscribes.
    NoClick,
    Unverified(VerifyError),
    Unavailable,
}

impl Ingress {
    /// The ingress, and the task that publishes for it: it ends when every clone is gone.
    pub fn new(collector: &Collector) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let outbox = |queue, name| Outbox::new(Publisher::new(Arc::clone(&collector.broker), name), queue);
        let of_lane = |lane, name| outbox(Queue::Status(lane), name);
        let (emergency, publishing_emergency) = of_lane(Lane::Emergency, "collector ingress emergency");
        let (priority, publishing_priority) = of_lane(Lane::Priority, "collector ingress priority");
        let (general, publishing_general) = of_lane(Lane::General, "collector ingress general");
        // A text to one of our numbers waits behind no report.
        let (inbound, publishing_inbound) = outbox(Queue::Inbound, "collector ingress inbound");
        let outboxes = Outboxes { emergency, priority, general, inbound };
        let publishing =
            join4(publishing_emergency, publishing_priority, publishing_general, publishing_inbound);
        (Self { collector: collector.clone(), outboxes, seen: Arc::default() }, async move {
            publishing.await;
        })
    }

    /// Where providers report (design, section 5): the address given with a request carries the attempt's
    /// token; vendors with one fixed address carry it in the body. And where they pass on what people text to us.
    pub fn routes(self) -> Router {
        Router::new()
            .route("/callbacks/{account}/{token}", post(with_token).get(with_token))
            .route("/callbacks/{account}", post(without_token).get(without_token))
            .route("/inbound/{account}", post(inbound).get(inbound))
            .route("/unsubscribe/{token}", get(unsubscribe::page).post(unsubscribe::post))
            .route("/calls/{account}/{token}", post(call).get(call))
            .route("/calls/{account}/{token}/keys", post(key))
            .with_state(Arc::new(self))
    }

    /// What `/readyz` asks: is the broker there?
    pub async fn ready(&self) -> Result<(), tocsin_queue::QueueError> {
        let Outboxes { emergency, priority, general, inbound } = &self.outboxes;
        futures::try_join!(emergency.ready(), priority.ready(), general.ready(), inbound.ready())?;
        Ok(())
    }

    /// How a provider's request is answered.
    pub async fn answer(&self, account: &str, token: Option<&str>, request: Request) -> StatusCode {
        let counts = &self.collector.counts;
        let taking = timeout(REQUEST_DEADLINE, self.take(account, token, request));
        match taking.await.unwrap_or(Err(Refusal::Unavailable)) {
            Ok(()) => {
                counts.taken.add(1);
                tally::taken(&self.collector.registry, account);
                // Not 204: one vendor posts again after anything but 200 (wire B.2).
                StatusCode::OK
            }
            Err(refusal) => {
                refusal.counter(counts).add(1);
                tally::refused(&self.collector.registry, account, &refusal);
                refusal.status()
            }
        }
    }

    async fn take(&self, account: &str, token: Option<&str>, request: Request) -> Result<(), Refusal> {
        let provider = self.collector.registry.get(account).ok_or(Refusal::UnknownAccount)?;
        let in_path = token.map(|token| self.read_token(token)).transpose()?;
        let (head, body) = request.into_parts();
        let raw = self.raw_request(&head, read_body(body).await?);
        let attempt = match in_path {
            Some(read) => Some(read),
            None => provider.token(&raw).map(|token| self.read_token(&token)).transpose()?,
        };
        let now = self.collector.clock.now();
        self.verify(provider.as_ref(), account, &raw, now)?;
        let lane = attempt.map_or_else(|| self.most_urgent(provider.as_ref(), &raw), |(_, lane)| lane);
        let signature = provider.nonce(&raw).map(|nonce| Signature::of(account, &nonce));
        if signature.is_some_and(|signature| self.seen.contains(signature)) {
            self.collector.counts.repeated.add(1);
            tally::repeated(account);
            return Ok(());
        }
        let of_many = if attempt.is_none() { self.attempts(provider.as_ref(), &raw) } else { Vec::new() };
        let id = self.publish(account, raw, attempt.map(|(attempt, _)| attempt), lane, now).await?;
        let (spans, answered_at) = (&self.collector.spans, self.collector.clock.now());
        for (attempt, lane) in of_many {
            let taken = Taken { id, account, received_at: now, answered_at };
            traced::called_back(spans, attempt, lane, taken);
        }
        if let Some(signature) = signature {
            self.seen.keep(signature);
        }
        Ok(())
    }

    /// Puts a verified callback on the status queue of its lane. Returns its id.
    pub(crate) async fn publish(
        &self,
        account: &str,
        raw: RawRequest,
        attempt: Option<AttemptKey>,
        lane: Lane,
        now: DateTime<Utc>,
    ) -> Result<Uuid, Refusal> {
        let Collector { spans, clock, .. } = &self.collector;
        let id = Uuid::new_v7(timestamp(now));
        let callback = Callback { id, received_at: now, account: account.to_owned(), raw, attempt, lane };
        let context = attempt.and_then(|attempt| traced::context(spans, attempt, lane, id));
        let published = self.outboxes.of(lane).publish(callback.into_bytes(), context).await;
        published.map_err(|_| Refusal::Unavailable)?;
        if let Some(attempt) = attempt {
            let taken = Taken { id, account, received_at: now, answered_at: clock.now() };
            traced::called_back(spans, attempt, lane, taken);
        }
        Ok(id)
    }

    /// Those that a body of several reports names, where anybody reads of them.
    fn attempts(&self, provider: &dyn Provider, raw: &RawRequest) -> Vec<(AttemptKey, Lane)> {
        if !self.collector.spans.on() {
            return Vec::new();
        }
        let tokens = provider.tokens(raw).into_iter().flatten();
        tokens.filter_map(|token| self.collector.token_keys.read(&token).ok()).collect()
    }

    /// Takes a text to the account's number, and says how it is answered.
    async fn take_text(&self, account: &str, request: Request) -> Result<Reply, Refusal> {
        let provider = self.collector.registry.get(account).ok_or(Refusal::UnknownAccount)?;
        let (head, body) = request.into_parts();
        let raw = self.raw_request(&head, read_body(body).await?);
        let now = self.collector.clock.now();
        let reply = provider.reply(&raw).ok_or(Refusal::UnknownAccount)?;
        self.verify(provider.as_ref(), account, &raw, now)?;
        // What is not understood is taken all the same, and kept as it came.
        let known = provider.inbound(&raw).ok().map(|text| text.event_id(account));
        let callback = Callback {
            id: known.unwrap_or_else(|| Uuid::new_v7(timestamp(now))),
            received_at: now,
            account: account.to_owned(),
            raw,
            attempt: None,
            lane: Lane::General,
        };
        let published = self.outboxes.inbound.publish(callback.into_bytes(), None).await;
        published.map(|()| reply).map_err(|_| Refusal::Unavailable)
    }

    /// How a text that its provider passes on is answered.
    pub async fn answer_text(&self, account: &str, request: Request) -> Response {
        self.in_words(account, self.take_text(account, request)).await
    }

    /// How a request is answered whose answer the provider reads.
    pub(crate) async fn in_words(
        &self,
        account: &str,
        taking: impl Future<Output = Result<Reply, Refusal>>,
    ) -> Response {
        let counts = &self.collector.counts;
        let taking = timeout(REQUEST_DEADLINE, taking);
        match taking.await.unwrap_or(Err(Refusal::Unavailable)) {
            Ok(Reply { content_type, body }) => {
                counts.taken.add(1);
                tally::taken(&self.collector.registry, account);
                ([(CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
            }
            Err(refusal) => {
                refusal.counter(counts).add(1);
                tally::refused(&self.collector.registry, account, &refusal);
                refusal.status().into_response()
            }
        }
    }

    /// Of the attempts that a body of several reports names: none of them waits behind a lesser one's (promise 5).
    fn most_urgent(&self, provider: &dyn Provider, raw: &RawRequest) -> Lane {
        let tokens = provider.tokens(raw).into_iter().flatten();
        let lanes = tokens.filter_map(|token| self.collector.token_keys.read(&token).ok());
        lanes.map(|(_, lane)| lane).min().unwrap_or(Lane::General)
    }

    pub(crate) fn read_token(&self, token: &str) -> Result<(AttemptKey, Lane), Refusal> {
        self.collector.token_keys.read(token).map_err(Refusal::Token)
    }

    /// The URL is the configured public one, never the `Host` header's: the signature covers what the
    /// vendor asked for, and anyone can write a header (wire A.5).
    pub(crate) fn raw_request(&self, head: &Parts, body: Bytes) -> RawRequest {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let header = |(name, value): (&axum::http::HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        RawRequest {
            method: head.method.as_str().to_owned(),
            url: format!("{}{path}", self.collector.public_url.trim_end_matches('/')),
            headers: head.headers.iter().map(header).collect(),
            body,
        }
    }

    /// Puts a request of a reader, who is no provider, with what people text to us: it waits behind no report.
    pub(crate) async fn publish_reader(
        &self,
        raw: RawRequest,
        attempt: AttemptKey,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let callback = Callback {
            id: Uuid::new_v7(timestamp(now)),
            received_at: now,
            account: unsubscribe::ACCOUNT.to_owned(),
            raw,
            attempt: Some(attempt),
            lane: Lane::General,
        };
        let published = self.outboxes.inbound.publish(callback.into_bytes(), None).await;
        published.map_err(|_| Refusal::Unavailable)
    }

    pub(crate) fn verify(
        &self,
        provider: &dyn Provider,
        account: &str,
        raw: &RawRequest,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        provider.verify(raw, now).map_err(|error| {
            let token = provider.token(raw).unwrap_or_else(|| token_of_url(&raw.url).to_owned());
            let trace = self.read_token(&token).ok().map(|(attempt, _)| TraceId::of_attempt(attempt));
            // A wrong signing key or public address looks like this, too.
            tracing::warn!(%error, account, provider = provider.name(), trace_id = trace.map(field::display),
                span_id = trace.map(|trace| field::display(trace.root())), "callback refused");
            Refusal::Unverified(error)
        })
    }
}

impl Outboxes {
    fn of(&self, lane: Lane) -> &Outbox {
        match lane {
            Lane::Emergency => &self.emergency,
            Lane::Priority => &self.priority,
            Lane::General => &self.general,
        }
    }
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::UnknownAccount | Self::Token(TokenError::Malformed) => StatusCode::NOT_FOUND,
            Self::Token(TokenError::Forged) => StatusCode::FORBIDDEN,
            Self::Unreadable => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoClick => StatusCode::BAD_REQUEST,
            Self::Unverified(error) => {
                StatusCode::from_u16(error.http_status).unwrap_or(StatusCode::FORBIDDEN)
            }
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) fn counter<'a>(&self, counts: &'a Counts) -> &'a Counter {
        match self {
            Self::UnknownAccount => &counts.unknown_account,
            Self::Token(TokenError::Malformed) => &counts.malformed_token,
            Self::Token(TokenError::Forged) => &counts.forged_token,
            Self::Unreadable | Self::NoClick => &counts.unreadable,
            Self::Unverified(_) => &counts.unverified,
            Self::Unavailable => &counts.unavailable,
        }
    }
}

async fn with_token(
    State(ingress): State<Arc<Ingress>>,
    Path((account, token)): Path<(String, String)>,
    request: Request,
) -> StatusCode {
    ingress.answer(&account, Some(&token), request).await
}

async fn without_token(
    State(ingress): State<Arc<Ingress>>,
    Path(account): Path<String>,
    request: Request,
) -> StatusCode {
    ingress.answer(&account, None, request).await
}

async fn inbound(
    State(ingress): State<Arc<Ingress>>,
    Path(account): Path<String>,
    request: Request,
) -> Response {
    ingress.answer_text(&account, request).await
}

async fn call(
    State(ingress): State<Arc<Ingress>>,
    Path((account, token)): Path<(String, String)>,
    request: Request,
) -> Response {
    ingress.answer_call(&account, &token, request).await
}

async fn key(
    State(ingress): State<Arc<Ingress>>,
    Path((account, token)): Path<(String, String)>,
    request: Request,
) -> Response {
    ingress.answer_key(&account, &token, request).await
}

/// A body that breaks off is treated as one that is too large: nobody reads the answer.
pub(crate) async fn read_body(body: Body) -> Result<Bytes, Refusal> {
    to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| Refusal::Unreadable)
}

fn timestamp(now: DateTime<Utc>) -> Timestamp {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos())
}
