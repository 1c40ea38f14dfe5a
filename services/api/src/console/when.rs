//! Times as a district reads them: in its zone, by its clock, as short as they stay clear.

use std::fmt;

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, TimeZone as _, Utc};
use chrono_tz::Tz;

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

impl Zone {
    pub fn of(name: Option<&str>) -> Self {
        Self(name.and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC))
    }

    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The first instant of a day there. Where clocks skip midnight, the first that there is.
    pub fn begin_of(self, day: NaiveDate) -> DateTime<Utc> {
        let hours = (0..24).filter_map(|hour| day.and_hms_opt(hour, 0, 0));
        let first = hours.filter_map(|at| self.0.from_local_datetime(&at).earliest()).next();
        first.map_or_else(|| day.and_time(NaiveTime::MIN).and_utc(), |at| at.to_utc())
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
