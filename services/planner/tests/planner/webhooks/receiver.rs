//! A district's own system: takes what is posted, verifies it by its own means, and answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use tocsin_runtime::Tasks;
use tokio::net::TcpListener;

/// One request that came.
#[derive(Debug, Clone)]
pub struct Posted {
    pub id: String,
    timestamp: String,
    pub signature: String,
    pub trace: Option<String>,
    pub body: String,
}

impl Posted {
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn name(&self) -> String {
        self.event()["type"].as_str().unwrap().to_owned()
    }

    /// As docs/WEBHOOKS.md tells receivers to, and not by the sender's own code.
    pub fn is_signed_with(&self, shown: &str) -> bool {
        let key = STANDARD.decode(shown.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.{}", self.id, self.timestamp, self.body).as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.signature.split(' ').any(|entry| entry == expected)
    }
}

/// A status, and headers beside it.
type Scripted = (u16, Vec<(&'static str, String)>);

#[derive(Debug, Clone, Default)]
struct Desk {
    posted: Arc<Mutex<Vec<Posted>>>,
    answers: Arc<Mutex<VecDeque<Scripted>>>,
    /// Answers nobody.
    is_silent: bool,
}

pub struct Receiver {
    desk: Desk,
    pub url: String,
    tasks: Tasks,
}

impl Receiver {
    /// Answers 204 unless told otherwise.
    pub async fn start() -> Self {
        Self::with(Desk::default()).await
    }

    pub async fn silent() -> Self {
        Self::with(Desk { is_silent: true, ..Desk::default() }).await
    }

    async fn with(desk: Desk) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(desk.clone());
        let tasks = Tasks::new();
        tasks.spawn("receiver", async move { axum::serve(listener, router).await.unwrap() });
        Self { desk, url, tasks }
    }

    /// What the next requests are answered, one each.
    pub fn answers(&self, statuses: &[u16]) {
        self.desk.answers.lock().unwrap().extend(statuses.iter().map(|status| (*status, vec![])));
    }

    pub fn answers_with(&self, status: u16, header: &'static str, value: &str) {
        self.desk.answers.lock().unwrap().push_back((status, vec![(header, value.to_owned())]));
    }

    pub fn posted(&self) -> Vec<Posted> {
        self.desk.posted.lock().unwrap().clone()
    }

    /// The names of what came, in order.
    pub fn names(&self) -> Vec<String> {
        self.posted().iter().map(Posted::name).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.tasks.abort();
    }
}

async fn take(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let posted = Posted {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        trace: headers.contains_key("traceparent").then(|| header("traceparent")),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    desk.posted.lock().unwrap().push(posted);
    if desk.is_silent {
        std::future::pending::<()>().await;
    }
    let (status, more) = desk.answers.lock().unwrap().pop_front().unwrap_or((204, vec![]));
    let mut response = StatusCode::from_u16(status).unwrap().into_response();
    for (name, value) in more {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
