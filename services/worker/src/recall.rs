//! Recalls: after a cancel, providers are asked to stop what they hold.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use tocsin_domain::settlement::{Report, ReportKind};
use tocsin_domain::trace::{Context, TraceId};
use tocsin_domain::{AccountId, AttemptKey, CampaignId, Channel, JobKey};
use tocsin_proto::Envelope;
use tocsin_proto::v1::Recall;
use tocsin_providers::{Provider, RecallAnswer};
use tocsin_queue::{Acker, Consumer, Delivery};
use tocsin_runtime::metrics::note_outcomes;
use tocsin_runtime::retry;
use tocsin_runtime::telemetry::By;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::outage_apart;
use crate::{Worker, WorkerError, traced};

/// Recalls asked at once.
pub const AT_ONCE: usize = 32;

/// Serves one channel's recalls until `over`.
pub async fn run(worker: Worker, channel: Channel, mut consumer: Consumer, over: CancellationToken) {
    loop {
        let batch = tokio::select! {
            () = over.cancelled() => None,
            batch = consumer.next_batch(AT_ONCE) => batch,
        };
        let Some(batch) = batch else { break };
        let (recalling, acker) = (worker.clone(), consumer.acker());
        let recall =
            async move || outage_apart(recall_all(&recalling, channel, batch.clone(), acker.clone()).await);
        match retry("recalls", &over, recall).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                // Unsettled: delivered again to whoever serves the channel next.
                tracing::warn!(%error, channel = %channel, "recalls will be tried again");
                break;
            }
            None => break,
        }
    }
    consumer.stop().await;
}

pub async fn recall_all(
    worker: &Worker,
    channel: Channel,
    batch: Vec<Delivery>,
    acker: Acker,
) -> Result<(), WorkerError> {
    let mut orders = Vec::with_capacity(batch.len());
    for delivery in &batch {
        match read(delivery) {
            Ok(order) => orders.push(order),
            Err(reason) => acker.dead_letter(delivery, &reason).await?,
        }
    }
    let traced: HashMap<AttemptKey, Context> =
        orders.iter().filter_map(|order| Some((order.attempt, order.trace?))).collect();
    let names = names(worker, &orders).await?;
    let begun = worker.clock.now();
    let answers: Vec<(AttemptKey, RecallAnswer)> = stream::iter(orders)
        .map(|order| {
            let account = names.get(&order.account).map(String::as_str).unwrap_or_default();
            ask(worker.provider(channel, account), order)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut stopped = Vec::new();
    let mut failed = Vec::new();
    for (attempt, answer) in answers {
        match answer {
            RecallAnswer::Stopped => {
                stopped.push(Report {
                    attempt,
                    at: worker.clock.now(),
                    sequence: None,
                    kind: ReportKind::Recalled,
                });
            }
            RecallAnswer::TooLate | RecallAnswer::Unsupported => failed.push(attempt),
            // Open until its deadline; its callback may still tell.
            RecallAnswer::Unknown(why) => {
                let trace = TraceId::of_attempt(attempt);
                tracing::warn!(why, campaign.id = %attempt.job.campaign, job.id = attempt.job.job,
                    attempt.id = attempt.number, trace_id = %trace, span_id = %trace.root(),
                    "recall without an answer");
            }
        }
    }
    let settled = worker.store.settle(stopped, Vec::new(), worker.clock.now()).await?;
    note_outcomes(&settled.outcomes);
    traced::followed(&worker.spans, By::Recall, &settled.written, &traced, (begun, worker.clock.now()));
    if !failed.is_empty() {
        worker.store.recall_failed(&failed).await?;
    }
    let tags: Vec<_> = batch.iter().map(|delivery| delivery.tag).collect();
    acker.ack(&tags).await?;
    Ok(())
}

struct Order {
    attempt: AttemptKey,
    account: AccountId,
    provider_id: String,
    /// The span of the order.
    trace: Option<Context>,
}

fn read(delivery: &Delivery) -> Result<Order, String> {
    let recall =
        Envelope::<Recall>::decode(delivery.body.clone()).map_err(|error| error.to_string())?.message;
    Ok(Order {
        attempt: attempt_key(&recall.campaign_id, recall.job_id, recall.attempt)?,
        account: AccountId(recall.account_id),
        provider_id: recall.provider_id,
        trace: traced::context(&recall.traceparent),
    })
}

/// An attempt as messages name it.
pub fn attempt_key(campaign: &[u8], job: i32, number: i32) -> Result<AttemptKey, String> {
    let id = Uuid::from_slice(campaign)
        .map_err(|_| format!("campaign_id has {} bytes, a UUID has 16", campaign.len()))?;
    let number = i16::try_from(number).map_err(|_| format!("attempt {number} is no attempt"))?;
    Ok(AttemptKey { job: JobKey { campaign: CampaignId(id), job }, number })
}

/// Under which names the accounts of `orders` are configured. A worker that holds no share of an account just now, because
/// others do, may still ask its provider to stop something.
async fn names(worker: &Worker, orders: &[Order]) -> Result<HashMap<AccountId, String>, WorkerError> {
    let held = |order: &Order| {
        let share = worker.shares.get(order.account)?;
        Some((order.account, share.name.clone()))
    };
    let mut names: HashMap<AccountId, String> = orders.iter().filter_map(held).collect();
    if orders.iter().any(|order| !names.contains_key(&order.account)) {
        let known = worker.store.accounts().await?;
        names.extend(known.into_iter().map(|account| (account.id, account.limits.name)));
    }
    Ok(names)
}

async fn ask(provider: Option<Arc<dyn Provider>>, order: Order) -> (AttemptKey, RecallAnswer) {
    let answer = match provider {
        Some(provider) => provider.recall(&order.provider_id).await,
        None => RecallAnswer::Unknown("this worker does not serve the account".to_owned()),
    };
    (order.attempt, answer)
}
