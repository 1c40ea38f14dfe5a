//! What becomes of a series whose time has come.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};

use super::{Occurrence, Recurrence, Turn, judge};
use crate::window::Zone;

/// A series, as far as it decides what comes of it.
#[derive(Debug, Clone, Copy)]
pub struct DueRule<'a> {
    pub recurrence: &'a Recurrence,
    pub zone: Zone,
    /// The day that comes next.
    pub next_on: NaiveDate,
    pub late_max: Duration,
    pub expires_in: Duration,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decided {
    /// The one that becomes a campaign.
    pub run: Option<Occurrence>,
    /// Those that it is too late for.
    pub skip: Vec<Occurrence>,
    /// None: it was the last.
    pub next: Option<Occurrence>,
}

/// Of several that are due the latest may still run. What a series says of lateness is less than a day, so that the
/// others are too late by all means.
pub fn decide(rule: DueRule<'_>, now: DateTime<Utc>) -> Decided {
    let DueRule { recurrence, zone, next_on, late_max, expires_in } = rule;
    let mut skip = recurrence.due(zone, next_on, now);
    let next = recurrence.next(zone, now, next_on);
    let in_time = |last: &Occurrence| judge(*last, now, late_max, expires_in) == Turn::Run;
    let run = skip.last().copied().filter(in_time);
    if run.is_some() {
        skip.pop();
    }
    Decided { run, skip, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(hours_late: i64, late_max_hours: u64) -> Decided {
        let written = r#"{"frequency":"daily","starts_on":"2026-03-02","at":"08:00","count":5}"#;
        let recurrence: Recurrence = serde_json::from_str(written).unwrap();
        let rule = DueRule {
            recurrence: &recurrence,
            zone: chrono_tz::UTC,
            next_on: recurrence.starts_on(),
            late_max: Duration::from_secs(late_max_hours * 3600),
            expires_in: Duration::from_secs(86_400),
        };
        let first: DateTime<Utc> = "2026-03-02T08:00:00Z".parse().unwrap();
        decide(rule, first + chrono::TimeDelta::hours(hours_late))
    }

    fn days(decided: &Decided) -> (Option<u32>, Vec<u32>, Option<u32>) {
        use chrono::Datelike as _;
        let day = |occurrence: &Occurrence| occurrence.on.day();
        (
            decided.run.as_ref().map(day),
            decided.skip.iter().map(day).collect(),
            decided.next.as_ref().map(day),
        )
    }

    #[test]
    fn the_latest_runs_while_it_is_in_time_and_all_before_it_are_skipped() {
        for (hours_late, wanted) in [
            (-1, (None, vec![], Some(2))),
            (0, (Some(2), vec![], Some(3))),
            (1, (Some(2), vec![], Some(3))),
            (2, (None, vec![2], Some(3))),
            (24, (Some(3), vec![2], Some(4))),
            (50, (None, vec![2, 3, 4], Some(5))),
            (96, (Some(6), vec![2, 3, 4, 5], None)),
            (240, (None, vec![2, 3, 4, 5, 6], None)),
        ] {
            assert_eq!(days(&decided(hours_late, 1)), wanted, "{hours_late} h");
        }
    }
}
