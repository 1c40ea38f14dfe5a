//! What a worker writes into traces, as a collector has it.

use std::collections::BTreeSet;
use std::sync::Arc;

use tocsin_domain::trace::{Context, TraceId};
use tocsin_domain::{AttemptKey, Channel, Lane};
use tocsin_queue::{Broker, MemoryBroker, Queue};
use tocsin_runtime::Tasks;
use tocsin_runtime::config::{OtlpProtocol, TraceConfig};
use tocsin_runtime::telemetry::Spans;
use tocsin_store::release::Released;
use tocsin_testkit::otlp::OtlpReceiver;
use tocsin_testkit::wait_until;

use crate::stage::{BOUND, Stage};

const JOBS: u16 = 6;

/// The span of its release, which says whether it is kept.
fn published(job: &Released) -> Context {
    let trace = TraceId::of_attempt(AttemptKey { job: job.key, number: job.attempt + 1 });
    Context { trace, span: trace.span(77), sampled: job.key.job % 2 == 0 }
}

/// Of their messages' first reader nothing is left but that they come again. The worker itself would keep none of them.
#[tokio::test]
async fn a_job_that_is_delivered_again_goes_on_in_the_trace_of_its_release() {
    let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
    let (stage, tasks) = (Stage::new(Arc::clone(&broker)).await, Tasks::new());
    let (receiver, addresses) = OtlpReceiver::start(&tasks).await.unwrap();
    let endpoint = Some(addresses.http);
    let config = TraceConfig { endpoint, protocol: OtlpProtocol::Http, sample_ratio: 0.0, slow: 100 * BOUND };
    let spans = Spans::start(&config, "worker").unwrap();
    let released = stage.released(JOBS).await;
    stage.publish_traced(Lane::General, &released, |job| published(job).to_string()).await;
    let session = broker.connect("vanishes").await.unwrap();
    let mut consumer = session.consume(Queue::Jobs(Channel::Inbox, Lane::General), JOBS).await.unwrap();
    let mut taken = 0;
    while taken < usize::from(JOBS) {
        taken += consumer.next_batch(usize::from(JOBS)).await.unwrap().len();
    }
    session.close().await;
    stage.worker().traced(spans.clone()).start(&stage.tasks);
    stage.reaches("select count(*) from jobs where state = 4", i64::from(JOBS)).await.unwrap();
    let kept: Vec<Context> = released.iter().map(published).filter(|context| context.sampled).collect();
    assert_eq!(kept.len(), usize::from(JOBS) / 2);
    wait_until("the root of every attempt that is kept", BOUND, async || {
        let ids: BTreeSet<String> = receiver.spans().into_iter().map(|span| span.id).collect();
        kept.iter().all(|context| ids.contains(&context.trace.root().to_string()))
    })
    .await
    .unwrap();
    stage.tasks.stop(BOUND).await;
    spans.close(BOUND).await;

    let traces = receiver.traces();
    for context in &kept {
        let spans = &traces[&context.trace.to_string()];
        let process = spans.iter().find(|span| span.name == "process inbox.general").unwrap();
        assert_eq!(process.links(), [(context.trace.to_string(), context.span.to_string())]);
        let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        for step in ["wait limiter", "claim", "ask", "record", "attempt inbox"] {
            assert!(names.contains(step), "no {step} among {names:?}");
        }
    }
    let expected: BTreeSet<String> = kept.iter().map(|context| context.trace.to_string()).collect();
    let others: Vec<&String> = traces.keys().filter(|trace| !expected.contains(*trace)).collect();
    assert!(others.is_empty(), "what its release did not keep is kept: {others:?}");
}
