//! Emergencies that begin: what is under way for others gives way to them at once (promise 5).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tocsin_domain::Channel;
use tocsin_proto::Envelope;
use tocsin_proto::v1::control::Command;
use tocsin_proto::v1::{Control, Wake};
use tocsin_queue::{Destination, Message};
use tocsin_runtime::Tasks;
use tokio::sync::Notify;

use crate::Planner;

/// A broker that takes longer has no worker waiting at it.
const TELL_WITHIN: Duration = Duration::from_secs(1);
/// Workers hear of an emergency again and again until it is claimed: what they were told holds for a second.
const TELL_EVERY: Duration = Duration::from_millis(400);

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Urgent {
    /// Emergencies that became due, by channel.
    begun: Arc<[AtomicU64; Channel::ALL.len()]>,
    under_way: Arc<Mutex<UnderWay>>,
    tell: Arc<Notify>,
}

/// The channels, by their numbers, on which emergencies hold up others.
#[derive(Debug, Default)]
struct UnderWay {
    /// They are being expanded.
    expanding: BTreeSet<i32>,
    /// They are due, or queued and unclaimed.
    due: BTreeSet<i32>,
}

impl Urgent {
    /// How many have begun. Whoever releases others looks whether it is still the same number.
    pub fn begun(&self, channel: Channel) -> u64 {
        self.begun[position(channel)].load(Ordering::Acquire)
    }

    /// Emergency jobs of the channel are there, or will be in a moment.
    pub fn begins(&self, channel: Channel) {
        self.begun[position(channel)].fetch_add(1, Ordering::AcqRel);
    }

    /// Emergencies are being expanded over these channels and no others.
    pub fn expanding(&self, channels: impl Iterator<Item = Channel>) {
        let expanding: BTreeSet<i32> = channels.map(number).collect();
        let mut under_way = self.under_way();
        let more = !expanding.is_subset(&under_way.expanding);
        under_way.expanding = expanding;
        drop(under_way);
        if more {
            self.tell.notify_one();
        }
    }

    /// Are emergency jobs of the channel due or unclaimed, so that others wait?
    pub fn is_due(&self, channel: Channel, due: bool) {
        let mut under_way = self.under_way();
        let more = match due {
            true => under_way.due.insert(number(channel)),
            false => {
                under_way.due.remove(&number(channel));
                false
            }
        };
        drop(under_way);
        if more {
            self.tell.notify_one();
        }
    }

    /// The channels of which workers are to be told.
    pub fn channels(&self) -> Vec<i32> {
        let under_way = self.under_way();
        under_way.expanding.union(&under_way.due).copied().collect()
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(channel: Channel) -> i32 {
    i32::from(channel.number())
}

fn position(channel: Channel) -> usize {
    Channel::ALL.iter().position(|known| *known == channel).unwrap_or_default()
}

/// Tells workers until stopping. What does not get through costs time only: their emergency lane comes first anyway.
pub fn start(planner: Planner, tasks: &Tasks) {
    let stopping = tasks.stopping().clone();
    tasks.spawn("planner urgent", async move {
        let urgent = &planner.wakes.urgent;
        loop {
            let channels = urgent.channels();
            let any = !channels.is_empty();
            if any {
                tell(&planner, channels).await;
            }
            tokio::select! {
                () = stopping.cancelled() => return,
                () = urgent.tell.notified() => {}
                () = tokio::time::sleep(TELL_EVERY), if any => {}
            }
        }
    });
}

async fn tell(planner: &Planner, channels: Vec<i32>) {
    let wake = Wake { channels, emergency: true };
    let body = Envelope::new(Control { command: Some(Command::Wake(wake)) }).into_bytes();
    let message = Message { to: Destination::Control, body, headers: Vec::new(), persistent: false };
    match tokio::time::timeout(TELL_WITHIN, planner.publisher.publish(vec![message])).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::debug!(%error, "workers were not told of an emergency"),
        Err(_) => tracing::debug!("workers were not told of an emergency in time"),
    }
}
