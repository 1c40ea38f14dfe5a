//! One finished span, as whoever knows its facts writes it down.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use opentelemetry::trace::{Event, Link, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tocsin_domain::trace::{Context, SpanId, TraceId};

use super::names;

/// Few spans have more.
const ATTRIBUTES_MOST: usize = 12;

/// What a span's time was spent on, as OpenTelemetry divides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Internal,
    /// A request to somebody else.
    Client,
    /// A request of somebody else.
    Server,
    /// A message is made.
    Producer,
    /// A message is worked off.
    Consumer,
}

/// A span with its explicit beginning and end. Its ids come from keys, so that what it is below may be written later, and
/// by another process.
#[derive(Debug, Clone)]
#[must_use]
pub struct Span {
    data: SpanData,
}

impl Span {
    pub fn new(trace: TraceId, id: SpanId, name: impl Into<Cow<'static, str>>) -> Self {
        let context = Context { trace, span: id, sampled: true };
        Self {
            data: SpanData {
                span_context: span_context(context, false),
                parent_span_id: opentelemetry::trace::SpanId::INVALID,
                parent_span_is_remote: false,
                span_kind: SpanKind::Internal,
                name: name.into(),
                start_time: std::time::UNIX_EPOCH,
                end_time: std::time::UNIX_EPOCH,
                attributes: Vec::with_capacity(ATTRIBUTES_MOST),
                dropped_attributes_count: 0,
                events: SpanEvents::default(),
                links: SpanLinks::default(),
                status: Status::Unset,
                instrumentation_scope: InstrumentationScope::default(),
            },
        }
    }

    /// What ends before it begins, by clocks that differ, takes no time.
    pub fn between(mut self, start: DateTime<Utc>, end: DateTime<Utc>) -> Self {
        self.data.start_time = start.into();
        self.data.end_time = end.max(start).into();
        self
    }

    pub fn below(mut self, parent: SpanId) -> Self {
        self.data.parent_span_id = opentelemetry::trace::SpanId::from_bytes(parent.0);
        self
    }

    pub fn kind(mut self, kind: Kind) -> Self {
        self.data.span_kind = match kind {
            Kind::Internal => SpanKind::Internal,
            Kind::Client => SpanKind::Client,
            Kind::Server => SpanKind::Server,
            Kind::Producer => SpanKind::Producer,
            Kind::Consumer => SpanKind::Consumer,
        };
        self
    }

    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.data.attributes.push(KeyValue::new(name, value));
        self
    }

    pub fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// `relation` is one of [`names::link`].
    pub fn linked(mut self, to: Context, relation: &'static str) -> Self {
        let attributes = vec![KeyValue::new(names::LINK, relation)];
        self.data.links.links.push(Link::new(span_context(to, true), attributes, 0));
        self
    }

    pub fn event(mut self, name: &'static str, at: DateTime<Utc>) -> Self {
        self.data.events.events.push(Event::new(name, at.into(), Vec::new(), 0));
        self
    }

    /// `what` is of a closed set: a status, a code of ours.
    pub fn failed(mut self, what: impl Into<Cow<'static, str>>) -> Self {
        let what = what.into();
        self.data.status = Status::error(what.clone());
        self.with(names::ERROR_TYPE, what.into_owned())
    }

    pub(super) fn into_data(self, scope: &InstrumentationScope) -> SpanData {
        SpanData { instrumentation_scope: scope.clone(), ..self.data }
    }
}

fn span_context(of: Context, is_remote: bool) -> SpanContext {
    let flags = if of.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    SpanContext::new(
        opentelemetry::trace::TraceId::from_bytes(of.trace.0),
        opentelemetry::trace::SpanId::from_bytes(of.span.0),
        flags,
        is_remote,
        TraceState::NONE,
    )
}
