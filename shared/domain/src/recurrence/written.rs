//! A recurrence as it is written in the API and in the store, and what may be wrong with it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, Utc, Weekday};
use serde::{Deserialize, Serialize};

use super::{End, Recurrence, Repeat};
use crate::window::Zone;

pub const INTERVAL: RangeInclusive<u32> = 1..=99;
/// Occurrences of a series that ends after so many.
pub const COUNT: RangeInclusive<u32> = 1..=1000;
/// Days that one series may leave out: a school year, and some.
pub const EXCEPT_MAX: usize = 366;
/// A series that ends on a day ends within this time.
const LENGTH_MAX: Months = Months::new(120);
/// Calendars that are written down; beyond them nothing is meant.
const YEARS: RangeInclusive<i32> = 2000..=2200;
const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mo", Weekday::Mon),
    ("tu", Weekday::Tue),
    ("we", Weekday::Wed),
    ("th", Weekday::Thu),
    ("fr", Weekday::Fri),
    ("sa", Weekday::Sat),
    ("su", Weekday::Sun),
];

/// A member that does not fit the frequency is a fault, not ignored.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenRecurrence {
    /// `daily`, `weekly` or `monthly`.
    pub frequency: String,
    #[serde(default = "one")]
    pub interval: u32,
    /// `mo` to `su`: of weekly ones all their days, of monthly ones the one that `week` counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<String>,
    /// Of monthly ones: 1 to 31, or -1 for the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month_day: Option<i32>,
    /// Of monthly ones: 1 to 4, or -1 for the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub week: Option<i32>,
    /// `2026-09-01`.
    pub starts_on: String,
    /// `08:00`, by the clocks of the district.
    pub at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_on: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Days on which nothing comes, although the rule says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

fn one() -> u32 {
    1
}

/// A member that is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecurrenceFault {
    pub field: &'static str,
    pub reason: String,
}

/// What is read member by member; each fault is found.
struct Reading<'a> {
    written: &'a WrittenRecurrence,
    faults: Vec<RecurrenceFault>,
}

impl Recurrence {
    pub fn read(written: &WrittenRecurrence) -> Result<Self, Vec<RecurrenceFault>> {
        let mut reading = Reading { written, faults: Vec::new() };
        let read = reading.recurrence();
        match read {
            Some(recurrence) if reading.faults.is_empty() => recurrence.that_occurs().map_err(|it| vec![it]),
            Some(_) | None => Err(reading.faults),
        }
    }

    pub fn written(&self) -> WrittenRecurrence {
        let (frequency, weekdays, month_day, week) = match &self.repeat {
            Repeat::Daily => ("daily", vec![], None, None),
            Repeat::Weekly(days) => {
                ("weekly", days.iter().map(|day| weekday_name(*day).to_owned()).collect(), None, None)
            }
            Repeat::MonthlyOn(day) => ("monthly", vec![], Some((*day).into()), None),
            Repeat::MonthlyBy(week, day) => {
                ("monthly", vec![weekday_name(*day).to_owned()], None, Some((*week).into()))
            }
        };
        let (ends_on, count) = match self.end {
            End::Never => (None, None),
            End::On(day) => (Some(day.to_string()), None),
            End::After(count) => (None, Some(count.into())),
        };
        WrittenRecurrence {
            frequency: frequency.to_owned(),
            interval: self.interval.into(),
            weekdays,
            month_day,
            week,
            starts_on: self.starts_on.to_string(),
            at: self.at.format("%H:%M").to_string(),
            ends_on,
            count,
            except: self.except.iter().map(NaiveDate::to_string).collect(),
        }
    }

    /// A rule that no day fits is a slip.
    fn that_occurs(self) -> Result<Self, RecurrenceFault> {
        if self.next(Zone::UTC, DateTime::<Utc>::MIN_UTC, self.starts_on).is_some() {
            return Ok(self);
        }
        if !self.except.is_empty() {
            let reason = "leaves nothing of the series: leave out fewer days, or cancel it";
            return Err(RecurrenceFault { field: "except", reason: reason.to_owned() });
        }
        let reason = match self.end {
            End::On(_) => "comes before the first occurrence: give a later day, or another rule",
            End::Never | End::After(_) => "never comes in the months of this rule: give another day",
        };
        let field = if let End::On(_) = self.end { "ends_on" } else { "month_day" };
        Err(RecurrenceFault { field, reason: reason.to_owned() })
    }
}

impl Reading<'_> {
    fn fault<T>(&mut self, field: &'static str, reason: impl Into<String>) -> Option<T> {
        self.faults.push(RecurrenceFault { field, reason: reason.into() });
        None
    }

    fn recurrence(&mut self) -> Option<Recurrence> {
        let repeat = self.repeat();
        let interval = match u16::try_from(self.written.interval) {
            Ok(interval) if INTERVAL.contains(&interval.into()) => Some(interval),
            _ => {
                let range = format!("use {} to {}", INTERVAL.start(), INTERVAL.end());
                self.fault("interval", format!("is {}: {range}", self.written.interval))
            }
        };
        let starts_on = self.day("starts_on", &self.written.starts_on);
        let at = self.time();
        let end = self.end(starts_on);
        let except = self.except();
        Some(Recurrence {
            repeat: repeat?,
            interval: interval?,
            starts_on: starts_on?,
            at: at?,
            end: end?,
            except: except?,
        })
    }

    /// One that the rule does not fall on leaves out nothing, and is no fault: an edit of the rule keeps the list.
    fn except(&mut self) -> Option<BTreeSet<NaiveDate>> {
        let written = self.written;
        if written.except.len() > EXCEPT_MAX {
            let is = written.except.len();
            return self.fault("except", format!("has {is} days: leave out at most {EXCEPT_MAX}"));
        }
        let days: Vec<_> = written.except.iter().filter_map(|text| self.day("except", text)).collect();
        (days.len() == written.except.len()).then(|| days.into_iter().collect())
    }

    fn repeat(&mut self) -> Option<Repeat> {
        let written = self.written;
        match written.frequency.as_str() {
            "daily" => {
                self.unfit("weekdays", !written.weekdays.is_empty(), "daily");
                self.unfit_monthly("daily");
                Some(Repeat::Daily)
            }
            "weekly" => {
                self.unfit_monthly("weekly");
                let days = self.weekdays();
                if written.weekdays.is_empty() {
                    return self.fault("weekdays", "is missing: list at least one of mo to su");
                }
                days.map(Repeat::Weekly)
            }
            "monthly" => self.monthly(),
            other => self.fault("frequency", format!("is {other:?}: use daily, weekly or monthly")),
        }
    }

    fn monthly(&mut self) -> Option<Repeat> {
        let written = self.written;
        match (written.month_day, written.week) {
            (Some(_), Some(_)) => self.fault("week", "stands beside month_day: give one of the two"),
            (None, None) => {
                self.fault("month_day", "is missing: give a day of the month, or week and weekdays")
            }
            (Some(day), None) => {
                self.unfit("weekdays", !written.weekdays.is_empty(), "a day of the month");
                match i8::try_from(day) {
                    Ok(day @ (1..=31 | -1)) => Some(Repeat::MonthlyOn(day)),
                    _ => self.fault("month_day", format!("is {day}: use 1 to 31, or -1 for the last day")),
                }
            }
            (None, Some(week)) => {
                let days = self.weekdays();
                let week = match i8::try_from(week) {
                    Ok(week @ (1..=4 | -1)) => Some(week),
                    _ => self.fault("week", format!("is {week}: use 1 to 4, or -1 for the last")),
                };
                match days?.as_slice() {
                    [day] => Some(Repeat::MonthlyBy(week?, *day)),
                    _ => self.fault("weekdays", "is to be one day for a week of the month: list one"),
                }
            }
        }
    }

    fn unfit_monthly(&mut self, of: &str) {
        self.unfit("month_day", self.written.month_day.is_some(), of);
        self.unfit("week", self.written.week.is_some(), of);
    }

    fn unfit(&mut self, field: &'static str, given: bool, of: &str) {
        if given {
            self.fault::<()>(field, format!("has no meaning for {of}: leave it out"));
        }
    }

    /// In the order of the week.
    fn weekdays(&mut self) -> Option<Vec<Weekday>> {
        let mut days = Vec::new();
        for name in &self.written.weekdays {
            match WEEKDAYS.into_iter().find(|(known, _)| known == name) {
                Some((_, day)) if !days.contains(&day) => days.push(day),
                Some(_) => return self.fault("weekdays", format!("repeats {name}: list each day once")),
                None => {
                    let names = WEEKDAYS.map(|(name, _)| name).join(", ");
                    return self.fault("weekdays", format!("has {name:?}: use {names}"));
                }
            }
        }
        days.sort_unstable_by_key(Weekday::num_days_from_monday);
        Some(days)
    }

    fn day(&mut self, field: &'static str, text: &str) -> Option<NaiveDate> {
        match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            Ok(day) if text.len() == 10 && YEARS.contains(&day.year()) => Some(day),
            _ => self.fault(field, format!("is {text:?}, no day: write it as 2026-09-01")),
        }
    }

    fn time(&mut self) -> Option<NaiveTime> {
        let text = &self.written.at;
        match NaiveTime::parse_from_str(text, "%H:%M") {
            Ok(at) if text.len() == 5 => Some(at),
            _ => self.fault("at", format!("is {text:?}, no time of day: write it as 08:00")),
        }
    }

    fn end(&mut self, starts_on: Option<NaiveDate>) -> Option<End> {
        let written = self.written;
        match (&written.ends_on, written.count) {
            (None, None) => Some(End::Never),
            (Some(_), Some(_)) => self.fault("count", "stands beside ends_on: give one of the two"),
            (None, Some(count)) => match u16::try_from(count) {
                Ok(fitting) if COUNT.contains(&count) => Some(End::After(fitting)),
                _ => self.fault("count", format!("is {count}: use {} to {}", COUNT.start(), COUNT.end())),
            },
            (Some(text), None) => {
                let last = self.day("ends_on", text)?;
                let starts_on = starts_on?;
                if last < starts_on {
                    return self.fault("ends_on", "comes before starts_on: give a later day");
                }
                if starts_on.checked_add_months(LENGTH_MAX).is_some_and(|end| last > end) {
                    return self.fault("ends_on", "is more than ten years after starts_on: leave it out");
                }
                Some(End::On(last))
            }
        }
    }
}

fn weekday_name(day: Weekday) -> &'static str {
    WEEKDAYS.into_iter().find(|(_, known)| *known == day).map_or("mo", |(name, _)| name)
}

impl TryFrom<WrittenRecurrence> for Recurrence {
    type Error = String;

    fn try_from(written: WrittenRecurrence) -> Result<Self, String> {
        Self::read(&written).map_err(|faults| {
            let faults: Vec<_> =
                faults.iter().map(|fault| format!("{} {}", fault.field, fault.reason)).collect();
            faults.join("; ")
        })
    }
}

impl From<Recurrence> for WrittenRecurrence {
    fn from(recurrence: Recurrence) -> Self {
        recurrence.written()
    }
}
