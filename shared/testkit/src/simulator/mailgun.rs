//! Mailgun's messages and event log (wire B.1, B.3). Messages are form-encoded, or multipart where they have files.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::{get, post};
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tocsin_domain::Channel;
use tocsin_providers::twilio::form::Form;

use super::answer::{Answer, Reply};
use super::behaviour::{self, Fault, Treatment};
use super::callbacks::Manner;
use super::detection::Detection;
use super::fate::{Fate, Step};
use super::record::{Acceptance, Arrival, Kind, Snapshot};
use super::{Shared, auth, clock, mailgun_refusals, report};

/// What is larger is answered 413 (wire B.1).
const MESSAGE_BYTES_MAX: usize = 25 * 1024 * 1024;
const CHANNEL: Channel = Channel::Email;
const LIMIT_MAX: usize = 300;
const TOKEN_PARAMETER: &str = "v:tocsin-token";
const BAD_ADDRESS: &str = "'to' parameter is not a valid address. please check documentation";

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v3/{domain}/messages", post(create))
        .route("/v3/{domain}/events", get(events))
        .layer(DefaultBodyLimit::max(MESSAGE_BYTES_MAX))
}

type Server = State<Arc<Shared>>;

async fn create(server: Server, domain: Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    take(&server, &domain, &headers, &body).give(&server.stop).await
}

async fn events(server: Server, headers: HeaderMap, query: RawQuery) -> Response {
    list(&server, &headers, query).give(&server.stop).await
}

/// Everything is decided, written down and planned here, as of calls and texts. Several mails are one request: one fault,
/// one refusal and one id for all, and for each his own token, fate and reports.
fn take(shared: &Shared, domain: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
    let at = clock::now();
    let scenario = shared.scenario();
    let behaviour = scenario.channel(CHANNEL);
    let Treatment { latency, fault } =
        behaviour::treatment(scenario.seed, shared.next_request(), behaviour, &behaviour.faults);
    let body = as_form(headers, body);
    let form = Form::parse(&body);
    let recipients = Recipients::of(&form);
    let drawn: Vec<(Recipient<'_>, Fate, StdRng)> = recipients
        .each()
        .map(|recipient| {
            let token = recipient.token.as_deref().unwrap_or_default();
            let (fate, rng) = behaviour::fate(&scenario, CHANNEL, recipient.to.unwrap_or_default(), token);
            (recipient, fate, rng)
        })
        .collect();
    let is_invalid = |(recipient, fate, _): &(Recipient<'_>, Fate, StdRng)| {
        *fate == Fate::Invalid || recipient.to.is_some_and(|to| !to.contains('@'))
    };
    let refused = refusal_of_account(shared, headers)
        .or_else(|| Reply::of_fault(fault?, error_of_status))
        .or_else(|| {
            let message = mailgun_refusals::of_request(&form)
                .or_else(|| drawn.iter().any(is_invalid).then(|| BAD_ADDRESS.to_owned()));
            message.map(|message| Reply::json(400, json!({ "message": message }).to_string()))
        })
        .or_else(|| {
            let full = shared.lines.take_places(CHANNEL, behaviour, drawn.len()).is_err();
            full.then(|| Reply::json(429, error_of_status(429)))
        });
    let turned_away = |recipient: &Recipient<'_>, answered| {
        shared.ledger.arrived(
            at,
            Arrival {
                channel: CHANNEL,
                kind: Kind::Send,
                token: recipient.token.as_deref(),
                to: recipient.to,
                answered,
            },
            None,
        );
    };
    if let Some(reply) = refused {
        drawn.iter().for_each(|(recipient, ..)| turned_away(recipient, reply.status()));
        return Answer { reply, latency, early: None };
    }
    let dropped = fault == Some(Fault::Dropped);
    let callback = scenario.mailgun_webhook.as_deref().unwrap_or_default();
    let manner = Manner {
        callbacks: &behaviour.callbacks,
        subscribed: &|_| true,
        answered_in: latency,
        waits: behaviour.drain_per_second.is_some(),
    };
    let (mut first, mut early): (Option<Snapshot>, _) = (None, None);
    for (recipient, fate, mut rng) in drawn {
        let arrival = Arrival {
            channel: CHANNEL,
            kind: Kind::Send,
            token: recipient.token.as_deref(),
            to: recipient.to,
            answered: if dropped { 0 } else { 200 },
        };
        let with = first.as_ref().map(|first| first.id);
        let acceptance =
            Acceptance { fate, callback, origin: domain, body: "", detection: Detection::NotAsked, with };
        let mail = shared.ledger.accepted(at, arrival, acceptance);
        early = shared.work_on(&mail, &manner, &mut rng).or(early);
        first.get_or_insert(mail);
    }
    let id = first.map(|mail| mail.provider_id).unwrap_or_default();
    let queued = json!({ "id": format!("<{id}>"), "message": "Queued. Thank you." });
    let reply = if dropped { Reply::Dropped } else { Reply::json(200, queued.to_string()) };
    Answer { reply, latency, early }
}

/// The fields of a message as if it were form-encoded; of a file its name. A body that breaks off has no fields.
fn as_form<'a>(headers: &HeaderMap, body: &'a [u8]) -> Cow<'a, [u8]> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let Some(boundary) = kind.strip_prefix("multipart/form-data; boundary=") else {
        return Cow::Borrowed(body);
    };
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (head, content) in parts(body, boundary).unwrap_or_default() {
        let parameter = |name: &str| Some(head.split_once(&format!("; {name}=\""))?.1.split_once('"')?.0);
        let value = match parameter("filename") {
            Some(file) => file.to_owned(),
            None => String::from_utf8_lossy(content).into_owned(),
        };
        form.append_pair(parameter("name").unwrap_or_default(), &value);
    }
    Cow::Owned(form.finish().into_bytes())
}

/// Heads and contents, up to the mark of the end.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Option<Vec<(&'a str, &'a [u8])>> {
    let find = |within: &[u8], wanted: &str| {
        within.windows(wanted.len()).position(|window| window == wanted.as_bytes())
    };
    let mark = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(mark.trim_start().as_bytes())?;
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        let end = find(rest, &mark)?;
        let part = rest[..end].strip_prefix(b"\r\n")?;
        let head = find(part, "\r\n\r\n")?;
        parts.push((std::str::from_utf8(&part[..head]).ok()?, &part[head + 4..]));
        rest = &rest[end + mark.len()..];
    }
    Some(parts)
}

/// Whom a request is to mail, and what each one's variables are.
struct Recipients<'a> {
    to: Vec<&'a str>,
    token: Option<&'a str>,
    variables: Value,
}

/// One of them.
struct Recipient<'a> {
    to: Option<&'a str>,
    token: Option<String>,
}

impl<'a> Recipients<'a> {
    fn of(form: &'a Form<'_>) -> Self {
        let to = form.pairs().iter().filter(|(name, _)| name == "to").map(|(_, value)| &**value).collect();
        let variables = form.get("recipient-variables").and_then(|text| serde_json::from_str(text).ok());
        let token = form.get(TOKEN_PARAMETER);
        Self { to, token, variables: variables.unwrap_or_default() }
    }

    /// A request that names nobody is written down, too.
    fn each(&self) -> impl Iterator<Item = Recipient<'a>> {
        let nobody = self.to.is_empty().then_some(None);
        let all = self.to.iter().copied().map(Some).chain(nobody);
        all.map(|to| Recipient { to, token: self.token.map(|token| self.filled_in(token, to)) })
    }

    /// With the variables of the recipient in their places.
    fn filled_in(&self, text: &str, to: Option<&str>) -> String {
        let own = to.and_then(|to| self.variables.get(to)).and_then(Value::as_object);
        let mut text = text.to_owned();
        for (name, value) in own.into_iter().flatten() {
            text = text.replace(&format!("%recipient.{name}%"), value.as_str().unwrap_or_default());
        }
        text
    }
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

fn error_of_status(status: u16) -> String {
    let message = if status == 429 {
        "Domain is not allowed to send: request limit exceeded"
    } else {
        "Internal Server Error"
    };
    json!({ "message": message }).to_string()
}
