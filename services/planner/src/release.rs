//! Release: due jobs go into the queues, fairly, and only as much as their providers drain soon.
//!
//! The one way into a job queue, and so also the outbox, the pacing and the choice of account. A job is
//! marked first and published second; what the broker does not confirm is unmarked at once, and what a crash
//! leaves between is healed by `expire`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::fair::{Demand, allot};
use tocsin_domain::policy::requeue_after;
use tocsin_domain::route::Route;
use tocsin_domain::{AccountId, CampaignId, Channel, Generation, JobKey, Lane, WaitReason};
use tocsin_queue::Published;
use tocsin_runtime::Progress;
use tocsin_runtime::metrics::RELEASED_JOBS;
use tocsin_store::release::{Draw, Due, Hold, OpenCampaign, Persons, Position, Release, Released};
use tocsin_store::survey::Survey;

use crate::bundles::{bundles, message};
use crate::duties::{Duties, Duty};
use crate::hold::{Judged, hold, judge};
use crate::limits::{Allowance, Limits};
use crate::traced::{self, Dues, Publication};
use crate::turns::{Among, Turns};
use crate::unserved::Unserved;
use crate::windows::{Windows, Wish};
use crate::{Planner, PlannerError, emergency};

/// Jobs marked in one statement and published together.
const BATCH_MAX: usize = 500;
/// After this many rounds what is left of the window waits for the next tick.
const ROUNDS_MAX: usize = 4;
/// Where those whose turn it is have nothing due, so many of the others are looked at whether they have: each costs the
/// head of an index.
const LOOKED_AT_MAX: usize = 100;
/// The most that one tick draws from the budget of a district or campaign.
const JOBS_MAX: u32 = 4_000;
/// Where a campaign's drawn jobs were outside its calling window, so many of the following are looked at, too:
/// those of one zone close all at once, and must not hold up those behind them.
const AHEAD_MAX: u32 = 2_000;

/// Releases one channel. Keeps its position in each campaign, so that it never reads what it has released
/// before (an index's head is full of dead entries).
#[derive(Debug)]
pub struct Releaser {
    channel: Channel,
    duties: Duties,
    positions: HashMap<CampaignId, Position>,
    unserved: Unserved,
    turns: Turns,
    /// Of what is being released, for its traces.
    dues: Dues,
    /// Emergencies that had begun when the tick began.
    begun: u64,
}

/// What a draw may take.
#[derive(Debug, Clone, Copy)]
struct Room {
    free: u32,
    turn: u64,
}

/// What a draw came to.
#[derive(Debug, Default)]
struct Drawn {
    due: Vec<Due>,
    /// Campaigns that it was not their turn of, though some of those whose it was had too few jobs due.
    passed_over: Vec<CampaignId>,
}

/// What the release of a lane came to.
#[derive(Debug, Clone, Copy, Default)]
struct Moved {
    /// Released, or held because their calling window is closed.
    jobs: usize,
    /// Were any of them of a campaign that nothing but accounts limits?
    unlimited: bool,
    /// Was it given up in the middle, for an emergency that began?
    gave_way: bool,
}

impl Releaser {
    pub fn new(channel: Channel, duties: Duties) -> Self {
        Self {
            channel,
            duties,
            positions: HashMap::new(),
            unserved: Unserved::default(),
            turns: Turns::default(),
            dues: Dues::default(),
            begun: 0,
        }
    }

    /// Fills the window of every lane, emergencies first. While an emergency job is due, released or
    /// unclaimed, no other lane is released (promise 5), whoever has the duty to release the emergencies; but for
    /// those that their own district or author slows down.
    pub async fn tick(&mut self, planner: &Planner) -> Result<Progress, PlannerError> {
        self.begun = planner.wakes.urgent.begun(self.channel);
        // By the store's clock: batches fall due again by it.
        let Survey { now, mut campaigns, mut queued, accounts, limits } =
            planner.store.survey(self.channel).await?;
        campaigns.retain(|campaign| campaign.channels.contains(&self.channel));
        let open = campaigns;
        self.positions.retain(|campaign, _| open.iter().any(|known| known.id == *campaign));
        if open.is_empty() {
            planner.wakes.urgent.is_due(self.channel, false);
            return Ok(Progress::Idle);
        }
        let accounts = emergency::serving(&accounts, self.channel);
        let limits = Limits::of(self.channel, limits);
        let ours = |campaign: &&OpenCampaign| self.duties.release(self.channel, campaign.lane).is_some();
        let released_here: Vec<&OpenCampaign> = open.iter().filter(ours).collect();
        self.unserved.tell(planner, self.channel, &released_here, &accounts, now).await?;
        let mut progress = Progress::Idle;
        for lane in Lane::ALL {
            let campaigns: Vec<&OpenCampaign> =
                open.iter().filter(|campaign| campaign.lane == lane).collect();
            let mut windows = Windows::of(&accounts, &queued, self.channel, lane);
            let moved = match self.duties.release(self.channel, lane) {
                Some(duty) => {
                    let allowed = Allowance::draw(planner, &limits, lane, &campaigns, JOBS_MAX).await?;
                    self.release_lane(planner, &duty, &campaigns, &mut windows, allowed, now).await?
                }
                None => Moved::default(),
            };
            // Later lanes get what is left of an account's depth.
            queued.extend(windows.given(self.channel, lane));
            if moved.jobs > 0 || moved.gave_way {
                progress = Progress::More;
            }
            if moved.gave_way {
                break;
            }
            if lane == Lane::Emergency {
                let is_due = moved.unlimited
                    || (windows.busy() && emergency::may_hold_up(&limits, self.channel, &open))
                    || emergency::is_left(planner, &limits, self.channel, &open, &accounts, now).await?;
                planner.wakes.urgent.is_due(self.channel, is_due);
                if is_due {
                    break;
                }
            }
        }
        Ok(progress)
    }

    async fn release_lane(
        &mut self,
        planner: &Planner,
        duty: &Duty,
        campaigns: &[&OpenCampaign],
        windows: &mut Windows,
        mut allowed: Allowance,
        now: DateTime<Utc>,
    ) -> Result<Moved, PlannerError> {
        let mut moved = Moved::default();
        let persons = if windows.choose_senders() { Persons::Read } else { Persons::Unread };
        'serving: for (served, mut left) in windows.serve(campaigns) {
            let mut turn = self.turns.next(duty.lane, served, Among::Open, windows.free(served));
            let mut has_skipped = false;
            for _ in 0..ROUNDS_MAX {
                let free = windows.free(served);
                if free == 0 || left.is_empty() {
                    break;
                }
                moved.gave_way = self.gives_way(planner, duty);
                if moved.gave_way {
                    break 'serving;
                }
                let room = Room { free, turn };
                let Drawn { due, passed_over } =
                    self.draw(planner, &mut left, room, &allowed, persons, now).await?;
                if !passed_over.is_empty() {
                    self.skip_idle(planner, &mut left, passed_over, turn, now).await?;
                    if !has_skipped {
                        turn = self.turns.next(duty.lane, served, Among::Due, free);
                        has_skipped = true;
                    }
                }
                let Judged { open, closed } = judge(campaigns, &due, now);
                moved.jobs += self.hold(planner, campaigns, closed, now).await?;
                self.dues.note(&planner.spans, campaigns, &open);
                let releases: Vec<Release> = open
                    .into_iter()
                    .filter_map(|(job, contact_until)| {
                        let account = windows.take(served, wish(&job))?;
                        Some(Release { key: job.key, generation: job.generation, account, contact_until })
                    })
                    .collect();
                let placed = releases.len();
                let releases = allowed.admit(planner, campaigns, releases).await?;
                moved.unlimited |= releases.iter().any(|release| !allowed.limits(release.key.campaign));
                if releases.len() < placed {
                    // Who was refused a place is looked for from the head again.
                    self.positions.retain(|known, _| campaigns.iter().all(|campaign| campaign.id != *known));
                }
                let window = |account| windows.whole(account);
                for (requeue_after, batch) in by_requeue_time(duty.lane, &releases) {
                    for batch in batch.chunks(BATCH_MAX) {
                        moved.gave_way = self.gives_way(planner, duty);
                        if moved.gave_way {
                            // What was drawn and is not released is looked for from the head again.
                            let is_one = |known| campaigns.iter().any(|campaign| campaign.id == known);
                            self.positions.retain(|known, _| !is_one(*known));
                            break 'serving;
                        }
                        let requeue_at = now + requeue_after;
                        moved.jobs +=
                            self.mark_and_publish(planner, duty, batch, window, now, requeue_at).await?;
                    }
                }
            }
        }
        allowed.give_back(planner).await?;
        Ok(moved)
    }

    /// Has an emergency begun since the tick began, to which this lane gives way?
    fn gives_way(&self, planner: &Planner, duty: &Duty) -> bool {
        duty.lane != Lane::Emergency && planner.wakes.urgent.begun(self.channel) != self.begun
    }

    /// Lets `closed` jobs wait on for their calling windows, and what else is due of their campaigns and closed.
    async fn hold(
        &self,
        planner: &Planner,
        campaigns: &[&OpenCampaign],
        mut closed: Vec<(Hold, Due)>,
        now: DateTime<Utc>,
    ) -> Result<usize, PlannerError> {
        let of_closed: BTreeSet<CampaignId> = closed.iter().map(|(hold, _)| hold.key.campaign).collect();
        let draws: Vec<Draw> = of_closed
            .into_iter()
            .filter_map(|campaign| {
                let after = *self.positions.get(&campaign)?;
                Some(Draw { campaign, after, jobs_max: AHEAD_MAX })
            })
            .collect();
        if !draws.is_empty() {
            let ahead = planner.store.due_jobs(self.channel, &draws, Persons::Unread, now).await?;
            closed.extend(judge(campaigns, &ahead, now).closed);
        }
        let holds: Vec<Hold> = closed.iter().map(|(hold, _)| *hold).collect();
        let held = hold(planner, &holds).await?;
        traced::held(&planner.spans, self.channel, campaigns, &closed, now);
        Ok(held)
    }

    /// Takes the next due jobs, at most `free`, each campaign its fair part of what it is `allowed`. Campaigns with
    /// fewer due jobs than their part leave `left`.
    async fn draw(
        &mut self,
        planner: &Planner,
        left: &mut Vec<&OpenCampaign>,
        Room { free, turn }: Room,
        allowed: &Allowance,
        persons: Persons,
        now: DateTime<Utc>,
    ) -> Result<Drawn, PlannerError> {
        let mut demands: Vec<Demand> = left
            .iter()
            .map(|campaign| Demand {
                district: campaign.district,
                weight: campaign.weight,
                campaign: campaign.id,
                wants: free,
            })
            .collect();
        allowed.lower(&mut demands, turn);
        let parts = allot(free, &demands, turn);
        let draws: Vec<Draw> = left
            .iter()
            .zip(&parts)
            .filter(|(_, part)| **part > 0)
            .map(|(campaign, part)| Draw {
                campaign: campaign.id,
                after: self.positions.get(&campaign.id).copied().unwrap_or(Position::HEAD),
                jobs_max: *part,
            })
            .collect();
        if draws.is_empty() {
            left.clear();
            return Ok(Drawn::default());
        }
        let due = planner.store.due_jobs(self.channel, &draws, persons, now).await?;
        let mut drawn: HashMap<CampaignId, (u32, Position)> = HashMap::new();
        for job in &due {
            let entry = drawn.entry(job.key.campaign).or_insert((0, Position::HEAD));
            *entry = (entry.0 + 1, Position { due_at: job.due_at, job: job.key.job });
        }
        let mut passed_over: Vec<CampaignId> = left
            .iter()
            .zip(&parts)
            .filter(|(_, part)| **part == 0)
            .map(|(campaign, _)| campaign.id)
            .collect();
        let before = left.len();
        for draw in &draws {
            match drawn.get(&draw.campaign) {
                Some((jobs, last)) if *jobs >= draw.jobs_max => {
                    self.positions.insert(draw.campaign, *last);
                }
                _ => self.is_at_the_end(draw.campaign, left),
            }
        }
        if left.len() == before {
            passed_over.clear();
        }
        Ok(Drawn { due, passed_over })
    }

    /// It begins anew, for jobs that came back meanwhile may lie before its position: at once, or it would sit out the
    /// rest of the tick. Drawn from its head, it has no more.
    fn is_at_the_end(&mut self, campaign: CampaignId, left: &mut Vec<&OpenCampaign>) {
        if self.positions.remove(&campaign).is_none() {
            left.retain(|known| known.id != campaign);
        }
    }

    /// Those of `passed_over` that have no job due leave `left`, as many of them as may be looked at: where few places
    /// are free, the one campaign that has one would wait for the turns of all that have none.
    async fn skip_idle(
        &mut self,
        planner: &Planner,
        left: &mut Vec<&OpenCampaign>,
        mut passed_over: Vec<CampaignId>,
        turn: u64,
        now: DateTime<Utc>,
    ) -> Result<(), PlannerError> {
        let first = (turn % passed_over.len() as u64) as usize * LOOKED_AT_MAX % passed_over.len();
        passed_over.rotate_left(first);
        passed_over.truncate(LOOKED_AT_MAX);
        let draws: Vec<Draw> = passed_over
            .into_iter()
            .map(|campaign| {
                let after = self.positions.get(&campaign).copied().unwrap_or(Position::HEAD);
                Draw { campaign, after, jobs_max: 1 }
            })
            .collect();
        let due = planner.store.due_jobs(self.channel, &draws, Persons::Unread, now).await?;
        let due: HashSet<CampaignId> = due.iter().map(|job| job.key.campaign).collect();
        for draw in draws.iter().filter(|draw| !due.contains(&draw.campaign)) {
            self.is_at_the_end(draw.campaign, left);
        }
        Ok(())
    }

    /// Marks, then publishes; unmarks what the broker did not take. Returns how many jobs are on the queue.
    async fn mark_and_publish(
        &self,
        planner: &Planner,
        duty: &Duty,
        releases: &[Release],
        window: impl Fn(AccountId) -> usize,
        now: DateTime<Utc>,
        requeue_at: DateTime<Utc>,
    ) -> Result<usize, PlannerError> {
        let marked = planner.store.release(&duty.held, releases, now, requeue_at).await?;
        let bundles = bundles(marked, planner.spread, window);
        let (channel, lane, begun) = (self.channel, duty.lane, planner.clock.now());
        let context = |job: &Released| self.dues.context(job, channel, lane);
        let messages = bundles.iter().map(|jobs| message(jobs, channel, lane, context)).collect();
        let answers = match planner.publisher.publish(messages).await {
            Ok(answers) => answers,
            Err(error) => {
                unmark(planner, bundles.iter().flatten()).await?;
                return Err(error.into());
            }
        };
        let of = Publication { channel, lane, released_at: now, begun, ended: planner.clock.now() };
        let (mut taken, mut refused) = (0, Vec::new());
        for (jobs, answer) in bundles.iter().zip(answers) {
            match answer {
                Published::Confirmed => {
                    self.dues.released(&planner.spans, jobs.iter(), of);
                    taken += jobs.len();
                }
                Published::Refused | Published::Unroutable => refused.extend(jobs),
            }
        }
        RELEASED_JOBS.of([self.channel.as_str(), duty.lane.as_str()]).add(taken as u64);
        if !refused.is_empty() {
            tracing::warn!(channel = %self.channel, jobs = refused.len(), "the broker did not take released jobs");
            unmark(planner, refused.into_iter()).await?;
        }
        Ok(taken)
    }
}

/// What its place is chosen by.
fn wish(job: &Due) -> Wish {
    let route = Route::next(job.outcome, job.reason);
    Wish { person: job.person, last: job.account, route, lot: lot(job) }
}

/// Spreads neighbours, and the tries of one job.
fn lot(job: &Due) -> u64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (campaign, generation) =
        (job.key.campaign.0.as_u128() as u64, u64::from(job.generation.0.unsigned_abs()));
    let mixed = campaign ^ (u64::from(job.key.job.unsigned_abs()) << 8) ^ generation;
    mixed.wrapping_mul(SPREAD) >> 32
}

async fn unmark(planner: &Planner, jobs: impl Iterator<Item = &Released>) -> Result<(), PlannerError> {
    let jobs: Vec<(JobKey, Generation)> = jobs.map(|job| (job.key, job.generation)).collect();
    planner.store.give_back(&jobs, planner.clock.now(), WaitReason::Republish).await?;
    Ok(())
}

/// Releases grouped by how long their messages may be away: it depends on how often they were released.
fn by_requeue_time(lane: Lane, releases: &[Release]) -> BTreeMap<Duration, Vec<Release>> {
    let mut groups: BTreeMap<Duration, Vec<Release>> = BTreeMap::new();
    for release in releases {
        groups.entry(requeue_after(lane, release.generation.0 + 1)).or_default().push(*release);
    }
    groups
}
