//! What a campaign may do: how often and how long a job is tried (decision D6).

mod machines;

use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

pub use machines::Machines;

use crate::window::{CallingWindow, PolicyFault};
use crate::{Channel, Lane, Outcome, OutcomeSet};

/// After a claim, the time within which its request must start.
pub const SEND_BY: Duration = Duration::from_secs(2);
/// How long the slowest request to a provider may take.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(15);
/// Added to `SEND_BY` and `REQUEST_DEADLINE` before an attempt that nobody answered for is called
/// unknown: room for the worker's own record to arrive.
pub const RECORD_MARGIN: Duration = Duration::from_secs(3);

/// Attempts that a redial policy may allow.
pub const ATTEMPTS: RangeInclusive<u32> = 1..=10;
/// Waits between two attempts that a redial policy may set.
pub const WAIT_SECONDS: RangeInclusive<u32> = 10..=24 * 3600;

/// When a job is tried again, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedialPolicy {
    /// Attempts at most, the first one included.
    pub attempts_max: u8,
    /// Time between an attempt's outcome and the next attempt.
    pub wait_seconds: u32,
    /// What becomes of a call that a machine answers. It counts as a contact either way.
    #[serde(default)]
    pub machines: Machines,
    /// Is whoever answers a call asked to press 0, and so to confirm that it was heard (requirement 75)?
    #[serde(default, skip_serializing_if = "is_off")]
    pub confirm: bool,
    /// What is tried again. The usual ones are not written down: policies from before there was a choice
    /// have no list.
    #[serde(default = "OutcomeSet::transient", skip_serializing_if = "OutcomeSet::is_transient")]
    pub outcomes: OutcomeSet,
}

/// What a district decided for campaigns of one message type (decision D6). A campaign keeps the policy that
/// was in force when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePolicy {
    pub redial: RedialPolicy,
    /// None: at any hour.
    pub calling_window: Option<CallingWindow>,
}

impl MessagePolicy {
    /// Where the district decided nothing.
    pub fn default_for(lane: Lane) -> Self {
        Self { redial: RedialPolicy::default_for(lane), calling_window: None }
    }
}

impl RedialPolicy {
    pub fn default_for(lane: Lane) -> Self {
        match lane {
            Lane::Emergency => Self::usual(4, 60),
            Lane::Priority | Lane::General => Self::usual(3, 300),
        }
    }

    fn usual(attempts_max: u8, wait_seconds: u32) -> Self {
        Self {
            attempts_max,
            wait_seconds,
            machines: Machines::Ignored,
            confirm: false,
            outcomes: OutcomeSet::transient(),
        }
    }

    /// Is `outcome` one that this policy tries again?
    pub fn redials(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::AnsweringMachine => self.machines == Machines::Redial,
            _ => self.outcomes.contains(outcome),
        }
    }

    /// The outcomes of these names, or everything that is wrong with the list.
    pub fn read_outcomes(names: &[String]) -> Result<OutcomeSet, Vec<PolicyFault>> {
        let (mut outcomes, mut faults) = (Vec::new(), Vec::new());
        for (at, name) in names.iter().enumerate() {
            match read_outcome(name) {
                Ok(outcome) => outcomes.push(outcome),
                Err(reason) => faults.push(PolicyFault::new(format!("outcomes[{at}]"), reason)),
            }
        }
        if faults.is_empty() { Ok(outcomes.into_iter().collect()) } else { Err(faults) }
    }

    /// How the call that is try number `tries` finds out who answers it. The last one leaves its message, whatever
    /// answers: nobody calls again.
    pub fn detection(&self, tries: i16) -> Option<Detection> {
        match self.machines {
            Machines::Ignored => None,
            Machines::LeaveMessage => Some(Detection::AfterGreeting),
            Machines::Redial if tries >= i16::from(self.attempts_max) => Some(Detection::AfterGreeting),
            Machines::Redial => Some(Detection::Meanwhile),
        }
    }

    pub fn wait(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.wait_seconds))
    }
}

/// Policies from before it could be asked for are written without it.
fn is_off(setting: &bool) -> bool {
    !setting
}

fn read_outcome(name: &str) -> Result<Outcome, String> {
    let possible = || {
        let names: Vec<_> =
            Outcome::all().filter(|outcome| outcome.may_redial()).map(Outcome::code).collect();
        names.join(", ")
    };
    match Outcome::all().find(|outcome| outcome.code() == name) {
        Some(outcome) if outcome.may_redial() => Ok(outcome),
        Some(Outcome::AnsweringMachine) => {
            Err("\"answering_machine\" has a setting of its own: set machines to redial".to_owned())
        }
        Some(_) => Err(format!("{name:?} is never tried again: use some of {}", possible())),
        None => Err(format!("{name:?} is unknown: use some of {}", possible())),
    }
}

/// How a provider is asked to find out whether a machine answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detection {
    /// The message begins when the greeting is over.
    AfterGreeting,
    /// The message begins at once, and who answered is told meanwhile.
    Meanwhile,
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

/// How long the provider is given, once a call is over, to say whether a machine answered it.
pub const DETECTION_WAIT: Duration = Duration::from_secs(20);

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
        let machines = RedialPolicy { machines: Machines::Redial, ..quiet.clone() };
        assert!(!quiet.redials(Outcome::AnsweringMachine));
        assert!(machines.redials(Outcome::AnsweringMachine));
        for outcome in Outcome::all().filter(|outcome| *outcome != Outcome::AnsweringMachine) {
            assert_eq!(quiet.redials(outcome), machines.redials(outcome), "{outcome}");
        }
    }

    #[test]
    fn who_answers_is_asked_where_the_policy_says_so_and_the_last_try_leaves_its_message() {
        let policy = |machines| RedialPolicy { machines, ..RedialPolicy::usual(3, 60) };
        let asked = |machines| [1, 2, 3, 4].map(|tries| policy(machines).detection(tries));
        let (after, meanwhile) = (Some(Detection::AfterGreeting), Some(Detection::Meanwhile));
        assert_eq!(asked(Machines::Ignored), [None; 4]);
        assert_eq!(asked(Machines::LeaveMessage), [after; 4]);
        assert_eq!(asked(Machines::Redial), [meanwhile, meanwhile, after, after]);
    }

    #[test]
    fn a_policy_redials_what_it_names_and_nothing_else() {
        let names = ["busy".to_owned(), "not_in_service".to_owned()];
        let outcomes = RedialPolicy::read_outcomes(&names).unwrap();
        let policy = RedialPolicy { outcomes, ..RedialPolicy::default_for(Lane::General) };
        let redialed: Vec<_> = Outcome::all().filter(|outcome| policy.redials(*outcome)).collect();
        assert_eq!(redialed, [Outcome::Busy, Outcome::NotInService]);
    }

    #[test]
    fn what_cannot_be_tried_again_is_refused_by_its_place() {
        let cases = [
            ("occupied", "is unknown: use some of busy, no_answer"),
            ("delivered", "is never tried again"),
            ("canceled", "is never tried again"),
            ("no_call_status", "is never tried again"),
            ("answering_machine", "set machines to redial"),
        ];
        for (name, says) in cases {
            let faults = RedialPolicy::read_outcomes(&["busy".to_owned(), name.to_owned()]).unwrap_err();
            assert!(faults.len() == 1 && faults[0].field == "outcomes[1]", "{faults:?}");
            assert!(faults[0].reason.contains(says), "{faults:?}");
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
        assert_eq!(read, RedialPolicy::usual(2, 90), "one from before there was a choice of outcomes");
        assert_eq!(serde_json::to_value(&read).unwrap().as_object().unwrap().len(), 3, "and is written so");
        let chosen = RedialPolicy { outcomes: [Outcome::Busy].into_iter().collect(), ..read };
        let written = serde_json::to_string(&chosen).unwrap();
        assert!(written.contains(r#""outcomes":["busy"]"#), "{written}");
        assert_eq!(serde_json::from_str::<RedialPolicy>(&written).unwrap(), chosen);
        for (machines, text) in [
            (Machines::Ignored, "false"),
            (Machines::Redial, "true"),
            (Machines::LeaveMessage, r#""leave_message""#),
        ] {
            let policy = RedialPolicy { machines, ..chosen.clone() };
            let written = serde_json::to_string(&policy).unwrap();
            assert!(written.contains(&format!(r#""machines":{text}"#)), "{written}");
            assert_eq!(serde_json::from_str::<RedialPolicy>(&written).unwrap(), policy);
        }
        let confirmed = RedialPolicy { confirm: true, ..chosen };
        let written = serde_json::to_string(&confirmed).unwrap();
        assert!(written.contains(r#""confirm":true"#), "{written}");
        assert_eq!(serde_json::from_str::<RedialPolicy>(&written).unwrap(), confirmed);
        for wrong in [r#""wait_minutes":1"#, r#""wait_seconds":1,"machines":"hang_up""#] {
            let written = format!(r#"{{"attempts_max":2,{wrong}}}"#);
            assert!(serde_json::from_str::<RedialPolicy>(&written).is_err(), "{written}");
        }
    }
}
