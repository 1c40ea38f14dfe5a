//! The stages of a worker one by one, for whoever holds it between two of them: the simulation
//! (docs/SIMULATION.md). What is called here is what the session runs as a pipeline.

use std::sync::Arc;

use futures::FutureExt;
use tocsin_domain::lease::Share;
use tocsin_domain::{AccountId, CampaignId, Channel, Lane, WorkerId};
use tocsin_queue::{Consumer, Session};
use tocsin_runtime::Progress;
use tocsin_store::StoreError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use crate::claim::{Answered, Permitted};
pub use crate::pending::Pending;
pub use crate::record::{Outcomes, Settled};
pub use crate::send::{Batch, Claimed, Sent};

use crate::dispatch::{Dispatch, INTAKE_MAX, Lanes};
use crate::session::Subscriptions;
use crate::{Worker, WorkerError, claim, control, look_up, recall, record, send, session};

/// A worker's session with the broker, and the jobs that wait in it.
#[derive(Debug)]
pub struct Stages {
    worker: Worker,
    session: Arc<dyn Session>,
    control: Consumer,
    channels: Vec<Served>,
}

#[derive(Debug)]
struct Served {
    channel: Channel,
    dispatch: Dispatch,
    lanes: Lanes,
    recalls: Consumer,
    look_ups: [Consumer; 3],
}

/// A worker's share of an account, and what was taken of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub account: AccountId,
    pub share: Share,
    pub over: bool,
    /// Tokens ever taken, those that paid a debt included; and the debt.
    pub taken: u64,
    pub debt: u32,
}

impl Stages {
    /// Control first, then jobs, as every session begins.
    pub async fn open(worker: &Worker) -> Result<Self, WorkerError> {
        let Subscriptions { session, control, jobs, recalls, look_ups } = session::open(worker).await?;
        // Unused: they belong to the pipeline.
        let (outcomes, _) = mpsc::channel(1);
        let channels = jobs
            .into_iter()
            .zip(recalls)
            .zip(look_ups)
            .map(|(((channel, lanes), (_, recalls)), (_, look_ups))| {
                let (sends, over) = (TaskTracker::new(), CancellationToken::new());
                let dispatch = Dispatch::new(worker.clone(), channel, sends, outcomes.clone(), over);
                Served { channel, dispatch, lanes, recalls, look_ups }
            })
            .collect();
        Ok(Self { worker: worker.clone(), session, control, channels })
    }

    pub fn is_lost(&self) -> bool {
        self.session.lost().now_or_never().is_some()
    }

    /// Hears what the control exchange has, takes in what was told, and drops what was canceled.
    pub async fn obey(&mut self) {
        let acker = self.control.acker();
        while let Some(Some(batch)) = self.control.next_batch(control::BATCH_MAX).now_or_never() {
            control::obey_batch(&self.worker, &batch, &acker).await;
        }
        for served in &mut self.channels {
            served.dispatch.take_in_told();
            served.dispatch.drop_canceled().await;
        }
    }

    /// Screens the messages that are there. Returns how many.
    pub async fn take_in(&mut self, channel: Channel, lane: Lane) -> usize {
        let Some(served) = self.served(channel) else { return 0 };
        let consumer = match lane {
            Lane::Emergency => &mut served.lanes.emergency,
            Lane::Priority => &mut served.lanes.priority,
            Lane::General => &mut served.lanes.general,
        };
        let Some(Some(batch)) = consumer.next_batch(INTAKE_MAX).now_or_never() else { return 0 };
        let (messages, acker) = (batch.len(), consumer.acker());
        served.dispatch.take_in(lane, batch, acker).await;
        messages
    }

    pub fn permits(&mut self, channel: Channel) -> Vec<Permitted> {
        self.served(channel).map_or_else(Vec::new, |served| served.dispatch.permits().0)
    }

    /// Jobs that wait for a permit.
    pub fn waiting(&self, channel: Channel) -> impl Iterator<Item = &Pending> {
        let of_channel = self.channels.iter().filter(move |served| served.channel == channel);
        of_channel.flat_map(|served| served.dispatch.waiting())
    }

    pub async fn give_back_overdue(&mut self, channel: Channel) {
        if let Some(served) = self.served(channel) {
            served.dispatch.give_back_overdue().await;
        }
    }

    /// Asks providers to stop what they hold, as far as it was ordered. Returns how many orders there were.
    pub async fn recall(&mut self, channel: Channel) -> Result<usize, WorkerError> {
        let worker = self.worker.clone();
        let Some(served) = self.served(channel) else { return Ok(0) };
        let (consumer, mut orders) = (&mut served.recalls, 0);
        while let Some(Some(batch)) = consumer.next_batch(recall::AT_ONCE).now_or_never() {
            orders += batch.len();
            recall::recall_all(&worker, channel, batch, consumer.acker()).await?;
        }
        Ok(orders)
    }

    /// Seeks attempts at their providers, as far as it was ordered. Returns how many orders there were.
    pub async fn look_up(&mut self, channel: Channel) -> Result<usize, WorkerError> {
        let worker = self.worker.clone();
        let Some(served) = self.served(channel) else { return Ok(0) };
        let mut orders = 0;
        for consumer in &mut served.look_ups {
            while let Some(Some(batch)) = consumer.next_batch(usize::from(look_up::BATCH_MAX)).now_or_never()
            {
                orders += batch.len();
                look_up::look_up_all(&worker, batch, consumer.acker()).await?;
            }
        }
        Ok(orders)
    }

    /// Gives back what was not claimed, and closes the session.
    pub async fn leave(mut self) {
        for Served { dispatch, lanes, recalls, look_ups, .. } in &mut self.channels {
            let jobs = [&mut lanes.emergency, &mut lanes.priority, &mut lanes.general, recalls];
            for consumer in jobs.into_iter().chain(look_ups) {
                consumer.stop().await;
            }
            dispatch.leave().await;
        }
        self.session.close().await;
    }

    /// The session breaks: what is unsettled goes back to its queues.
    pub async fn lose(self) {
        self.session.close().await;
    }

    fn served(&mut self, channel: Channel) -> Option<&mut Served> {
        self.channels.iter_mut().find(|served| served.channel == channel)
    }
}

impl Worker {
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// Has it heard that the campaign is canceled?
    pub fn knows_canceled(&self, campaign: CampaignId) -> bool {
        self.cancels.contains(campaign)
    }

    pub async fn renew_leases(&self) -> Result<Progress, WorkerError> {
        self.renew_once().await
    }

    /// Should the leases be renewed before their time? Says so once.
    pub fn is_hastened(&self) -> bool {
        self.shares.hastened().notified().now_or_never().is_some()
    }

    pub async fn drop_leases(&self) -> Result<(), WorkerError> {
        self.store.drop_leases(self.id).await?;
        Ok(())
    }

    /// By account.
    pub fn standings(&self) -> Vec<Standing> {
        let mut standings: Vec<Standing> = self
            .shares
            .all()
            .iter()
            .map(|held| Standing {
                account: held.account,
                share: held.share().clone(),
                over: held.is_over(),
                taken: held.spending().taken(),
                debt: held.spending().debt(),
            })
            .collect();
        standings.sort_by_key(|standing| standing.account.0);
        standings
    }

    /// None: the store did not answer.
    pub async fn ask(&self, permitted: Vec<Permitted>) -> Option<Answered> {
        let over = CancellationToken::new();
        over.cancel();
        claim::ask(self, permitted, &over).await
    }

    pub async fn settle(&self, channel: Channel, answered: Answered) -> Vec<Batch> {
        let claims = claim::settle(self, channel, answered).await;
        claims.into_iter().flat_map(|claims| send::batches(self, channel, claims)).collect()
    }

    pub async fn send(&self, channel: Channel, batch: Batch) -> Sent {
        send::send(self, channel, batch).await
    }

    pub async fn record(&self, outcomes: Outcomes) -> Result<(), StoreError> {
        let (mut reports, mut views, mut learned) = (Vec::new(), Vec::new(), Vec::new());
        for settled in outcomes {
            reports.push(settled.report);
            views.push(settled.view);
            learned.extend(settled.learned);
        }
        record::write(&self.store, &reports, &views, &learned, self.clock.now()).await.map(drop)
    }
}
