use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

use super::*;

const EVERY_DAY: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A window as the tests know it, beside the one that they test.
#[derive(Debug, Clone)]
struct Plain {
    days: Vec<&'static str>,
    opens: u16,
    closes: u16,
    holidays: Vec<NaiveDate>,
}

impl Plain {
    fn daily(opens: &str, closes: &str) -> Self {
        Self { days: EVERY_DAY.to_vec(), opens: minute(opens), closes: minute(closes), holidays: Vec::new() }
    }

    fn written(&self) -> WrittenWindow {
        let days = self.days.iter().map(|day| (*day).to_owned()).collect();
        let hours = vec![WrittenHours { days, opens: clock(self.opens), closes: clock(self.closes) }];
        WrittenWindow { hours, holidays: self.holidays.iter().map(NaiveDate::to_string).collect() }
    }

    fn window(&self) -> CallingWindow {
        CallingWindow::read(&self.written()).unwrap()
    }

    /// By nothing but what chrono says the clock and the calendar show.
    fn is_open(&self, zone: Zone, at: DateTime<Utc>) -> bool {
        let there = at.with_timezone(&zone).naive_local();
        let day = there.format("%A").to_string().to_lowercase();
        let second = there.time().signed_duration_since(NaiveTime::MIN).num_seconds();
        let hours = i64::from(self.opens) * 60..i64::from(self.closes) * 60;
        self.days.contains(&day.as_str()) && !self.holidays.contains(&there.date()) && hours.contains(&second)
    }
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn minute(clock: &str) -> u16 {
    let (hours, minutes) = clock.split_once(':').unwrap();
    hours.parse::<u16>().unwrap() * 60 + minutes.parse::<u16>().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The openings between two instants, one after the other as release finds them.
fn openings(
    window: &CallingWindow,
    zone: Zone,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut found = Vec::new();
    let mut now = from;
    while now < to {
        match contact(Some(window), Some(zone), now, to) {
            Contact::Open { until } => {
                found.push((now, until));
                now = until;
            }
            Contact::Closed { opens_at } => {
                assert!(opens_at > now, "{zone} {now}");
                now = opens_at;
            }
            Contact::Never => break,
            Contact::ZoneUnknown => panic!("the zone is known"),
        }
    }
    found
}

/// Every change of the clocks in two years, by looking once a day.
fn changes(zone: Zone) -> Vec<DateTime<Utc>> {
    let mut day = at("2026-01-01T00:00:00Z");
    let mut changes = Vec::new();
    while day < at("2028-01-01T00:00:00Z") {
        let next = day + TimeDelta::days(1);
        changes.extend(first_change(zone, day, next));
        day = next;
    }
    changes
}

/// Around every change of the clocks of every zone: whatever is handed out lies within the window, and whatever
/// lies within the window is handed out.
#[test]
fn no_attempt_lies_outside_its_window_and_no_window_is_missed_in_any_zone_at_any_change() {
    let weekend = Plain { days: vec!["saturday", "sunday"], ..Plain::daily("01:30", "23:15") };
    let windows = [
        Plain::daily("08:00", "20:00"),
        Plain::daily("00:00", "24:00"),
        Plain::daily("01:30", "02:30"),
        Plain::daily("02:00", "03:00"),
        Plain::daily("23:00", "24:00"),
        Plain::daily("00:00", "00:45"),
        weekend,
    ];
    let mut changed = 0;
    for zone in TZ_VARIANTS {
        for change in changes(zone) {
            changed += 1;
            for plain in &windows {
                let window = plain.window();
                let (from, to) = (change - TimeDelta::hours(25), change + TimeDelta::hours(25));
                let found = openings(&window, zone, from, to);
                for (opens_at, until) in &found {
                    let last = *until - TimeDelta::seconds(1);
                    assert!(
                        plain.is_open(zone, *opens_at) && plain.is_open(zone, last),
                        "{zone} {opens_at} {until}"
                    );
                }
                let mut sample = from;
                while sample < to {
                    let handed_out =
                        found.iter().any(|(opens_at, until)| (*opens_at..*until).contains(&sample));
                    assert_eq!(handed_out, plain.is_open(zone, sample), "{zone} {sample} {plain:?}");
                    sample += TimeDelta::minutes(29);
                }
            }
        }
    }
    assert!(changed > 300, "only {changed} changes were found");
}

fn plain() -> impl Strategy<Value = Plain> {
    let days = prop::sample::subsequence(EVERY_DAY.to_vec(), 1..=7);
    let holidays = prop::collection::vec(0i64..730, 0..12);
    (days, 0u16..1440, 1u16..=1440, holidays).prop_map(|(days, one, other, holidays)| {
        let (opens, closes) = (one.min(other), one.max(other).max(one.min(other) + 1));
        let first = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        let holidays = holidays.into_iter().map(|day| first + TimeDelta::days(day)).collect();
        Plain { days, opens, closes, holidays }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_said_at_any_instant_of_any_zone_is_what_the_clock_there_shows(
        plain in plain(),
        zone in prop::sample::select(&TZ_VARIANTS[..]),
        second in 0i64..2 * 365 * 86_400,
        hours in 1i64..300,
    ) {
        let now = at("2026-01-01T00:00:00.5Z") + TimeDelta::seconds(second);
        let expires_at = now + TimeDelta::hours(hours);
        let open_between = |from: DateTime<Utc>, to: DateTime<Utc>| {
            let step = (to - from) / 40;
            (0..40).map(|part| from + step * part).find(|at| plain.is_open(zone, *at))
        };
        match contact(Some(&plain.window()), Some(zone), now, expires_at) {
            Contact::Open { until } => {
                prop_assert!(until > now + SEND_BY && until <= expires_at);
                prop_assert!(plain.is_open(zone, now) && plain.is_open(zone, until - TimeDelta::seconds(1)));
            }
            Contact::Closed { opens_at } => {
                prop_assert!(now < opens_at && opens_at < expires_at && plain.is_open(zone, opens_at));
                // What is left of an opening may be too short for a claim.
                let from = now + TimeDelta::seconds(2);
                prop_assert_eq!(if from < opens_at { open_between(from, opens_at) } else { None }, None);
            }
            Contact::Never => {
                let (from, to) = (now + TimeDelta::seconds(2), expires_at - TimeDelta::seconds(2));
                prop_assert_eq!(open_between(from, to), None);
            }
            Contact::ZoneUnknown => prop_assert!(false, "the zone is known"),
        }
    }

    #[test]
    fn a_window_is_read_back_as_it_was_written(plain in plain()) {
        let window = plain.window();
        let json = serde_json::to_value(&window).unwrap();
        prop_assert_eq!(serde_json::from_value::<CallingWindow>(json).unwrap(), window);
    }
}

#[test]
fn hours_around_a_change_open_and_close_when_the_clock_shows_it() {
    let chicago = Zone::America__Chicago;
    let expiry = TimeDelta::days(4);
    let open = |until: &str| Contact::Open { until: at(until) };
    let closed = |opens_at: &str| Contact::Closed { opens_at: at(opens_at) };
    let cases = [
        // Spring forward: 02:00 to 03:00 is skipped at 08:00 UTC on 8 March 2026.
        ("02:30", "05:00", "2026-03-08T07:00:00Z", closed("2026-03-08T08:00:00Z"), "opens at the gap's end"),
        ("01:00", "02:30", "2026-03-08T07:30:00Z", open("2026-03-08T08:00:00Z"), "closes at the gap"),
        ("02:00", "03:00", "2026-03-08T07:30:00Z", closed("2026-03-09T07:00:00Z"), "skipped whole"),
        // Fall back: 01:00 to 02:00 comes twice, until 07:00 UTC and from then on, on 1 November 2026.
        ("01:30", "02:30", "2026-11-01T06:40:00Z", open("2026-11-01T07:00:00Z"), "the first pass"),
        ("01:30", "02:30", "2026-11-01T07:10:00Z", closed("2026-11-01T07:30:00Z"), "before the second pass"),
        ("01:30", "02:30", "2026-11-01T07:40:00Z", open("2026-11-01T08:30:00Z"), "the second pass"),
        ("01:00", "02:00", "2026-11-01T06:10:00Z", open("2026-11-01T08:00:00Z"), "both passes are one"),
        (
            "08:00",
            "20:00",
            "2026-11-01T02:00:00Z",
            closed("2026-11-01T14:00:00Z"),
            "another offset in the morning",
        ),
        (
            "08:00",
            "20:00",
            "2026-11-02T01:59:58Z",
            closed("2026-11-02T14:00:00Z"),
            "no time left for a claim",
        ),
        ("08:00", "24:00", "2026-11-02T05:00:00Z", open("2026-11-02T06:00:00Z"), "until midnight"),
    ];
    for (opens, closes, now, expected, case) in cases {
        let (window, now) = (Plain::daily(opens, closes).window(), at(now));
        assert_eq!(contact(Some(&window), Some(chicago), now, now + expiry), expected, "{case}");
    }
}

#[test]
fn a_holiday_is_closed_where_its_date_is_today() {
    let plain = Plain { holidays: vec!["2026-12-25".parse().unwrap()], ..Plain::daily("08:00", "20:00") };
    let cases = [
        (Zone::America__Chicago, "2026-12-25T01:00:00Z", Contact::Open { until: at("2026-12-25T02:00:00Z") }),
        (
            Zone::America__Chicago,
            "2026-12-25T16:00:00Z",
            Contact::Closed { opens_at: at("2026-12-26T14:00:00Z") },
        ),
        (
            Zone::Pacific__Auckland,
            "2026-12-25T01:00:00Z",
            Contact::Closed { opens_at: at("2026-12-25T19:00:00Z") },
        ),
    ];
    for (zone, now, expected) in cases {
        let now = at(now);
        assert_eq!(
            contact(Some(&plain.window()), Some(zone), now, now + TimeDelta::days(2)),
            expected,
            "{zone} {now}"
        );
    }
}

#[test]
fn a_window_ends_with_its_campaign_and_may_never_open_before() {
    let weekdays = Plain { days: EVERY_DAY[..5].to_vec(), ..Plain::daily("08:00", "20:00") }.window();
    let friday = at("2026-11-28T01:30:00Z");
    let chicago = Some(Zone::America__Chicago);
    let says = |expires_at: &str| contact(Some(&weekdays), chicago, friday, at(expires_at));
    assert_eq!(says("2026-11-28T01:45:00Z"), Contact::Open { until: at("2026-11-28T01:45:00Z") });
    assert_eq!(says("2026-11-28T01:30:02Z"), Contact::Never);
    let evening = at("2026-11-28T02:00:00Z");
    let says = |expires_at: &str| contact(Some(&weekdays), chicago, evening, at(expires_at));
    assert_eq!(says("2026-11-30T14:00:00Z"), Contact::Never);
    assert_eq!(says("2026-11-30T14:00:01Z"), Contact::Closed { opens_at: at("2026-11-30T14:00:00Z") });
}

#[test]
fn without_a_zone_nobody_is_contacted_and_without_a_window_everybody() {
    let (now, expires_at) = (at("2026-11-25T15:00:00Z"), at("2026-11-26T15:00:00Z"));
    let window = Plain::daily("00:00", "24:00").window();
    assert_eq!(contact(Some(&window), None, now, expires_at), Contact::ZoneUnknown);
    assert_eq!(contact(None, None, now, expires_at), Contact::Open { until: expires_at });
    assert_eq!(zone_named("America/Chicago"), Some(Zone::America__Chicago));
    assert_eq!(zone_named("Central"), None);
}

#[test]
fn a_window_that_cannot_be_is_refused_with_field_reason_and_remedy() {
    let hours = |days: &[&str], opens: &str, closes: &str| WrittenHours {
        days: days.iter().map(|day| (*day).to_owned()).collect(),
        opens: opens.to_owned(),
        closes: closes.to_owned(),
    };
    let week = |entries: &[WrittenHours]| WrittenWindow { hours: entries.to_vec(), holidays: Vec::new() };
    let holiday = |text: &str| WrittenWindow {
        hours: vec![hours(&["monday"], "08:00", "20:00")],
        holidays: vec!["2026-12-25".to_owned(), text.to_owned()],
    };
    let cases = [
        (week(&[]), "hours", "never opens: give the hours"),
        (week(&[hours(&[], "08:00", "20:00")]), "hours[0].days", "is empty: list the days"),
        (week(&[hours(&["mon"], "08:00", "20:00")]), "hours[0].days[0]", "\"mon\" is no day: use monday"),
        (week(&[hours(&["monday"], "20:00", "08:00")]), "hours[0].closes", "08:00 is not after opens, 20:00"),
        (week(&[hours(&["monday"], "08:00", "08:00")]), "hours[0].closes", "never open: close later"),
        (week(&[hours(&["monday"], "8:00", "20:00")]), "hours[0].opens", "\"8:00\" is no time of day: write"),
        (week(&[hours(&["monday"], "08:60", "20:00")]), "hours[0].opens", "from 00:00 to 24:00"),
        (week(&[hours(&["monday"], "08:00", "24:01")]), "hours[0].closes", "no time of day"),
        (week(&[hours(&["monday"], "-1:00", "20:00")]), "hours[0].opens", "no time of day"),
        (
            week(&[hours(&["friday"], "08:00", "12:00"), hours(&["monday", "friday"], "14:00", "20:00")]),
            "hours[1].days[1]",
            "gives friday twice",
        ),
        (holiday("2026-02-30"), "holidays[1]", "is no date of the calendar"),
        (holiday("Christmas"), "holidays[1]", "write it as 2026-12-25"),
        (holiday("2026-2-3"), "holidays[1]", "write it as"),
        (holiday("0026-12-25"), "holidays[1]", "from 2000 to 2199"),
    ];
    for (written, field, says) in cases {
        let faults = CallingWindow::read(&written).unwrap_err();
        assert!(faults.len() == 1 && faults[0].field == field, "{faults:?} for {field}");
        assert!(faults[0].reason.contains(says), "{faults:?}");
    }
}
