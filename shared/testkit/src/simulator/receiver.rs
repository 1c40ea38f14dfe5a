//! The other end of the callbacks: takes whatever is posted to it and keeps it as it came.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::serve::Listener;
use tocsin_providers::RawRequest;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::tls::{Made, TlsListener, make};

/// A callback receiver for tests that have no collector. It stops when it is dropped.
#[derive(Debug)]
pub struct CallbackReceiver {
    /// `http://127.0.0.1:<port>`: the public URL of the callbacks.
    pub base_url: String,
    /// Of one that listens by TLS, in PEM: it is signed by itself.
    pub certificate: Option<String>,
    kept: Arc<Kept>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Kept {
    base_url: String,
    inner: Mutex<Inner>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    received: Vec<RawRequest>,
    answers: VecDeque<u16>,
}

impl CallbackReceiver {
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("the callback receiver cannot listen on this machine")?;
        let base_url = format!("http://{}", listener.local_addr()?);
        Ok(Self::listen(base_url, None, listener))
    }

    /// The same by https, under the name `localhost`.
    pub async fn start_tls() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("the callback receiver cannot listen on this machine")?;
        let base_url = format!("https://localhost:{}", listener.local_addr()?.port());
        let Made { acceptor, pem, .. } = make("receiver.test")?;
        Ok(Self::listen(base_url, Some(pem), TlsListener { listener, acceptor }))
    }

    fn listen<L: Listener>(base_url: String, certificate: Option<String>, listener: L) -> Self
    where
        L::Addr: std::fmt::Debug,
    {
        let kept =
            Arc::new(Kept { base_url: base_url.clone(), inner: Mutex::default(), more: Notify::new() });
        let router = Router::new().fallback(receive).with_state(kept.clone());
        let stop = CancellationToken::new();
        let ended = stop.clone();
        TaskTracker::new().spawn(async move {
            // An error would show as callbacks that never arrive.
            ended.run_until_cancelled(axum::serve(listener, router).into_future()).await
        });
        Self { base_url, certificate, kept, _stop: stop.drop_guard() }
    }

    /// The HTTP statuses of the next answers; 200 from then on.
    pub fn answer_next(&self, statuses: &[u16]) {
        self.kept.lock().answers.extend(statuses);
    }

    /// Everything posted so far, in order of arrival.
    pub fn received(&self) -> Vec<RawRequest> {
        self.kept.lock().received.clone()
    }

    /// Everything posted so far, as soon as that is `count` requests.
    pub async fn received_at_least(&self, count: usize, limit: Duration) -> anyhow::Result<Vec<RawRequest>> {
        let enough = async {
            loop {
                let more = self.kept.more.notified();
                let received = self.received();
                if received.len() >= count {
                    return received;
                }
                more.await;
            }
        };
        tokio::time::timeout(limit, enough)
            .await
            .with_context(|| format!("only {} of {count} callbacks after {limit:?}", self.received().len()))
    }
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn receive(
    kept: State<Arc<Kept>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
    let url = format!("{}{uri}", kept.base_url);
    let mut inner = kept.lock();
    kept.more.notify_waiters();
    inner.received.push(RawRequest { method: method.to_string(), url, headers, body });
    let status = inner.answers.pop_front().unwrap_or(200);
    StatusCode::from_u16(status).unwrap_or(StatusCode::OK)
}
