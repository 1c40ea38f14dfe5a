//! Calling windows: the local hours in which a recipient may be contacted (decisions D6 and D10).
//!
//! A window is data: opening hours by weekday and days without any, in the recipient's IANA zone. It is open
//! when the wall clock there shows such a time, and so a change of the clocks needs no rule of its own: a time
//! that is skipped opens when the clocks have moved on, and one that is shown twice counts both times.

mod written;

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeDelta};
use chrono::{TimeZone as _, Utc, Weekday};
use serde::{Deserialize, Serialize};

use crate::policy::SEND_BY;

pub use chrono_tz::Tz as Zone;
pub use written::{PolicyFault, WrittenHours, WrittenWindow};

/// How far apart two looks for a change of the clocks lie. No zone changes twice within it.
const LOOK: TimeDelta = TimeDelta::hours(6);
/// After so long it is looked anew whether a zone became known.
pub const ZONE_UNKNOWN_WAIT: TimeDelta = TimeDelta::minutes(15);

/// Opening hours by weekday, Monday first, and the dates on which it stays closed.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenWindow", into = "WrittenWindow")]
pub struct CallingWindow {
    hours: [Option<Hours>; 7],
    holidays: BTreeSet<NaiveDate>,
}

/// From one minute of the local day until before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hours {
    opens: u16,
    closes: u16,
}

/// May a recipient be contacted now?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// Yes, before this instant.
    Open { until: DateTime<Utc> },
    /// From this instant on.
    Closed { opens_at: DateTime<Utc> },
    /// The window does not open before the campaign expires.
    Never,
    /// Nobody knows what time it is there: not until a zone is set (decision D10).
    ZoneUnknown,
}

/// The zone of that IANA name, if there is one.
pub fn zone_named(name: &str) -> Option<Zone> {
    name.parse().ok()
}

/// Which day it is; where no zone is known, in UTC.
pub fn day_in(zone: Option<Zone>, now: DateTime<Utc>) -> NaiveDate {
    now.with_timezone(&zone.unwrap_or(Zone::UTC)).date_naive()
}

/// May a recipient in `zone` be contacted at `now`? Without a window until the campaign expires. With one,
/// what is left of an opening must be enough for a claim and its request.
pub fn contact(
    window: Option<&CallingWindow>,
    zone: Option<Zone>,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Contact {
    let Some(window) = window else { return Contact::Open { until: expires_at } };
    let Some(zone) = zone else { return Contact::ZoneUnknown };
    let from = match window.open_until(zone, now) {
        Some(closes_at) => {
            let until = closes_at.min(expires_at);
            if until > now + SEND_BY {
                return Contact::Open { until };
            }
            closes_at
        }
        None => now,
    };
    match window.opening(zone, from, expires_at) {
        Some(opens_at) => Contact::Closed { opens_at },
        None => Contact::Never,
    }
}

impl CallingWindow {
    /// If the window is open at `at`: the first instant after it at which it is not, which is never later
    /// than the end of a local day.
    fn open_until(&self, zone: Zone, mut at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut hours = self.hours_at(local(zone, at))?;
        loop {
            let closes_at = at + (minutes(hours.closes) - since_midnight(local(zone, at)));
            // The clocks may jump over the closing time, back before it, or back before the opening time.
            let Some(change) = first_change(zone, at, closes_at) else { return Some(closes_at) };
            match self.hours_at(local(zone, change)) {
                Some(there) => (at, hours) = (change, there),
                None => return Some(change),
            }
        }
    }

    /// The first instant from `at` on, and before `end`, at which the window is open.
    fn opening(&self, zone: Zone, mut at: DateTime<Utc>, end: DateTime<Utc>) -> Option<DateTime<Utc>> {
        while at < end {
            let there = local(zone, at);
            let time = since_midnight(there);
            let wait = match self.hours_on(there.date()) {
                Some(hours) if time < minutes(hours.opens) => minutes(hours.opens) - time,
                Some(hours) if time < minutes(hours.closes) => return Some(at),
                Some(_) | None => TimeDelta::days(1) - time,
            };
            at = first_change(zone, at, at + wait).unwrap_or(at + wait);
        }
        None
    }

    fn hours_at(&self, there: NaiveDateTime) -> Option<Hours> {
        let time = since_midnight(there);
        self.hours_on(there.date())
            .filter(|hours| minutes(hours.opens) <= time && time < minutes(hours.closes))
    }

    fn hours_on(&self, date: NaiveDate) -> Option<Hours> {
        if self.holidays.contains(&date) { None } else { self.hours[day(date.weekday())] }
    }
}

/// The place of a weekday among the hours.
fn day(weekday: Weekday) -> usize {
    weekday.num_days_from_monday() as usize
}

fn minutes(of_day: u16) -> TimeDelta {
    TimeDelta::minutes(of_day.into())
}

fn since_midnight(there: NaiveDateTime) -> TimeDelta {
    there.time().signed_duration_since(NaiveTime::MIN)
}

/// What calendar and clock show there.
pub(crate) fn local(zone: Zone, at: DateTime<Utc>) -> NaiveDateTime {
    at.naive_utc() + TimeDelta::seconds(offset_seconds(zone, at).into())
}

fn offset_seconds(zone: Zone, at: DateTime<Utc>) -> i32 {
    zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()
}

/// The first instant after `after`, up to `last`, at which the zone's offset is another one. Changes fall on
/// whole seconds.
fn first_change(zone: Zone, after: DateTime<Utc>, last: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let offset = offset_seconds(zone, after);
    let mut before = after;
    while before < last {
        let look = (before + LOOK).min(last);
        if offset_seconds(zone, look) != offset {
            return change_between(zone, offset, before, look);
        }
        before = look;
    }
    None
}

/// Halves the time between an instant with `offset` and one with another, down to a second.
fn change_between(
    zone: Zone,
    offset: i32,
    before: DateTime<Utc>,
    behind: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let (mut low, mut high) = (before.timestamp(), behind.timestamp());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let at = DateTime::from_timestamp(middle, 0)?;
        if offset_seconds(zone, at) == offset { low = middle } else { high = middle }
    }
    DateTime::from_timestamp(high, 0)
}

#[cfg(test)]
mod tests;
