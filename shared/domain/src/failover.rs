//! When an account gives way to the others of its channel, and how it comes back (docs/adr/0025-failover.md).
//!
//! Down at once, up by steps: an account that fails costs messages, one that recovers costs nothing but time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::state::numbered;

/// Answers of so long count. A worker counts its own of this time, and the store adds those of the fleet.
pub const WINDOW: Duration = Duration::from_secs(30);
/// An answer that took longer, or is still awaited after this time, is a failure.
pub const SLOW: Duration = Duration::from_secs(5);
/// Of fewer answers nothing is concluded: one error moves nothing.
const ANSWERS_MIN: u32 = 6;
/// The same of an account on trial, which gets few.
const TRIAL_ANSWERS_MIN: u32 = 2;
/// An account rests so long after it failed, and twice as long each time that it fails again.
const REST: Duration = Duration::from_secs(30);
const REST_MAX: Duration = Duration::from_secs(600);
/// How long it stays on each step.
const STEP: Duration = Duration::from_secs(15);
/// What failed longest ago is forgotten when an account has done well for so long.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// What an account on trial is given, over all workers.
pub const TRIAL_PER_SECOND: f64 = 1.0;

numbered! {
    /// How much an account is given where another account of its channel can do the rest.
    Health {
        /// Nothing.
        Resting = 1 => "resting",
        /// A job a second, none of them an emergency.
        Trial = 2 => "trial",
        Quarter = 3 => "quarter",
        Half = 4 => "half",
        Full = 5 => "full",
    }
}

impl Health {
    /// `whole` as an account of this health is given it.
    pub fn part_of(self, whole: f64) -> f64 {
        match self {
            Self::Resting => 0.0,
            Self::Trial => whole.min(TRIAL_PER_SECOND),
            Self::Quarter => whole / 4.0,
            Self::Half => whole / 2.0,
            Self::Full => whole,
        }
    }
}

/// What the providers' answers of the last [`WINDOW`] were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answers {
    pub all: u32,
    /// Errors of the provider, requests that found no connection or lost their answer, and slow ones.
    pub failed: u32,
}

impl Answers {
    pub fn and(self, other: Self) -> Self {
        Self { all: self.all.saturating_add(other.all), failed: self.failed.saturating_add(other.failed) }
    }

    /// At least `answers_min`, and half of them failures.
    fn fail(self, answers_min: u32) -> bool {
        self.all >= answers_min && u64::from(self.failed) * 2 >= u64::from(self.all)
    }
}

/// Where an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub health: Health,
    /// When it came to that.
    pub since: DateTime<Utc>,
    /// How often it failed lately.
    pub falls: u32,
}

impl Standing {
    /// Of an account that never failed.
    pub const SOUND: Self = Self { health: Health::Full, since: DateTime::UNIX_EPOCH, falls: 0 };

    /// Its health now: one that has rested long enough is on trial, though nobody has written that yet.
    pub fn health_at(&self, now: DateTime<Utc>) -> Health {
        match self.health {
            Health::Resting if now >= self.since + span(self.rest()) => Health::Trial,
            health => health,
        }
    }

    /// Where it stands after `answers`, which were given since it came to where it stood; None: there still.
    pub fn after(&self, answers: Answers, now: DateTime<Utc>) -> Option<Self> {
        let answers_min = match self.health {
            Health::Resting => {
                let health = self.health_at(now);
                return (health != self.health).then_some(Self { health, since: now, ..*self });
            }
            Health::Trial => TRIAL_ANSWERS_MIN,
            Health::Quarter | Health::Half | Health::Full => ANSWERS_MIN,
        };
        if answers.fail(answers_min) {
            return Some(Self { health: Health::Resting, since: now, falls: self.falls.saturating_add(1) });
        }
        let is_through = now >= self.since + span(STEP);
        let next = match self.health {
            // It has to be seen to work.
            Health::Trial if answers.all > answers.failed => Health::Quarter,
            Health::Quarter => Health::Half,
            Health::Half => Health::Full,
            Health::Full if self.falls > 0 && now >= self.since + span(FORGOTTEN_AFTER) => {
                return Some(Self { falls: 0, ..*self });
            }
            Health::Full | Health::Trial | Health::Resting => return None,
        };
        is_through.then_some(Self { health: next, since: now, ..*self })
    }

    fn rest(&self) -> Duration {
        let doublings = self.falls.saturating_sub(1).min(10);
        REST.saturating_mul(1 << doublings).min(REST_MAX)
    }
}

fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn answers(all: u32, failed: u32) -> Answers {
        Answers { all, failed }
    }

    fn standing(health: Health, falls: u32) -> Standing {
        Standing { health, since: at(0), falls }
    }

    #[test]
    fn one_error_or_a_few_among_many_move_nothing() {
        for few in [answers(0, 0), answers(1, 1), answers(5, 5), answers(100, 49), answers(1_000, 1)] {
            assert_eq!(Standing::SOUND.after(few, at(0)), None, "{few:?}");
        }
        for many in [answers(6, 3), answers(6, 6), answers(100, 50)] {
            let fallen = Standing::SOUND.after(many, at(0)).unwrap();
            assert_eq!(fallen, standing(Health::Resting, 1), "{many:?}");
        }
    }

    #[test]
    fn it_comes_back_by_steps_and_only_where_it_is_seen_to_work() {
        let mut now = 0;
        let mut course = vec![];
        let mut account = standing(Health::Resting, 1);
        while account.health != Health::Full {
            now += 1;
            if let Some(next) = account.after(answers(1, 0), at(now)) {
                course.push((next.health, now));
                account = next;
            }
        }
        let expected = [(Health::Trial, 30), (Health::Quarter, 45), (Health::Half, 60), (Health::Full, 75)];
        assert_eq!(course, expected);
        assert_eq!(standing(Health::Trial, 1).after(answers(0, 0), at(1_000)), None, "nothing was seen");
        assert_eq!(account.after(answers(1, 0), at(75 + 599)), None);
        assert_eq!(account.after(answers(1, 0), at(75 + 600)).unwrap().falls, 0, "forgotten");
    }

    #[test]
    fn who_fails_again_rests_twice_as_long_up_to_ten_minutes() {
        for (falls, rest) in [(1, 30), (2, 60), (3, 120), (4, 240), (5, 480), (6, 600), (40, 600)] {
            let resting = standing(Health::Resting, falls);
            assert_eq!(resting.health_at(at(rest - 1)), Health::Resting, "{falls}");
            assert_eq!(resting.health_at(at(rest)), Health::Trial, "{falls}");
        }
        for health in [Health::Trial, Health::Quarter, Health::Half] {
            let fallen = standing(health, 1).after(answers(6, 6), at(1)).unwrap();
            assert_eq!((fallen.health, fallen.falls), (Health::Resting, 2), "{health}");
        }
        assert_eq!(standing(Health::Trial, 1).after(answers(1, 1), at(1)), None, "one error");
        assert!(standing(Health::Trial, 1).after(answers(2, 2), at(1)).is_some());
    }

    proptest! {
        /// Whatever is answered: up by one step, down to rest; never two things within an instant.
        #[test]
        fn no_step_is_skipped(course in vec((0_u32..20, 0_u32..20, 0_i64..40), 0..200)) {
            let (mut account, mut now) = (Standing::SOUND, 0);
            for (all, failed, pause) in course {
                now += pause;
                let Some(next) = account.after(answers(all, failed.min(all)), at(now)) else { continue };
                let (was, is) = (account.health.number(), next.health.number());
                prop_assert!(is == was + 1 || next.health == Health::Resting || is == was, "{was} to {is}");
                prop_assert!(is <= was || now - (account.since - at(0)).num_seconds() >= 15);
                account = next;
            }
        }
    }
}
