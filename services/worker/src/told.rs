//! Jobs of which other workers tell: they may not send with an account, and this one may.
//!
//! A limit that is too small for all is some workers' alone, and the queue gives its jobs to anybody. Whoever gets
//! one that it may not send tells one that may, over the control exchange, and keeps the message. What is told is a
//! hint: lost, doubled or late it changes nothing but time, for the claim decides, and whoever told gives the job
//! back to its row if nobody took it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tocsin_domain::{Channel, Lane, WorkerId};
use tocsin_proto::Envelope;
use tocsin_proto::v1::control::Command;
use tocsin_proto::v1::{Control, Take};
use tocsin_queue::{Destination, Message, Publisher};
use tocsin_runtime::SharedClock;
use tokio::sync::Notify;

use crate::pending::Pending;

/// Told jobs of one channel that wait to be taken in. What comes beyond waits where it was told from.
const TOLD_MAX: usize = 1_000;

/// What was told and not taken in yet. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Told {
    clock: SharedClock,
    jobs: Arc<Mutex<HashMap<Channel, Vec<Pending>>>>,
    arrived: Arc<[Notify; Channel::ALL.len()]>,
}

impl Told {
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, jobs: Arc::default(), arrived: Arc::default() }
    }

    /// Notes what is meant for `worker`.
    pub fn hear(&self, worker: WorkerId, take: &Take) {
        if take.worker_id != worker.0.as_bytes().as_slice() {
            return;
        }
        for job in &take.jobs {
            let channel = i16::try_from(job.channel).ok().and_then(Channel::from_number);
            let lane = i16::try_from(job.lane).ok().and_then(Lane::from_number);
            let read = channel.zip(lane).ok_or_else(|| "no such channel and lane".to_owned());
            match read
                .and_then(|(channel, lane)| Ok((channel, Pending::told(job, channel, lane, &self.clock)?)))
            {
                Ok((channel, job)) => self.note(channel, job),
                Err(reason) => tracing::warn!(reason, "a job that another worker told of is ignored"),
            }
        }
    }

    /// Takes what was told of the channel's jobs.
    pub fn take(&self, channel: Channel) -> Vec<Pending> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.remove(&channel).unwrap_or_default()
    }

    /// Resolves when something was told since it did so last.
    pub async fn arrived(&self, channel: Channel) {
        self.arrived[position(channel)].notified().await;
    }

    fn note(&self, channel: Channel, job: Pending) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let of_channel = jobs.entry(channel).or_default();
        if of_channel.len() < TOLD_MAX {
            of_channel.push(job);
            self.arrived[position(channel)].notify_one();
        }
    }
}

fn position(channel: Channel) -> usize {
    Channel::ALL.iter().position(|known| *known == channel).unwrap_or_default()
}

/// Tells `worker` of jobs that it may send. Where it does not get through, they wait here.
pub async fn tell(publisher: &Publisher, channel: Channel, worker: WorkerId, jobs: &[Pending]) {
    let take = Take {
        worker_id: worker.0.as_bytes().to_vec().into(),
        jobs: jobs.iter().map(|job| job.tell(channel)).collect(),
    };
    let body = Envelope::new(Control { command: Some(Command::Take(take)) }).into_bytes();
    let message = Message { to: Destination::Control, body, headers: Vec::new(), persistent: false };
    if let Err(error) = publisher.publish(vec![message]).await {
        tracing::debug!(%error, jobs = jobs.len(), "another worker could not be told of jobs");
    }
}

#[cfg(test)]
mod tests {
    use tocsin_proto::v1::Job;
    use tocsin_runtime::SystemClock;
    use uuid::Uuid;

    use super::*;

    fn job(job_id: i32, channel: Channel) -> Job {
        Job {
            campaign_id: Uuid::nil().as_bytes().to_vec().into(),
            job_id,
            generation: 1,
            channel: i32::from(channel.number()),
            lane: i32::from(Lane::General.number()),
            account_id: 1,
            traceparent: String::new(),
        }
    }

    #[test]
    fn a_worker_takes_what_it_is_told_and_nobody_else() {
        let (told, me) = (Told::new(Arc::new(SystemClock)), WorkerId(Uuid::from_u128(1)));
        let take = |to: u128, jobs| Take { worker_id: Uuid::from_u128(to).as_bytes().to_vec().into(), jobs };
        told.hear(me, &take(2, vec![job(1, Channel::Sms)]));
        assert!(told.take(Channel::Sms).is_empty());
        let faulty = Job { campaign_id: vec![1].into(), ..job(4, Channel::Sms) };
        told.hear(me, &take(1, vec![job(2, Channel::Sms), job(3, Channel::Voice), faulty]));
        let jobs: Vec<i32> = told.take(Channel::Sms).iter().map(|job| job.key.job).collect();
        assert_eq!(jobs, [2]);
        assert_eq!(told.take(Channel::Voice).len(), 1);
        let many = (0..2_000).map(|number| job(number + 1, Channel::Sms)).collect();
        told.hear(me, &take(1, many));
        assert_eq!(told.take(Channel::Sms).len(), TOLD_MAX);
    }
}
