//! How names, times, lengths and counts read in a report.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::Channel;
use tocsin_domain::window::Zone;

pub(crate) fn channel(channel: Channel) -> &'static str {
    match channel {
        Channel::Voice => "Voice",
        Channel::Sms => "Text",
        Channel::Email => "Email",
        Channel::Inbox => "Inbox",
    }
}

/// `special_ed` as Special Ed: types are stored by name, and new ones read well without an entry here.
pub fn message_type(name: &str) -> String {
    let words: Vec<String> = name
        .split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        })
        .collect();
    words.join(" ")
}

/// As the product writes times (requirement 42), and with seconds.
pub(crate) fn time(at: DateTime<Utc>, zone: Zone) -> String {
    at.with_timezone(&zone).format("%m/%d/%Y %I:%M:%S %p").to_string()
}

/// Zero is shown as less than a second (requirement 52).
pub(crate) fn length(length: Duration) -> String {
    let seconds = length.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    if said.is_empty() { "less than 1 s".to_owned() } else { said.join(" ") }
}

/// With its thousands set apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_zones_over_a_change_of_its_clocks() {
        let zone: Zone = "America/Chicago".parse().unwrap();
        for (instant, text) in [
            ("2026-11-01T06:30:00Z", "11/01/2026 01:30:00 AM"),
            ("2026-11-01T07:30:00Z", "11/01/2026 01:30:00 AM"),
            ("2026-11-01T18:05:09Z", "11/01/2026 12:05:09 PM"),
        ] {
            assert_eq!(time(instant.parse().unwrap(), zone), text);
        }
    }

    #[test]
    fn lengths_and_counts_are_written_out() {
        for (seconds, text) in [(0, "less than 1 s"), (61, "1 min 1 s"), (90_000, "1 d 1 h"), (3600, "1 h")] {
            assert_eq!(length(Duration::from_secs(seconds)), text);
        }
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
    }
}
