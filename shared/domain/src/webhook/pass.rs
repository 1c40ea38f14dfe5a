//! When the devices of a campaign are looked through again for outcomes that nobody was told of.
//!
//! Rows are compared with what was told and no log is followed, so that what commits late is found by the next pass.

use chrono::{DateTime, TimeDelta, Utc};

/// Outcomes of a closed campaign may still rise, for so long they are told.
pub const REVISED_FOR: TimeDelta = TimeDelta::days(7);
/// Between two passes at least.
const PAUSE_MIN: TimeDelta = TimeDelta::seconds(2);
/// Looking through an open campaign may take this part of the time.
const PART_OF_TIME: i32 = 20;

/// A pass that has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    pub began_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
    /// Of the campaign.
    pub closed_at: Option<DateTime<Utc>>,
}

/// When the next pass is due; None: there is none. After the close they come at twice the time each: what still rises does
/// so soon or hardly ever.
pub fn next_pass(pass: Pass) -> Option<DateTime<Utc>> {
    let now = pass.ended_at;
    match pass.closed_at {
        None => Some(now + ((now - pass.began_at) * PART_OF_TIME).max(PAUSE_MIN)),
        Some(closed_at) if now - closed_at > REVISED_FOR => None,
        Some(closed_at) => Some(now + (now - closed_at).max(PAUSE_MIN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_pass_is_not_begun_again_at_once_and_a_closed_campaign_is_left_in_the_end() {
        let began_at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let after = |seconds| began_at + TimeDelta::seconds(seconds);
        let pass = |ended, closed: Option<i64>| Pass {
            began_at,
            ended_at: after(ended),
            closed_at: closed.map(after),
        };
        assert_eq!(next_pass(pass(0, None)), Some(after(2)));
        assert_eq!(next_pass(pass(3, None)), Some(after(63)));
        assert_eq!(next_pass(pass(0, Some(0))), Some(after(2)));
        assert_eq!(next_pass(pass(0, Some(-60))), Some(after(60)));
        assert_eq!(next_pass(pass(0, Some(-8 * 86_400))), None);
        let (mut now, mut passes) = (began_at, 0);
        while let Some(next) = next_pass(Pass { began_at: now, ended_at: now, closed_at: Some(began_at) }) {
            (now, passes) = (next, passes + 1);
        }
        assert!(passes < 25, "{passes}");
    }
}
