//! Mailgun's messages and event log (wire B.1, B.3). Form-encoded messages only: what Tocsin sends.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tocsin_domain::Channel;
use tocsin_providers::mailgun::TOKEN_VARIABLE;
use tocsin_providers::twilio::form::Form;

use super::answer::{Answer, Reply};
use super::behaviour::{self, Fault, Treatment};
use super::callbacks::Manner;
use super::detection::Detection;
use super::fate::{Fate, Step};
use super::record::{Acceptance, Arrival, Kind, Snapshot};
use super::{Shared, auth, clock, report};

const CHANNEL: Channel = Channel::Email;
const LIMIT_MAX: usize = 300;
const BAD_ADDRESS: &str = "'to' parameter is not a valid address. please check documentation";

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/v3/{domain}/messages", post(create)).route("/v3/{domain}/events", get(events))
}

type Server = State<Arc<Shared>>;

async fn create(server: Server, domain: Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    take(&server, &domain, &headers, &body).give(&server.stop).await
}

async fn events(server: Server, headers: HeaderMap, query: RawQuery) -> Response {
    list(&server, &headers, query).give(&server.stop).await
}

fn take(shared: &Shared, domain: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
    let at = clock::now();
    let scenario = shared.scenario();
    let behaviour = scenario.channel(CHANNEL);
    let Treatment { latency, fault } =
        behaviour::treatment(scenario.seed, shared.next_request(), behaviour, &behaviour.faults);
    let form = Form::parse(body);
    let variable = format!("v:{TOKEN_VARIABLE}");
    let (to, token) = (form.get("to"), form.get(&variable));
    let (fate, mut rng) =
        behaviour::fate(&scenario, CHANNEL, to.unwrap_or_default(), token.unwrap_or_default());
    let arrival = Arrival { channel: CHANNEL, kind: Kind::Send, token, to, answered: 200 };
    let refused = refusal_of_account(shared, headers)
        .or_else(|| Reply::of_fault(fault?, error_of_status))
        .or_else(|| {
            refusal(&form, fate).map(|message| Reply::json(400, json!({ "message": message }).to_string()))
        })
        .or_else(|| {
            let full = shared.lines.take_place(CHANNEL, behaviour).is_err();
            full.then(|| Reply::json(429, error_of_status(429)))
        });
    if let Some(reply) = refused {
        shared.ledger.arrived(at, Arrival { answered: reply.status(), ..arrival }, None);
        return Answer { reply, latency, early: None };
    }
    let dropped = fault == Some(Fault::Dropped);
    let callback = scenario.mailgun_webhook.as_deref().unwrap_or_default();
    let mail = shared.ledger.accepted(
        at,
        Arrival { answered: if dropped { 0 } else { 200 }, ..arrival },
        Acceptance { fate, callback, origin: domain, body: "", detection: Detection::NotAsked },
    );
    let manner = Manner {
        callbacks: &behaviour.callbacks,
        subscribed: &|_| true,
        answered_in: latency,
        waits: behaviour.drain_per_second.is_some(),
    };
    let early = shared.work_on(&mail, &manner, &mut rng);
    let queued = json!({ "id": format!("<{}>", mail.provider_id), "message": "Queued. Thank you." });
    let reply = if dropped { Reply::Dropped } else { Reply::json(200, queued.to_string()) };
    Answer { reply, latency, early }
}

/// The log knows each mail's acceptance and the step it has come to.
fn list(shared: &Shared, headers: &HeaderMap, query: RawQuery) -> Answer {
    let at = clock::now();
    let scenario = shared.scenario();
    let behaviour = scenario.channel(CHANNEL);
    let Treatment { latency, fault } =
        behaviour::treatment(scenario.seed, shared.next_request(), behaviour, &behaviour.recall_faults);
    let query = query.0.unwrap_or_default();
    let filter = Form::parse(query.as_bytes());
    let to = filter.get("recipient");
    let reply = refusal_of_account(shared, headers)
        .or_else(|| Reply::of_fault(fault?, error_of_status))
        .unwrap_or_else(|| {
            Reply::json(200, json!({ "items": log(shared, &filter), "paging": {} }).to_string())
        });
    let reply = if fault == Some(Fault::Dropped) { Reply::Dropped } else { reply };
    let arrival = Arrival { channel: CHANNEL, kind: Kind::LookUp, token: None, to, answered: reply.status() };
    shared.ledger.arrived(at, arrival, None);
    Answer { reply, latency, early: None }
}

fn log(shared: &Shared, filter: &Form<'_>) -> Vec<Value> {
    let seconds = |key| filter.get(key).and_then(|text| text.parse::<i64>().ok());
    let (begin, end) = (seconds("begin").unwrap_or(i64::MIN), seconds("end").unwrap_or(i64::MAX));
    let limit = seconds("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LIMIT_MAX);
    let in_time = |mail: &Snapshot| (begin..=end).contains(&mail.arrived_at.timestamp());
    let found =
        shared.ledger.sent_to(CHANNEL, filter.get("recipient").unwrap_or_default(), limit.min(LIMIT_MAX));
    let of_mail = |mail: &Snapshot| {
        let latest = Some(mail.step).filter(|step| *step != Step::Queued);
        let steps = [Some(Step::Queued), latest];
        steps
            .into_iter()
            .flatten()
            .filter_map(|step| report::mail_event(mail, step, mail.arrived_at))
            .collect()
    };
    found.iter().rev().filter(|mail| in_time(mail)).flat_map(|mail| -> Vec<Value> { of_mail(mail) }).collect()
}

fn refusal_of_account(shared: &Shared, headers: &HeaderMap) -> Option<Reply> {
    let allowed = auth::is_allowed(headers, "api", &shared.scenario().credentials.mailgun_key);
    (!allowed).then_some(Reply::Text { status: 401, body: "Forbidden" })
}

fn refusal(form: &Form<'_>, fate: Fate) -> Option<&'static str> {
    if form.get("from").is_none() {
        return Some("from parameter is missing");
    }
    match form.get("to") {
        None => return Some("to parameter is missing"),
        Some(to) if !to.contains('@') || fate == Fate::Invalid => return Some(BAD_ADDRESS),
        Some(_) => {}
    }
    let content = ["text", "html", "amp-html", "template"];
    let empty = content.iter().all(|key| form.get(key).is_none());
    empty.then_some("Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified")
}

fn error_of_status(status: u16) -> String {
    let message = if status == 429 {
        "Domain is not allowed to send: request limit exceeded"
    } else {
        "Internal Server Error"
    };
    json!({ "message": message }).to_string()
}
