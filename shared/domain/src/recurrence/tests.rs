use proptest::prelude::*;

use super::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn read(json: &str) -> Result<Recurrence, Vec<RecurrenceFault>> {
    Recurrence::read(&serde_json::from_str(json).unwrap())
}

/// `fields` beside a start and a time.
fn recurrence(fields: &str) -> Recurrence {
    read(&format!("{{{fields}}}")).unwrap()
}

fn days_of(recurrence: &Recurrence, from: &str, to: &str) -> Vec<String> {
    let found = recurrence.between(Zone::UTC, day(from), day(to), 1000);
    found.iter().map(|it| it.on.to_string()).collect()
}

#[test]
fn rules_fall_on_the_days_that_they_say() {
    let cases: [(&str, &[&str]); 7] = [
        (
            r#""frequency":"daily","interval":3,"starts_on":"2026-01-30","at":"08:00""#,
            &["2026-01-30", "2026-02-02", "2026-02-05", "2026-02-08"],
        ),
        // The week begins on Monday: of the first only Friday is left.
        (
            r#""frequency":"weekly","interval":2,"weekdays":["fr","mo"],"starts_on":"2026-01-28","at":"08:00""#,
            &["2026-01-30", "2026-02-09", "2026-02-13", "2026-02-23"],
        ),
        // Months without the day are passed over.
        (
            r#""frequency":"monthly","month_day":31,"starts_on":"2026-01-01","at":"08:00""#,
            &["2026-01-31", "2026-03-31", "2026-05-31", "2026-07-31"],
        ),
        (
            r#""frequency":"monthly","month_day":-1,"starts_on":"2026-01-31","at":"08:00""#,
            &["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"],
        ),
        (
            r#""frequency":"monthly","week":-1,"weekdays":["fr"],"starts_on":"2026-01-01","at":"08:00""#,
            &["2026-01-30", "2026-02-27", "2026-03-27", "2026-04-24"],
        ),
        (
            r#""frequency":"monthly","week":2,"weekdays":["tu"],"starts_on":"2026-01-14","at":"08:00""#,
            &["2026-02-10", "2026-03-10", "2026-04-14", "2026-05-12"],
        ),
        (
            r#""frequency":"monthly","interval":12,"month_day":29,"starts_on":"2027-02-01","at":"08:00""#,
            &["2028-02-29", "2032-02-29", "2036-02-29", "2040-02-29"],
        ),
    ];
    for (fields, days) in cases {
        assert_eq!(days_of(&recurrence(fields), "2026-01-01", "2045-01-01")[..4], *days, "{fields}");
    }
}

#[test]
fn a_series_ends_after_so_many_or_on_its_day() {
    let counted = recurrence(r#""frequency":"daily","starts_on":"2026-01-30","at":"08:00","count":3"#);
    assert_eq!(days_of(&counted, "2020-01-01", "2030-01-01"), ["2026-01-30", "2026-01-31", "2026-02-01"]);
    // Of a later window those before it count, too.
    assert_eq!(days_of(&counted, "2026-02-01", "2030-01-01"), ["2026-02-01"]);
    let until =
        recurrence(r#""frequency":"daily","starts_on":"2026-01-30","at":"08:00","ends_on":"2026-02-01""#);
    assert_eq!(days_of(&until, "2026-01-31", "2030-01-01"), ["2026-01-31", "2026-02-01"]);
    assert_eq!(until.next(Zone::UTC, at("2026-02-01T08:00:00Z"), day("2026-01-01")), None);
}

#[test]
fn a_day_that_is_left_out_has_nothing_and_counts_all_the_same() {
    let counted = recurrence(r#""frequency":"daily","starts_on":"2026-01-30","at":"08:00","count":3"#);
    let broken = counted.clone().leaving_out(day("2026-01-31")).leaving_out(day("2026-06-01"));
    assert_eq!(days_of(&broken, "2020-01-01", "2030-01-01"), ["2026-01-30", "2026-02-01"]);
    let next = broken.next(Zone::UTC, at("2026-01-30T08:00:00Z"), day("2026-01-01"));
    assert_eq!(next.map(|it| it.on), Some(day("2026-02-01")));
    assert_eq!(broken.unbroken(), counted);
    assert_eq!(broken.clone().taking_back(day("2026-01-31")).taking_back(day("2026-06-01")), counted);
    let written = serde_json::to_string(&broken).unwrap();
    assert!(written.contains(r#""except":["2026-01-31","2026-06-01"]"#), "{written}");
    assert_eq!(serde_json::from_str::<Recurrence>(&written).unwrap(), broken);
}

#[test]
fn a_skipped_time_comes_later_and_one_shown_twice_once() {
    let cases = [
        ("America/New_York", "2007-03-11T02:30:00", Some("2007-03-11T07:30:00Z")),
        ("America/New_York", "2007-11-04T01:30:00", Some("2007-11-04T05:30:00Z")),
        ("America/New_York", "2007-11-04T02:30:00", Some("2007-11-04T07:30:00Z")),
        ("America/Vancouver", "2021-03-14T02:22:00", Some("2021-03-14T10:22:00Z")),
        // Half an hour.
        ("Australia/Lord_Howe", "2026-10-04T02:15:00", Some("2026-10-03T15:45:00Z")),
        // At midnight.
        ("America/Sao_Paulo", "2018-11-04T00:00:00", Some("2018-11-04T03:00:00Z")),
        // Samoa had no December 30.
        ("Pacific/Apia", "2011-12-30T09:00:00", None),
        ("Pacific/Apia", "2011-12-31T09:00:00", Some("2011-12-30T19:00:00Z")),
    ];
    for (name, wanted, is) in cases {
        assert_eq!(instant(zone(name), wanted.parse().unwrap()), is.map(at), "{name} {wanted}");
    }
}

#[test]
fn what_is_late_runs_within_its_limit_and_no_longer_than_it_would_live() {
    let occurrence = Occurrence { on: day("2026-09-01"), at: at("2026-09-01T13:00:00Z") };
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    for (now, late_max, expires_in, turn) in [
        ("2026-09-01T13:00:00Z", hours(0), hours(24), Turn::Run),
        ("2026-09-01T13:00:01Z", hours(0), hours(24), Turn::TooLate),
        ("2026-09-01T14:00:00Z", hours(1), hours(24), Turn::Run),
        ("2026-09-01T14:00:01Z", hours(1), hours(24), Turn::TooLate),
        ("2026-09-01T14:00:00Z", hours(2), hours(1), Turn::TooLate),
        ("2026-09-02T01:00:01Z", hours(99), hours(99), Turn::TooLate),
    ] {
        assert_eq!(judge(occurrence, at(now), late_max, expires_in), turn, "{now}");
    }
}

#[test]
fn a_faulty_rule_is_refused_with_each_fault() {
    let cases: [(&str, &[&str]); 16] = [
        (r#"{"frequency":"hourly","starts_on":"2026-09-01","at":"08:00"}"#, &["frequency"]),
        (
            r#"{"frequency":"daily","interval":0,"starts_on":"2026-9-1","at":"8:00"}"#,
            &["interval", "starts_on", "at"],
        ),
        (
            r#"{"frequency":"daily","interval":100,"starts_on":"2026-09-01","at":"24:00"}"#,
            &["interval", "at"],
        ),
        (r#"{"frequency":"weekly","starts_on":"2026-09-01","at":"08:00"}"#, &["weekdays"]),
        (
            r#"{"frequency":"weekly","weekdays":["mo","mo"],"starts_on":"2026-09-01","at":"08:00"}"#,
            &["weekdays"],
        ),
        (r#"{"frequency":"weekly","weekdays":["xx"],"starts_on":"2026-09-01","at":"08:00"}"#, &["weekdays"]),
        (
            r#"{"frequency":"daily","weekdays":["mo"],"week":1,"starts_on":"2026-09-01","at":"08:00"}"#,
            &["weekdays", "week"],
        ),
        (r#"{"frequency":"monthly","starts_on":"2026-09-01","at":"08:00"}"#, &["month_day"]),
        (r#"{"frequency":"monthly","month_day":32,"starts_on":"2026-09-01","at":"08:00"}"#, &["month_day"]),
        (
            r#"{"frequency":"monthly","month_day":1,"week":1,"starts_on":"2026-09-01","at":"08:00"}"#,
            &["week"],
        ),
        // February has no 30.
        (
            r#"{"frequency":"monthly","interval":12,"month_day":30,"starts_on":"2026-02-01","at":"08:00"}"#,
            &["month_day"],
        ),
        (
            r#"{"frequency":"daily","starts_on":"2026-09-01","at":"08:00","ends_on":"2026-08-31"}"#,
            &["ends_on"],
        ),
        (
            r#"{"frequency":"weekly","weekdays":["fr"],"starts_on":"2026-09-01","at":"08:00","ends_on":"2026-09-02"}"#,
            &["ends_on"],
        ),
        (
            r#"{"frequency":"daily","starts_on":"2026-09-01","at":"08:00","ends_on":"2026-10-01","count":3}"#,
            &["count"],
        ),
        (
            r#"{"frequency":"daily","starts_on":"2026-09-01","at":"08:00","except":["2026-09-02","soon"]}"#,
            &["except"],
        ),
        // Nothing would be left.
        (
            r#"{"frequency":"daily","starts_on":"2026-09-01","at":"08:00","count":1,"except":["2026-09-01"]}"#,
            &["except"],
        ),
    ];
    for (json, fields) in cases {
        let faults = read(json).unwrap_err();
        assert_eq!(faults.iter().map(|fault| fault.field).collect::<Vec<_>>(), fields, "{json}: {faults:?}");
    }
    assert!(
        serde_json::from_str::<Recurrence>(r#"{"frequency":"hourly","starts_on":"2026-09-01","at":"08:00"}"#)
            .is_err()
    );
}

#[test]
fn it_is_told_in_words_and_as_a_rule() {
    let cases = [
        (
            r#""frequency":"weekly","interval":2,"weekdays":["we","mo"],"starts_on":"2026-09-01","at":"08:00","count":10"#,
            "every other week on Monday and Wednesday at 8:00 AM, from September 1, 2026, 10 times",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;COUNT=10",
        ),
        (
            r#""frequency":"monthly","week":-1,"weekdays":["fr"],"starts_on":"2026-09-01","at":"15:30","ends_on":"2027-06-01""#,
            "every month on the last Friday at 3:30 PM, from September 1, 2026 to June 1, 2027",
            "FREQ=MONTHLY;INTERVAL=1;BYDAY=-1FR;UNTIL=20270601",
        ),
        (
            r#""frequency":"daily","starts_on":"2026-09-01","at":"08:00","except":["2026-12-25","2026-11-26"]"#,
            "every day at 8:00 AM, from September 1, 2026, but not on November 26, 2026 or December 25, 2026",
            "FREQ=DAILY;INTERVAL=1",
        ),
    ];
    for (fields, words, rule) in cases {
        let recurrence = recurrence(fields);
        assert_eq!((recurrence.to_string().as_str(), recurrence.rrule().as_str()), (words, rule));
    }
}

/// Zones that change their clocks by night, at midnight, by half an hour, on the other half of the year, or never.
const ZONES: [&str; 9] = [
    "America/Chicago",
    "America/New_York",
    "America/Los_Angeles",
    "Europe/London",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Asia/Beirut",
    "Pacific/Apia",
    "America/Phoenix",
];

fn any_recurrence() -> impl Strategy<Value = Recurrence> {
    let repeat = prop_oneof![
        Just(Repeat::Daily),
        prop::collection::btree_set(0u8..7, 1..4).prop_map(|days| {
            Repeat::Weekly(days.into_iter().map(|day| Weekday::try_from(day).unwrap()).collect())
        }),
        prop_oneof![1i8..=31, Just(-1)].prop_map(Repeat::MonthlyOn),
        (prop_oneof![1i8..=4, Just(-1)], 0u8..7)
            .prop_map(|(week, day)| Repeat::MonthlyBy(week, Weekday::try_from(day).unwrap())),
    ];
    let end = prop_oneof![
        3 => Just(End::Never),
        1 => (1u16..400).prop_map(End::After),
        1 => (0u64..900).prop_map(|days| End::On(day("2024-01-01") + Days::new(days))),
    ];
    let except = prop::collection::btree_set(0u64..1000, 0..20);
    let except = except.prop_map(|days| {
        days.into_iter().map(|on| day("2024-01-01") + Days::new(on)).collect::<BTreeSet<_>>()
    });
    (repeat, 1u16..4, 0u64..800, 0u32..24 * 60, end, except).prop_map(
        |(repeat, interval, start, minute, end, except)| Recurrence {
            repeat,
            interval,
            starts_on: day("2024-01-01") + Days::new(start),
            at: NaiveTime::from_num_seconds_from_midnight_opt(minute * 60, 0).unwrap(),
            end,
            except,
        },
    )
}

/// What the rule says of a day, without the library: its reference.
fn falls_on(recurrence: &Recurrence, on: NaiveDate) -> bool {
    use chrono::Datelike as _;
    let start = recurrence.starts_on;
    let interval = i64::from(recurrence.interval);
    let monday = |day: NaiveDate| day - Days::new(day.weekday().num_days_from_monday().into());
    let months = |day: NaiveDate| i64::from(day.year()) * 12 + i64::from(day.month0());
    let of_month = (months(on) - months(start)) % interval == 0;
    let last = |day: NaiveDate| (day + Days::new(1)).month() != day.month();
    let fits = match &recurrence.repeat {
        Repeat::Daily => (on - start).num_days() % interval == 0,
        Repeat::Weekly(days) => {
            days.contains(&on.weekday()) && (monday(on) - monday(start)).num_days() / 7 % interval == 0
        }
        Repeat::MonthlyOn(-1) => of_month && last(on),
        Repeat::MonthlyOn(day) => of_month && on.day() == u32::from(day.unsigned_abs()),
        Repeat::MonthlyBy(-1, weekday) => {
            of_month && on.weekday() == *weekday && (on + Days::new(7)).month() != on.month()
        }
        Repeat::MonthlyBy(week, weekday) => {
            of_month && on.weekday() == *weekday && on.day0() / 7 + 1 == u32::from(week.unsigned_abs())
        }
    };
    fits && on >= start
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Over two years, with each change of the clocks in them: every day of the rule and no other, each at its time by
    /// the clocks, or where they skip it as much later as they jump.
    #[test]
    fn no_occurrence_is_lost_none_comes_twice_and_each_keeps_its_time(
        recurrence in any_recurrence(), at_zone in 0..ZONES.len(),
    ) {
        let zone = zone(ZONES[at_zone]);
        let (from, to) = (day("2024-01-01"), day("2026-12-31"));
        let found = recurrence.between(zone, from, to, usize::MAX);
        let all = from.iter_days().take_while(|on| *on <= to).filter(|on| falls_on(&recurrence, *on));
        let wanted: Vec<NaiveDate> = match recurrence.end {
            End::Never => all.collect(),
            End::On(last) => all.filter(|on| *on <= last).collect(),
            End::After(count) => all.take(count.into()).collect(),
        };
        let wanted: Vec<_> = wanted.into_iter().filter(|on| !recurrence.except.contains(on)).collect();
        prop_assert_eq!(found.iter().map(|it| it.on).collect::<Vec<_>>(), wanted);
        prop_assert!(found.windows(2).all(|pair| pair[0].at < pair[1].at));
        for occurrence in found {
            let shown = local(zone, occurrence.at);
            let jump = shown - occurrence.on.and_time(recurrence.at);
            let skipped = zone.from_local_datetime(&occurrence.on.and_time(recurrence.at)) == LocalResult::None;
            prop_assert!(if skipped { jump > TimeDelta::zero() } else { jump.is_zero() }, "{shown}");
        }
    }

    /// Whoever looks now and then, and each time goes on behind what was due, sees each occurrence once.
    #[test]
    fn ticks_at_any_times_see_each_occurrence_once(
        recurrence in any_recurrence(), at_zone in 0..ZONES.len(), hours in prop::collection::vec(1i64..200, 1..60),
    ) {
        let zone = zone(ZONES[at_zone]);
        let mut now = at("2023-12-31T00:00:00Z");
        let mut next = recurrence.next(zone, now, recurrence.starts_on);
        let mut seen = Vec::new();
        for wait in hours {
            now += TimeDelta::hours(wait);
            let Some(first) = next.filter(|next| next.at <= now) else { continue };
            let due = recurrence.due(zone, first.on, now);
            prop_assert_eq!(due.first(), Some(&first));
            seen.extend(due);
            next = recurrence.next(zone, now, recurrence.starts_on);
        }
        prop_assert_eq!(seen, recurrence.due(zone, recurrence.starts_on, now));
    }

    #[test]
    fn what_is_written_is_read_back(recurrence in any_recurrence()) {
        if let Ok(recurrence) = Recurrence::read(&recurrence.written()) {
            let json = serde_json::to_string(&recurrence).unwrap();
            prop_assert_eq!(serde_json::from_str::<Recurrence>(&json).unwrap(), recurrence);
        }
    }
}
