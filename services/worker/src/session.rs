//! One connection to the broker at a time: control first, then jobs. A lost one is opened again.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use tocsin_domain::{Channel, Lane};
use tocsin_queue::{Consumer, Queue, Session};
use tocsin_runtime::retry;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::dispatch::{Dispatch, Lanes};
use crate::record::Outcomes;
use crate::{Worker, WorkerError, control, look_up, recall};

/// Recalls that may be asked at once.
const RECALL_PREFETCH: u16 = 32;

/// Everything a session serves.
pub struct Subscriptions {
    pub session: Arc<dyn Session>,
    pub control: Consumer,
    pub jobs: Vec<(Channel, Lanes)>,
    pub recalls: Vec<(Channel, Consumer)>,
    /// Those of emergencies first.
    pub look_ups: Vec<(Channel, [Consumer; 3])>,
}

/// Takes and sends jobs until stopping, and until what was claimed is sent.
pub async fn run(worker: Worker, stopping: CancellationToken, outcomes: mpsc::Sender<Outcomes>) {
    let sends = TaskTracker::new();
    loop {
        let subscribing = worker.clone();
        let subscribe = move || subscribe(subscribing.clone());
        let Some(subscriptions) = retry("worker session", &stopping, subscribe).await else { break };
        tracing::info!(worker.id = %worker.id, "taking jobs");
        let _taking = worker.taking.up();
        serve(&worker, subscriptions, &stopping, &sends, &outcomes).await;
    }
    sends.close();
    sends.wait().await;
}

/// Boxed, because the compiler cannot see through the borrows of a retried closure that it is `Send`.
fn subscribe(worker: Worker) -> BoxFuture<'static, Result<Subscriptions, WorkerError>> {
    async move { open(&worker).await }.boxed()
}

pub async fn open(worker: &Worker) -> Result<Subscriptions, WorkerError> {
    let session = worker.broker.connect(&worker.name).await?;
    let control = control::subscribe(worker, &session).await?;
    let mut jobs = Vec::with_capacity(worker.settings.channels.len());
    let (mut recalls, mut look_ups) = (Vec::new(), Vec::new());
    for channel in &worker.settings.channels {
        let take = |lane| session.consume(Queue::Jobs(*channel, lane), worker.settings.prefetch(lane));
        let lanes = Lanes {
            emergency: take(Lane::Emergency).await?,
            priority: take(Lane::Priority).await?,
            general: take(Lane::General).await?,
        };
        jobs.push((*channel, lanes));
        recalls.push((*channel, session.consume(Queue::Recall(*channel), RECALL_PREFETCH).await?));
        let seek = |queue| session.consume(queue, look_up::BATCH_MAX);
        let emergencies = seek(Queue::EmergencyLookUp(*channel)).await?;
        let overdue = seek(Queue::LookUp(*channel)).await?;
        look_ups.push((*channel, [emergencies, overdue, seek(Queue::Refresh(*channel)).await?]));
    }
    Ok(Subscriptions { session, control, jobs, recalls, look_ups })
}

async fn serve(
    worker: &Worker,
    subscriptions: Subscriptions,
    stopping: &CancellationToken,
    sends: &TaskTracker,
    outcomes: &mpsc::Sender<Outcomes>,
) {
    let Subscriptions { session, mut control, jobs, recalls, look_ups } = subscriptions;
    // Over when the session is lost or the process is asked to stop.
    let over = stopping.child_token();
    let dispatching: Vec<_> = jobs
        .into_iter()
        .map(|(channel, lanes)| {
            let (sends, outcomes) = (sends.clone(), outcomes.clone());
            Dispatch::new(worker.clone(), channel, sends, outcomes, over.clone()).run(lanes)
        })
        .collect();
    let recalling: Vec<_> = recalls
        .into_iter()
        .map(|(channel, consumer)| recall::run(worker.clone(), channel, consumer, over.clone()))
        .collect();
    let looking_up: Vec<_> = look_ups
        .into_iter()
        .flat_map(|(channel, consumers)| consumers.map(|consumer| (channel, consumer)))
        .map(|(channel, consumer)| look_up::run(worker.clone(), channel, consumer, over.clone()))
        .collect();
    let watching = async {
        tokio::select! {
            () = stopping.cancelled() => {}
            error = session.lost() => tracing::warn!(%error, "worker session lost"),
            () = control::obey_all(worker, &mut control) => tracing::warn!("control subscription lost"),
        }
        over.cancel();
    };
    tokio::join!(join_all(dispatching), join_all(recalling), join_all(looking_up), watching);
    // Claims under way still acknowledge over this session.
    if stopping.is_cancelled() {
        sends.close();
        sends.wait().await;
        sends.reopen();
    }
    session.close().await;
}
