//! Jobs that wait for a permit, by lane.

use std::collections::VecDeque;

use tocsin_domain::{AccountId, CampaignId, Channel, Generation, JobKey, Lane};
use tocsin_proto::Envelope;
use tocsin_proto::v1::Job;
use tocsin_queue::{Acker, Delivery, Tag};
use tocsin_runtime::{SharedClock, Stopwatch};
use uuid::Uuid;

/// A delivered job. Its message is unsettled.
#[derive(Debug, Clone)]
pub struct Pending {
    pub key: JobKey,
    pub generation: Generation,
    pub lane: Lane,
    pub account: AccountId,
    pub tag: Tag,
    pub acker: Acker,
    pub arrived: Stopwatch,
}

impl Pending {
    /// Reads a job's message. The error is the reason for the dead letter, and quotes nothing of it.
    pub fn read(
        delivery: &Delivery,
        channel: Channel,
        lane: Lane,
        acker: &Acker,
        clock: &SharedClock,
    ) -> Result<Self, String> {
        let job = Envelope::<Job>::decode(delivery.body.clone()).map_err(|error| error.to_string())?.message;
        let campaign = Uuid::from_slice(&job.campaign_id)
            .map_err(|_| format!("campaign_id has {} bytes, a UUID has 16", job.campaign_id.len()))?;
        if job.channel != i32::from(channel.number()) {
            return Err(format!("channel {} is not this queue's, {}", job.channel, channel.number()));
        }
        if job.job_id < 1 || job.generation < 1 {
            return Err(format!("job {} of generation {}: both count from 1", job.job_id, job.generation));
        }
        Ok(Self {
            key: JobKey { campaign: CampaignId(campaign), job: job.job_id },
            generation: Generation(job.generation),
            lane,
            account: AccountId(job.account_id),
            tag: delivery.tag,
            acker: acker.clone(),
            arrived: Stopwatch::start_by(clock),
        })
    }
}

/// The jobs that wait, each lane in order of arrival. Prefetch bounds them.
#[derive(Debug, Default)]
pub struct Waiting {
    lanes: [VecDeque<Pending>; 3],
}

impl Waiting {
    pub fn push(&mut self, job: Pending) {
        self.lane(job.lane).push_back(job);
    }

    pub fn all(&self) -> impl Iterator<Item = &Pending> {
        self.lanes.iter().flatten()
    }

    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty)
    }

    pub fn lane(&mut self, lane: Lane) -> &mut VecDeque<Pending> {
        let [emergency, priority, general] = &mut self.lanes;
        match lane {
            Lane::Emergency => emergency,
            Lane::Priority => priority,
            Lane::General => general,
        }
    }

    /// Takes out the jobs that `unwanted` names.
    pub fn extract(&mut self, unwanted: impl Fn(&Pending) -> bool) -> Vec<Pending> {
        let mut extracted = Vec::new();
        for lane in &mut self.lanes {
            if lane.iter().any(&unwanted) {
                let (out, kept): (Vec<_>, Vec<_>) = lane.drain(..).partition(&unwanted);
                extracted.extend(out);
                lane.extend(kept);
            }
        }
        extracted
    }
}

/// Acknowledges the messages of `jobs`, each at the consumer it came from. A session that broke meanwhile
/// redelivers them, and the claim tells them apart: nothing to handle.
pub async fn acknowledge(jobs: &[Pending]) {
    for lane in Lane::ALL {
        let of_lane = || jobs.iter().filter(|job| job.lane == lane);
        let Some(first) = of_lane().next() else { continue };
        let tags: Vec<Tag> = of_lane().map(|job| job.tag).collect();
        if let Err(error) = first.acker.ack(&tags).await {
            tracing::debug!(%error, messages = tags.len(), "messages will be delivered again");
        }
    }
}
