//! A gateway as the profile `call-codes` describes it: a server of its own, which reports in the codes that a test
//! gives it.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get};
use axum::{Json, Router};
use chrono::SecondsFormat;
use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use tocsin_domain::Channel;
use tocsin_providers::{AccountSettings, ProviderKind, Secret, token_of_url};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::{SENDER, clock};

const BEARER: &str = "gateway-token";
const SIGNING_KEY: &str = "gateway-signing-key";
const POST_DEADLINE: Duration = Duration::from_secs(15);

/// One message that was taken.
#[derive(Debug, Clone)]
pub struct GatewayMessage {
    pub id: String,
    /// The request's body as it came.
    pub said: Value,
    /// The status that was posted last.
    pub status: Value,
}

/// A running gateway. It stops when it is dropped.
#[derive(Debug)]
pub struct GatewayServer {
    /// The `base_url` for accounts: `http://127.0.0.1:<port>`.
    pub base_url: String,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Shared {
    /// The statuses of a number's first message, its second, …; the last entry holds for all later ones.
    statuses: Vec<Vec<Value>>,
    messages: Mutex<Vec<GatewayMessage>>,
    client: reqwest::Client,
    reports: TaskTracker,
}

impl GatewayServer {
    pub async fn start(statuses: Vec<Vec<Value>>) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("the gateway cannot listen")?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let client = tocsin_providers::http_client()?;
        let shared = Shared { statuses, messages: Mutex::default(), client, reports: TaskTracker::new() };
        let shared = Arc::new(shared);
        let router = Router::new()
            .route("/messages", get(look_up).post(take))
            .route("/messages/{id}", delete(recall))
            .with_state(shared.clone());
        let stop = CancellationToken::new();
        let ended = stop.clone();
        TaskTracker::new().spawn(async move {
            // An error would show as requests that are refused.
            ended.run_until_cancelled(axum::serve(listener, router).into_future()).await
        });
        Ok(Self { base_url, shared, _stop: stop.drop_guard() })
    }

    /// Settings that reach this gateway, named after the channel.
    pub fn account(&self, channel: Channel) -> AccountSettings {
        AccountSettings {
            name: channel.as_str().to_owned(),
            channel,
            kind: ProviderKind::Gateway,
            base_url: self.base_url.clone(),
            user: String::new(),
            secret: Secret::new(BEARER),
            signing_keys: vec![Secret::new(SIGNING_KEY)],
            sender: SENDER.to_owned(),
            domain: None,
            ca_file: None,
            profile: Some("call-codes".to_owned()),
            connections_max: None,
        }
    }

    /// The same as an operator writes it down.
    pub fn account_toml(&self, channel: Channel) -> String {
        format!(
            r#"[[accounts]]
name = "{channel}"
channel = "{channel}"
provider = "gateway"
base_url = "{}"
profile = "call-codes"
secret = "{BEARER}"
signing_key = "{SIGNING_KEY}"
sender = "{SENDER}"
"#,
            self.base_url
        )
    }

    /// Every message so far, in order of arrival.
    pub fn messages(&self) -> Vec<GatewayMessage> {
        self.shared.lock().clone()
    }

    /// Waits until every report was posted. Nothing is taken from then on.
    pub async fn reports_done(&self, limit: Duration) -> anyhow::Result<()> {
        self.shared.reports.close();
        tokio::time::timeout(limit, self.shared.reports.wait())
            .await
            .context("reports are still to be posted")
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<GatewayMessage>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_status(&self, id: &str, status: &Value) -> bool {
        let mut messages = self.lock();
        match messages.iter_mut().find(|message| message.id == id) {
            // What was recalled stays so.
            Some(message) if message.status != "Canceled" => {
                message.status = status.clone();
                true
            }
            Some(_) | None => false,
        }
    }
}

type Answer = (StatusCode, Json<Value>);

fn refusal(status: StatusCode, code: &str) -> Answer {
    (status, Json(json!({ "error": code })))
}

fn is_known(headers: &HeaderMap) -> bool {
    headers.get("authorization").is_some_and(|value| value == &format!("Bearer {BEARER}"))
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(said): Json<Value>) -> Answer {
    if !is_known(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let (Some(to), Some(callback)) = (said["to"].as_str(), said["callback"].as_str().map(str::to_owned))
    else {
        return refusal(StatusCode::BAD_REQUEST, "-2");
    };
    if !to.starts_with('+') {
        return refusal(StatusCode::BAD_REQUEST, "-2");
    }
    let (id, earlier) = {
        let mut messages = shared.lock();
        let earlier = messages.iter().filter(|message| message.said["to"] == said["to"]).count();
        let id = format!("g-{}", messages.len() + 1);
        messages.push(GatewayMessage { id: id.clone(), said: said.clone(), status: "In-Progress".into() });
        (id, earlier)
    };
    let planned = shared.statuses.get(earlier).or(shared.statuses.last()).cloned().unwrap_or_default();
    shared.reports.spawn(report_all(shared.clone(), id.clone(), callback, planned));
    (StatusCode::CREATED, Json(json!({ "id": id, "status": "In-Progress" })))
}

async fn report_all(shared: Arc<Shared>, id: String, callback: String, statuses: Vec<Value>) {
    for (status, sequence) in statuses.into_iter().zip(0_u32..) {
        if !shared.set_status(&id, &status) {
            return;
        }
        let at = clock::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let body = json!({ "id": id, "status": status, "at": at, "sequence": sequence }).to_string();
        let stamp = clock::now().timestamp().to_string();
        let signature = signature(&format!("{stamp}.{callback}.{body}"));
        let posted = shared
            .client
            .post(&callback)
            .timeout(POST_DEADLINE)
            .header("X-Timestamp", stamp)
            .header("X-Signature", signature)
            .body(body)
            .send()
            .await;
        if let Err(error) = posted.and_then(|answer| answer.error_for_status()) {
            tracing::warn!(error = %error.without_url(), "a gateway's report was not taken");
        }
    }
}

/// Signed by the library itself, so that the adapter is not held against its own code.
fn signature(signed: &str) -> String {
    match Hmac::<Sha256>::new_from_slice(SIGNING_KEY.as_bytes()) {
        Ok(key) => format!("sha256={}", hex::encode(key.chain_update(signed).finalize().into_bytes())),
        Err(_) => String::new(),
    }
}

#[derive(Debug, Deserialize)]
struct Sought {
    reference: String,
}

async fn look_up(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(Sought { reference }): Query<Sought>,
) -> Answer {
    if !is_known(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let of = |message: &GatewayMessage| {
        token_of_url(message.said["callback"].as_str().unwrap_or_default()) == reference
    };
    let found: Vec<Value> = shared
        .lock()
        .iter()
        .filter(|message| of(message))
        .map(|message| json!({ "reference": reference, "id": message.id, "status": message.status }))
        .collect();
    (StatusCode::OK, Json(json!({ "messages": found })))
}

/// Only what has not been reported as ended can be stopped.
async fn recall(State(shared): State<Arc<Shared>>, headers: HeaderMap, Path(id): Path<String>) -> Answer {
    if !is_known(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let mut messages = shared.lock();
    let Some(message) = messages.iter_mut().find(|message| message.id == id) else {
        return refusal(StatusCode::NOT_FOUND, "unknown");
    };
    if message.status != "In-Progress" && message.status != "Canceled" {
        return refusal(StatusCode::CONFLICT, "ended");
    }
    message.status = "Canceled".into();
    (StatusCode::OK, Json(json!({ "id": id, "status": "Canceled" })))
}
