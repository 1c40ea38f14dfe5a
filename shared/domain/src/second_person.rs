//! When a message needs a second person, and who may be that one (docs/adr/0040-second-person-and-tests.md).

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::audience::Audience;
use crate::rights::Actor;

/// So long what was asked for may be approved. An alarm that waited longer is not the alarm that it was.
pub const APPROVAL_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// Which schools an audience is for, as far as it says so by schools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It is narrowed to no school, class, student or person.
    EverySchool,
    /// Source ids. Empty: it names people, students or classes only.
    Schools(BTreeSet<String>),
}

impl Reach {
    /// Of an audience that is no receipt: whom that reached, the campaign of the receipt says. Roles, grades, school
    /// years and languages narrow whom it addresses at each school, but leave no school out.
    pub fn of(audience: &Audience) -> Self {
        let mut schools = BTreeSet::new();
        for group in audience.groups() {
            let lists = [&group.people, &group.students, &group.classes];
            if group.receipt.is_some() || lists.iter().any(|list| !list.is_empty()) {
                continue;
            }
            if group.schools.is_empty() {
                return Self::EverySchool;
            }
            schools.extend(group.schools.iter().cloned());
        }
        Self::Schools(schools)
    }
}

/// Why somebody cannot be the second person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAnother {
    /// They asked for it themselves.
    Asker,
    /// Nobody signed in, so that nobody knows who it is.
    Nobody,
}

/// May `actor` approve what `asker` asked for? Accounts are compared: two of one person are two.
pub fn may_approve(asker: Option<Uuid>, actor: &Actor) -> Result<(), NotAnother> {
    match actor.id {
        None => Err(NotAnother::Nobody),
        Some(id) if Some(id) == asker => Err(NotAnother::Asker),
        Some(_) => Ok(()),
    }
}

/// The numbers are those stored in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Decision {
    Approved = 1,
    Declined = 2,
}

impl Decision {
    pub fn number(self) -> i16 {
        self as i16
    }

    pub fn from_number(number: i16) -> Option<Self> {
        [Self::Approved, Self::Declined].into_iter().find(|it| it.number() == number)
    }
}

/// Where a request for approval stands. Nothing stores that it expired: it is so when its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalState {
    Waiting,
    Approved,
    Declined,
    Expired,
}

impl ApprovalState {
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Approved, Self::Declined, Self::Expired];

    pub fn of(decision: Option<Decision>, expires_at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        match decision {
            Some(Decision::Approved) => Self::Approved,
            Some(Decision::Declined) => Self::Declined,
            None if expires_at > now => Self::Waiting,
            None => Self::Expired,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Expired => "expired",
        }
    }
}

/// Until when what is asked for `now` may be approved.
pub fn expires_at(now: DateTime<Utc>) -> DateTime<Utc> {
    now + TimeDelta::from_std(APPROVAL_LIFETIME).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::Role;
    use crate::rights::{ActorKind, Grant};

    fn list(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|entry| (*entry).to_owned()).collect()
    }

    fn schools(entries: &[&str]) -> Audience {
        Audience { schools: list(entries), ..Audience::default() }
    }

    #[test]
    fn only_schools_classes_and_people_leave_a_school_out() {
        let everybody = Audience { all: true, ..Audience::default() };
        let staff = Audience { roles: vec![Role::Staff], language: Some("es".into()), ..everybody.clone() };
        let grades = Audience { grades: list(&["03"]), ..Audience::default() };
        let years = Audience { school_years: vec![2027], ..Audience::default() };
        for audience in [&everybody, &staff, &grades, &years] {
            assert_eq!(Reach::of(audience), Reach::EverySchool, "{audience:?}");
        }
        let named = |entries: &[&str]| Reach::Schools(list(entries).into_iter().collect());
        let classes = Audience { classes: list(&["c"]), ..schools(&["a"]) };
        let people = Audience { people: list(&["p"]), ..Audience::default() };
        let students = Audience { students: list(&["st"]), ..Audience::default() };
        for (audience, reach) in [
            (schools(&["a", "b"]), named(&["a", "b"])),
            (Audience { grades: list(&["03"]), ..schools(&["a"]) }, named(&["a"])),
            (classes.clone(), named(&[])),
            (people.clone(), named(&[])),
            (students, named(&[])),
            (
                Audience {
                    any_of: vec![schools(&["a"]), schools(&["b"]), classes, people.clone()],
                    ..Audience::default()
                },
                named(&["a", "b"]),
            ),
            (Audience { any_of: vec![people, grades], ..Audience::default() }, Reach::EverySchool),
        ] {
            assert_eq!(Reach::of(&audience), reach, "{audience:?}");
        }
    }

    #[test]
    fn whoever_asked_and_whoever_is_nobody_does_not_approve() {
        let (me, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let actor = |id| Actor { kind: ActorKind::User, id, name: "Ana".to_owned(), grant: Grant::all() };
        for (asker, approver, is) in [
            (Some(me), Some(other), Ok(())),
            (Some(me), Some(me), Err(NotAnother::Asker)),
            (Some(me), None, Err(NotAnother::Nobody)),
            (None, Some(me), Ok(())),
            (None, None, Err(NotAnother::Nobody)),
        ] {
            assert_eq!(may_approve(asker, &actor(approver)), is, "{asker:?} {approver:?}");
        }
    }

    #[test]
    fn what_waited_too_long_has_expired_and_a_decision_stays() {
        let now = DateTime::UNIX_EPOCH;
        let until = expires_at(now);
        let at = |decision, at| ApprovalState::of(decision, until, at);
        assert_eq!(at(None, until - TimeDelta::microseconds(1)), ApprovalState::Waiting);
        assert_eq!(at(None, until), ApprovalState::Expired);
        assert_eq!(at(Some(Decision::Approved), until), ApprovalState::Approved);
        assert_eq!(at(Some(Decision::Declined), now), ApprovalState::Declined);
        for decision in [Decision::Approved, Decision::Declined] {
            assert_eq!(Decision::from_number(decision.number()), Some(decision));
        }
    }
}
