//! A worker's part of the limits of a provider account or of one of its senders, such that all parts together never exceed them
//! (promise 4), and such that what idle workers leave is used.

use std::cmp::Ordering;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::WorkerId;

/// How long a share is valid without renewal, by the store's clock.
pub const LEASE_TERM: Duration = Duration::from_secs(5);
/// How long a worker keeps its place beside others that wait for one, where there are fewer than workers. A change
/// costs a second or two, in which nobody uses the limit; meanwhile jobs are told to who has a place.
const TURN: Duration = Duration::from_secs(30);
/// A turn is no shorter than so many tokens take: what has come of the next one when it ends is lost with it, and of a
/// number that may send once a minute there would never be a whole one.
const TURN_TOKENS: f64 = 2.0;
/// An idle worker keeps this part of an even share, for the first jobs that reach it.
const IDLE_PART: u64 = 16;
/// An idle worker keeps one place where the busy ones are left at least this many times as many.
const PLACES_PER_IDLE: u64 = 4;

/// Micro-units: rates are shared as whole numbers of these, so that sums are exact.
const MICRO: f64 = 1_000_000.0;

/// What a provider account allows over all workers, in the unit it counts: calls, text segments,
/// messages. None is no limit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Limits {
    pub rate_per_second: Option<f64>,
    pub burst: Option<u32>,
    pub concurrency: Option<u32>,
    /// The part of `concurrency` that general jobs never get.
    pub reserve: u32,
}

/// A worker's part of [`Limits`]. None is no limit; 0 means that nothing may be sent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Share {
    pub rate_per_second: Option<f64>,
    pub burst: Option<u32>,
    pub concurrency: Option<u32>,
    /// The part of `concurrency` that general jobs may take. 0 leaves the share to the other lanes.
    pub general: Option<u32>,
}

/// A worker that holds a share of an account, or asks for one.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    pub worker: WorkerId,
    /// What it may still be using: what it was granted last, and whatever of earlier grants it has not said
    /// to have given up. Its calls that go on count as places. Of the worker that asks: what it may keep, which
    /// is its last grant, and nothing once its lease is over.
    pub counted: Share,
    /// Can it be given anything? A worker whose lease is over cannot, though its share still counts.
    pub live: bool,
    /// Had it use for a token since it asked last?
    pub busy: bool,
    /// When its turn began (its last grant was not empty) or ended. None: it never had one.
    pub turn: Turn,
}

/// Where there are fewer places than workers, they take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Has its place since then.
    Began(DateTime<Utc>),
    Ended(DateTime<Utc>),
    Never,
}

impl Turn {
    /// The turn of a worker that is granted `share` now.
    pub fn after(self, share: &Share, now: DateTime<Utc>) -> Self {
        match (self, share.is_empty()) {
            (Self::Began(_), true) => Self::Ended(now),
            (Self::Ended(_) | Self::Never, false) => Self::Began(now),
            (same, _) => same,
        }
    }
}

impl Share {
    /// The share of a worker that may not send.
    pub const NOTHING: Self =
        Self { rate_per_second: Some(0.0), burst: Some(0), concurrency: Some(0), general: None };

    /// May nothing be sent with this share?
    pub fn is_empty(&self) -> bool {
        self.burst == Some(0)
            || self.concurrency == Some(0)
            || self.rate_per_second.is_some_and(|rate| micros(rate) == 0)
    }

    /// What counts as a worker's share while it may be using either: the larger in each part. A part that
    /// only one of them limits counts as that one says.
    pub fn or_more(&self, other: &Self) -> Self {
        Self {
            rate_per_second: match (self.rate_per_second, other.rate_per_second) {
                (Some(one), Some(another)) => Some(one.max(another)),
                (one, another) => one.or(another),
            },
            burst: self.burst.max(other.burst),
            concurrency: self.concurrency.max(other.concurrency),
            general: self.general.max(other.general),
        }
    }
}

/// The share of `asker` beside `others`, all other workers whose shares still count.
///
/// It is the part that is due to it, but never more than the others leave, unless it holds that much already.
/// So a share that grows waits until those that shrink have been given back. Busy workers share evenly what
/// idle ones leave. Where a limit is too small to be shared by all (fewer units of burst or of concurrency
/// than workers, less than a token for each in a lease) as many as it serves get a whole part each and take
/// turns, and those beyond get nothing rather than a part that they could not use.
pub fn grant(limits: &Limits, asker: &Holder, others: &[Holder], now: DateTime<Utc>) -> Share {
    let crowd = Crowd::of(limits, asker, others, now);
    let Some(due) = crowd.due(limits, asker) else { return Share::NOTHING };
    let counted = |part: fn(&Share) -> u64| others.iter().map(move |other| part(&other.counted));
    let give = |limit: u64, due: Due, part: fn(&Share) -> u64| {
        let left = limit.saturating_sub(counted(part).fold(0, u64::saturating_add));
        due.part(limit, counted(part)).min(left.max(part(&asker.counted)))
    };
    let whole = |limit: u32, due: Due, part: fn(&Share) -> u64| {
        // Never above the limit, so it fits.
        give(u64::from(limit), due, part) as u32
    };
    let rate = limits.rate_per_second.map(|limit| (micros(limit), give(micros(limit), due.rate, rate_of)));
    // Two parts of an account that is leased whole would each be spent at a time of its own.
    if crowd.whole && rate.is_some_and(|(limit, given)| given < limit) {
        return Share::NOTHING;
    }
    let concurrency = limits.concurrency.map(|limit| whole(limit, due.places, concurrency_of));
    let general = limits.concurrency.filter(|_| limits.reserve > 0).map(|limit| {
        let open = limit.saturating_sub(limits.reserve);
        whole(open, due.places, general_of).min(concurrency.unwrap_or(open))
    });
    let share = Share {
        rate_per_second: rate.map(|(_, given)| given as f64 / MICRO),
        burst: limits.burst.map(|limit| whole(limit, due.burst, burst_of)),
        concurrency,
        general,
    };
    if share.is_empty() { Share::NOTHING } else { share }
}

/// The share of `asker` where a share is had on demand only: whoever has no use for it keeps nothing.
pub fn grant_on_demand(limits: &Limits, asker: &Holder, others: &[Holder], now: DateTime<Utc>) -> Share {
    if asker.busy { grant(limits, asker, others, now) } else { Share::NOTHING }
}

/// One of those that may send: whoever may not tells it of the jobs that wait for a permit. Not everybody names the
/// same one.
pub fn seated(asker: &Holder, others: &[Holder]) -> Option<WorkerId> {
    let seated: Vec<WorkerId> = others
        .iter()
        .filter(|other| other.live && matches!(other.turn, Turn::Began(_)))
        .map(|other| other.worker)
        .collect();
    let count = u128::try_from(seated.len()).ok().filter(|count| *count > 0)?;
    let position = usize::try_from(asker.worker.0.as_u128() % count).unwrap_or_default();
    seated.get(position).copied()
}

/// Who shares an account at a moment.
struct Crowd {
    /// Workers with a part, at least 1.
    seats: u64,
    /// Those of them that are idle beside busy ones.
    idle: u64,
    /// Is `asker` one of those with a part?
    seated: bool,
    /// Is the account too slow to be shared?
    whole: bool,
}

/// What is due to a worker of each part.
struct Dues {
    rate: Due,
    burst: Due,
    places: Due,
}

#[derive(Clone, Copy)]
enum Due {
    /// Just so much.
    Of(u64),
    /// An even part among so many, of what is left by those that get just so much.
    Even { among: u64, apart: u64 },
}

impl Crowd {
    fn of(limits: &Limits, asker: &Holder, others: &[Holder], now: DateTime<Utc>) -> Self {
        let live = 1 + others.iter().filter(|other| other.live).count() as u64;
        let busy =
            u64::from(asker.busy) + others.iter().filter(|other| other.live && other.busy).count() as u64;
        let whole = live > 1 && tokens_per_lease(limits).is_some_and(|tokens| tokens < live);
        let seats = if whole { 1 } else { seats(limits, live) };
        let turn = turn(limits);
        let before =
            others.iter().filter(|other| other.live && precedes(other, asker, turn, now)).count() as u64;
        if seats < live {
            // Too little for all: idle workers keep nothing while others are busy.
            let seats = if busy > 0 { seats.min(busy) } else { seats };
            return Self { seats, idle: 0, seated: before < seats, whole };
        }
        let idle = if busy > 0 { live - busy } else { 0 };
        Self { seats, idle, seated: true, whole }
    }

    fn due(&self, limits: &Limits, asker: &Holder) -> Option<Dues> {
        if !self.seated {
            return None;
        }
        let kept = Kept::of(limits, self.seats);
        if self.idle > 0 && !asker.busy {
            return kept.map(|kept| Dues {
                rate: Due::Of(kept.rate),
                burst: Due::Of(kept.burst),
                places: Due::Of(kept.places),
            });
        }
        let kept = kept.unwrap_or(Kept { rate: 0, burst: 0, places: 0 });
        let even = |kept: u64| Due::Even { among: self.seats - self.idle, apart: self.idle * kept };
        Some(Dues { rate: even(kept.rate), burst: even(kept.burst), places: even(kept.places) })
    }
}

/// How many of `live` workers can have a part that is of use to them.
fn seats(limits: &Limits, live: u64) -> u64 {
    // Each part holds a token at least: without a burst of its own an account has one second's worth.
    let per_second = limits.rate_per_second.map(|rate| micros(rate) / MICRO as u64);
    let burst = limits.burst.map(u64::from).or(per_second);
    let concurrency = limits.concurrency.map(u64::from);
    live.min(burst.unwrap_or(live)).min(concurrency.unwrap_or(live)).max(1)
}

fn turn(limits: &Limits) -> TimeDelta {
    let tokens = limits.rate_per_second.and_then(|rate| Duration::try_from_secs_f64(TURN_TOKENS / rate).ok());
    TimeDelta::from_std(tokens.unwrap_or(TURN).max(TURN)).unwrap_or(TimeDelta::MAX)
}

fn tokens_per_lease(limits: &Limits) -> Option<u64> {
    let rate = limits.rate_per_second.map(micros)?;
    Some(rate.saturating_mul(LEASE_TERM.as_secs()) / MICRO as u64)
}

/// What an idle worker keeps beside busy ones.
struct Kept {
    rate: u64,
    burst: u64,
    places: u64,
}

impl Kept {
    /// None: so little that it would be of no use. Such a worker asks again as soon as it has a job.
    fn of(limits: &Limits, live: u64) -> Option<Self> {
        let parts = live * IDLE_PART;
        let rate = limits.rate_per_second.map_or(0, |limit| micros(limit) / parts);
        let too_slow =
            limits.rate_per_second.is_some() && rate.saturating_mul(LEASE_TERM.as_secs()) < MICRO as u64;
        let places = limits.concurrency.map_or(0, u64::from);
        let too_few = limits.concurrency.is_some() && places < live * PLACES_PER_IDLE;
        let some = |limit: u64| if limit == 0 { 0 } else { (limit / parts).max(1) };
        (!too_slow && !too_few).then(|| Self {
            rate,
            burst: some(limits.burst.map_or(0, u64::from)),
            places: some(places),
        })
    }
}

impl Due {
    /// An even part, and one more where the remainder has not been taken by others yet, so that none of it
    /// lies idle.
    fn part(self, limit: u64, others: impl Iterator<Item = u64>) -> u64 {
        let (among, apart) = match self {
            Self::Of(part) => return part.min(limit),
            Self::Even { among, apart } => (among.max(1), apart),
        };
        let shared = limit.saturating_sub(apart);
        let (even, remainder) = (shared / among, shared % among);
        let with_one_more = others.filter(|other| *other > even).count() as u64;
        even + u64::from(with_one_more < remainder)
    }
}

/// Is `one` served before `another` where not all can be? Whoever has use for its place keeps it for its
/// turn; then come those who wait, longest first; idle ones last.
fn precedes(one: &Holder, another: &Holder, turn: TimeDelta, now: DateTime<Utc>) -> bool {
    let class = |holder: &Holder| match (holder.busy, holder.turn) {
        (true, Turn::Began(since)) if now - since < turn => 0,
        (true, Turn::Ended(_) | Turn::Never) => 1,
        (true, Turn::Began(_)) => 2,
        (false, Turn::Began(_)) => 3,
        (false, Turn::Ended(_) | Turn::Never) => 4,
    };
    let since = |holder: &Holder| match holder.turn {
        Turn::Never => None,
        Turn::Began(since) | Turn::Ended(since) => Some(since),
    };
    let order = class(one)
        .cmp(&class(another))
        .then(since(one).cmp(&since(another)))
        .then(one.worker.0.cmp(&another.worker.0));
    order == Ordering::Less
}

fn rate_of(share: &Share) -> u64 {
    share.rate_per_second.map_or(0, micros)
}

fn burst_of(share: &Share) -> u64 {
    share.burst.map_or(0, u64::from)
}

fn concurrency_of(share: &Share) -> u64 {
    share.concurrency.map_or(0, u64::from)
}

fn general_of(share: &Share) -> u64 {
    share.general.map_or(0, u64::from)
}

/// Rounded to the nearest, which restores a share exactly and moves a limit by half a millionth at most.
/// No number, or one below zero, is 0.
fn micros(rate: f64) -> u64 {
    (rate * MICRO).round() as u64
}

#[cfg(test)]
mod tests;
