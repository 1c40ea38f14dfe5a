//! A planner whose ticks the driver calls. One that crashes is another from then on.

use std::sync::Arc;

use anyhow::Result;
use tocsin_domain::Channel;
use tocsin_planner::{Duties, Expander, Planner, PlannerError, Releaser, Spread, Sweeper};
use tocsin_queue::{Broker as _, QueueError};
use tocsin_runtime::Progress;
use uuid::Uuid;

use crate::broker::FaultyBroker;
use crate::clock::SimulatedClock;
use crate::database::Database;

/// People of one chunk of an expansion: few, so that a campaign takes several.
const PEOPLE_PER_CHUNK: i64 = 2;
/// Few messages of many jobs.
const SPREAD: Spread = Spread { messages_min: 2, messages_per_window: 2 };

#[derive(Debug)]
pub struct SimulatedPlanner {
    planner: Planner,
    broker: FaultyBroker,
    duties: Duties,
    releasers: Vec<(Channel, Releaser)>,
    expander: Expander,
    sweeper: Sweeper,
}

/// How a tick went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticked {
    Idle,
    More,
    /// The broker failed: it is tried again.
    Failed,
    /// The planner was gone before it was through.
    Crashed,
}

impl SimulatedPlanner {
    pub fn new(database: &Database, broker: &FaultyBroker, clock: &SimulatedClock, id: Uuid) -> Self {
        let mut planner = Planner::new(database.store.clone(), Arc::new(broker.clone()), clock.shared(), id);
        planner.people_per_chunk = PEOPLE_PER_CHUNK;
        planner.spread = SPREAD;
        Self {
            planner,
            broker: broker.clone(),
            duties: Duties::default(),
            releasers: Vec::new(),
            expander: Expander::default(),
            sweeper: Sweeper::default(),
        }
    }

    pub async fn duties(&self) -> Result<Ticked> {
        judged(self.duties.tick(&self.planner).await)
    }

    pub async fn release(&mut self, channel: Channel) -> Result<Ticked> {
        let known = self.releasers.iter().position(|(known, _)| *known == channel);
        let index = known.unwrap_or_else(|| {
            self.releasers.push((channel, Releaser::new(channel, self.duties.clone())));
            self.releasers.len() - 1
        });
        let broker = self.broker.clone();
        or_crash(&broker, self.releasers[index].1.tick(&self.planner)).await
    }

    pub async fn expand(&mut self) -> Result<Ticked> {
        judged(self.expander.tick(&self.planner).await)
    }

    pub async fn sweep(&mut self) -> Result<Ticked> {
        let broker = self.broker.clone();
        or_crash(&broker, self.sweeper.tick(&self.planner)).await
    }

    pub async fn expire(&self) -> Result<Ticked> {
        or_crash(&self.broker, tocsin_planner::expire(&self.planner)).await
    }

    pub async fn close(&self) -> Result<Ticked> {
        judged(tocsin_planner::close(&self.planner).await)
    }

    pub async fn keep_house(&self) -> Result<Ticked> {
        self.planner.store.fold().await?;
        judged(self.planner.recount().await)
    }

    pub async fn audit(&self) -> Result<Ticked> {
        judged(tocsin_planner::audit(&self.planner).await)
    }

    pub async fn watch_depths(&self) -> Result<Ticked> {
        let session = self.broker.connect("planner control").await?;
        judged(tocsin_planner::watch_depths(&self.planner, &session).await.map(|()| Progress::Idle))
    }
}

async fn or_crash(
    broker: &FaultyBroker,
    tick: impl Future<Output = Result<Progress, PlannerError>>,
) -> Result<Ticked> {
    tokio::select! {
        biased;
        done = tick => judged(done),
        () = broker.crash() => Ok(Ticked::Crashed),
    }
}

fn judged(done: Result<Progress, PlannerError>) -> Result<Ticked> {
    match done {
        Ok(Progress::Idle) => Ok(Ticked::Idle),
        Ok(Progress::More) => Ok(Ticked::More),
        Err(PlannerError::Queue(QueueError::Lost { .. } | QueueError::Operation { .. })) => {
            Ok(Ticked::Failed)
        }
        Err(error) => Err(error.into()),
    }
}
