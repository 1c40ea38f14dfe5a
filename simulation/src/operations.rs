//! Doing the operations of a plan, one after another, each until nothing of it is left to do.

use anyhow::Result;
use axum::http::StatusCode;
use chrono::TimeDelta;
use tocsin_domain::{Channel, Lane};
use tocsin_queue::Queue;

use crate::broker::{Class, Fate};
use crate::clock::SKEW_MAX;
use crate::invariants::open::Open;
use crate::invariants::{Promise, counters, emergency, hold, limited, recallable};
use crate::plan::{Delivery, LATEST, Operation, Stage, Tick};
use crate::world::{Campaign, SimulatedWorker, Ticked, World};

/// A tick that says that there is more is run again so often.
const TICKS_MAX: usize = 8;

pub async fn perform(world: &mut World<'_>, operation: &Operation) -> Result<()> {
    match operation {
        Operation::Submit(submission) => world.submit(submission).await,
        Operation::Cancel { campaign } => match place(*campaign, world.campaigns.len()) {
            Some(index) => world.cancel(index).await,
            None => Ok(()),
        },
        Operation::CancelAgain { campaign } => match place(*campaign, world.campaigns.len()) {
            Some(index) => world.announce(index).await,
            None => Ok(()),
        },
        Operation::Correct { campaign, submission } => match place(*campaign, world.campaigns.len()) {
            Some(index) => world.correct(index, submission).await,
            None => Ok(()),
        },
        Operation::Plan { planner, tick } => self::tick(world, *planner as usize, *tick).await,
        Operation::Work { worker, until } => work(world, *worker, *until).await,
        Operation::Step { worker, stage } => {
            with(world, *worker, async |worker, world| worker.stage(world, *stage).await).await
        }
        Operation::Renew { worker } => {
            with(world, *worker, async |worker, world| worker.renew(world).await).await
        }
        Operation::Serve { worker } => {
            with(world, *worker, async |worker, world| worker.serve(world).await).await
        }
        Operation::Freeze { worker } => {
            set_frozen(world, *worker, true);
            Ok(())
        }
        Operation::Thaw { worker } => {
            set_frozen(world, *worker, false);
            Ok(())
        }
        Operation::CrashWorker { worker } => {
            if let Some(index) = place(*worker, world.workers.len()) {
                world.workers.remove(index).crash(world).await;
            }
            Ok(())
        }
        Operation::StopWorker { worker } => match place(*worker, world.workers.len()) {
            Some(index) if !world.workers[index].frozen => world.workers.remove(index).stop(world).await,
            _ => Ok(()),
        },
        Operation::StartWorker => world.start_worker().await,
        Operation::LoseSession { worker } => {
            if let Some(index) = place(*worker, world.workers.len()) {
                world.workers[index].lose_session().await;
            }
            Ok(())
        }
        Operation::CrashPlanner { planner } => {
            replace_planner(world, *planner as usize);
            Ok(())
        }
        Operation::Callback { pick, how } => callback(world, *pick, *how).await,
        Operation::Apply { lane, batch_max } => {
            match world.collector.apply(Queue::Status(*lane), *batch_max).await? {
                0 => Ok(()),
                _ => world.watch.callbacks.look(world.database).await,
            }
        }
        Operation::ApplyAndCrash { lane } => {
            world.collector.apply_and_crash(Queue::Status(*lane)).await?;
            world.watch.callbacks.look(world.database).await
        }
        Operation::Rematch => {
            world.collector.rematch().await?;
            world.watch.callbacks.look(world.database).await
        }
        Operation::Text { pick, says } => world.text(*pick, *says).await,
        Operation::TextAgain { pick } => match place(*pick, world.texts.len()) {
            Some(index) => world.post_text(index).await,
            None => Ok(()),
        },
        Operation::Hear => match world.collector.apply(Queue::Inbound, usize::MAX).await? {
            0 => Ok(()),
            _ => world.watch.barred.heard(world.database).await,
        },
        Operation::HearAndCrash => {
            world.collector.apply_and_crash(Queue::Inbound).await?;
            world.watch.barred.heard(world.database).await
        }
        Operation::Resume => world.resume().await,
        Operation::Decree { class, fate, messages } => {
            world.callbacks_lost |= (*class, *fate) == (Class::Status, Fate::Lost);
            world.broker.decree(*class, *fate, *messages);
            Ok(())
        }
        Operation::DeliverHeld { pick } => {
            if let Some(index) = place(*pick, world.broker.held()) {
                world.broker.deliver_held(index).await?;
            }
            Ok(())
        }
        Operation::Bar { pick } => world.bar(*pick).await,
        Operation::RestartBroker => {
            world.broker.restart();
            Ok(())
        }
        Operation::EmptyBroker => {
            world.callbacks_lost = true;
            world.broker.empty();
            world.watch.messages.lost(world.database, &world.broker).await
        }
        Operation::Live { milliseconds } => {
            for worker in 0..world.workers.len() as u64 {
                with(world, worker, async |worker, world| worker.renew(world).await).await?;
            }
            world.advance(TimeDelta::milliseconds(*milliseconds)).await
        }
        Operation::Advance { milliseconds } => world.advance(TimeDelta::milliseconds(*milliseconds)).await,
    }
}

/// One planner's tick. Returns whether anything moved.
pub async fn tick(world: &mut World<'_>, planner: usize, tick: Tick) -> Result<()> {
    match tick {
        Tick::Everything => {
            world.watch.messages.judge(world.database, &world.broker).await?;
            once(world, planner, Tick::Duties).await?;
            again(world, planner, Tick::Expand).await?;
            // It goes on until its windows are full.
            for channel in world.channels.clone() {
                once(world, planner, Tick::Release(channel)).await?;
            }
            again(world, planner, Tick::Sweep).await?;
            again(world, planner, Tick::Expire).await?;
            once(world, planner, Tick::Close).await.map(drop)
        }
        one => once(world, planner, one).await.map(drop),
    }
}

/// Until it says that nothing is left.
pub async fn again(world: &mut World<'_>, planner: usize, tick: Tick) -> Result<()> {
    for _ in 0..TICKS_MAX {
        if once(world, planner, tick).await? != Ticked::More {
            break;
        }
    }
    Ok(())
}

pub async fn once(world: &mut World<'_>, planner: usize, tick: Tick) -> Result<Ticked> {
    let index = planner % world.planners.len();
    let ticked = match tick {
        Tick::Everything | Tick::Duties => world.planners[index].duties().await?,
        Tick::Expand => expand(world, index).await?,
        Tick::Release(channel) => release(world, index, channel).await?,
        // There is nothing that it would look at.
        Tick::Sweep if !has_to_sweep(world) => Ticked::Idle,
        Tick::Sweep => world.planners[index].sweep().await?,
        Tick::Expire => {
            let ticked = world.planners[index].expire().await?;
            if ticked != Ticked::Idle {
                world.watch.callbacks.look(world.database).await?;
            }
            ticked
        }
        Tick::Close => {
            let ticked = world.planners[index].close().await?;
            if world.watch.cancels.any_unanswered() {
                world.watch.cancels.answered(world.database, world.now()).await?;
            }
            ticked
        }
        Tick::House => {
            // Before the planner corrects it without a word.
            counters::judge_queues(world.database).await?;
            world.planners[index].keep_house().await?
        }
        Tick::Audit => {
            if let Some(campaign) = world.campaigns.last() {
                counters::judge(world.database, campaign.id, world.now()).await?;
            }
            world.planners[index].audit().await?
        }
        Tick::Depths => world.planners[index].watch_depths().await?,
    };
    if ticked == Ticked::Crashed {
        // What it had marked and not published.
        world.watch.messages.lost(world.database, &world.broker).await?;
        replace_planner(world, index);
    }
    Ok(ticked)
}

async fn release(world: &mut World<'_>, index: usize, channel: Channel) -> Result<Ticked> {
    world.broker.published_jobs();
    let ticked = world.planners[index].release(channel).await?;
    let published = world.broker.published_jobs();
    if published.is_empty() {
        return Ok(ticked);
    }
    let open = Open::before(world, channel, &published).await?;
    emergency::released(channel, open.emergency, &published)?;
    recallable::judge(world.database, &world.accounts, &published).await?;
    let now = world.now();
    let (campaigns, limits) = (&world.campaigns, &world.limits);
    limited::places(world.database, campaigns, limits, &published).await?;
    world.watch.released.rates(campaigns, limits, &published, now)?;
    world.watch.senders.released(&published)?;
    world.watch.fairness.released(channel, &open.due, &published)?;
    Ok(ticked)
}

fn has_emergencies(world: &World<'_>) -> bool {
    world.campaigns.iter().any(|campaign| campaign.submission.lane == Lane::Emergency)
}

fn has_to_sweep(world: &World<'_>) -> bool {
    let now = world.now();
    world.campaigns.iter().any(|campaign| campaign.canceled_epoch.is_some() || campaign.expires_at <= now)
}

async fn expand(world: &mut World<'_>, index: usize) -> Result<Ticked> {
    // All that was due by any clock was expanded when nothing more was found to do.
    let is_due = |campaign: &Campaign| {
        world.expanded_until.is_none_or(|until| campaign.scheduled_at + SKEW_MAX > until)
    };
    let emergencies = has_emergencies(world);
    if !emergencies && !world.campaigns.iter().any(is_due) {
        return Ok(Ticked::Idle);
    }
    let only_emergencies = world.campaigns.iter().all(|campaign| campaign.submission.lane == Lane::Emergency);
    if !emergencies || only_emergencies {
        let ticked = world.planners[index].expand().await?;
        if ticked == Ticked::Idle && !emergencies {
            world.expanded_until = Some(world.now());
        }
        return Ok(ticked);
    }
    // By a planner's clock it may not be due yet.
    let now = world.now() - SKEW_MAX;
    let before = emergency::expansions(world.database, now).await?;
    let ticked = world.planners[index].expand().await?;
    if before.emergency_due {
        let after = emergency::expansions(world.database, now).await?;
        emergency::expanded(before.emergency_due, after.others_made != before.others_made)?;
    }
    Ok(ticked)
}

/// A worker works through its stages, and is held behind `until`.
pub async fn work(world: &mut World<'_>, worker: u64, until: Stage) -> Result<()> {
    with(world, worker, async |worker, world| {
        for stage in Stage::ALL.into_iter().filter(|stage| *stage <= until) {
            worker.stage(world, stage).await?;
        }
        Ok(())
    })
    .await
}

/// Does something with a worker, unless it is frozen.
async fn with(
    world: &mut World<'_>,
    worker: u64,
    step: impl AsyncFnOnce(&mut SimulatedWorker, &mut World<'_>) -> Result<()>,
) -> Result<()> {
    let Some(index) = place(worker, world.workers.len()) else { return Ok(()) };
    if world.workers[index].frozen {
        return Ok(());
    }
    let mut worker = world.workers.remove(index);
    let done = step(&mut worker, world).await;
    world.workers.insert(index, worker);
    done
}

async fn callback(world: &mut World<'_>, pick: u64, how: Delivery) -> Result<()> {
    let waiting = world.ledger().callbacks.len();
    let Some(index) = place(pick, waiting) else { return Ok(()) };
    match how {
        Delivery::Lost => {
            world.ledger().take(index);
            Ok(())
        }
        Delivery::Once => post(world, index).await,
        Delivery::Twice => {
            let again = world.ledger().callbacks[index].clone();
            post(world, index).await?;
            world.collector.post(&again, false).await.map(drop)
        }
        Delivery::Forged => {
            let forged = world.ledger().callbacks[index].clone();
            let answer = world.collector.post(&forged, true).await?;
            hold(Promise::CallbacksAreSafe, answer == StatusCode::FORBIDDEN, || {
                format!("a forged callback was answered {answer}")
            })
        }
        Delivery::AllButLast => {
            for index in (0..waiting).rev() {
                if !world.ledger().callbacks[index].last {
                    post(world, index).await?;
                }
            }
            Ok(())
        }
        Delivery::AllBackwards => {
            for index in (0..waiting).rev() {
                post(world, index).await?;
            }
            Ok(())
        }
    }
}

/// Posts a report; one that is not taken is posted again some time.
pub async fn post(world: &mut World<'_>, index: usize) -> Result<()> {
    let Some(callback) = world.ledger().callbacks.get(index).cloned() else { return Ok(()) };
    if world.collector.post(&callback, false).await? == StatusCode::OK {
        world.ledger().take(index);
        world.watch.callbacks.taken(callback.attempt, callback.outcome);
    }
    Ok(())
}

fn set_frozen(world: &mut World<'_>, worker: u64, frozen: bool) {
    if let Some(index) = place(worker, world.workers.len()) {
        world.workers[index].frozen = frozen;
    }
}

fn replace_planner(world: &mut World<'_>, planner: usize) {
    let index = planner % world.planners.len();
    world.planners.remove(index);
    world.start_planner();
}

fn place(pick: u64, length: usize) -> Option<usize> {
    let last = length.checked_sub(1)?;
    Some(if pick == LATEST { last } else { (pick % length as u64) as usize })
}
