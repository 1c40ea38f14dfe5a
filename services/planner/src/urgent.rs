//! Emergencies that begin: what is under way for others gives way to them at once (promise 5).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Urgent {
    /// Emergencies that became due, by channel.
    begun: Arc<[AtomicU64; Channel::ALL.len()]>,
    to_tell: Arc<Mutex<BTreeSet<i32>>>,
    tell: Arc<Notify>,
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

    /// Workers are told, by a task that waits for the broker in the place of whoever calls this.
    pub fn tell(&self, channels: &[Channel]) {
        let numbers = channels.iter().map(|channel| i32::from(channel.number()));
        self.to_tell.lock().unwrap_or_else(PoisonError::into_inner).extend(numbers);
        self.tell.notify_one();
    }
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
            tokio::select! {
                () = stopping.cancelled() => return,
                () = urgent.tell.notified() => {}
            }
            let channels =
                std::mem::take(&mut *urgent.to_tell.lock().unwrap_or_else(PoisonError::into_inner));
            let wake = Wake { channels: channels.into_iter().collect(), emergency: true };
            let body = Envelope::new(Control { command: Some(Command::Wake(wake)) }).into_bytes();
            let message = Message { to: Destination::Control, body, headers: Vec::new(), persistent: false };
            match tokio::time::timeout(TELL_WITHIN, planner.publisher.publish(vec![message])).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!(%error, "workers were not told of an emergency"),
                Err(_) => tracing::debug!("workers were not told of an emergency in time"),
            }
        }
    });
}
