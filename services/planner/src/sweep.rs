//! After a cancel, and after a campaign's expiry: what is not claimed ends, what is accepted is recalled.

use std::collections::HashMap;

use tocsin_domain::trace::TraceId;
use tocsin_domain::{CampaignId, Channel, Outcome};
use tocsin_proto::Envelope;
use tocsin_proto::v1::Recall;
use tocsin_queue::{Destination, Message, Queue, trace_header};
use tocsin_runtime::Progress;
use tocsin_runtime::telemetry::{Part, Subject, names};
use tocsin_store::sweep::{OrderedRecall, ToSweep};

use crate::{Planner, PlannerError, traced};

/// Jobs looked at in one statement.
const JOBS_MAX: i32 = 2_000;
/// Channels whose providers can stop what they have accepted.
pub const RECALLABLE: [Channel; 1] = [Channel::Voice];
/// How long a provider is given to answer a recall.
const RECALL_DEADLINE: chrono::TimeDelta = chrono::TimeDelta::seconds(30);

/// Sweeps campaigns, one whole pass each in a tick, until a pass finds nothing.
#[derive(Debug, Default)]
pub struct Sweeper {
    /// Jobs ended so far, for the log.
    ended: HashMap<CampaignId, i64>,
}

impl Sweeper {
    pub async fn tick(&mut self, planner: &Planner) -> Result<Progress, PlannerError> {
        let to_sweep = planner.store.campaigns_to_sweep(planner.store.now().await?).await?;
        let mut progress = Progress::Idle;
        for sweep in &to_sweep {
            let ended = self.pass(planner, sweep).await?;
            *self.ended.entry(sweep.campaign).or_default() += ended;
            if ended > 0 {
                progress = Progress::More;
                continue;
            }
            let now = planner.clock.now();
            planner.store.mark_swept(sweep, now).await?;
            if let Some(ended @ 1..) = self.ended.remove(&sweep.campaign) {
                planner.campaign_spans().did(sweep.campaign, names::span::SWEEP, (now, now), |span| {
                    span.with(names::BATCH, ended).with(names::OUTCOME, sweep.outcome.code())
                });
                let trace = TraceId::of_campaign(sweep.campaign);
                tracing::info!(campaign.id = %sweep.campaign, trace_id = %trace, jobs = ended,
                    outcome = sweep.outcome.code(), "campaign swept");
            }
            planner.wakes.close.notify_one();
        }
        Ok(progress)
    }

    /// Walks all jobs of a campaign once. Returns how many it ended.
    async fn pass(&self, planner: &Planner, sweep: &ToSweep) -> Result<i64, PlannerError> {
        let (mut after, mut ended) = (0, 0);
        loop {
            let now = planner.clock.now();
            let step = planner.store.sweep(sweep, after, JOBS_MAX, now).await?;
            traced::swept(&planner.spans, &step.untried, now, sweep.outcome.code());
            ended += step.ended;
            after = step.last;
            if step.through {
                break;
            }
        }
        if sweep.outcome == Outcome::Canceled {
            order_recalls(planner, sweep.campaign).await?;
        }
        Ok(ended)
    }
}

/// Orders the recall of what the providers hold of a campaign. An order that cannot be published is past its
/// deadline in time, and the receipt tells it.
pub async fn order_recalls(planner: &Planner, campaign: CampaignId) -> Result<(), PlannerError> {
    let until = planner.clock.now() + RECALL_DEADLINE;
    let ordered = planner.store.order_recalls(campaign, &RECALLABLE, until).await?;
    if ordered.is_empty() {
        return Ok(());
    }
    let trace = TraceId::of_campaign(campaign);
    tracing::info!(campaign.id = %campaign, trace_id = %trace, attempts = ordered.len(), "recalls ordered");
    let messages = ordered.into_iter().map(|recall| message(planner, recall)).collect();
    planner.publisher.publish(messages).await?;
    Ok(())
}

fn message(planner: &Planner, recall: OrderedRecall) -> Message {
    let queue = Queue::Recall(recall.channel);
    let subject =
        Subject { attempt: recall.attempt, channel: Some(recall.channel), lane: recall.lane, district: None };
    let traceparent = traced::ordered(&planner.spans, &subject, Part::Recall, queue, planner.clock.now());
    let body = Envelope::new(Recall {
        campaign_id: recall.attempt.job.campaign.0.as_bytes().to_vec().into(),
        job_id: recall.attempt.job.job,
        attempt: i32::from(recall.attempt.number),
        account_id: recall.account.0,
        provider_id: recall.provider_id,
        traceparent: traceparent.clone(),
    })
    .into_bytes();
    Message {
        to: Destination::Queue(queue),
        body,
        headers: trace_header(Some(traceparent).filter(|text| !text.is_empty())),
        persistent: true,
    }
}
