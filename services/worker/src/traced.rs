//! What a worker writes into the traces of attempts: that their message waited for a permit, the claim, what the provider
//! was asked and how it answered, and what was recorded.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::settlement::{AttemptView, Change};
use tocsin_domain::trace::{Context, SpanId, TraceId};
use tocsin_domain::{AttemptKey, Channel, Generation, Outcome, WaitReason};
use tocsin_providers::{Answer, Exchange};
use tocsin_queue::Queue;
use tocsin_runtime::Stopwatch;
use tocsin_runtime::telemetry::{
    By, Decided, Kept, Kind, Part, Settling, Span, Spans, Subject, Told, attempt_name, campaign_root, mark,
    moment, names, subject,
};

use crate::Worker;
use crate::pending::Pending;
use crate::shares::AccountShare;

/// How a job came to its claim.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    arrived: DateTime<Utc>,
    generation: Generation,
    /// The span of its release.
    published_by: Option<Context>,
}

impl Arrival {
    /// None: there are no traces.
    pub fn of(worker: &Worker, job: &Pending) -> Option<Self> {
        worker.spans.on().then(|| Self {
            arrived: begun(worker, &job.arrived),
            generation: job.generation,
            published_by: job.trace,
        })
    }
}

/// When the claim was asked for and when it was answered.
#[derive(Debug, Clone, Copy)]
pub struct Claiming {
    begun: DateTime<Utc>,
    ended: DateTime<Utc>,
    jobs: usize,
}

impl Claiming {
    pub fn of(worker: &Worker, since: &Stopwatch, jobs: usize) -> Self {
        Self { begun: begun(worker, since), ended: worker.clock.now(), jobs }
    }
}

/// What is known of a claimed attempt beside what it is decided by. None of it where there are no traces.
#[derive(Debug, Clone)]
pub struct Traced {
    /// Is its trace written as it goes?
    kept: bool,
    share: Arc<AccountShare>,
    pub asking: Option<Asking>,
}

/// A request, or the requests, to a provider.
#[derive(Debug, Clone)]
pub struct Asking {
    begun: DateTime<Utc>,
    ended: DateTime<Utc>,
    provider: &'static str,
    /// Messages that were asked for together.
    messages: usize,
    /// None: nobody reads of them.
    exchanges: Option<Arc<[Exchange]>>,
}

impl Traced {
    pub fn is_kept(&self) -> bool {
        self.kept
    }
}

impl Asking {
    pub fn new(
        provider: &'static str,
        messages: usize,
        (begun, ended): (DateTime<Utc>, DateTime<Utc>),
        exchanges: Option<Vec<Exchange>>,
    ) -> Self {
        let exchanges = exchanges.map(Arc::from);
        Self { begun, ended, provider, messages, exchanges }
    }

    /// The request's span in the trace of one that it was for.
    pub fn span(&self, trace: TraceId) -> SpanId {
        Part::Ask.span(trace, moment(self.begun))
    }
}

/// Writes how a granted job came to be claimed.
pub fn claimed(
    worker: &Worker,
    view: &AttemptView,
    share: &Arc<AccountShare>,
    arrival: Option<Arrival>,
    claiming: Claiming,
) -> Option<Traced> {
    let arrival = arrival?;
    let decided = Decided::by_message(arrival.published_by);
    let kept = decided.keeps(&worker.spans, view.key, view.job.lane);
    if kept {
        let (subject, which) = (subject(view), u64::from(arrival.generation.0.unsigned_abs()));
        let queue = Queue::Jobs(view.job.channel, view.job.lane).destination();
        // A message may come twice.
        let when = moment(arrival.arrived);
        let process = subject
            .processes(Part::Process, when, &queue)
            .between(arrival.arrived, claiming.ended)
            .with(names::GENERATION, which as i64);
        let process = match arrival.published_by {
            Some(context) => process.linked(context, names::link::PUBLISHED_BY),
            None => process,
        };
        let process_id = Part::Process.span(subject.trace(), when);
        let limiter = subject
            .span(Part::Limiter, when, names::span::WAIT_LIMITER)
            .between(arrival.arrived, claiming.begun)
            .below(process_id);
        let claim = subject
            .span(Part::Claim, when, names::span::CLAIM)
            .between(claiming.begun, claiming.ended)
            .below(process_id)
            .with(names::BATCH, claiming.jobs as i64);
        worker.spans.emit_all([process, limiter, claim]);
    }
    Some(Traced { kept, share: Arc::clone(share), asking: None })
}

/// A job that its claim ended, or sent back to wait: no attempt is made of it now.
pub fn denied(worker: &Worker, channel: Channel, job: &Pending, barred: Option<Outcome>) {
    let Some(context) = kept_context(worker, job) else { return };
    let now = worker.clock.now();
    match barred {
        Some(outcome) => {
            let root = Span::new(context.trace, context.trace.root(), attempt_name(Some(channel)))
                .linked(campaign_root(job.key.campaign), names::link::CAMPAIGN)
                .with(names::CHANNEL, channel.as_str())
                .with(names::OUTCOME, outcome.code());
            worker.spans.emit(describe(root, job).between(begun(worker, &job.arrived), now));
        }
        None => waits(worker, context, job, WaitReason::Window, now),
    }
}

/// Jobs that go back to their rows.
pub fn gave_back(worker: &Worker, jobs: &[Pending], reason: WaitReason) {
    let now = worker.clock.now();
    for job in jobs {
        if let Some(context) = kept_context(worker, job) {
            waits(worker, context, job, reason, now);
        }
    }
}

fn waits(worker: &Worker, context: Context, job: &Pending, reason: WaitReason, now: DateTime<Utc>) {
    let arrived = begun(worker, &job.arrived);
    let id = Part::Hold.span(context.trace, moment(now));
    let wait = Span::new(context.trace, id, format!("{} {reason}", names::span::WAIT))
        .below(context.trace.root())
        .with(names::WAIT_REASON, reason.as_str());
    worker.spans.emit(describe(wait, job).between(arrived, now));
}

fn describe(span: Span, job: &Pending) -> Span {
    span.with(names::CAMPAIGN, job.key.campaign.to_string())
        .with(names::JOB, i64::from(job.key.job))
        .with(names::LANE, job.lane.as_str())
}

fn kept_context(worker: &Worker, job: &Pending) -> Option<Context> {
    job.trace.filter(|context| context.sampled && worker.spans.on())
}

/// Writes what the provider was asked and answered.
pub fn asked(spans: &Spans, view: &AttemptView, traced: &Traced, answer: &Answer) {
    if let (true, Some(asking)) = (traced.kept, &traced.asking) {
        spans.emit_all(requests(&subject(view), traced, asking, answer_code(answer), Kept::AsItGoes));
    }
}

fn requests(
    subject: &Subject,
    traced: &Traced,
    asking: &Asking,
    answer: &'static str,
    kept: Kept,
) -> Vec<Span> {
    let which = moment(asking.begun);
    let id = asking.span(subject.trace());
    let exchanges = asking.exchanges.as_deref().unwrap_or_default();
    let kind = if exchanges.is_empty() { Kind::Client } else { Kind::Internal };
    let ask = subject
        .span(Part::Ask, which, names::span::ASK)
        .kind(kind)
        .between(asking.begun, asking.ended)
        .with(names::PROVIDER, asking.provider)
        .with(names::ACCOUNT, traced.share.name.clone())
        .with(names::BATCH, asking.messages as i64);
    let ask = if answer.is_empty() { ask } else { ask.with(names::ANSWER, answer) };
    let mut spans = vec![mark(if is_failure(answer) { ask.failed(answer) } else { ask }, kept)];
    for exchange in exchanges {
        spans.push(http(subject, asking, exchange).below(id));
    }
    spans
}

fn http(subject: &Subject, asking: &Asking, exchange: &Exchange) -> Span {
    let at = |since: std::time::Duration| asking.begun + TimeDelta::from_std(since).unwrap_or_default();
    let begun = at(exchange.begun);
    let span = subject
        .span(Part::Http, moment(begun), exchange.method.to_string())
        .kind(Kind::Client)
        .between(begun, at(exchange.ended))
        .with(names::HTTP_METHOD, exchange.method.to_string())
        .with(names::SERVER_ADDRESS, exchange.host.clone())
        .with(names::SERVER_PORT, i64::from(exchange.port))
        .with(names::URL_FULL, exchange.url.clone())
        .with_some(names::HTTP_STATUS, exchange.status.map(i64::from));
    match (exchange.failure, exchange.status) {
        (Some(failure), _) => span.failed(failure),
        (None, Some(status @ 400..)) => span.failed(status.to_string()),
        (None, _) => span,
    }
}

/// Writes what was recorded: for what is kept, the step; with an attempt's last one, its root.
pub fn recorded(
    spans: &Spans,
    written: &[(AttemptView, Change)],
    traced: &HashMap<AttemptKey, Traced>,
    (begun, ended): (DateTime<Utc>, DateTime<Utc>),
) {
    let settling = Settling { spans, by: By::Record, begun, ended };
    for (view, change) in written {
        let traced = traced.get(&view.key);
        let decided = traced.map_or(Decided::ById, |traced| Decided::ByMessage { kept: traced.kept });
        settling.tell(view, change, decided, |subject, kept| {
            let Some(traced) = traced else { return Told::default() };
            let asked = traced.asking.as_ref().filter(|_| kept == Kept::Reconstructed);
            Told {
                account: Some(traced.share.name.clone()),
                links: Vec::new(),
                spans: asked.map(|asking| requests(subject, traced, asking, "", kept)).unwrap_or_default(),
            }
        });
    }
}

/// What came of orders about attempts: recalls, look-ups. `orders` are the spans of their messages.
pub fn followed(
    spans: &Spans,
    by: By<'_>,
    written: &[(AttemptView, Change)],
    orders: &HashMap<AttemptKey, Context>,
    (begun, ended): (DateTime<Utc>, DateTime<Utc>),
) {
    let settling = Settling { spans, by, begun, ended };
    for (view, change) in written {
        let order = orders.get(&view.key).copied();
        settling.tell(view, change, Decided::by_message(order), |_, _| Told {
            links: order.map(|order| (order, names::link::PUBLISHED_BY)).into_iter().collect(),
            ..Told::default()
        });
    }
}

/// The context of a message's field, or none.
pub fn context(traceparent: &str) -> Option<Context> {
    if traceparent.is_empty() { None } else { Context::parse(traceparent) }
}

/// In words of a closed set.
fn answer_code(answer: &Answer) -> &'static str {
    match answer {
        Answer::Accepted { .. } => "accepted",
        Answer::Refused { .. } => "refused",
        Answer::RefusedTogether { .. } => "refused_together",
        Answer::Throttled { .. } => "throttled",
        Answer::NotStarted => "not_started",
        Answer::NotSent { .. } => "not_sent",
        Answer::Lost { .. } => "lost",
    }
}

fn is_failure(answer: &str) -> bool {
    !matches!(answer, "" | "accepted" | "throttled" | "not_started")
}

/// When a stopwatch was started, by the worker's clock.
fn begun(worker: &Worker, since: &Stopwatch) -> DateTime<Utc> {
    worker.clock.now() - TimeDelta::from_std(since.elapsed()).unwrap_or_default()
}
