//! Jobs that wait for a permit, by lane.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tocsin_domain::trace::Context;
use tocsin_domain::{AccountId, CampaignId, Channel, Generation, JobKey, Lane};
use tocsin_proto::Envelope;
use tocsin_proto::v1::{Job, Jobs};
use tocsin_queue::{Acker, Delivery};
use tocsin_runtime::{SharedClock, Stopwatch};
use uuid::Uuid;

use crate::bundle::{Bundle, Part};
use crate::traced;

/// A job that is to be claimed.
#[derive(Debug, Clone)]
pub struct Pending {
    pub key: JobKey,
    pub generation: Generation,
    pub lane: Lane,
    pub account: AccountId,
    /// Its part of its message, unsettled. None: another worker has it, and told of the job.
    pub message: Option<Part>,
    pub arrived: Stopwatch,
    /// The span of its release. None: it is not traced.
    pub trace: Option<Context>,
}

impl Pending {
    /// Reads a message. The error is the reason for the dead letter, and quotes nothing of it.
    pub fn read(
        delivery: &Delivery,
        channel: Channel,
        lane: Lane,
        acker: &Acker,
        clock: &SharedClock,
    ) -> Result<Vec<Self>, String> {
        let jobs =
            Envelope::<Jobs>::decode(delivery.body.clone()).map_err(|error| error.to_string())?.message.jobs;
        let told =
            jobs.iter().map(|job| Self::told(job, channel, lane, clock)).collect::<Result<Vec<_>, _>>()?;
        let bundle = Arc::new(Bundle::of(acker.clone(), delivery.tag, told.len())?);
        let parts = (0..).map(|place| Some(Part::of(&bundle, place)));
        Ok(told.into_iter().zip(parts).map(|(job, message)| Self { message, ..job }).collect())
    }

    /// Reads a job that another worker tells of. The error quotes nothing of it.
    pub fn told(job: &Job, channel: Channel, lane: Lane, clock: &SharedClock) -> Result<Self, String> {
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
            message: None,
            arrived: Stopwatch::start_by(clock),
            trace: traced::context(&job.traceparent),
        })
    }

    /// What another worker is told of it.
    pub fn tell(&self, channel: Channel) -> Job {
        Job {
            campaign_id: self.key.campaign.0.as_bytes().to_vec().into(),
            job_id: self.key.job,
            generation: self.generation.0,
            channel: i32::from(channel.number()),
            lane: i32::from(self.lane.number()),
            account_id: self.account.0,
            traceparent: self.trace.map(|context| context.to_string()).unwrap_or_default(),
        }
    }
}

/// The jobs that wait, each lane in order of arrival. Prefetch bounds them.
#[derive(Debug, Default)]
pub struct Waiting {
    lanes: [VecDeque<Pending>; 3],
    keys: HashSet<JobKey>,
}

impl Waiting {
    /// Of two messages of one job the later generation's waits, in the place of the one that was here first: else the
    /// tokens of a slow account would all go to messages that are void, and those that are not would become so behind
    /// them. Returns the other, which is void. Where another worker told of the job before, the message is the only one:
    /// whoever told has lost it.
    pub fn push(&mut self, job: Pending) -> Option<Pending> {
        if self.keys.insert(job.key) {
            self.lane(job.lane).push_back(job);
            return None;
        }
        let known = self.lane(job.lane).iter_mut().find(|known| known.key == job.key);
        match known {
            Some(known) if known.generation < job.generation => Some(std::mem::replace(known, job)),
            Some(known) if known.generation == job.generation && known.message.is_none() => {
                known.message = job.message;
                None
            }
            // A release that the database lost was made again, for another account by now: the earlier message is stale.
            Some(known)
                if known.generation == job.generation
                    && known.account != job.account
                    && job.message.is_some() =>
            {
                Some(std::mem::replace(known, job))
            }
            Some(_) => Some(job),
            None => {
                self.lane(job.lane).push_back(job);
                None
            }
        }
    }

    /// A job that was taken from its lane does not wait any more.
    pub fn took(&mut self, key: JobKey) {
        self.keys.remove(&key);
    }

    /// Takes a job that another worker tells of, unless it waits here already.
    pub fn push_told(&mut self, job: Pending) {
        if self.keys.insert(job.key) {
            self.lane(job.lane).push_back(job);
        }
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
        for job in &extracted {
            self.keys.remove(&job.key);
        }
        extracted
    }
}
