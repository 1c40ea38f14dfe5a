//! Recurring campaigns: which days a series falls on, and at which instant (requirements 18, 29, 35 and 36).
//!
//! A series is told in wall time of its district's zone: a day rule of RFC 5545, and a time of day. The rule is
//! played in days alone, without a zone, so that no change of the clocks touches it; each day's time of day is then
//! turned into an instant by [`instant`], where the two odd cases are decided. A time that the clocks skip comes as
//! much later as they jump (09:00 is always 09:00, and a skipped 02:30 is 03:30); one that they show twice is the
//! first. A day that a zone left out altogether has no occurrence.

mod turns;
mod words;
mod written;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeDelta};
use chrono::{TimeZone as _, Utc, Weekday};
use rrule::{Frequency, NWeekday, RRule, RRuleSet, Tz};
use serde::{Deserialize, Serialize};

use crate::Lane;
use crate::window::{Zone, local};

pub use turns::{Decided, DueRule, decide};
pub use written::{COUNT, EXCEPT_MAX, INTERVAL, RecurrenceFault, WrittenRecurrence};

/// The next occurrence is looked for this far ahead: the rarest rule, February 29 every 96 months, comes within it.
const HORIZON: Days = Days::new(40 * 366);
/// No zone jumps further.
const GAP_MAX: TimeDelta = TimeDelta::hours(25);
/// How finely the beginning of a gap is looked for. No zone changes twice within it.
const GAP_STEP: TimeDelta = TimeDelta::minutes(15);
/// An occurrence that nobody ran for so long is past use, whatever its author allows. Less than a day, so that of a
/// series no two occurrences are run late at once.
pub const LATE_MAX: Duration = Duration::from_secs(12 * 3600);

/// When a series recurs. At most once on one day.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenRecurrence", into = "WrittenRecurrence")]
pub struct Recurrence {
    repeat: Repeat,
    /// Every so many days, weeks or months, from the one of `starts_on`.
    interval: u16,
    /// No occurrence before. It is one itself only where the rule says so.
    starts_on: NaiveDate,
    at: NaiveTime,
    end: End,
    /// Days that are left out. A count counts them all the same, as RFC 5545 has it.
    except: BTreeSet<NaiveDate>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Repeat {
    Daily,
    /// In the order of the week, which begins on Monday.
    Weekly(Vec<Weekday>),
    /// On a day of the month; -1 is its last. A month without it is passed over.
    MonthlyOn(i8),
    /// On the first to fourth, or (-1) last, such weekday.
    MonthlyBy(i8, Weekday),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Never,
    /// The last day that may have one.
    On(NaiveDate),
    /// After so many.
    After(u16),
}

/// One day of a series, and when it comes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occurrence {
    pub on: NaiveDate,
    pub at: DateTime<Utc>,
}

/// What becomes of an occurrence whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Run,
    /// Nothing ran when it was due, and by now it is too late.
    TooLate,
}

/// How late an occurrence may run where its author does not say: a reminder two hours late is wrong, an emergency is
/// not.
pub fn default_late_max(lane: Lane) -> Duration {
    match lane {
        Lane::Emergency => LATE_MAX,
        Lane::Priority | Lane::General => Duration::from_secs(3600),
    }
}

/// The misfire policy. It never runs after the campaign would have expired.
pub fn judge(occurrence: Occurrence, now: DateTime<Utc>, late_max: Duration, expires_in: Duration) -> Turn {
    let late = (now - occurrence.at).to_std().unwrap_or_default();
    if late <= late_max.min(LATE_MAX) && late < expires_in { Turn::Run } else { Turn::TooLate }
}

impl Recurrence {
    pub fn starts_on(&self) -> NaiveDate {
        self.starts_on
    }

    /// The days that are left out, the earliest first.
    pub fn except(&self) -> impl Iterator<Item = NaiveDate> + '_ {
        self.except.iter().copied()
    }

    /// The same without that day.
    pub fn leaving_out(mut self, day: NaiveDate) -> Self {
        self.except.insert(day);
        self
    }

    /// The same with that day again.
    pub fn taking_back(mut self, day: NaiveDate) -> Self {
        self.except.remove(&day);
        self
    }

    /// What it would be if no day were left out.
    pub fn unbroken(&self) -> Self {
        Self { except: BTreeSet::new(), ..self.clone() }
    }

    /// Occurrences on the days from `from` to `to`, at most `max` of them, the earliest first.
    pub fn between(&self, zone: Zone, from: NaiveDate, to: NaiveDate, max: usize) -> Vec<Occurrence> {
        self.days(to, |days| {
            let days = days.skip_while(|on| *on < from);
            days.filter_map(|on| self.occurrence(zone, on)).take(max).collect()
        })
    }

    /// Those on `from` or a later day whose time has come.
    pub fn due(&self, zone: Zone, from: NaiveDate, now: DateTime<Utc>) -> Vec<Occurrence> {
        let mut due = self.between(zone, from, local(zone, now).date(), usize::MAX);
        due.retain(|occurrence| occurrence.at <= now);
        due
    }

    /// The first one after `after` that is on `from` or a later day.
    pub fn next(&self, zone: Zone, after: DateTime<Utc>, from: NaiveDate) -> Option<Occurrence> {
        // A time that is skipped just before midnight comes on the day after its own.
        let yesterday = local(zone, after).date().checked_sub_days(Days::new(1)).unwrap_or(from);
        let from = from.max(yesterday);
        self.days(from.max(self.starts_on) + HORIZON, |days| {
            let days = days.skip_while(|on| *on < from);
            days.filter_map(|on| self.occurrence(zone, on)).find(|occurrence| occurrence.at > after)
        })
    }

    fn occurrence(&self, zone: Zone, on: NaiveDate) -> Option<Occurrence> {
        instant(zone, on.and_time(self.at)).map(|at| Occurrence { on, at })
    }

    /// What `then` makes of the days of the rule up to `to`, which are worked out as it takes them.
    fn days<T>(&self, to: NaiveDate, then: impl FnOnce(&mut dyn Iterator<Item = NaiveDate>) -> T) -> T {
        let (to, count) = match self.end {
            End::Never => (to, usize::MAX),
            End::On(last) => (to.min(last), usize::MAX),
            End::After(count) => (to, count.into()),
        };
        let set = if to < self.starts_on { None } else { self.set(to) };
        let days = set.iter().flatten().take(count).map(|day| day.date_naive());
        let days = days.filter(|day| !self.except.contains(day));
        then(&mut days.take_while(|day| *day <= to))
    }

    /// The rule in days, which the library plays; None if it refuses it, which no rule that was read is.
    fn set(&self, to: NaiveDate) -> Option<RRuleSet> {
        let midnight = |day: NaiveDate| Tz::UTC.from_utc_datetime(&day.and_time(NaiveTime::MIN));
        self.rule().until(midnight(to)).build(midnight(self.starts_on)).ok()
    }

    fn rule(&self) -> RRule<rrule::Unvalidated> {
        let rule = |frequency| RRule::new(frequency).interval(self.interval).week_start(Weekday::Mon);
        match &self.repeat {
            Repeat::Daily => rule(Frequency::Daily),
            Repeat::Weekly(days) => {
                rule(Frequency::Weekly).by_weekday(days.iter().map(|day| NWeekday::Every(*day)).collect())
            }
            Repeat::MonthlyOn(day) => rule(Frequency::Monthly).by_month_day(vec![*day]),
            Repeat::MonthlyBy(week, day) => {
                rule(Frequency::Monthly).by_weekday(vec![NWeekday::Nth((*week).into(), *day)])
            }
        }
    }
}

/// The instant at which clocks in `zone` show `wanted`. One that they skip is read by the offset before the jump (RFC
/// 5545, 3.3.5); of one that they show twice it is the first. None: the zone left out the whole day.
pub fn instant(zone: Zone, wanted: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&wanted) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.to_utc()),
        LocalResult::None => {
            let offset = offset_before_gap(zone, wanted)?;
            let at = DateTime::from_naive_utc_and_offset(wanted - offset, Utc);
            let jump = local(zone, at) - wanted;
            (jump < TimeDelta::days(1)).then_some(at)
        }
    }
}

fn offset_before_gap(zone: Zone, skipped: NaiveDateTime) -> Option<TimeDelta> {
    let mut before = skipped;
    while before > skipped - GAP_MAX {
        before -= GAP_STEP;
        if let Some(shown) = zone.from_local_datetime(&before).latest() {
            return Some(TimeDelta::seconds(shown.offset().fix().local_minus_utc().into()));
        }
    }
    None
}

#[cfg(test)]
mod tests;
