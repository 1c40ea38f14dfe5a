//! The calm end of a run: no more faults, and everything is let run to its end.

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::Lane;
use tocsin_queue::Queue;

use crate::invariants::{Promise, broken};
use crate::operations::{again, once, perform, post, work};
use crate::plan::{Operation, Stage, Tick};
use crate::world::World;

/// Far more than any run takes: a canceled campaign is swept every 5 s while a mail of it that nobody reports of is waited
/// for, 30 min.
const ROUNDS_MAX: usize = 3_000;
/// Workers that are kept for it.
const WORKERS: usize = 2;
/// Between two looks for tokens; so often a lease is not renewed, which is well within its term.
const LOOK: TimeDelta = TimeDelta::milliseconds(250);
const LOOKS: usize = 4;
/// Where nothing moves, time goes in steps that double, up to the next instant at which something is due.
const STEP: TimeDelta = TimeDelta::seconds(1);
/// Where whoever waits gets nothing for so many rounds (a call of which nobody reports keeps its place for 15 min), time
/// goes faster, but for what was released just now: it would go back to its row before anybody has looked for its token.
/// Not so fast that a worker takes itself for idle meanwhile: it would give up its numbers, and what was in their buckets.
const PATIENCE: u32 = 10;
const LONG_STEP: TimeDelta = TimeDelta::milliseconds(2_500);

/// Returns how many rounds it took.
pub async fn drain(world: &mut World<'_>) -> Result<usize> {
    calm(world).await?;
    world.watch.messages.judge(world.database, &world.broker).await?;
    collect(world).await?;
    // Rounds in which nothing moved, and in which nothing was released, either.
    let (mut idle, mut still) = (0, 0);
    let mut before = Pulse { is_first: true, ..Pulse::take(world).await? };
    for rounds in 0..ROUNDS_MAX {
        if before.open == 0 && is_quiet(world) {
            return Ok(rounds);
        }
        round(world, &before).await?;
        let after = Pulse::take(world).await?;
        idle = if after.moved == before.moved { idle + 1 } else { 0 };
        still = if after.released == before.released { still + 1 } else { 0 }.min(idle);
        let waits = world.workers.iter().any(|worker| !worker.is_done());
        // Who waits for a token keeps its lease meanwhile.
        let step = match waits {
            true if idle > PATIENCE && still > 0 => LONG_STEP,
            true => STEP,
            false => after.step(still, world.now()),
        };
        world.advance(step).await?;
        before = after.at(world.now());
    }
    Err(broken(Promise::NothingLost, format!("campaigns never come to their end: {before:?}")))
}

async fn calm(world: &mut World<'_>) -> Result<()> {
    world.broker.no_more_faults();
    while world.broker.held() > 0 {
        world.broker.deliver_held(0).await?;
    }
    world.ledger().calm = true;
    world.resume().await?;
    world.workers.iter_mut().for_each(|worker| worker.frozen = false);
    while world.workers.len() > WORKERS {
        world.workers.remove(0).stop(world).await?;
    }
    if world.workers.is_empty() {
        world.start_worker().await?;
    }
    Ok(())
}

fn is_quiet(world: &World<'_>) -> bool {
    world.ledger().callbacks.is_empty() && world.workers.iter().all(|worker| worker.is_done())
}

/// Everything once that the rows say there is something to do for.
async fn round(world: &mut World<'_>, pulse: &Pulse) -> Result<()> {
    let planner = world.planners.len() - 1;
    if pulse.to_expand {
        again(world, planner, Tick::Expand).await?;
    }
    if pulse.to_release || pulse.to_expand {
        once(world, planner, Tick::Duties).await?;
        for channel in world.channels.clone() {
            once(world, planner, Tick::Release(channel)).await?;
        }
    }
    if pulse.to_sweep {
        again(world, planner, Tick::Sweep).await?;
    }
    if pulse.to_expire {
        once(world, planner, Tick::Expire).await?;
    }
    let worked = workers(world).await?;
    let applied = collect(world).await?;
    let may_close = pulse.is_first || pulse.to_expand || pulse.to_sweep || pulse.to_expire || pulse.to_close;
    if may_close || worked || applied > 0 {
        once(world, planner, Tick::Close).await?;
    }
    Ok(())
}

/// Everything that providers and people have to say is taken and applied. Returns how many reports it was.
async fn collect(world: &mut World<'_>) -> Result<usize> {
    while !world.ledger().callbacks.is_empty() {
        post(world, 0).await?;
    }
    for text in 0..world.texts.len() {
        if world.texts[text].taken_at.is_none() {
            world.post_text(text).await?;
        }
    }
    perform(world, &Operation::Hear).await?;
    let mut applied = 0;
    for lane in Lane::ALL {
        applied += world.collector.apply(Queue::Status(lane), usize::MAX).await?;
    }
    if applied > 0 {
        world.watch.callbacks.look(world.database).await?;
    }
    Ok(applied)
}

/// Returns whether any had something to do.
async fn workers(world: &mut World<'_>) -> Result<bool> {
    let numbers = 0..world.workers.len() as u64;
    for worker in numbers.clone() {
        perform(world, &Operation::Serve { worker }).await?;
    }
    let mut worked = false;
    for look in 0..LOOKS {
        for worker in numbers.clone() {
            if look == 0 && !world.workers[worker as usize].takes_in().await? {
                continue;
            }
            if look == 0 {
                perform(world, &Operation::Renew { worker }).await?;
            }
            worked = true;
            work(world, worker, Stage::Record).await?;
            // As in the product: what it asks for has its first token soon after, not a round later.
            if look % 2 == 0 && world.workers[worker as usize].worker.is_hastened() {
                perform(world, &Operation::Renew { worker }).await?;
            }
        }
        if look + 1 == LOOKS || world.workers.iter().all(|worker| worker.is_done()) {
            break;
        }
        world.advance(LOOK).await?;
    }
    Ok(worked)
}

/// How far the world has come, and what there is to do.
#[derive(Debug)]
struct Pulse {
    is_first: bool,
    open: i64,
    /// Changes whenever something moves.
    moved: (i64, i64, i64, i64, usize),
    /// Changes whenever something is released, also if nothing comes of it.
    released: i64,
    to_expand: bool,
    to_release: bool,
    to_sweep: bool,
    to_expire: bool,
    to_close: bool,
    next: Next,
}

/// When there is something to do next, that there is not yet.
#[derive(Debug, Clone, Copy)]
struct Next {
    expand: Option<DateTime<Utc>>,
    release: Option<DateTime<Utc>>,
    sweep: Option<DateTime<Utc>>,
    expire: Option<DateTime<Utc>>,
    close: Option<DateTime<Utc>>,
}

impl Pulse {
    async fn take(world: &World<'_>) -> Result<Self> {
        let row = world.database.query_one(PULSE, &[&world.now()]).await?;
        let requests = world.ledger().requests.len();
        Ok(Self {
            is_first: false,
            open: row.get("open"),
            moved: (row.get("open"), row.get("made"), row.get("ended"), row.get("settled"), requests),
            released: row.get("released"),
            to_expand: row.get("to_expand"),
            to_release: row.get("to_release"),
            to_sweep: row.get("to_sweep"),
            to_expire: row.get("to_expire"),
            to_close: false,
            next: Next {
                expand: row.get("expand_at"),
                release: row.get("release_at"),
                sweep: row.get("sweep_at"),
                expire: row.get("expire_at"),
                close: row.get("close_at"),
            },
        })
    }

    fn step(&self, still: u32, now: DateTime<Utc>) -> TimeDelta {
        let Next { expand, release, sweep, expire, close } = self.next;
        let next = [expand, release, sweep, expire, close].into_iter().flatten().min();
        let next = next.map_or(STEP, |next| next - now + TimeDelta::milliseconds(1));
        // By a planner's clock that is behind, what is due is not due yet.
        if self.to_release || self.to_expand { (STEP * (1 << still.min(10))).min(next) } else { next }
    }

    /// Time that has gone may have made something due.
    fn at(self, now: DateTime<Utc>) -> Self {
        let is_due = |at: Option<DateTime<Utc>>| at.is_some_and(|at| at <= now);
        let Next { expand, release, sweep, expire, close } = self.next;
        Self {
            to_expand: self.to_expand || is_due(expand),
            to_release: self.to_release || is_due(release),
            to_sweep: self.to_sweep || is_due(sweep),
            to_expire: self.to_expire || is_due(expire),
            to_close: is_due(close),
            ..self
        }
    }
}

/// Job states: 1 waiting, 2 queued, 4 ended; of an attempt 3 is settled; a campaign of state 4 is being canceled.
const PULSE: &str = "
with open as materialized (select * from campaigns where closed_at is null)
, ended as materialized (
  select case when state = 4 or swept_at is null then $1 else swept_at + interval '5 seconds' end as sweep_at
  from open where cancel_epoch is not null or expires_at <= $1)
select
  (select count(*) from open) as open,
  (select count(*) from jobs) as made,
  (select coalesce(sum(generation), 0) from jobs) as released,
  (select count(*) from jobs where state = 4) as ended,
  (select count(*) from attempts where state = 3) as settled,
  exists (select from open where expanded_at is null and cancel_epoch is null and scheduled_at <= $1) as to_expand,
  exists (select from jobs j join open c on c.id = j.campaign_id
    where j.state = 1 and j.due_at <= $1 and c.cancel_epoch is null) as to_release,
  exists (select from ended where sweep_at <= $1) as to_sweep,
  exists (select from claim_batches where check_at <= $1)
    or exists (select from release_batches where requeue_at <= $1) as to_expire,
  (select min(scheduled_at) from open where expanded_at is null and scheduled_at > $1) as expand_at,
  (select min(due_at) from jobs where state = 1 and due_at > $1) as release_at,
  (select min(at) from (select sweep_at as at from ended union all select expires_at from open) swept
   where at > $1) as sweep_at,
  (select min(at) from (select check_at as at from claim_batches union all select requeue_at from release_batches) looked
   where at > $1) as expire_at,
  (select min(recall_until) from attempts where recall = 1 and recall_until > $1) as close_at";
