//! What a campaign may do: how often and how long a job is tried (decision D6).

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{Channel, Lane, Outcome};

/// After a claim, the time within which its request must start.
pub const SEND_BY: Duration = Duration::from_secs(2);
/// How long the slowest request to a provider may take.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(15);
/// Added to `SEND_BY` and `REQUEST_DEADLINE` before an attempt that nobody answered for is called
/// unknown: room for the worker's own record to arrive.
pub const RECORD_MARGIN: Duration = Duration::from_secs(3);

/// When a job is tried again, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedialPolicy {
    /// Attempts at most, the first one included.
    pub attempts_max: u8,
    /// Time between an attempt's outcome and the next attempt.
    pub wait_seconds: u32,
    /// Does an answering machine lead to another attempt? It counts as a contact either way.
    #[serde(default)]
    pub machines: bool,
}

impl RedialPolicy {
    pub fn default_for(lane: Lane) -> Self {
        match lane {
            Lane::Emergency => Self { attempts_max: 4, wait_seconds: 60, machines: false },
            Lane::Priority | Lane::General => Self { attempts_max: 3, wait_seconds: 300, machines: false },
        }
    }

    /// Is `outcome` one that this policy tries again?
    pub fn redials(&self, outcome: Outcome) -> bool {
        outcome.redialable() || (self.machines && outcome == Outcome::AnsweringMachine)
    }

    pub fn wait(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.wait_seconds))
    }
}

/// How long a campaign is worth sending when its author does not say.
pub fn default_expiry(lane: Lane) -> Duration {
    match lane {
        Lane::Emergency => Duration::from_secs(12 * 3600),
        Lane::Priority | Lane::General => Duration::from_secs(24 * 3600),
    }
}

/// How long after acceptance a provider may stay silent before it is looked up or the attempt ends
/// with the best status known.
pub fn report_deadline(channel: Channel) -> Duration {
    match channel {
        Channel::Voice | Channel::Sms => Duration::from_secs(15 * 60),
        Channel::Email => Duration::from_secs(30 * 60),
        Channel::Inbox => Duration::from_secs(60),
    }
}

/// How long an unknown attempt is given to be cleared up before its lane decides (promise 2).
pub fn doubt_period(lane: Lane) -> Duration {
    match lane {
        Lane::Emergency => Duration::from_secs(30),
        Lane::Priority | Lane::General => Duration::from_secs(300),
    }
}

/// How long a released message may be away before its job is released again: the time doubles with
/// every generation, but for emergencies.
pub fn requeue_after(lane: Lane, generation: i32) -> Duration {
    match lane {
        Lane::Emergency => Duration::from_secs(3),
        Lane::Priority | Lane::General => {
            let doublings = generation.saturating_sub(1).clamp(0, 6) as u32;
            Duration::from_secs(60 << doublings)
        }
    }
}

/// The instant until which a recipient may be contacted, seen from `now`; the job's claim is denied
/// from then on. Without a calling window it is the campaign's expiry.
pub fn contact_until(expires_at: DateTime<Utc>) -> DateTime<Utc> {
    expires_at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_given_longer_with_each_release_but_for_emergencies() {
        let cases = [
            (Lane::Emergency, 1, 3),
            (Lane::Emergency, 9, 3),
            (Lane::Priority, 1, 60),
            (Lane::General, 0, 60),
            (Lane::General, 2, 120),
            (Lane::General, 7, 3840),
            (Lane::General, i32::MAX, 3840),
            (Lane::General, i32::MIN, 60),
        ];
        for (lane, generation, seconds) in cases {
            assert_eq!(requeue_after(lane, generation), Duration::from_secs(seconds), "{lane} {generation}");
        }
    }

    #[test]
    fn machines_redial_only_where_the_policy_says_so() {
        let quiet = RedialPolicy::default_for(Lane::General);
        let machines = RedialPolicy { machines: true, ..quiet.clone() };
        assert!(!quiet.redials(Outcome::AnsweringMachine));
        assert!(machines.redials(Outcome::AnsweringMachine));
        for outcome in Outcome::all().filter(|outcome| *outcome != Outcome::AnsweringMachine) {
            assert_eq!(quiet.redials(outcome), machines.redials(outcome), "{outcome}");
        }
    }

    #[test]
    fn emergencies_wait_less_and_are_tried_more_often() {
        for lane in [Lane::Priority, Lane::General] {
            let (emergency, other) =
                (RedialPolicy::default_for(Lane::Emergency), RedialPolicy::default_for(lane));
            assert!(emergency.attempts_max > other.attempts_max && emergency.wait() < other.wait());
            assert!(doubt_period(Lane::Emergency) < doubt_period(lane));
        }
    }

    #[test]
    fn a_redial_policy_is_read_without_strangers() {
        let read: RedialPolicy = serde_json::from_str(r#"{"attempts_max":2,"wait_seconds":90}"#).unwrap();
        assert_eq!(read, RedialPolicy { attempts_max: 2, wait_seconds: 90, machines: false });
        assert!(serde_json::from_str::<RedialPolicy>(r#"{"attempts_max":2,"wait_minutes":1}"#).is_err());
    }
}
