//! How an account is slowed for the whole fleet after its provider said "too fast", and how it recovers
//! (promise 4).
//!
//! Down by half, up by a tenth of the full rate: the more careful direction is the quicker one. The rise is
//! computed from the time since the last fall, so that nothing has to be written for it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::lease::LEASE_TERM;

/// The rate falls at most once in this time, however many workers report it: those that were under way when
/// the first answer came tell the same thing again. It rises by a step in each.
pub const STEP_EVERY: Duration = LEASE_TERM;
/// What a step adds, as a part of the full rate.
const STEP: f64 = 0.1;
/// The smallest rate, as a part of the full rate.
const FLOOR: f64 = 1.0 / 32.0;
/// An account without a rate of its own is taken to have used at least so much: a few requests say little
/// about what the provider takes.
const USED_MIN_PER_SECOND: f64 = 1.0;
/// An account without a rate of its own is slowed until it may send this many times what it sent when the
/// provider refused.
const FULL_OF_USED: f64 = 2.0;
/// An account is held no longer than this at a provider's word, which may be wrong: emergencies wait, too.
const HOLD_MAX: Duration = Duration::from_secs(300);

/// The last fall of an account's rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// What it fell to.
    pub rate_per_second: f64,
    /// Where the rise ends if the account has no rate of its own.
    pub full_per_second: f64,
    pub since: DateTime<Utc>,
}

/// What the account may send now: its own rate, or less while it recovers. None is no limit.
pub fn effective_rate(own: Option<f64>, backoff: Option<&Backoff>, now: DateTime<Utc>) -> Option<f64> {
    match (own, backoff) {
        (own, None) => own,
        (own, Some(backoff)) => backoff.rate(own, now).or(own),
    }
}

/// The provider throttled the account. None: its rate fell within this period already. `used_per_second` is
/// what the fleet sent lately, from which an account without a rate of its own gets one.
pub fn throttled(
    own: Option<f64>,
    backoff: Option<&Backoff>,
    used_per_second: f64,
    now: DateTime<Utc>,
) -> Option<Backoff> {
    if backoff.is_some_and(|last| now < last.since + span(STEP_EVERY)) {
        return None;
    }
    let used = if used_per_second.is_finite() { used_per_second } else { 0.0 };
    let recovering = backoff.and_then(|last| last.rate(own, now).map(|rate| (rate, last.full(own))));
    let (rate, full) = match (recovering, own) {
        (Some(recovering), _) => recovering,
        (None, Some(own)) => (own, own),
        (None, None) => {
            let used = used.max(USED_MIN_PER_SECOND);
            (used, used * FULL_OF_USED)
        }
    };
    Some(Backoff { rate_per_second: (rate / 2.0).max(full * FLOOR), full_per_second: full, since: now })
}

/// Until when nothing is sent, after a provider asked to be left alone for so long.
pub fn held_until(retry_after: Duration, now: DateTime<Utc>) -> DateTime<Utc> {
    now + span(retry_after.min(HOLD_MAX))
}

impl Backoff {
    /// None: recovered.
    fn rate(&self, own: Option<f64>, now: DateTime<Utc>) -> Option<f64> {
        let full = self.full(own);
        let passed = (now - self.since).max(TimeDelta::zero()).num_milliseconds();
        let steps = (passed / span(STEP_EVERY).num_milliseconds()) as f64;
        let rate = self.rate_per_second + steps * STEP * full;
        (rate < full).then_some(rate)
    }

    fn full(&self, own: Option<f64>) -> f64 {
        own.unwrap_or(self.full_per_second)
    }
}

fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
    }

    #[test]
    fn the_rate_falls_by_half_once_a_period_and_rises_by_a_tenth_of_it() {
        let first = throttled(Some(100.0), None, 70.0, at(0)).unwrap();
        assert_eq!(throttled(Some(100.0), Some(&first), 70.0, at(4_999)), None, "the same period");
        let rates =
            [(0, 50.0), (4_999, 50.0), (5_000, 60.0), (24_999, 90.0), (25_000, 100.0), (90_000, 100.0)];
        for (time, rate) in rates {
            assert_eq!(effective_rate(Some(100.0), Some(&first), at(time)), Some(rate), "{time} ms");
        }
        let second = throttled(Some(100.0), Some(&first), 70.0, at(10_000)).unwrap();
        assert_eq!(second.rate_per_second, 35.0, "half of what it had risen to");
        let after = throttled(Some(100.0), Some(&first), 70.0, at(60_000)).unwrap();
        assert_eq!(after.rate_per_second, 50.0, "half of the full rate again");
    }

    #[test]
    fn without_a_rate_of_its_own_an_account_is_slowed_to_half_of_what_it_sent() {
        let first = throttled(None, None, 80.0, at(0)).unwrap();
        assert_eq!(effective_rate(None, Some(&first), at(0)), Some(40.0));
        assert_eq!(effective_rate(None, Some(&first), at(35_000)), Some(152.0));
        assert_eq!(effective_rate(None, Some(&first), at(40_000)), None, "free again");
        for nothing in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(throttled(None, None, nothing, at(0)).unwrap().rate_per_second, 0.5, "{nothing}");
        }
    }

    #[test]
    fn a_rate_that_is_configured_anew_is_what_the_rise_ends_at() {
        let first = throttled(Some(100.0), None, 0.0, at(0)).unwrap();
        assert_eq!(effective_rate(Some(40.0), Some(&first), at(0)), Some(40.0));
        assert_eq!(effective_rate(Some(200.0), Some(&first), at(5_000)), Some(70.0));
    }

    #[test]
    fn a_provider_holds_an_account_for_as_long_as_it_says_within_reason() {
        assert_eq!(held_until(Duration::from_secs(7), at(0)), at(7_000));
        assert_eq!(held_until(Duration::MAX, at(0)), at(300_000));
    }

    proptest! {
        #[test]
        fn the_rate_is_never_above_the_full_one_and_always_recovers(
            own in option::of(0.01f64..1e4),
            used in 0.0f64..1e4,
            gaps in vec(0i64..20_000, 1..60),
        ) {
            let (mut now, mut backoff, mut falls) = (0, None::<Backoff>, Vec::new());
            for gap in gaps {
                now += gap;
                let before = effective_rate(own, backoff.as_ref(), at(now));
                if let Some(fallen) = throttled(own, backoff.as_ref(), used, at(now)) {
                    let after = effective_rate(own, Some(&fallen), at(now)).unwrap();
                    let full = own.unwrap_or(fallen.full_per_second);
                    prop_assert!(after > 0.0 && after >= full * FLOOR * 0.999 && after < full);
                    prop_assert!(before.is_none_or(|before| after < before || after <= full * FLOOR * 1.001));
                    backoff = Some(fallen);
                    falls.push(now);
                }
                let rate = effective_rate(own, backoff.as_ref(), at(now));
                prop_assert!(own.is_none_or(|own| rate.is_some_and(|rate| rate <= own)));
            }
            prop_assert!(falls.windows(2).all(|two| two[1] - two[0] >= 5_000), "once a period");
            let rising: Vec<f64> = (0..12)
                .filter_map(|step| effective_rate(own, backoff.as_ref(), at(now + step * 5_000)))
                .collect();
            prop_assert!(rising.is_sorted());
            prop_assert_eq!(effective_rate(own, backoff.as_ref(), at(now + 60_000)), own, "recovered");
        }
    }
}
