//! The simulator from another process: `GET /sim/records`, `GET /sim/stats`, `POST /sim/scenario`, `POST /sim/texts`.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, PoisonError};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tocsin_domain::Channel;

use super::callbacks::CallbackCounts;
use super::record::Kind;
use super::{PersonText, Scenario, Shared, inbound};

/// Records written or sent at once: about a quarter of a megabyte for every thousand.
pub(super) const PAGE_MAX: usize = 10_000;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/sim/records", get(get_records))
        .route("/sim/stats", get(get_stats))
        .route("/sim/scenario", post(post_scenario).get(get_scenario))
        .route("/sim/texts", post(post_text))
}

/// What arrived, and what was reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub requests: Vec<RequestCount>,
    pub callbacks: CallbackCounts,
    /// Accepted and not yet begun, by channel: those that wait for their turn.
    #[serde(default)]
    pub waiting: BTreeMap<Channel, usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCount {
    pub channel: Channel,
    pub kind: Kind,
    /// By HTTP status; 0 where no answer was given.
    pub answered: BTreeMap<u16, u64>,
}

impl Stats {
    /// How many requests of this kind were answered with `status`.
    pub fn answered(&self, channel: Channel, kind: Kind, status: u16) -> u64 {
        let row = self.requests.iter().find(|row| (row.channel, row.kind) == (channel, kind));
        row.and_then(|row| row.answered.get(&status).copied()).unwrap_or(0)
    }
}

pub(super) fn stats(shared: &Shared) -> Stats {
    let mut rows: BTreeMap<(Channel, Kind), BTreeMap<u16, u64>> = BTreeMap::new();
    for ((channel, kind, status), count) in shared.ledger.counts() {
        rows.entry((channel, kind)).or_default().insert(status, count);
    }
    let requests = rows
        .into_iter()
        .map(|((channel, kind), answered)| RequestCount { channel, kind, answered })
        .collect();
    Stats { requests, callbacks: shared.callbacks.counts(), waiting: shared.lines.waiting() }
}

pub(super) fn set_scenario(shared: &Shared, scenario: Scenario) -> anyhow::Result<()> {
    scenario.check()?;
    *shared.scenario.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(scenario);
    shared.lines.look_again();
    Ok(())
}

pub(super) fn export(shared: &Shared, to: &mut impl Write) -> anyhow::Result<()> {
    let mut after = 0;
    loop {
        let lines = lines(shared, after, PAGE_MAX)?;
        if lines.is_empty() {
            return Ok(());
        }
        to.write_all(lines.as_bytes())?;
        after += PAGE_MAX;
    }
}

fn lines(shared: &Shared, after: usize, max: usize) -> Result<String, serde_json::Error> {
    let mut lines = String::new();
    for record in shared.ledger.records(after, max) {
        lines.push_str(&serde_json::to_string(&record)?);
        lines.push('\n');
    }
    Ok(lines)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    /// How many records the caller has already.
    #[serde(default)]
    after: usize,
    #[serde(default)]
    limit: Option<usize>,
}

/// Lines of JSON in order of arrival; an empty page means that there are no more.
async fn get_records(shared: State<Arc<Shared>>, page: Query<Page>) -> Response {
    match lines(&shared, page.after, page.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX)) {
        Ok(lines) => ([(CONTENT_TYPE, "application/x-ndjson")], lines).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn get_stats(shared: State<Arc<Shared>>) -> Json<Stats> {
    Json(stats(&shared))
}

async fn get_scenario(shared: State<Arc<Shared>>) -> Json<Scenario> {
    Json(shared.scenario().as_ref().clone())
}

async fn post_scenario(shared: State<Arc<Shared>>, scenario: Json<Scenario>) -> Response {
    match set_scenario(&shared, scenario.0) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

/// The answer is what the webhook answered.
async fn post_text(shared: State<Arc<Shared>>, text: Json<PersonText>) -> Response {
    match inbound::post(&shared, &text).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
