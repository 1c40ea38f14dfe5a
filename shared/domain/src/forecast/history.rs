//! What earlier campaigns showed: what became of attempts and how long it took, and how fast they could be made.

use chrono::{DateTime, Utc};

use super::capacity::Capacity;
use super::random::Random;
use crate::{Channel, Outcome};

/// The newest campaigns are looked at until so many devices were tried: what they met changes from week to week.
const DEVICES_ENOUGH: usize = 100;
/// Of a try with fewer attempts than these the tries before it say more.
const ATTEMPTS_MIN: usize = 20;
/// A campaign with fewer devices does not show how fast anything goes.
const PACE_DEVICES_MIN: usize = 40;
/// Nor does one that was over so soon.
const PACE_SECONDS_MIN: f64 = 0.2;
/// A campaign that made so large a part of what the rate allows was slowed by it.
const AT_THE_RATE: f64 = 0.9;
/// And one that took so large a part of the places, by these.
const AT_THE_PLACES: f64 = 0.5;
/// What a campaign reached that went on for so long holds for one of any size. A shorter one was still gathering speed,
/// and shows what one reaches that is up to so many times larger.
const STEADY_SECONDS: f64 = 5.0;
const LARGER_MAX: f64 = 4.0;
/// Jobs a second that the engine makes where nothing is known.
pub(super) const RATE_ASSUMED: f64 = 1_000.0;
/// How long a request is open where nothing is known.
const REQUEST_SECONDS_ASSUMED: f64 = 0.25;
/// From the end of a call until its place has another.
const TURNAROUND_SECONDS_ASSUMED: f64 = 0.5;
const TURNAROUND_SECONDS_MAX: f64 = 30.0;
/// How far a speed that was measured once may be off.
const SPEED_JITTER: f64 = 0.05;

/// An attempt of an earlier campaign. Not those that no provider took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried {
    pub job: i32,
    pub outcome: Outcome,
    pub claimed_at: DateTime<Utc>,
    pub settled_at: DateTime<Utc>,
}

/// What is known of one earlier campaign over the channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// All attempts of some of its jobs, by job and in their order.
    pub tried: Vec<Tried>,
    /// How many of its jobs each of these stands for.
    pub scale: f64,
    /// Its author or its district slowed it, so that it does not show what accounts can do.
    pub limited: bool,
}

/// How an earlier campaign began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Started {
    pub jobs: u64,
    /// Until its audience was worked out.
    pub expansion_seconds: f64,
    /// From there to its first release.
    pub release_seconds: f64,
}

/// What passes until a campaign's first attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start {
    devices_per_second: f64,
    seconds: f64,
}

/// What the forecast draws from.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// By try: what became of attempts and after how long. Empty: nothing is known.
    tries: Vec<Vec<(Outcome, f64)>>,
    assumed: Vec<(Outcome, f64)>,
    /// Jobs a second, where nothing but the engine was in the way.
    reached: Vec<f64>,
    /// From the end of an attempt until its place has another.
    turnaround_seconds: f64,
    /// The part of a rate that was made of it.
    efficiency: f64,
}

impl Start {
    /// Of what the latest campaigns showed.
    pub fn learn(started: &[Started]) -> Self {
        const JOBS_MIN: u64 = 1_000;
        const SECONDS_MIN: f64 = 0.05;
        let large = started.iter().filter(|one| one.jobs >= JOBS_MIN && one.expansion_seconds > SECONDS_MIN);
        let speeds = large.map(|one| one.jobs as f64 / one.expansion_seconds);
        let small = started.iter().filter(|one| one.jobs < JOBS_MIN).map(|one| one.expansion_seconds);
        let beginning = median(small).unwrap_or(0.1);
        let release = median(started.iter().map(|one| one.release_seconds)).unwrap_or(0.3);
        Self { devices_per_second: median(speeds).unwrap_or(20_000.0), seconds: beginning + release }
    }

    pub(super) fn seconds(&self, devices: u64) -> f64 {
        self.seconds + devices as f64 / self.devices_per_second
    }
}

impl History {
    /// `earlier` are the newest campaigns over the channel, newest first; `capacity` is what serves it now, and `devices`
    /// how many are to be tried.
    pub fn learn(channel: Channel, earlier: &[Earlier], capacity: Option<&Capacity>, devices: u64) -> Self {
        let paces: Vec<Pace> = earlier.iter().filter_map(Pace::of).collect();
        let rate = capacity.and_then(|capacity| capacity.rate_per_second);
        let places = capacity.and_then(|capacity| capacity.places);
        let at_rate = |pace: &Pace| rate.is_some_and(|rate| pace.per_second >= AT_THE_RATE * rate);
        let at_places = |pace: &Pace| {
            !at_rate(pace) && places.is_some_and(|places| pace.open >= AT_THE_PLACES * f64::from(places))
        };
        let turnarounds = paces.iter().filter(|pace| at_places(pace)).map(|pace| {
            let turn = f64::from(places.unwrap_or_default()) / pace.per_second;
            (turn - pace.seconds_mean).clamp(0.0, TURNAROUND_SECONDS_MAX)
        });
        let efficiencies = paces
            .iter()
            .filter(|pace| at_rate(pace))
            .map(|pace| (pace.per_second / rate.unwrap_or(pace.per_second)).min(1.0));
        let free: Vec<&Pace> =
            paces.iter().filter(|pace| !pace.limited && !at_rate(pace) && !at_places(pace)).collect();
        let tells =
            |pace: &&&Pace| pace.seconds >= STEADY_SECONDS || devices as f64 <= LARGER_MAX * pace.devices;
        let reached = free.iter().filter(tells);
        let requests = capacity.and_then(|capacity| capacity.requests).filter(|_| free.is_empty());
        let of_requests = requests.map(|requests| f64::from(requests) / REQUEST_SECONDS_ASSUMED);
        Self {
            turnaround_seconds: median(turnarounds).unwrap_or(TURNAROUND_SECONDS_ASSUMED),
            efficiency: median(efficiencies).unwrap_or(1.0),
            reached: reached.map(|pace| pace.per_second).chain(of_requests).collect(),
            tries: tries(earlier),
            assumed: assumed(channel),
        }
    }

    /// Has nothing been seen?
    pub fn is_empty(&self) -> bool {
        self.tries.is_empty()
    }

    /// Jobs a second that were reached in the middle.
    pub(super) fn reached(&self) -> Option<f64> {
        median(self.reached.iter().copied())
    }

    pub(super) fn efficiency(&self) -> f64 {
        self.efficiency
    }

    pub(super) fn turnaround_seconds(&self) -> f64 {
        self.turnaround_seconds
    }

    /// A speed for one run, if any was measured.
    pub(super) fn draw_reached(&self, random: &mut Random) -> Option<f64> {
        let jitter = 1.0 + SPEED_JITTER * (2.0 * random.part() - 1.0);
        random.one_of(&self.reached).map(|rate| rate * jitter)
    }

    /// What becomes of try number `number`, counted from 1, and after how many seconds.
    pub(super) fn draw(&self, number: u8, random: &mut Random) -> (Outcome, f64) {
        let drawn = random.one_of(self.of_try(number));
        drawn.copied().unwrap_or((Outcome::Unknown, 0.0))
    }

    pub(super) fn seconds_mean(&self, number: u8) -> f64 {
        let all = self.of_try(number);
        all.iter().map(|(_, seconds)| seconds).sum::<f64>() / all.len().max(1) as f64
    }

    fn of_try(&self, number: u8) -> &[(Outcome, f64)] {
        let at = usize::from(number).min(self.tries.len());
        self.tries[..at]
            .iter()
            .rev()
            .find(|tries| tries.len() >= ATTEMPTS_MIN)
            .or(self.tries.first())
            .unwrap_or(&self.assumed)
    }
}

/// Attempts by the number of their try, of the newest campaigns that together tried enough devices.
fn tries(earlier: &[Earlier]) -> Vec<Vec<(Outcome, f64)>> {
    let mut tries: Vec<Vec<(Outcome, f64)>> = Vec::new();
    for campaign in earlier {
        if tries.first().is_some_and(|first| first.len() >= DEVICES_ENOUGH) {
            break;
        }
        for of_job in campaign.tried.chunk_by(|one, next| one.job == next.job) {
            for (at, tried) in of_job.iter().enumerate() {
                if tries.len() <= at {
                    tries.push(Vec::new());
                }
                tries[at].push((tried.outcome, tried.seconds()));
            }
        }
    }
    tries
}

impl Tried {
    fn seconds(&self) -> f64 {
        (self.settled_at - self.claimed_at).as_seconds_f64().max(0.0)
    }
}

/// How fast an earlier campaign went while it had devices to try: from a tenth of its first attempts to nine tenths.
struct Pace {
    devices: f64,
    seconds: f64,
    per_second: f64,
    /// Attempts under way at once, on average, and how long each took.
    open: f64,
    seconds_mean: f64,
    limited: bool,
}

impl Pace {
    fn of(earlier: &Earlier) -> Option<Self> {
        let first = earlier.tried.first()?.claimed_at;
        let at = |time: DateTime<Utc>| (time - first).as_seconds_f64();
        let mut first_tries: Vec<f64> = earlier
            .tried
            .chunk_by(|one, next| one.job == next.job)
            .map(|job| at(job[0].claimed_at))
            .collect();
        first_tries.sort_by(f64::total_cmp);
        let count = first_tries.len();
        let (from, to) = (*first_tries.get(count / 10)?, *first_tries.get(count - 1 - count / 10)?);
        let span = to - from;
        if count < PACE_DEVICES_MIN || span < PACE_SECONDS_MIN {
            return None;
        }
        let within = || earlier.tried.iter().filter(|tried| (from..to).contains(&at(tried.claimed_at)));
        let made = within().count() as f64;
        let overlap =
            |tried: &Tried| (at(tried.settled_at).min(to) - at(tried.claimed_at).max(from)).max(0.0);
        Some(Self {
            devices: count as f64 * earlier.scale,
            seconds: span,
            per_second: made * earlier.scale / span,
            open: earlier.tried.iter().map(overlap).sum::<f64>() * earlier.scale / span,
            seconds_mean: within().map(Tried::seconds).sum::<f64>() / made.max(1.0),
            limited: earlier.limited,
        })
    }
}

/// Where no earlier campaign shows anything: parts of a hundred, and seconds.
fn assumed(channel: Channel) -> Vec<(Outcome, f64)> {
    let mix: &[(Outcome, usize, f64)] = match channel {
        Channel::Voice => {
            &[(Outcome::Completed, 70, 35.0), (Outcome::NoAnswer, 20, 30.0), (Outcome::Busy, 10, 5.0)]
        }
        Channel::Sms => &[(Outcome::Delivered, 97, 5.0), (Outcome::Undelivered, 3, 5.0)],
        Channel::Email => &[(Outcome::Delivered, 98, 5.0), (Outcome::HardBounce, 2, 5.0)],
        Channel::Inbox => &[(Outcome::InboxDelivered, 100, 0.1)],
    };
    mix.iter()
        .flat_map(|(outcome, parts, seconds)| std::iter::repeat_n((*outcome, *seconds), *parts))
        .collect()
}

pub(super) fn assumed_in_words(channel: Channel) -> &'static str {
    match channel {
        Channel::Voice => "70 % answered in 35 s, 20 % no answer in 30 s, 10 % busy in 5 s assumed",
        Channel::Sms | Channel::Email => "a report within 5 s assumed",
        Channel::Inbox => "delivery at once assumed",
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}
