//! A recurrence in words, and as a rule of RFC 5545.

use std::fmt;

use chrono::{NaiveDate, Weekday};

use super::{End, Recurrence, Repeat};

/// More days than these that are left out are only counted.
const EXCEPT_NAMED: usize = 3;

impl fmt::Display for Recurrence {
    /// `every 2 weeks on Monday and Wednesday at 8:00 AM, from September 1, 2026, 10 times`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.repeat {
            Repeat::Daily => f.write_str(&every(self.interval, "day"))?,
            Repeat::Weekly(days) => {
                write!(f, "{} on {}", every(self.interval, "week"), list(days))?;
            }
            Repeat::MonthlyOn(-1) => write!(f, "{} on the last day", every(self.interval, "month"))?,
            Repeat::MonthlyOn(day) => write!(f, "{} on day {day}", every(self.interval, "month"))?,
            Repeat::MonthlyBy(week, day) => {
                write!(f, "{} on the {} {}", every(self.interval, "month"), nth(*week), name(*day))?;
            }
        }
        write!(f, " at {}, from {}", self.at.format("%-I:%M %p"), written_out(self.starts_on))?;
        match self.end {
            End::Never => {}
            End::On(last) => write!(f, " to {}", written_out(last))?,
            End::After(1) => f.write_str(", once")?,
            End::After(count) => write!(f, ", {count} times")?,
        }
        match self.except.len() {
            0 => Ok(()),
            1..=EXCEPT_NAMED => {
                let days: Vec<_> = self.except.iter().map(|day| written_out(*day)).collect();
                write!(f, ", but not on {}", days.join(" or "))
            }
            more => write!(f, ", but for {more} days"),
        }
    }
}

impl Recurrence {
    /// The day rule, without its start and its time of day.
    pub fn rrule(&self) -> String {
        let (frequency, by) = match &self.repeat {
            Repeat::Daily => ("DAILY", String::new()),
            Repeat::Weekly(days) => {
                let days: Vec<_> = days.iter().map(|day| code(*day)).collect();
                ("WEEKLY", format!(";BYDAY={}", days.join(",")))
            }
            Repeat::MonthlyOn(day) => ("MONTHLY", format!(";BYMONTHDAY={day}")),
            Repeat::MonthlyBy(week, day) => ("MONTHLY", format!(";BYDAY={week}{}", code(*day))),
        };
        let end = match self.end {
            End::Never => String::new(),
            End::On(last) => format!(";UNTIL={}", last.format("%Y%m%d")),
            End::After(count) => format!(";COUNT={count}"),
        };
        format!("FREQ={frequency};INTERVAL={}{by}{end}", self.interval)
    }
}

fn every(interval: u16, unit: &str) -> String {
    match interval {
        1 => format!("every {unit}"),
        2 => format!("every other {unit}"),
        more => format!("every {more} {unit}s"),
    }
}

fn nth(week: i8) -> &'static str {
    match week {
        1 => "first",
        2 => "second",
        3 => "third",
        4 => "fourth",
        _ => "last",
    }
}

fn list(days: &[Weekday]) -> String {
    let names: Vec<_> = days.iter().map(|day| name(*day)).collect();
    match names.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        all => all.concat(),
    }
}

fn name(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "Monday",
        Weekday::Tue => "Tuesday",
        Weekday::Wed => "Wednesday",
        Weekday::Thu => "Thursday",
        Weekday::Fri => "Friday",
        Weekday::Sat => "Saturday",
        Weekday::Sun => "Sunday",
    }
}

fn code(day: Weekday) -> String {
    name(day)[..2].to_uppercase()
}

fn written_out(day: NaiveDate) -> String {
    day.format("%B %-d, %Y").to_string()
}
