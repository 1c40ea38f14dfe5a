//! What an endpoint's answer means, and when a delivery is tried again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How long after each failure the next attempt waits: the schedule of Standard Webhooks, ten attempts in all.
const WAITS: [TimeDelta; 9] = [
    TimeDelta::seconds(5),
    TimeDelta::minutes(5),
    TimeDelta::minutes(30),
    TimeDelta::hours(2),
    TimeDelta::hours(5),
    TimeDelta::hours(10),
    TimeDelta::hours(14),
    TimeDelta::hours(20),
    TimeDelta::hours(24),
];
/// Attempts of one delivery.
pub const ATTEMPTS_MAX: i16 = WAITS.len() as i16 + 1;
/// An endpoint that took nothing for so long is disabled.
pub const FAILING_FOR_MAX: TimeDelta = TimeDelta::days(5);
/// After a failure nothing is sent to the endpoint for this long, whatever waits.
pub const HOLD_MIN: TimeDelta = TimeDelta::seconds(5);
/// A Retry-After is believed up to this.
const RETRY_AFTER_MAX: TimeDelta = TimeDelta::hours(24);
/// The part of a wait that chance may add.
const JITTER: f64 = 0.1;

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// None within the deadline.
    Timeout,
    /// The host is unknown or does not listen, or its certificate is not right.
    NoConnection,
    /// It lies in a network that endpoints may not be in.
    AddressRefused,
    /// The connection broke off.
    BrokenOff,
    /// The key that its secret was made with is not configured any more.
    NoSecret,
}

impl Fault {
    pub const ALL: [Self; 5] =
        [Self::Timeout, Self::NoConnection, Self::AddressRefused, Self::BrokenOff, Self::NoSecret];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NoConnection => "no_connection",
            Self::AddressRefused => "address_refused",
            Self::BrokenOff => "broken_off",
            Self::NoSecret => "no_secret",
        }
    }
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Status { status: u16, retry_after: Option<Duration> },
    None(Fault),
}

/// Why an endpoint is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    ByHand,
    /// It answered 410.
    Gone,
    /// It took nothing for days.
    Failing,
}

impl DisabledReason {
    pub const ALL: [Self; 3] = [Self::ByHand, Self::Gone, Self::Failing];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ByHand => "by_hand",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// What a delivery does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextTry {
    Delivered,
    /// At `at`, and the endpoint rests until `hold_until`.
    Again {
        at: DateTime<Utc>,
        hold_until: DateTime<Utc>,
    },
    /// No more, and the endpoint rests until `hold_until`.
    Failed {
        hold_until: DateTime<Utc>,
    },
    /// The endpoint wants nothing any more.
    Gone,
}

/// `attempts` counts this one; `chance`, drawn by the caller from 0 to 1, spreads what failed together.
pub fn next_try(answer: Answer, attempts: i16, now: DateTime<Utc>, chance: f64) -> NextTry {
    let asked = match answer {
        Answer::Status { status: 200..=299, .. } => return NextTry::Delivered,
        Answer::Status { status: 410, .. } => return NextTry::Gone,
        Answer::Status { status: 429 | 502..=504, retry_after } => retry_after,
        // A redirect is not followed, and so a failure like any other.
        Answer::Status { .. } | Answer::None(_) => None,
    };
    let asked = asked.map_or(HOLD_MIN, |wait| TimeDelta::from_std(wait).unwrap_or(RETRY_AFTER_MAX));
    let hold_until = now + asked.clamp(HOLD_MIN, RETRY_AFTER_MAX);
    let wait = usize::try_from(attempts - 1).ok().and_then(|at| WAITS.get(at));
    match wait {
        None => NextTry::Failed { hold_until },
        Some(wait) => {
            let more = wait.num_milliseconds() as f64 * JITTER * chance.clamp(0.0, 1.0);
            let at = now + *wait + TimeDelta::milliseconds(more as i64);
            NextTry::Again { at: at.max(hold_until), hold_until }
        }
    }
}

/// Whether an endpoint is given up, by what a turn's attempts came to so far. One that takes something does not fail, whatever
/// else it refuses; one that says that it is gone is believed.
pub fn gives_up(
    tries: &[NextTry],
    failing_since: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<DisabledReason> {
    if tries.contains(&NextTry::Gone) {
        return Some(DisabledReason::Gone);
    }
    let fails_long = failing_since.is_some_and(|since| now - since >= FAILING_FOR_MAX);
    let took_nothing = !tries.is_empty() && !tries.contains(&NextTry::Delivered);
    (fails_long && took_nothing).then_some(DisabledReason::Failing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();

    fn status(status: u16) -> Answer {
        Answer::Status { status, retry_after: None }
    }

    fn again(answer: Answer, attempts: i16, chance: f64) -> (TimeDelta, TimeDelta) {
        match next_try(answer, attempts, NOW, chance) {
            NextTry::Again { at, hold_until } => (at - NOW, hold_until - NOW),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_are_told_apart() {
        for code in [200, 202, 204, 299] {
            assert_eq!(next_try(status(code), 1, NOW, 0.0), NextTry::Delivered, "{code}");
        }
        assert_eq!(next_try(status(410), 1, NOW, 0.0), NextTry::Gone);
        for code in [199, 300, 301, 302, 307, 308, 400, 401, 404, 429, 500, 502, 503, 504] {
            assert_eq!(again(status(code), 1, 0.0), (TimeDelta::seconds(5), HOLD_MIN), "{code}");
        }
        for fault in Fault::ALL {
            assert_eq!(again(Answer::None(fault), 1, 0.0), (TimeDelta::seconds(5), HOLD_MIN), "{fault:?}");
        }
    }

    #[test]
    fn an_endpoint_is_given_up_when_it_is_gone_or_took_nothing_for_days() {
        let failed = next_try(status(500), 1, NOW, 0.0);
        let given_up = next_try(status(500), ATTEMPTS_MAX, NOW, 0.0);
        let (lately, long) =
            (Some(NOW - FAILING_FOR_MAX + TimeDelta::seconds(1)), Some(NOW - FAILING_FOR_MAX));
        let failing = Some(DisabledReason::Failing);
        for (tries, since, wanted) in [
            (vec![], long, None),
            (vec![failed], None, None),
            (vec![failed], lately, None),
            (vec![failed], long, failing),
            (vec![failed, given_up], long, failing),
            (vec![failed, NextTry::Delivered], long, None),
            (vec![NextTry::Delivered, failed], long, None),
            (vec![NextTry::Delivered, NextTry::Gone], None, Some(DisabledReason::Gone)),
            (vec![failed, NextTry::Gone], long, Some(DisabledReason::Gone)),
        ] {
            assert_eq!(gives_up(&tries, since, NOW), wanted, "{tries:?} {since:?}");
        }
    }

    #[test]
    fn ten_attempts_are_made_over_three_days_and_none_after() {
        let mut sum = TimeDelta::zero();
        for attempts in 1..ATTEMPTS_MAX {
            sum += again(status(500), attempts, 0.0).0;
        }
        assert_eq!((ATTEMPTS_MAX, sum), (10, TimeDelta::minutes(35 + 75 * 60) + TimeDelta::seconds(5)));
        assert_eq!(next_try(status(500), 10, NOW, 0.0), NextTry::Failed { hold_until: NOW + HOLD_MIN });
    }

    #[test]
    fn chance_only_adds_and_never_more_than_a_tenth() {
        assert_eq!(again(status(500), 2, 1.0).0, TimeDelta::seconds(330));
        assert_eq!(again(status(500), 2, 9.0).0, TimeDelta::seconds(330));
        assert_eq!(again(status(500), 2, -1.0).0, TimeDelta::seconds(300));
    }

    #[test]
    fn whoever_asks_for_time_gets_it_up_to_a_day() {
        let busy = |seconds| Answer::Status { status: 429, retry_after: Some(Duration::from_secs(seconds)) };
        let minute = TimeDelta::seconds(60);
        assert_eq!(again(busy(60), 1, 0.0), (minute, minute));
        assert_eq!(again(busy(1), 2, 0.0), (TimeDelta::minutes(5), HOLD_MIN));
        for long in [900_000, u64::MAX] {
            assert_eq!(again(busy(long), 1, 0.0).1, TimeDelta::hours(24));
        }
        // Of other failures nobody asks it.
        let broken = Answer::Status { status: 500, retry_after: Some(Duration::from_secs(600)) };
        assert_eq!(again(broken, 1, 0.0).1, HOLD_MIN);
    }
}
