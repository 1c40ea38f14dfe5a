//! Where finished spans go: a bounded queue, and a task that sends them on in batches.
//!
//! Nobody who dispatches waits for a collector: what finds the queue full is dropped and counted, and an exit waits for
//! a collector that does not answer no longer than it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tocsin_domain::trace::Sampling;
use tocsin_domain::{AttemptKey, Lane};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::export::{self, Exporter};
use super::span::Span;
use super::{TelemetryError, names};
use crate::config::TraceConfig;
use crate::metrics::TRACE_SPANS_DROPPED;
use crate::tasks::spawn_untracked;

/// Spans that wait to be sent. At 2 KB each they take 16 MB at most.
const WAITING_MAX: usize = 8_192;
/// Spans sent in one request.
const BATCH_MAX: usize = 512;
/// What comes alone waits so long for others.
const PERIOD: Duration = Duration::from_millis(500);
/// Between two looks at what waits. Whoever emits a span meanwhile wakes nobody, which would cost more than the span.
const LOOK: Duration = Duration::from_millis(20);
/// One request to the collector, with what the exporter tries again.
const EXPORT_DEADLINE: Duration = Duration::from_secs(10);

/// A process's way to its collector. Cheap to clone; one without a collector keeps nothing and costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Spans {
    kept: Option<Arc<Kept>>,
}

#[derive(Debug)]
struct Kept {
    sampling: Sampling,
    slow: chrono::TimeDelta,
    scope: InstrumentationScope,
    to_send: mpsc::Sender<SpanData>,
    counts: Arc<Counts>,
    /// Asks the task to send what it has and to end.
    closing: Mutex<Option<oneshot::Sender<()>>>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Found no place, or could not be sent.
    dropped: AtomicU64,
    sent: AtomicU64,
}

impl Counts {
    fn drop_all(&self, spans: u64) {
        self.dropped.fetch_add(spans, Ordering::Relaxed);
        TRACE_SPANS_DROPPED.of([]).add(spans);
    }
}

impl Spans {
    /// Keeps nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Sends to the configured collector, if there is one, as `role`. To be called where tokio runs.
    pub fn start(config: &TraceConfig, role: &'static str) -> Result<Self, TelemetryError> {
        let Some(endpoint) = &config.endpoint else { return Ok(Self::none()) };
        let exporter = export::exporter(endpoint, config.protocol, role, EXPORT_DEADLINE)?;
        let (to_send, waiting) = mpsc::channel(WAITING_MAX);
        let (closing, asked) = oneshot::channel();
        let (ending, ended) = oneshot::channel();
        let counts = Arc::new(Counts::default());
        let sending = send_all(exporter, waiting, asked, Arc::clone(&counts));
        spawn_untracked(async move {
            sending.await;
            // Whoever waits for it may have gone.
            let _ = ending.send(());
        });
        let scope = InstrumentationScope::builder(names::SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(names::SCHEMA_URL)
            .build();
        let slow = chrono::TimeDelta::from_std(config.slow).unwrap_or(chrono::TimeDelta::MAX);
        let kept = Kept {
            sampling: Sampling::of_ratio(config.sample_ratio),
            slow,
            scope,
            to_send,
            counts,
            closing: Mutex::new(Some(closing)),
            ended: Mutex::new(Some(ended)),
        };
        Ok(Self { kept: Some(Arc::new(kept)) })
    }

    /// Is there a collector?
    pub fn on(&self) -> bool {
        self.kept.is_some()
    }

    /// Is the attempt's trace written down as it goes?
    pub fn keeps(&self, attempt: AttemptKey, lane: Lane) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.sampling.keeps_attempt(attempt, lane))
    }

    /// None without a collector.
    pub fn sampling(&self) -> Option<Sampling> {
        self.kept.as_ref().map(|kept| kept.sampling)
    }

    /// Is what took so long kept for that alone?
    pub fn is_slow(&self, took: chrono::TimeDelta) -> bool {
        self.kept.as_ref().is_some_and(|kept| took >= kept.slow)
    }

    pub fn emit(&self, span: Span) {
        let Some(kept) = &self.kept else { return };
        if kept.to_send.try_send(span.into_data(&kept.scope)).is_err() {
            kept.counts.drop_all(1);
        }
    }

    pub fn emit_all(&self, spans: impl IntoIterator<Item = Span>) {
        if self.on() {
            spans.into_iter().for_each(|span| self.emit(span));
        }
    }

    /// Spans that were lost since the start, for want of room or of a collector.
    pub fn dropped(&self) -> u64 {
        self.kept.as_ref().map_or(0, |kept| kept.counts.dropped.load(Ordering::Relaxed))
    }

    pub fn sent(&self) -> u64 {
        self.kept.as_ref().map_or(0, |kept| kept.counts.sent.load(Ordering::Relaxed))
    }

    /// Sends what waits, for no longer than `within`. What is emitted afterwards is dropped.
    pub async fn close(&self, within: Duration) {
        let Some(kept) = &self.kept else { return };
        drop(kept.closing.lock().await.take());
        let Some(ended) = kept.ended.lock().await.take() else { return };
        if timeout(within, ended).await.is_err() {
            tracing::warn!("the last spans were not taken in time");
        }
        if self.dropped() > 0 {
            tracing::warn!(spans = self.dropped(), "spans were lost");
        }
    }
}

/// Until it is asked to end (or nobody is left to ask), then what is there.
async fn send_all(
    exporter: Exporter,
    mut waiting: mpsc::Receiver<SpanData>,
    mut closing: oneshot::Receiver<()>,
    counts: Arc<Counts>,
) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut fails = false;
    loop {
        let closes = gather(&mut waiting, &mut closing, &mut batch).await;
        if batch.is_empty() {
            return;
        }
        let spans = batch.len() as u64;
        let sent = timeout(EXPORT_DEADLINE, exporter.export(std::mem::take(&mut batch))).await;
        match sent {
            Ok(Ok(())) => {
                counts.sent.fetch_add(spans, Ordering::Relaxed);
                if std::mem::take(&mut fails) {
                    tracing::info!(dropped = counts.dropped.load(Ordering::Relaxed), "spans are taken again");
                }
            }
            Ok(Err(_)) | Err(_) => {
                counts.drop_all(spans);
                if !std::mem::replace(&mut fails, true) {
                    let error = sent.map_or_else(
                        |_| "no answer in time".to_owned(),
                        |failed| failed.err().map(|error| error.to_string()).unwrap_or_default(),
                    );
                    tracing::warn!(error, "spans are not taken: they are dropped until they are");
                }
            }
        }
        if closes && fails {
            // Of a collector that is away nothing is expected on the way out.
            return;
        }
    }
}

/// Takes what comes in a period after the first, or a whole batch. True: it is to end, with what is there.
async fn gather(
    waiting: &mut mpsc::Receiver<SpanData>,
    closing: &mut oneshot::Receiver<()>,
    batch: &mut Vec<SpanData>,
) -> bool {
    let mut until = Instant::now() + PERIOD;
    while batch.len() < BATCH_MAX {
        let (is_first, most) = (batch.is_empty(), BATCH_MAX - batch.len());
        tokio::select! {
            biased;
            taken = waiting.recv_many(batch, most) => {
                if taken == 0 {
                    return true;
                }
            }
            _ = &mut *closing, if !closing.is_terminated() => {
                waiting.close();
                continue;
            }
            () = sleep_until(until), if !is_first => break,
        }
        let now = Instant::now();
        if is_first {
            until = now + PERIOD;
        } else if now >= until {
            break;
        }
        if !closing.is_terminated() {
            tokio::select! {
                () = sleep(LOOK) => {}
                _ = &mut *closing => waiting.close(),
            }
        }
    }
    closing.is_terminated()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use tocsin_domain::trace::TraceId;
    use tocsin_domain::{CampaignId, JobKey};
    use uuid::Uuid;

    use super::*;
    use crate::config::OtlpProtocol;

    fn config(protocol: OtlpProtocol) -> TraceConfig {
        TraceConfig {
            // Nobody listens there.
            endpoint: Some("http://127.0.0.1:9".to_owned()),
            protocol,
            sample_ratio: 1.0,
            slow: Duration::from_secs(5),
        }
    }

    fn span(number: u64) -> Span {
        let trace = TraceId::of_campaign(CampaignId(Uuid::from_u128(1)));
        Span::new(trace, trace.span(number), names::span::EXPAND)
            .between(DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_collector_that_is_away_holds_up_neither_work_nor_exit_and_what_is_lost_is_counted() {
        for protocol in [OtlpProtocol::Grpc, OtlpProtocol::Http] {
            let spans = Spans::start(&config(protocol), "test").unwrap();
            let begun = Instant::now();
            let emitted = 3 * WAITING_MAX as u64;
            (0..emitted).for_each(|number| spans.emit(span(number)));
            assert!(begun.elapsed() < Duration::from_secs(2), "{protocol:?}: {:?}", begun.elapsed());
            assert!(spans.dropped() >= emitted - (WAITING_MAX + BATCH_MAX) as u64, "{}", spans.dropped());
            let begun = Instant::now();
            spans.close(Duration::from_millis(500)).await;
            assert!(begun.elapsed() < Duration::from_secs(2), "{protocol:?}: {:?}", begun.elapsed());
            assert_eq!(spans.sent(), 0);
            // After the end as before it: nobody waits.
            spans.emit(span(emitted));
        }
    }

    #[tokio::test]
    async fn without_a_collector_nothing_is_kept() {
        let none = TraceConfig { endpoint: None, ..config(OtlpProtocol::Grpc) };
        let spans = Spans::start(&none, "test").unwrap();
        let attempt =
            AttemptKey { job: JobKey { campaign: CampaignId(Uuid::from_u128(1)), job: 1 }, number: 1 };
        assert!(!spans.on() && !spans.keeps(attempt, Lane::Emergency));
        assert!(!spans.is_slow(TimeDelta::days(1)));
        spans.emit(span(1));
        spans.close(Duration::from_secs(5)).await;
        assert_eq!((spans.dropped(), spans.sent()), (0, 0));
    }

    /// What is sent together, where a span comes every so often, and how long that took.
    async fn gathered(spans: u64, pause: Duration) -> (usize, Duration) {
        let (to_send, mut waiting) = mpsc::channel(WAITING_MAX);
        let (_closing, mut asked) = oneshot::channel();
        let scope = InstrumentationScope::default();
        let emitting = async {
            for number in 0..spans {
                to_send.send(span(number).into_data(&scope)).await.unwrap();
                if !pause.is_zero() {
                    sleep(pause).await;
                }
            }
            std::future::pending::<()>().await;
        };
        let (begun, mut batch) = (Instant::now(), Vec::new());
        tokio::select! {
            closes = gather(&mut waiting, &mut asked, &mut batch) => assert!(!closes),
            () = emitting => {}
        }
        (batch.len(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_one_by_one_leaves_together_and_a_whole_batch_at_once() {
        let (alone, after) = gathered(1, Duration::ZERO).await;
        assert_eq!(alone, 1);
        assert!((PERIOD..PERIOD + LOOK).contains(&after), "what comes alone waits for others: {after:?}");
        let (together, after) = gathered(1_000, Duration::from_millis(10)).await;
        assert!((49..=53).contains(&together), "{together}");
        assert!((PERIOD..PERIOD + 2 * LOOK).contains(&after), "{after:?}");
        let (whole, after) = gathered(2_000, Duration::ZERO).await;
        assert_eq!(whole, BATCH_MAX);
        assert!(after <= 2 * LOOK, "{after:?}");
    }
}
