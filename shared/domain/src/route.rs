//! Which way a job goes next: by any account, or by another than its last.

use crate::{Outcome, WaitReason};

/// Is another way than the last asked for?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Route {
    #[default]
    Any,
    /// Another account: the last one was busy, failed, or left it in doubt.
    AnotherAccount,
    /// Another account, or else another of its senders: this one does not reach the person.
    Another,
}

impl Route {
    /// Of a job that was tried before, or not: the best outcome of its attempts, and what it waited for last. An
    /// outcome says more than a reason: that the way was the wrong one.
    pub fn next(outcome: Option<Outcome>, reason: Option<WaitReason>) -> Self {
        if outcome.is_some_and(Outcome::wants_another_route) {
            return Self::Another;
        }
        match reason {
            // A busy or failing account would be as busy a moment later, and doubt is of its account.
            Some(WaitReason::ProviderBusy | WaitReason::Doubt) => Self::AnotherAccount,
            Some(
                WaitReason::Turn
                | WaitReason::Redial
                | WaitReason::Limiter
                | WaitReason::NotAsked
                | WaitReason::Republish
                | WaitReason::Window
                | WaitReason::NoAccount
                | WaitReason::ZoneUnknown
                | WaitReason::Stopped,
            )
            | None => Self::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_busy_or_doubtful_account_is_not_the_next() {
        for &reason in WaitReason::ALL {
            let expected = match reason {
                WaitReason::ProviderBusy | WaitReason::Doubt => Route::AnotherAccount,
                _ => Route::Any,
            };
            // That nobody answered, or that the line was engaged, says nothing of the account.
            for outcome in [None, Some(Outcome::NoAnswer), Some(Outcome::Busy)] {
                assert_eq!(Route::next(outcome, Some(reason)), expected, "{outcome:?}, {reason:?}");
            }
        }
        assert_eq!(Route::next(None, None), Route::Any, "a first try");
    }

    #[test]
    fn an_outcome_of_the_route_asks_for_another_sender_too_whatever_it_waits_for() {
        for outcome in [Outcome::TemporarilyUnavailable, Outcome::AllRoutesUnavailable] {
            for reason in WaitReason::ALL.iter().copied().map(Some).chain([None]) {
                assert_eq!(Route::next(Some(outcome), reason), Route::Another, "{outcome}, {reason:?}");
            }
        }
    }
}
