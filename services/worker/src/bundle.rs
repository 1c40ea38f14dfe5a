//! A message and the jobs that came in it: it is acknowledged when all of them are settled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tocsin_domain::Lane;
use tocsin_proto::JOBS_MAX;
use tocsin_queue::{Acker, QueueError, Tag};

use crate::pending::Pending;

/// An unsettled message.
#[derive(Debug)]
pub struct Bundle {
    acker: Acker,
    tag: Tag,
    /// A bit for each of its jobs that is not settled.
    open: AtomicU64,
}

/// One job's part of its message.
#[derive(Debug, Clone)]
pub struct Part {
    bundle: Arc<Bundle>,
    place: u32,
}

impl Bundle {
    /// The error is the reason for the dead letter.
    pub fn of(acker: Acker, tag: Tag, jobs: usize) -> Result<Self, String> {
        let open = match u32::try_from(jobs) {
            Ok(1..=u64::BITS) if jobs <= JOBS_MAX => u64::MAX >> (JOBS_MAX - jobs),
            _ => return Err(format!("{jobs} jobs: a message holds 1 to {JOBS_MAX}")),
        };
        Ok(Self { acker, tag, open: AtomicU64::new(open) })
    }
}

impl Part {
    pub fn of(bundle: &Arc<Bundle>, place: u32) -> Self {
        Self { bundle: Arc::clone(bundle), place }
    }

    /// Notes that the job is settled, once or again. True: it was the last of its message.
    fn settle(&self) -> bool {
        let mine = 1 << self.place;
        self.bundle.open.fetch_and(!mine, Ordering::AcqRel) == mine
    }

    /// The message goes to another worker, and with it those of its jobs that are settled: they are denied there.
    pub async fn give_back(&self) -> Result<(), QueueError> {
        self.bundle.acker.give_back(&[self.bundle.tag]).await
    }
}

/// Notes that `jobs` are settled, and acknowledges the messages of which nothing else is open, each at the consumer it
/// came from. A session that broke meanwhile redelivers them, and the claim tells them apart: nothing to handle.
pub async fn acknowledge(jobs: &[Pending]) {
    for lane in Lane::ALL {
        let of_lane = jobs.iter().filter(|job| job.lane == lane).filter_map(|job| job.message.as_ref());
        let settled: Vec<&Part> = of_lane.filter(|part| part.settle()).collect();
        let Some(first) = settled.first() else { continue };
        let tags: Vec<Tag> = settled.iter().map(|part| part.bundle.tag).collect();
        if let Err(error) = first.bundle.acker.ack(&tags).await {
            tracing::debug!(%error, messages = tags.len(), "messages will be delivered again");
        }
    }
}
