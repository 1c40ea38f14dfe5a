//! How a calling window is written, in the API and in the store, and what is wrong with one that cannot be.

use std::collections::BTreeSet;

use chrono::{Datelike as _, NaiveDate};
use serde::{Deserialize, Serialize};

use super::{CallingWindow, Hours};

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// Holidays of a window at most: several years of them.
const HOLIDAYS_MAX: usize = 400;
/// A date of another year is taken for a slip.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2199;

/// A window in words: `{"hours": [{"days": ["monday"], "opens": "08:00", "closes": "20:00"}], "holidays":
/// ["2026-12-25"]}`. A day without hours is closed; hours that close at midnight close at 24:00.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenWindow {
    pub hours: Vec<WrittenHours>,
    #[serde(default)]
    pub holidays: Vec<String>,
}

/// The same hours on each of some days.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenHours {
    pub days: Vec<String>,
    pub opens: String,
    pub closes: String,
}

/// What is wrong with a policy: where, why, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct PolicyFault {
    pub field: String,
    pub reason: String,
}

impl PolicyFault {
    pub(crate) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

impl CallingWindow {
    /// Reads a window, or says everything that is wrong with it.
    pub fn read(written: &WrittenWindow) -> Result<Self, Vec<PolicyFault>> {
        let mut faults = Vec::new();
        let hours = read_week(&written.hours, &mut faults);
        let holidays = read_holidays(&written.holidays, &mut faults);
        if faults.is_empty() { Ok(Self { hours, holidays }) } else { Err(faults) }
    }

    pub fn written(&self) -> WrittenWindow {
        let mut hours: Vec<WrittenHours> = Vec::new();
        for (name, open) in DAYS.iter().zip(&self.hours) {
            let Some(open) = open else { continue };
            let (opens, closes) = (clock(open.opens), clock(open.closes));
            match hours.iter_mut().find(|known| known.opens == opens && known.closes == closes) {
                Some(known) => known.days.push((*name).to_owned()),
                None => hours.push(WrittenHours { days: vec![(*name).to_owned()], opens, closes }),
            }
        }
        WrittenWindow { hours, holidays: self.holidays.iter().map(NaiveDate::to_string).collect() }
    }
}

impl TryFrom<WrittenWindow> for CallingWindow {
    type Error = PolicyFault;

    fn try_from(written: WrittenWindow) -> Result<Self, PolicyFault> {
        Self::read(&written).map_err(|faults| {
            faults.into_iter().next().unwrap_or_else(|| PolicyFault::new("calling_window", "is faulty"))
        })
    }
}

impl From<CallingWindow> for WrittenWindow {
    fn from(window: CallingWindow) -> Self {
        window.written()
    }
}

fn read_week(entries: &[WrittenHours], faults: &mut Vec<PolicyFault>) -> [Option<Hours>; 7] {
    let mut week = [None; 7];
    let mut named = [false; 7];
    if entries.is_empty() {
        let remedy = "is empty, so that the window never opens: give the hours of one day at least";
        faults.push(PolicyFault::new("hours", remedy));
    }
    for (at, entry) in entries.iter().enumerate() {
        let hours = read_hours(entry, &format!("hours[{at}]"), faults);
        if entry.days.is_empty() {
            let remedy = "is empty: list the days that have these hours, monday to sunday";
            faults.push(PolicyFault::new(format!("hours[{at}].days"), remedy));
        }
        for (place, name) in entry.days.iter().enumerate() {
            let field = format!("hours[{at}].days[{place}]");
            match DAYS.iter().position(|day| day == name) {
                None => {
                    let reason = format!("{name:?} is no day: use {}", DAYS.join(", "));
                    faults.push(PolicyFault::new(field, reason));
                }
                Some(day) if named[day] => {
                    let reason = format!("gives {name} twice: a day has one opening and one closing time");
                    faults.push(PolicyFault::new(field, reason));
                }
                Some(day) => (named[day], week[day]) = (true, hours),
            }
        }
    }
    week
}

fn read_hours(entry: &WrittenHours, path: &str, faults: &mut Vec<PolicyFault>) -> Option<Hours> {
    let mut read = |name: &str, text: &str| {
        let minute = read_clock(text);
        if minute.is_none() {
            let reason = format!("{text:?} is no time of day: write it as 08:00, from 00:00 to 24:00");
            faults.push(PolicyFault::new(format!("{path}.{name}"), reason));
        }
        minute
    };
    let (opens, closes) = (read("opens", &entry.opens), read("closes", &entry.closes));
    let (opens, closes) = (opens?, closes?);
    if opens < closes {
        return Some(Hours { opens, closes });
    }
    let reason = format!(
        "{} is not after opens, {}, so that these hours never open: close later on the same day, at 24:00 at most",
        entry.closes, entry.opens
    );
    faults.push(PolicyFault::new(format!("{path}.closes"), reason));
    None
}

/// `08:00` as minutes since midnight.
fn read_clock(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if two { digits.parse::<u16>().ok() } else { None }
    };
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|minutes| *minutes < 60)?);
    Some(hours * 60 + minutes).filter(|minute| *minute <= 24 * 60)
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn read_holidays(dates: &[String], faults: &mut Vec<PolicyFault>) -> BTreeSet<NaiveDate> {
    if dates.len() > HOLIDAYS_MAX {
        let reason = format!("has {} dates: at most {HOLIDAYS_MAX} are taken", dates.len());
        faults.push(PolicyFault::new("holidays", reason));
        return BTreeSet::new();
    }
    let mut holidays = BTreeSet::new();
    for (at, text) in dates.iter().enumerate() {
        // Ten characters: the parser would also take dates without leading zeros.
        match text.parse::<NaiveDate>() {
            Ok(date) if text.len() == 10 && YEARS.contains(&date.year()) => {
                holidays.insert(date);
            }
            Ok(_) | Err(_) => {
                let reason = format!(
                    "{text:?} is no date of the calendar from {} to {}: write it as 2026-12-25",
                    YEARS.start(),
                    YEARS.end()
                );
                faults.push(PolicyFault::new(format!("holidays[{at}]"), reason));
            }
        }
    }
    holidays
}
