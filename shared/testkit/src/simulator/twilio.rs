//! Twilio's calls and messages: create, fetch, list, cancel (wire A.1 to A.4).

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tocsin_domain::Channel;
use tocsin_providers::token_of_url;
use tocsin_providers::twilio::form::Form;

use super::answer::{Answer, Reply};
use super::behaviour::{self, Fault, Treatment};
use super::callbacks::Manner;
use super::detection::Detection;
use super::fate::{Fate, Step};
use super::lines::Full;
use super::record::{Acceptance, Arrival, Kind, MessageId, Snapshot};
use super::{Shared, auth, clock, report, twilio_refusals};

const PAGE_SIZE_DEFAULT: usize = 50;
const PAGE_SIZE_MAX: usize = 1000;

pub(super) fn routes() -> Router<Arc<Shared>> {
    const ACCOUNT: &str = "/2010-04-01/Accounts/{account}";
    Router::new()
        .route(&format!("{ACCOUNT}/Calls.json"), post(create_call).get(list_calls))
        .route(&format!("{ACCOUNT}/Calls/{{file}}"), get(fetch_call).post(update_call))
        .route(&format!("{ACCOUNT}/Messages.json"), post(create_message).get(list_messages))
        .route(&format!("{ACCOUNT}/Messages/{{file}}"), get(fetch_message).post(update_message))
}

type Server = State<Arc<Shared>>;

async fn create_call(server: Server, account: Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    create(&server, Channel::Voice, &account, &headers, &body).give(&server.stop).await
}

async fn create_message(server: Server, account: Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    create(&server, Channel::Sms, &account, &headers, &body).give(&server.stop).await
}

async fn list_calls(server: Server, account: Path<String>, headers: HeaderMap, query: RawQuery) -> Response {
    list(&server, Channel::Voice, &account, &headers, query).give(&server.stop).await
}

async fn list_messages(
    server: Server,
    account: Path<String>,
    headers: HeaderMap,
    query: RawQuery,
) -> Response {
    list(&server, Channel::Sms, &account, &headers, query).give(&server.stop).await
}

type OneResource = Path<(String, String)>;

async fn fetch_call(server: Server, path: OneResource, headers: HeaderMap) -> Response {
    fetch(&server, Channel::Voice, &path, &headers).give(&server.stop).await
}

async fn fetch_message(server: Server, path: OneResource, headers: HeaderMap) -> Response {
    fetch(&server, Channel::Sms, &path, &headers).give(&server.stop).await
}

async fn update_call(server: Server, path: OneResource, headers: HeaderMap, body: Bytes) -> Response {
    update(&server, Channel::Voice, &path, &headers, &body).give(&server.stop).await
}

async fn update_message(server: Server, path: OneResource, headers: HeaderMap, body: Bytes) -> Response {
    update(&server, Channel::Sms, &path, &headers, &body).give(&server.stop).await
}

/// Everything is decided, written down and planned here, so that a client that goes away during the
/// latency changes nothing.
fn create(shared: &Shared, channel: Channel, account: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
    let at = clock::now();
    let scenario = shared.scenario();
    let behaviour = scenario.channel(channel);
    let Treatment { latency, fault } =
        behaviour::treatment(scenario.seed, shared.next_request(), behaviour, &behaviour.faults);
    let form = Form::parse(body);
    let callback = form.get("StatusCallback");
    let token = callback.map(token_of_url);
    let to = form.get("To");
    let (fate, mut rng) =
        behaviour::fate(&scenario, channel, to.unwrap_or_default(), token.unwrap_or_default());
    let arrival = Arrival { channel, kind: Kind::Send, token, to, answered: 201 };
    let refused = refusal_of_account(shared, account, headers)
        .or_else(|| Reply::of_fault(fault?, error_of_status))
        .or_else(|| {
            twilio_refusals::of_request(channel, &form).or_else(|| refusal_of_fate(fate)).map(error_400)
        })
        .or_else(|| shared.lines.take_place(channel, behaviour).err().map(|Full| queue_full(channel)));
    if let Some(reply) = refused {
        shared.ledger.arrived(at, Arrival { answered: reply.status(), ..arrival }, None);
        return Answer { reply, latency, early: None };
    }
    let dropped = fault == Some(Fault::Dropped);
    let keys = form.get("Twiml").and_then(keys_address).map(|url| match token {
        Some(token) => url.replace(token, report::TOKEN),
        None => url,
    });
    let message = shared.ledger.accepted(
        at,
        Arrival { answered: if dropped { 0 } else { 201 }, ..arrival },
        Acceptance {
            fate,
            callback: &without_token(callback.unwrap_or_default(), token.unwrap_or_default()),
            origin: form.get("From").unwrap_or_default(),
            body: keys.as_deref().or(form.get("Body")).unwrap_or_default(),
            detection: Detection::of(&form),
            with: None,
        },
    );
    let manner = Manner {
        callbacks: &behaviour.callbacks,
        subscribed: &|step| match (channel, step) {
            (Channel::Voice, Step::Pressed) => keys.is_some(),
            (Channel::Voice, _) => wants_event(&form, step),
            (Channel::Sms | Channel::Email | Channel::Inbox, _) => true,
        },
        answered_in: latency,
        waits: behaviour.drain_per_second.is_some(),
    };
    let early = shared.work_on(&message, &manner, &mut rng);
    let reply =
        if dropped { Reply::Dropped } else { Reply::json(201, resource(shared, &message).to_string()) };
    Answer { reply, latency, early }
}

fn list(shared: &Shared, channel: Channel, account: &str, headers: &HeaderMap, query: RawQuery) -> Answer {
    let query = query.0.unwrap_or_default();
    let filter = Form::parse(query.as_bytes());
    let to = filter.get("To");
    let page_size = filter.get("PageSize").and_then(|text| text.parse().ok()).unwrap_or(PAGE_SIZE_DEFAULT);
    let about = About { kind: Kind::LookUp, channel, to, message: None };
    respond(shared, account, headers, about, || {
        let found = to.map(|to| shared.ledger.sent_to(channel, to, page_size.min(PAGE_SIZE_MAX)));
        let from_it = |message: &Snapshot| filter.get("From").is_none_or(|from| from == &*message.origin);
        let rows: Vec<Value> = found
            .unwrap_or_default()
            .iter()
            .filter(|message| from_it(message))
            .map(|message| resource(shared, message))
            .collect();
        let name = if channel == Channel::Voice { "calls" } else { "messages" };
        Reply::json(200, json!({ name: rows, "page": 0, "page_size": page_size }).to_string())
    })
}

fn fetch(shared: &Shared, channel: Channel, path: &(String, String), headers: &HeaderMap) -> Answer {
    let found = find(shared, channel, &path.1);
    let about = About { kind: Kind::LookUp, channel, to: None, message: found.as_ref().map(|call| call.id) };
    respond(shared, &path.0, headers, about, || match &found {
        Some(message) => Reply::json(200, resource(shared, message).to_string()),
        None => not_found(),
    })
}

fn update(
    shared: &Shared,
    channel: Channel,
    path: &(String, String),
    headers: &HeaderMap,
    body: &[u8],
) -> Answer {
    let form = Form::parse(body);
    let found = find(shared, channel, &path.1);
    let about = About { kind: Kind::Recall, channel, to: None, message: found.as_ref().map(|call| call.id) };
    respond(shared, &path.0, headers, about, || {
        let Some(message) = found else { return not_found() };
        if channel != Channel::Voice {
            // Only a scheduled message can be canceled, and the simulator schedules none.
            return Reply::json(400, json!({ "message": "not scheduled", "status": 400 }).to_string());
        }
        end_call(shared, &message, form.get("Status"))
    })
}

/// `canceled` ends a call that nobody has answered, `completed` also one that is in progress.
fn end_call(shared: &Shared, call: &Snapshot, status: Option<&str>) -> Reply {
    let under_way = [Step::Answered, Step::Detected, Step::Pressed].contains(&call.step);
    let at = match status {
        Some("completed") if under_way => Step::Completed,
        Some("canceled" | "completed") => Step::Canceled,
        Some(_) | None => return error_400(20001),
    };
    let from: &[Step] = match at {
        Step::Completed => &[Step::Answered, Step::Detected, Step::Pressed],
        _ => &[Step::Queued, Step::Initiated, Step::Ringing],
    };
    if call.step.is_final() {
        return error_400(21220);
    }
    if shared.ledger.end(call.id, from, at) {
        if let Some(plan) = shared.lines.leave(call.channel, call.id) {
            shared.callbacks.give_up(&plan);
        }
        shared.callbacks.report_ended(call, at);
    }
    match shared.ledger.message(call.id) {
        Some(now) => Reply::json(200, resource(shared, &now).to_string()),
        None => not_found(),
    }
}

/// What a request other than a send is about.
struct About<'a> {
    kind: Kind,
    channel: Channel,
    to: Option<&'a str>,
    message: Option<MessageId>,
}

/// Answers with `reply` unless the account is wrong or a fault comes first, and writes it down. A
/// dropped request is carried out all the same.
fn respond(
    shared: &Shared,
    account: &str,
    headers: &HeaderMap,
    about: About<'_>,
    reply: impl FnOnce() -> Reply,
) -> Answer {
    let at = clock::now();
    let scenario = shared.scenario();
    let behaviour = scenario.channel(about.channel);
    let Treatment { latency, fault } =
        behaviour::treatment(scenario.seed, shared.next_request(), behaviour, &behaviour.recall_faults);
    let reply = refusal_of_account(shared, account, headers)
        .or_else(|| Reply::of_fault(fault?, error_of_status))
        .unwrap_or_else(reply);
    let reply = if fault == Some(Fault::Dropped) { Reply::Dropped } else { reply };
    let arrival = Arrival {
        channel: about.channel,
        kind: about.kind,
        token: None,
        to: about.to,
        answered: reply.status(),
    };
    shared.ledger.arrived(at, arrival, about.message);
    Answer { reply, latency, early: None }
}

fn find(shared: &Shared, channel: Channel, file: &str) -> Option<Snapshot> {
    let sid = file.strip_suffix(".json")?;
    shared.ledger.find(sid).filter(|message| message.channel == channel)
}

fn resource(shared: &Shared, message: &Snapshot) -> Value {
    let created = message.arrived_at.to_rfc2822();
    let mut fields = json!({
        "sid": message.provider_id,
        "account_sid": shared.scenario().credentials.twilio_account,
        "api_version": "2010-04-01",
        "status": report::twilio_word(message.step),
        "to": &*message.to,
        "from": &*message.origin,
        "direction": "outbound-api",
        "date_created": created,
        "date_updated": created,
        "price": null,
    });
    let more = match message.channel {
        Channel::Voice => json!({
            "answered_by": message.fate.answered_by().filter(|_| message.step.is_final()),
            "duration": null,
            "queue_time": "0",
        }),
        Channel::Sms | Channel::Email | Channel::Inbox => json!({
            "body": Some(&*message.body).filter(|body| !body.is_empty()),
            "error_code": report::text_error(message.fate, message.step),
            "error_message": null,
            "num_segments": "1",
        }),
    };
    if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
        fields.extend(more);
    }
    fields
}

fn refusal_of_account(shared: &Shared, account: &str, headers: &HeaderMap) -> Option<Reply> {
    let credentials = &shared.scenario().credentials;
    let known = account == credentials.twilio_account
        && auth::is_allowed(headers, &credentials.twilio_account, &credentials.twilio_token);
    (!known).then(|| error(401, 20003))
}

fn refusal_of_fate(fate: Fate) -> Option<u32> {
    match fate {
        Fate::Invalid => Some(21211),
        Fate::OptedOut => Some(21610),
        _ => None,
    }
}

fn error_400(code: u32) -> Reply {
    error(400, code)
}

/// As published of numbers, which stand for no line of ours (wire A.6, A.7): the code is what tells.
fn queue_full(channel: Channel) -> Reply {
    error_400(if channel == Channel::Voice { 10004 } else { 21611 })
}

fn not_found() -> Reply {
    error(404, 20404)
}

fn error(status: u16, code: u32) -> Reply {
    Reply::json(status, error_body(status, code))
}

fn error_of_status(status: u16) -> String {
    error_body(status, if status == 429 { 20429 } else { 20503 })
}

fn error_body(status: u16, code: u32) -> String {
    let more_info = format!("https://www.twilio.com/docs/errors/{code}");
    json!({ "code": code, "message": "refused by the simulator", "more_info": more_info, "status": status })
        .to_string()
}

/// Whether a call subscribed to this step; one that subscribes to nothing hears only of its end.
fn wants_event(call: &Form<'_>, step: Step) -> bool {
    let event = match step {
        Step::Initiated => "initiated",
        Step::Ringing => "ringing",
        Step::Answered => "answered",
        _ => "completed",
    };
    let mut wanted = call.pairs().iter().filter(|(key, _)| key == "StatusCallbackEvent").peekable();
    if wanted.peek().is_none() { event == "completed" } else { wanted.any(|(_, value)| value == event) }
}

/// Where a call's document wants the keys that are pressed.
fn keys_address(twiml: &str) -> Option<String> {
    let gather = twiml.split_once("<Gather ")?.1;
    let (action, _) = gather.split_once("action=\"")?.1.split_once('"')?;
    Some(action.replace("&amp;", "&"))
}

/// A query stays.
fn without_token<'a>(callback: &'a str, token: &str) -> Cow<'a, str> {
    let (path, query) = callback.split_at(callback.find('?').unwrap_or(callback.len()));
    match path.strip_suffix(token).filter(|rest| rest.ends_with('/')) {
        Some(rest) if query.is_empty() => rest.into(),
        Some(rest) => format!("{rest}{query}").into(),
        None => callback.into(),
    }
}
