//! Times as a district reads them: in its zone, by its clock, as short as they stay clear.

use std::fmt;

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use tocsin_domain::wait::{Dial, Reader};

/// A district's time zone; UTC where it has none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zone(Tz);

/// One instant: for the eye, for the pointer that rests on it, and for machines.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    pub text: String,
    pub full: String,
    pub iso: String,
}

/// A length of time in the two largest units that say something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Length(pub f64);

/// Whoever reads a page's sentences now: their times are as all others of pages.
pub(crate) fn reading(now: DateTime<Utc>) -> Reader {
    Reader { now, dial: Dial::Hours12 }
}

impl Zone {
    pub fn of(name: Option<&str>) -> Self {
        Self(name.and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC))
    }

    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The day on which an instant is.
    pub fn day_of(self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.0).date_naive()
    }

    /// When a day begins: at midnight or, where the clock jumps over it, right after.
    pub fn beginning_of(self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(NaiveTime::MIN);
        let hours = (0..4)
            .filter_map(|hour| self.0.from_local_datetime(&(midnight + TimeDelta::hours(hour))).earliest());
        hours.map(|local| local.to_utc()).next().unwrap_or_else(|| midnight.and_utc())
    }

    pub fn zone(self) -> Tz {
        self.0
    }

    /// To the minute.
    pub fn stamp(self, at: DateTime<Utc>, now: DateTime<Utc>) -> Stamp {
        self.write(at, now, "today, ", "%-I:%M %p")
    }

    /// To the second.
    pub fn exact(self, at: DateTime<Utc>, now: DateTime<Utc>) -> Stamp {
        self.write(at, now, "today, ", "%-I:%M:%S %p")
    }

    /// To the second, for a column: of today the time alone.
    pub fn brief(self, at: DateTime<Utc>, now: DateTime<Utc>) -> Stamp {
        self.write(at, now, "", "%-I:%M:%S %p")
    }

    /// A day that is ahead, in words, and its time to the minute.
    pub fn ahead(self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.0).format("%A, %B %-d, %Y, %-I:%M %p").to_string()
    }

    fn write(self, at: DateTime<Utc>, now: DateTime<Utc>, same_day: &str, clock: &str) -> Stamp {
        let (local, today) = (at.with_timezone(&self.0), now.with_timezone(&self.0));
        let day = if local.date_naive() == today.date_naive() {
            same_day
        } else if local.year() == today.year() {
            "%b %-d, "
        } else {
            "%b %-d, %Y, "
        };
        Stamp {
            text: local.format(&format!("{day}{clock}")).to_string(),
            full: local.format("%A, %B %-d, %Y, %-I:%M:%S %p %Z").to_string(),
            iso: at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Requirement 52: zero is shown as less than a second.
        if self.0 < 1.0 {
            return f.write_str("< 1 s");
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length of 1 s or more")]
        let seconds = self.0 as u64;
        match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
            (0, 0, 0, seconds) => write!(f, "{seconds} s"),
            (0, 0, minutes, 0) => write!(f, "{minutes} min"),
            (0, 0, minutes, seconds) => write!(f, "{minutes} min {seconds} s"),
            (0, hours, 0, _) => write!(f, "{hours} h"),
            (0, hours, minutes, _) => write!(f, "{hours} h {minutes} min"),
            (days, 0, ..) => write!(f, "{days} d"),
            (days, hours, ..) => write!(f, "{days} d {hours} h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_is_told_in_the_districts_zone_and_no_longer_than_needed() {
        let zone = Zone::of(Some("America/Chicago"));
        let now = at("2026-11-26T03:00:00Z");
        for (instant, text) in [
            ("2026-11-25T14:05:09Z", "today, 8:05 AM"),
            ("2026-11-25T05:59:00Z", "Nov 24, 11:59 PM"),
            ("2025-06-01T17:00:00Z", "Jun 1, 2025, 12:00 PM"),
        ] {
            assert_eq!(zone.stamp(at(instant), now).text, text);
        }
        let stamp = zone.exact(at("2026-11-25T14:05:09Z"), now);
        assert_eq!(stamp.text, "today, 8:05:09 AM");
        assert_eq!(zone.brief(at("2026-11-25T14:05:09Z"), now).text, "8:05:09 AM");
        assert_eq!(stamp.full, "Wednesday, November 25, 2026, 8:05:09 AM CST");
        assert_eq!(stamp.iso, "2026-11-25T14:05:09Z");
        assert_eq!(zone.ahead(at("2026-11-25T14:05:09Z")), "Wednesday, November 25, 2026, 8:05 AM");
    }

    #[test]
    fn a_day_begins_at_midnight_or_right_after() {
        for (zone, day, begins) in [
            ("America/Chicago", "2026-11-25", "2026-11-25T06:00:00Z"),
            // The clock jumps from midnight to one o'clock.
            ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z"),
        ] {
            let zone = Zone::of(Some(zone));
            let day = day.parse().unwrap();
            assert_eq!(zone.beginning_of(day), at(begins));
            assert_eq!(zone.day_of(at(begins)), day);
        }
    }

    #[test]
    fn a_district_without_a_zone_reads_utc() {
        assert_eq!((Zone::of(None).name(), Zone::of(Some("Mars/Base")).name()), ("UTC", "UTC"));
    }

    #[test]
    fn lengths_have_two_units_at_most() {
        for (seconds, text) in [
            (0.0, "< 1 s"),
            (0.99, "< 1 s"),
            (1.2, "1 s"),
            (59.9, "59 s"),
            (60.0, "1 min"),
            (200.0, "3 min 20 s"),
            (3600.0, "1 h"),
            (3_900.0, "1 h 5 min"),
            (90_000.0, "1 d 1 h"),
            (172_800.0, "2 d"),
        ] {
            assert_eq!(Length(seconds).to_string(), text);
        }
    }
}
