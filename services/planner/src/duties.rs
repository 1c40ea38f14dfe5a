//! Which channels and lanes this planner releases.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tocsin_domain::{Channel, Lane};
use tocsin_runtime::Progress;
use tocsin_store::leadership::Duty as Held;

use crate::{Planner, PlannerError};

/// The duties held, by name. Renewed by a tick; a statement under a duty that is over does nothing.
#[derive(Debug, Clone, Default)]
pub struct Duties {
    held: Arc<Mutex<HashMap<String, Held>>>,
}

impl Duties {
    /// Takes or renews the release duties of every channel and lane that are free.
    pub async fn tick(&self, planner: &Planner) -> Result<Progress, PlannerError> {
        let names: Vec<String> = Channel::ALL
            .into_iter()
            .flat_map(|channel| Lane::ALL.into_iter().map(move |lane| release_duty(channel, lane)))
            .collect();
        let held = planner.store.hold_duties(planner.id, &names).await?;
        let held = held.into_iter().map(|duty| (duty.name.clone(), duty)).collect();
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(Progress::Idle)
    }

    /// The duty to release this channel and lane, if it is this planner's.
    pub fn release(&self, channel: Channel, lane: Lane) -> Option<Duty> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&release_duty(channel, lane)).map(|held| Duty { lane, held: held.clone() })
    }
}

/// The duty to release one lane of a channel, with the epoch that fences it.
#[derive(Debug, Clone)]
pub struct Duty {
    pub lane: Lane,
    pub held: Held,
}

fn release_duty(channel: Channel, lane: Lane) -> String {
    format!("release.{channel}.{lane}")
}
