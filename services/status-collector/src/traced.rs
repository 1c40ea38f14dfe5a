//! What the collector writes into the traces of attempts: their callbacks, as they came, and what they changed.

use std::cell::LazyCell;
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tocsin_domain::settlement::{AttemptView, Change};
use tocsin_domain::trace::{Context, TraceId};
use tocsin_domain::{AttemptKey, Lane};
use tocsin_runtime::telemetry::{
    By, Decided, Kept, Kind, Part, Settling, Span, Spans, Subject, Told, mark, names,
};
use tocsin_store::events::Event;
use uuid::Uuid;

/// A callback that was taken.
#[derive(Debug, Clone, Copy)]
pub struct Taken<'a> {
    pub id: Uuid,
    pub account: &'a str,
    pub received_at: DateTime<Utc>,
    pub answered_at: DateTime<Utc>,
}

/// Where a callback is in its attempt's trace. None: that is not kept.
pub fn context(spans: &Spans, attempt: AttemptKey, lane: Lane, callback: Uuid) -> Option<Context> {
    let subject = of(attempt, lane);
    spans.keeps(attempt, lane).then(|| subject.context(Part::Callback, which(callback)))
}

/// Where what is logged of a callback is in its attempt's trace, whether or not that is kept.
pub fn place(attempt: AttemptKey, callback: Uuid) -> Context {
    let trace = TraceId::of_attempt(attempt);
    Context { trace, span: Part::Callback.span(trace, which(callback)), sampled: true }
}

/// Writes a callback of one attempt, whatever it says, and whether or not its attempt is known yet.
pub fn called_back(spans: &Spans, attempt: AttemptKey, lane: Lane, taken: Taken<'_>) {
    if spans.keeps(attempt, lane) {
        spans.emit(callback(&of(attempt, lane), taken));
    }
}

/// Writes what a batch of callbacks changed. `events` are theirs.
pub fn applied(
    spans: &Spans,
    by: By<'_>,
    written: &[(AttemptView, Change)],
    events: &[Event],
    (begun, ended): (DateTime<Utc>, DateTime<Utc>),
) {
    if !spans.on() || written.is_empty() {
        return;
    }
    // Most often nobody reads of any of them.
    let by_attempt = LazyCell::new(|| by_attempt(events));
    let settling = Settling { spans, by, begun, ended };
    for (view, change) in written {
        settling.tell(view, change, Decided::ById, |subject, kept| {
            let events = by_attempt.get(&view.key).map_or(&[][..], Vec::as_slice);
            Told {
                account: events.first().map(|event| event.account.clone()),
                links: events
                    .iter()
                    .map(|event| subject.context(Part::Callback, which(event.id)))
                    .map(|callback| (callback, names::link::CALLED_BACK_BY))
                    .collect(),
                spans: match kept {
                    Kept::AsItGoes => Vec::new(),
                    Kept::Reconstructed => {
                        events.iter().map(|event| mark(callback(subject, came(event)), kept)).collect()
                    }
                },
            }
        });
    }
}

/// A callback may report of an attempt more than once.
fn by_attempt(events: &[Event]) -> HashMap<AttemptKey, Vec<&Event>> {
    let mut by_attempt: HashMap<AttemptKey, Vec<&Event>> = HashMap::new();
    for event in events {
        if let Some(attempt) = event.about.attempt() {
            let of_attempt = by_attempt.entry(attempt).or_default();
            if of_attempt.iter().all(|known| known.id != event.id) {
                of_attempt.push(event);
            }
        }
    }
    by_attempt
}

fn callback(subject: &Subject, taken: Taken<'_>) -> Span {
    subject
        .span(Part::Callback, which(taken.id), names::span::CALLBACK)
        .kind(Kind::Server)
        .between(taken.received_at, taken.answered_at)
        .with(names::HTTP_METHOD, "POST")
        .with(names::HTTP_ROUTE, names::span::CALLBACK_ROUTE)
        .with(names::HTTP_STATUS, 200_i64)
        .with(names::ACCOUNT, taken.account.to_owned())
}

/// As far as its event tells.
fn came(event: &Event) -> Taken<'_> {
    let (id, received_at) = (event.id, event.received_at);
    Taken { id, account: &event.account, received_at, answered_at: received_at }
}

fn of(attempt: AttemptKey, lane: Lane) -> Subject {
    Subject { attempt, channel: None, lane, district: None }
}

/// A redelivered callback is the same span.
fn which(callback: Uuid) -> u64 {
    callback.as_u64_pair().1 ^ callback.as_u64_pair().0.rotate_left(17)
}
