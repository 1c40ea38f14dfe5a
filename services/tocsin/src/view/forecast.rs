//! A forecast, laid out for reading.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use indicatif::HumanCount;
use serde::Deserialize;
use tocsin_domain::Channel;

use super::page::channel_name;
use crate::terminal::table;

#[derive(Debug, Deserialize)]
pub struct Forecast {
    begins_at: DateTime<Utc>,
    recipients: u64,
    no_device: u64,
    devices: BTreeMap<Channel, u64>,
    #[serde(flatten)]
    all: Part,
    by_channel: BTreeMap<Channel, Part>,
    notes: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Part {
    duplicates: u64,
    opted_out: u64,
    not_opted_in: u64,
    suppressed: u64,
    waiting_for_window: u64,
    seconds_to_last_first_attempt: Option<Percentiles>,
    seconds_to_completion: Option<Percentiles>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Percentiles {
    p50: f64,
    p90: f64,
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (recipients, no_device) = (HumanCount(self.recipients), HumanCount(self.no_device));
        let begin = self.begins_at.format("%F %T UTC");
        writeln!(f, "{recipients} recipients, {no_device} of them without a device; from {begin}\n")?;
        let row = |name: &str, devices: u64, part: &Part| {
            let count = |number: u64| HumanCount(number).to_string();
            [
                name.to_owned(),
                count(devices),
                count(part.duplicates),
                count(part.opted_out + part.not_opted_in),
                count(part.suppressed),
                count(part.waiting_for_window),
                within(part.seconds_to_last_first_attempt),
                within(part.seconds_to_completion),
            ]
        };
        let devices = |channel: &Channel| self.devices.get(channel).copied().unwrap_or_default();
        let of_channel =
            |(channel, part): (&Channel, &Part)| row(channel_name(*channel), devices(channel), part);
        let mut rows: Vec<[String; 8]> = self.by_channel.iter().map(of_channel).collect();
        rows.push(row("Total", self.devices.values().sum(), &self.all));
        let headings = [
            "",
            "Devices",
            "Duplicates",
            "No consent",
            "Suppressed",
            "Waiting",
            "All tried in (50 %, 90 %)",
            "Over in (50 %, 90 %)",
        ];
        f.write_str(&table(headings, &rows))?;
        if !self.notes.is_empty() {
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))
    }
}

/// `-` where nothing is to be done, or nothing can be sent.
fn within(seconds: Option<Percentiles>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |all| format!("{}, {}", span(all.p50), span(all.p90)))
}

/// In the two largest units.
fn span(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {} min", whole / 3_600, whole / 60 % 60),
        _ => format!("{} d {} h", whole / 86_400, whole / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_forecast_is_a_row_for_each_channel_and_its_notes() {
        let part = |waiting: u64, first: Option<f64>| {
            let times = first.map(|p50| json!({ "p50": p50, "p90": p50 * 2.0 }));
            json!({ "devices": 1200, "to_be_tried": 1190, "duplicates": 3, "opted_out": 4, "not_opted_in": 1,
                "suppressed": 5, "waiting_for_window": waiting, "seconds_to_last_first_attempt": times,
                "seconds_to_completion": times })
        };
        let mut answer = part(12, Some(3_700.0));
        answer["devices"] = json!({ "sms": 1200, "voice": 1 });
        for (name, value) in [
            ("begins_at", json!("2026-01-05T12:00:00Z")),
            ("recipients", json!(1300)),
            ("no_device", json!(100)),
            ("by_channel", json!({ "sms": part(12, Some(30.0)), "voice": part(0, None) })),
            ("notes", json!(["sms: 12 devices wait for 08:00 America/Chicago"])),
        ] {
            answer[name] = value;
        }
        let forecast: Forecast = serde_json::from_value(answer).unwrap();
        let text = strip_str(&forecast.to_string()).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "1,300 recipients, 100 of them without a device; from 2026-01-05 12:00:00 UTC");
        let cells: Vec<Vec<&str>> =
            lines[3..6].iter().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(cells[0], "Voice 1 3 5 5 0 - -".split(' ').collect::<Vec<_>>());
        assert_eq!(
            cells[1],
            "Text 1,200 3 5 5 12 30.0 s, 1 min 0 s 30.0 s, 1 min 0 s".split(' ').collect::<Vec<_>>()
        );
        assert!(lines[5].starts_with("Total  1,201") && lines[5].ends_with("1 h 1 min, 2 h 3 min"), "{text}");
        assert_eq!(lines[7], "  sms: 12 devices wait for 08:00 America/Chicago");
    }

    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        let cases = [
            (0.04, "0.0 s"),
            (59.4, "59.4 s"),
            (59.9, "1 min 0 s"),
            (3_599.0, "59 min 59 s"),
            (90_000.0, "1 d 1 h"),
        ];
        for (seconds, words) in cases {
            assert_eq!(span(seconds), words, "{seconds}");
        }
    }
}
