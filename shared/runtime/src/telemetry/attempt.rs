//! The trace of one attempt: from the release of its job to the last report. Who writes which part is in
//! docs/adr/0041-traces.md.

use chrono::{DateTime, Utc};
use tocsin_domain::trace::{Context, SpanId, TraceId};
use tocsin_domain::{AttemptKey, Channel, DistrictId, Lane};

use super::names;
use super::span::{Kind, Span};

/// The parts of an attempt's trace. Its number is in the part's span id, beside what tells one occurrence from another (a
/// generation, an instant, a callback): whoever writes a fact down twice writes the same span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Part {
    Root = 0,
    Plan = 1,
    Hold = 2,
    Turn = 3,
    Publish = 4,
    Process = 5,
    Limiter = 6,
    Claim = 7,
    Ask = 8,
    Http = 9,
    Record = 10,
    Callback = 11,
    Apply = 12,
    Expire = 13,
    Recall = 14,
    LookUp = 15,
    Withdraw = 16,
}

impl Part {
    /// The root is one; of the others, which one.
    pub fn span(self, trace: TraceId, which: u64) -> SpanId {
        match self {
            Self::Root => trace.root(),
            part => trace.span((u64::from(part as u8) << 56) | (which & ((1 << 56) - 1))),
        }
    }
}

/// Tells one occurrence from another where nothing but its time does.
pub fn moment(at: DateTime<Utc>) -> u64 {
    at.timestamp_micros().unsigned_abs()
}

/// An attempt, with what all of its spans say. Never a name, number, address or text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    pub attempt: AttemptKey,
    /// None: whoever writes does not know it.
    pub channel: Option<Channel>,
    pub lane: Lane,
    pub district: Option<DistrictId>,
}

impl Subject {
    pub fn trace(&self) -> TraceId {
        TraceId::of_attempt(self.attempt)
    }

    /// A part's place, as messages carry it.
    pub fn context(&self, part: Part, which: u64) -> Context {
        let trace = self.trace();
        Context { trace, span: part.span(trace, which), sampled: true }
    }

    /// A part, below the root.
    pub fn span(&self, part: Part, which: u64, name: impl Into<std::borrow::Cow<'static, str>>) -> Span {
        let trace = self.trace();
        let span = self.describe(Span::new(trace, part.span(trace, which), name));
        if part == Part::Root { span } else { span.below(trace.root()) }
    }

    fn describe(&self, span: Span) -> Span {
        let AttemptKey { job, number } = self.attempt;
        span.with(names::CAMPAIGN, job.campaign.to_string())
            .with(names::JOB, i64::from(job.job))
            .with(names::ATTEMPT, i64::from(number))
            .with_some(names::CHANNEL, self.channel.map(Channel::as_str))
            .with(names::LANE, self.lane.as_str())
            .with_some(names::DISTRICT, self.district.map(|district| district.to_string()))
    }

    /// A message that is made for it. `destination` is the exchange, a colon, and the queue.
    pub fn publishes(&self, part: Part, which: u64, destination: &str) -> Span {
        let queue = queue_of(destination);
        messaging(self.span(part, which, format!("{} {queue}", names::PUBLISH)), destination)
            .kind(Kind::Producer)
            .with(names::MESSAGING_OPERATION, names::PUBLISH)
            .with(names::MESSAGING_OPERATION_TYPE, names::SEND)
    }

    /// A message that is worked off.
    pub fn processes(&self, part: Part, which: u64, destination: &str) -> Span {
        let queue = queue_of(destination);
        messaging(self.span(part, which, format!("{} {queue}", names::PROCESS)), destination)
            .kind(Kind::Consumer)
            .with(names::MESSAGING_OPERATION, names::PROCESS)
            .with(names::MESSAGING_OPERATION_TYPE, names::PROCESS)
    }
}

fn queue_of(destination: &str) -> &str {
    destination.rsplit_once(':').map_or(destination, |(_, queue)| queue)
}

fn messaging(span: Span, destination: &str) -> Span {
    span.with(names::MESSAGING_SYSTEM, names::RABBITMQ)
        .with(names::MESSAGING_DESTINATION, destination.to_owned())
        .with(names::MESSAGING_ROUTING_KEY, queue_of(destination).to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tocsin_domain::{CampaignId, JobKey};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn parts_and_their_occurrences_have_ids_of_their_own() {
        let job = JobKey { campaign: CampaignId(Uuid::from_u128(9)), job: 4 };
        let trace = TraceId::of_attempt(AttemptKey { job, number: 1 });
        let parts = [Part::Plan, Part::Publish, Part::Claim, Part::Callback, Part::Withdraw];
        let ids: HashSet<SpanId> = parts
            .iter()
            .flat_map(|part| (0..100).map(|which| part.span(trace, which)))
            .chain([Part::Root.span(trace, 0), Part::Root.span(trace, 7)])
            .collect();
        assert_eq!(ids.len(), 501, "and the root has one");
        assert_eq!(Part::Root.span(trace, 7), trace.root());
    }
}
