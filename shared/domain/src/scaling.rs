//! How many workers of a channel there should be: as many as what is due needs to be done in time, not more than the
//! providers can feed, never none (docs/adr/0047-autoscaling.md).
//!
//! A queue's length says neither. It is kept short on purpose, and where a provider is the bottleneck more workers only
//! share the same rate.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use crate::{Channel, Lane};

/// However long work has waited, this part of the target is given to do it in; emergencies are never given more.
const TARGET_PART: u32 = 4;
/// A provider's answer seldom takes less, so that requests which may be open at once say how many may be sent.
const REQUEST_SECONDS: f64 = 0.25;
/// Below this part of what providers can feed, it is not they that hold workers up.
const BUSY_PART: f64 = 0.8;
/// A worker is not believed to be slower than this part of what is expected, or slow ones would call for ever more.
const SPEED_PART_MIN: f64 = 0.25;
/// Those who stay must be able to do the work with this part of their speed before any leave.
const COMFORT: f64 = 0.8;
/// Of so many workers one leaves at a time: more than the tenth by which Kubernetes ignores a change, or ten would stay ten.
const LEAVE_AT_ONCE: u32 = 8;

/// What is asked of the workers of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// What is due should be sent within this time.
    pub target: Duration,
    pub replicas_max: u32,
}

/// What there is to do over one channel, and what it can be done with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Load {
    /// Work and the accounts that may do it: one for the districts without accounts of their own, one for each of the others.
    pub groups: Vec<Group>,
    /// What each worker that holds a lease sent lately, per second.
    pub workers: Vec<f64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    pub work: Vec<Work>,
    pub accounts: Vec<Account>,
}

/// Jobs of one lane that are due or queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    pub lane: Lane,
    pub jobs: u64,
    /// How long the oldest has been due.
    pub oldest: Duration,
}

/// A provider account as it may be used now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Account {
    /// 0: it is stopped, held or resting. None: no limit.
    pub rate_per_second: Option<f64>,
    /// Attempts that the provider may hold: calls until they end, messages until they are reported. None: any number.
    pub places: Option<Places>,
    /// Requests that may be open at once. None: any number.
    pub requests: Option<u32>,
    /// What all workers sent with it lately.
    pub used_per_second: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    pub whole: u32,
    pub held: u32,
}

/// The answer, and what it was worked out from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Desired {
    pub replicas: u32,
    pub because: Because,
    /// What would have to be sent to be done in time.
    pub needed_per_second: f64,
    /// What the providers can take of it.
    pub fed_per_second: f64,
    pub worker_per_second: f64,
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// Nothing is due: one stays for emergencies.
    Idle,
    /// The work needs so many.
    Work,
    /// The work needs more, and the providers can feed no more.
    Headroom,
    /// More are not allowed.
    Most,
    /// Fewer would do; a few leave at a time, when the rest can do it with ease.
    Leaving,
}

pub fn desired(channel: Channel, load: &Load, bounds: Bounds) -> Desired {
    let needed = load.groups.iter().map(|group| group.needed(bounds.target)).sum::<f64>().abs();
    let fed = load.groups.iter().map(|group| group.fed(bounds.target)).sum::<f64>().abs();
    let speed = speed(channel, load, bounds.target);
    let wanted = (fed / speed).ceil().max(1.0) as u32;
    let most = bounds.replicas_max.max(1);
    let there = u32::try_from(load.workers.len()).unwrap_or(u32::MAX).min(most);
    let answer = |replicas, because| Desired {
        replicas,
        because,
        needed_per_second: needed,
        fed_per_second: fed,
        worker_per_second: speed,
    };
    if wanted < there {
        let staying = wanted.max(there - there.div_ceil(LEAVE_AT_ONCE));
        let eased = f64::from(staying) * speed * COMFORT;
        return answer(if fed <= eased { staying } else { there }, Because::Leaving);
    }
    match wanted.min(most) {
        replicas if wanted > most => answer(replicas, Because::Most),
        replicas if fed < needed => answer(replicas, Because::Headroom),
        replicas if needed > 0.0 => answer(replicas, Because::Work),
        replicas => answer(replicas, Because::Idle),
    }
}

impl Group {
    /// Jobs per second, for all of them to be sent in time.
    fn needed(&self, target: Duration) -> f64 {
        // A sum of nothing is -0.
        self.work
            .iter()
            .map(|work| work.jobs as f64 / work.time_left(target).as_secs_f64())
            .sum::<f64>()
            .abs()
    }

    fn headroom(&self, target: Duration) -> f64 {
        self.accounts.iter().map(|account| account.headroom(target)).sum::<f64>().abs()
    }

    fn fed(&self, target: Duration) -> f64 {
        self.needed(target).min(self.headroom(target))
    }
}

impl Work {
    fn time_left(&self, target: Duration) -> Duration {
        let least = (target / TARGET_PART).max(Duration::from_secs(1));
        match self.lane {
            Lane::Emergency => least,
            Lane::Priority | Lane::General => target.saturating_sub(self.oldest).max(least),
        }
    }
}

impl Account {
    /// What may be sent with it, per second. Places that are free may be taken within the target; those that are not
    /// come free as fast as the provider is done, which is what is sent in the long run.
    fn headroom(&self, target: Duration) -> f64 {
        let rate = self.rate_per_second.unwrap_or(f64::INFINITY);
        let places = self.places.map_or(f64::INFINITY, |places| {
            let free = f64::from(places.whole.saturating_sub(places.held));
            free / target.as_secs_f64().max(1.0) + self.used_per_second
        });
        let requests = self
            .requests
            .map_or(f64::INFINITY, |open| (f64::from(open) / REQUEST_SECONDS).max(self.used_per_second));
        rate.min(places).min(requests)
    }
}

/// What one more worker would send per second. What was measured counts upwards at once. Downwards only where work waits
/// and the providers are not the reason: else it tells the providers' speed, or that there was little to do.
fn speed(channel: Channel, load: &Load, target: Duration) -> f64 {
    let expected = expected_per_second(channel);
    let used: f64 = load.workers.iter().sum();
    let best = load.workers.iter().copied().fold(expected, f64::max);
    let headroom: f64 = load.groups.iter().map(|group| group.headroom(target)).sum();
    let late = |work: &Work| work.jobs > 0 && work.oldest > target / TARGET_PART;
    let waits = load.groups.iter().flat_map(|group| &group.work).any(late);
    if waits && !load.workers.is_empty() && used < BUSY_PART * headroom {
        return (used / load.workers.len() as f64).clamp(SPEED_PART_MIN * expected, best);
    }
    best
}

/// What a worker on one core does until more is known, with a provider that answers in a quarter of a second: low, for a
/// worker too many costs little, and what is measured counts as soon as it is more.
fn expected_per_second(channel: Channel) -> f64 {
    match channel {
        Channel::Voice => 100.0,
        Channel::Sms | Channel::Email => 300.0,
        Channel::Inbox => 600.0,
    }
}

/// As an operator reads it.
impl fmt::Display for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed_per_second, fed_per_second, worker_per_second, .. } = self;
        match self.because {
            Because::Idle => f.write_str("nothing is due: one stays for emergencies"),
            Because::Work => write!(
                f,
                "what is due needs {needed_per_second:.1} a second to be done in time, and a worker sends {worker_per_second:.0}"
            ),
            Because::Headroom => write!(
                f,
                "what is due needs {needed_per_second:.1} a second, the providers take {fed_per_second:.1}: more workers would send no more"
            ),
            Because::Most => write!(
                f,
                "what is due needs {needed_per_second:.1} a second and the providers take {fed_per_second:.1}, but no more workers are allowed"
            ),
            Because::Leaving => write!(
                f,
                "{fed_per_second:.1} a second are to be sent, which fewer could do: a few leave at a time"
            ),
        }
    }
}
