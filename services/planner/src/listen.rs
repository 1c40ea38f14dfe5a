//! The planner's ear on the control exchange, and its eye on the queues' depths.

use std::sync::Arc;
use std::time::Duration;

use tocsin_domain::Channel;
use tocsin_proto::Envelope;
use tocsin_proto::v1::control::Command;
use tocsin_proto::v1::{Control, Wake};
use tocsin_queue::{Consumer, Delivery, Queue, Session};
use tocsin_runtime::{Tasks, retry};

use crate::{Planner, PlannerError, expire, observe};

/// Control messages handled at once.
const BATCH_MAX: usize = 64;
/// How often the queues' depths are compared with what should be in them.
const DEPTHS_EVERY: Duration = Duration::from_secs(5);

/// Listens until stopping; a session that is lost is opened again.
pub fn start(planner: Planner, tasks: &Tasks) {
    let stopping = tasks.stopping().clone();
    tasks.spawn("planner control", async move {
        while !stopping.is_cancelled() {
            let connecting = planner.clone();
            let connect = async move || connect(&connecting).await;
            let Some((session, mut control)) = retry("planner control session", &stopping, connect).await
            else {
                return;
            };
            // What was said while nobody listened is on the rows: look at everything once.
            planner.wakes.expand();
            planner.wakes.sweep.notify_one();
            planner.wakes.release_all();
            let _hearing = planner.hearing.up();
            tokio::select! {
                () = stopping.cancelled() => session.close().await,
                () = hear(&planner, &session, &mut control) => {}
            }
            observe::forget_depths();
        }
    });
}

async fn connect(planner: &Planner) -> Result<(Arc<dyn Session>, Consumer), PlannerError> {
    let session = planner.broker.connect("planner control").await?;
    let control = session.control().await?;
    Ok((session, control))
}

async fn hear(planner: &Planner, session: &Arc<dyn Session>, control: &mut Consumer) {
    let acker = control.acker();
    let mut depths = tokio::time::interval(DEPTHS_EVERY);
    loop {
        tokio::select! {
            batch = control.next_batch(BATCH_MAX) => {
                let Some(batch) = batch else {
                    let error = session.lost().await;
                    tracing::warn!(%error, "planner control session lost");
                    return;
                };
                batch.iter().for_each(|delivery| obey(planner, delivery));
                let tags: Vec<_> = batch.iter().map(|delivery| delivery.tag).collect();
                if let Err(error) = acker.ack(&tags).await {
                    tracing::warn!(%error, "planner control session lost");
                    return;
                }
            }
            _ = depths.tick() => {
                if let Err(error) = watch_depths(planner, session).await {
                    tracing::warn!(%error, "queue depths could not be compared");
                }
                if let Err(error) = observe::show_depths(session).await {
                    observe::forget_depths();
                    tracing::warn!(%error, "queue depths could not be read");
                }
            }
        }
    }
}

fn obey(planner: &Planner, delivery: &Delivery) {
    match Envelope::<Control>::decode(delivery.body.clone()).map(|envelope| envelope.message.command) {
        Ok(Some(Command::Cancel(_))) => planner.wakes.sweep.notify_one(),
        Ok(Some(Command::Wake(Wake { channels, emergency }))) => {
            let named =
                |channel: &Channel| channels.is_empty() || channels.contains(&i32::from(channel.number()));
            // Of an emergency it is another planner that tells, or this one.
            if !emergency {
                planner.wakes.expand();
            }
            Channel::ALL.iter().filter(|channel| named(channel)).for_each(|channel| match emergency {
                true => planner.wakes.emergency(*channel),
                false => planner.wakes.release(*channel),
            });
        }
        // One for workers, or of a newer release: what it says is on the rows too.
        Ok(Some(Command::Take(_) | Command::Stop(_)) | None) => {}
        Err(error) => tracing::warn!(%error, "control message ignored"),
    }
}

/// Looks for queues that are empty while jobs are queued: their messages are lost.
pub async fn watch_depths(planner: &Planner, session: &Arc<dyn Session>) -> Result<(), PlannerError> {
    for queued in planner.store.queued_counts().await? {
        if queued.queued > 0 {
            let depth = session.depth(Queue::Jobs(queued.channel, queued.lane)).await?;
            expire::hasten(planner, &queued, depth).await?;
        }
    }
    Ok(())
}
