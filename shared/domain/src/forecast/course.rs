//! One run: the campaign's devices over one channel, from their begin to the end of the last, in virtual time.
//!
//! A run's work is bounded. A large campaign is played with parcels that stand for several devices each: where the
//! places are many a parcel takes as many at once, else one after the other, so that what it takes of rates and places
//! stays the same.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use chrono::{DateTime, TimeDelta, Utc};

use super::capacity::Capacity;
use super::history::{History, RATE_ASSUMED};
use super::random::Random;
use super::rivals::Rivals;
use super::{ChannelPlan, Plan};
use crate::window::{Contact, Zone, contact};

const PARCELS_MAX: u64 = 2_000;
/// A parcel takes several places at once only where this many others still can, too.
const PLACES_MIN: f64 = 100.0;
/// From a job's due time to its claim: half a tick of the planner, and the queue.
const RELEASE_SECONDS: f64 = 0.2;

/// How a run ended, in seconds from the campaign's begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct End {
    /// None: nobody was tried.
    pub last_first_attempt: Option<f64>,
    pub completion: f64,
}

pub(super) struct Course<'a> {
    plan: &'a Plan,
    history: &'a History,
    capacity: &'a Capacity,
    rivals: Rivals,
    waiting: BinaryHeap<Reverse<Parcel>>,
    zones: Vec<ZoneState>,
    expires: f64,
    /// Jobs a second that the engine makes where nothing limits it.
    ceiling: f64,
    /// When the rates let the next job start.
    next_at: f64,
    /// When each place that is taken is free again. None: places are not limited.
    places: Option<Places>,
    end: End,
}

/// Devices of one group.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Parcel {
    due: f64,
    order: u32,
    zone: usize,
    cost: f64,
    devices: f64,
    /// Tries used up.
    tries: u8,
}

struct ZoneState {
    zone: Option<Zone>,
    /// Open until then, as known.
    open_until: f64,
}

struct Places {
    /// The account's and the district's, of which this campaign has its share.
    all: Option<f64>,
    of_district: Option<f64>,
    /// How many of a parcel's devices are under way at once.
    at_once: f64,
    free_at: BinaryHeap<Reverse<Instant>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Instant(f64);

impl Eq for Instant {}

impl PartialOrd for Instant {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Instant {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Eq for Parcel {}

impl PartialOrd for Parcel {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As release takes jobs: in the order in which they fell due.
impl Ord for Parcel {
    fn cmp(&self, other: &Self) -> Ordering {
        self.due.total_cmp(&other.due).then(self.order.cmp(&other.order))
    }
}

impl<'a> Course<'a> {
    pub fn new(
        plan: &'a Plan,
        channel: &'a ChannelPlan,
        capacity: &'a Capacity,
        start_seconds: f64,
        random: &mut Random,
    ) -> Self {
        let devices = channel.devices();
        let each = (devices as f64 / PARCELS_MAX as f64).max(1.0);
        let mut course = Self {
            plan,
            history: &channel.history,
            capacity,
            rivals: channel.rivals.clone(),
            waiting: BinaryHeap::new(),
            zones: Vec::new(),
            expires: (plan.expires_at - plan.begins_at).as_seconds_f64(),
            ceiling: channel.history.draw_reached(random).unwrap_or(RATE_ASSUMED),
            next_at: start_seconds,
            places: Places::of(capacity, each),
            end: End { last_first_attempt: None, completion: 0.0 },
        };
        let alone = course.speed(1.0, (1.0, 1.0)).min(course.places_speed());
        course.next_at += course.rivals.take_first(plan.ahead_seconds * alone) / alone;
        for group in &channel.groups {
            course.add(group, each, start_seconds);
        }
        course
    }

    fn add(&mut self, group: &super::Group, each: f64, due: f64) {
        let zone = self.zones.iter().position(|known| known.zone == group.zone).unwrap_or_else(|| {
            self.zones.push(ZoneState { zone: group.zone, open_until: f64::NEG_INFINITY });
            self.zones.len() - 1
        });
        let parcels = (group.devices as f64 / each).ceil();
        for number in 0..parcels as u32 {
            // Spread among the other groups, as people of all kinds follow each other.
            let order = ((f64::from(number) + 0.5) / parcels * f64::from(u32::MAX)) as u32;
            let devices = group.devices as f64 / parcels;
            let cost = f64::from(group.cost.max(1));
            self.waiting.push(Reverse(Parcel { due, order, zone, cost, devices, tries: 0 }));
        }
    }

    pub fn play(mut self, random: &mut Random) -> End {
        while let Some(Reverse(parcel)) = self.waiting.pop() {
            self.attempt(parcel, random);
        }
        self.end
    }

    fn attempt(&mut self, parcel: Parcel, random: &mut Random) {
        let share = self.rivals.share();
        let free_at = self.places.as_mut().map_or(f64::NEG_INFINITY, |places| places.next(share));
        let at = parcel.due.max(self.next_at).max(free_at);
        if at >= self.expires {
            return self.finish(self.expires);
        }
        if let Some(opens) = self.closed_until(parcel.zone, at) {
            // The place is left to others.
            if let Some(places) = &mut self.places {
                places.take(free_at);
            }
            return match opens < self.expires {
                true => self.waiting.push(Reverse(Parcel { due: opens + RELEASE_SECONDS, ..parcel })),
                false => self.finish(self.expires),
            };
        }
        let per_job = 1.0 / self.speed(parcel.cost, share);
        let idle = at - self.next_at;
        if idle > 0.0 {
            self.rivals.served_alone(idle / per_job / share.0);
        }
        self.next_at = at + parcel.devices * per_job;
        self.rivals.served_beside(parcel.devices);
        let tries = parcel.tries + 1;
        let (outcome, seconds) = self.history.draw(tries, random);
        let (middle, last) = match &mut self.places {
            None => (at, self.next_at - per_job),
            Some(places) => {
                let turn = self.history.turnaround_seconds();
                let one = self.history.seconds_mean(tries) + turn;
                let before = (parcel.devices / places.at_once - 1.0).max(0.0) * one;
                places.take(at + before + seconds + turn);
                (at + before / 2.0, (at + before).max(self.next_at - per_job))
            }
        };
        if parcel.tries == 0 {
            let known = self.end.last_first_attempt.unwrap_or(last);
            self.end.last_first_attempt = Some(known.max(last));
        }
        self.finish(last + seconds);
        let again = middle.max((at + last) / 2.0) + seconds + f64::from(self.plan.redial.wait_seconds);
        if tries < self.plan.redial.attempts_max && self.plan.redial.redials(outcome) && again < self.expires
        {
            self.waiting.push(Reverse(Parcel { due: again + RELEASE_SECONDS, tries, ..parcel }));
        }
    }

    fn finish(&mut self, at: f64) {
        self.end.completion = self.end.completion.max(at);
    }

    /// Jobs of this campaign a second, with this share of all and of its district's.
    fn speed(&self, cost: f64, (of_all, of_district): (f64, f64)) -> f64 {
        let rate = self.capacity.rate_per_second.map(|rate| rate * self.history.efficiency() / cost * of_all);
        let district = self.capacity.district_rate_per_second.map(|rate| rate * of_district);
        let limits = [rate, district, self.capacity.campaign_rate_per_second];
        limits.into_iter().flatten().fold(self.ceiling * of_all, f64::min).max(f64::MIN_POSITIVE)
    }

    /// Attempts a second that the places let through.
    fn places_speed(&self) -> f64 {
        let seconds = self.history.seconds_mean(1) + self.history.turnaround_seconds();
        let places = self.capacity.places.map_or(f64::INFINITY, f64::from);
        (places / seconds.max(f64::MIN_POSITIVE)).max(f64::MIN_POSITIVE)
    }

    /// None: the zone's window is open at `at`.
    fn closed_until(&mut self, zone: usize, at: f64) -> Option<f64> {
        let window = self.plan.calling_window.as_ref()?;
        let state = &mut self.zones[zone];
        if at < state.open_until {
            return None;
        }
        let begin = self.plan.begins_at;
        let seconds = |time: DateTime<Utc>| (time - begin).as_seconds_f64();
        let now = begin + TimeDelta::milliseconds((at * 1000.0) as i64);
        match contact(Some(window), state.zone, now, self.plan.expires_at) {
            Contact::Open { until } => {
                state.open_until = seconds(until);
                None
            }
            Contact::Closed { opens_at } => Some(seconds(opens_at)),
            Contact::Never | Contact::ZoneUnknown => Some(f64::INFINITY),
        }
    }
}

impl Places {
    /// None: nothing limits how many attempts are under way.
    fn of(capacity: &Capacity, each: f64) -> Option<Self> {
        let (all, of_district) = (capacity.places.map(f64::from), capacity.district_places.map(f64::from));
        let most = all.into_iter().chain(of_district).reduce(f64::min)?;
        let at_once = (most / PLACES_MIN).clamp(1.0, each);
        Some(Self { all, of_district, at_once, free_at: BinaryHeap::new() })
    }

    /// When the next place is free.
    fn next(&mut self, (of_all, of_district): (f64, f64)) -> f64 {
        let limits = [self.all.map(|all| all * of_all), self.of_district.map(|all| all * of_district)];
        let places = limits.into_iter().flatten().fold(f64::INFINITY, f64::min) / self.at_once;
        let places = (places.round() as usize).max(1);
        let mut next = f64::NEG_INFINITY;
        // Fewer than there were cannot be, for rivals only become fewer.
        while self.free_at.len() >= places {
            let Some(Reverse(Instant(at))) = self.free_at.pop() else { break };
            next = at;
        }
        next
    }

    fn take(&mut self, until: f64) {
        self.free_at.push(Reverse(Instant(until)));
    }
}
