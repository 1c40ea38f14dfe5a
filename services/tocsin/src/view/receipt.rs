//! A part of a receipt as a table.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tocsin_domain::Channel;

use super::page::{channel_name, in_words, on_one_line};
use crate::terminal::table;

#[derive(Debug, Deserialize)]
pub struct List {
    pub recipients: Vec<Row>,
    /// There are more.
    pub next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Row {
    recipient: String,
    student: Option<String>,
    channel: Option<Channel>,
    address: Option<String>,
    status: String,
    attempts: i16,
    first_attempt_at: Option<DateTime<Utc>>,
    last_attempt_at: Option<DateTime<Utc>>,
    recall: String,
}

pub fn rows(list: &[Row]) -> String {
    let time =
        |at: Option<DateTime<Utc>>| at.map_or_else(|| "-".to_owned(), |at| at.format("%F %T").to_string());
    let cells: Vec<[String; 9]> = list
        .iter()
        .map(|row| {
            [
                on_one_line(&row.recipient),
                on_one_line(row.student.as_deref().unwrap_or("-")),
                row.channel.map_or("-", channel_name).to_owned(),
                row.address.clone().unwrap_or_else(|| "-".to_owned()),
                row.status.clone(),
                row.attempts.to_string(),
                time(row.first_attempt_at),
                time(row.last_attempt_at),
                if row.recall == "none" { "-".to_owned() } else { in_words(&row.recall) },
            ]
        })
        .collect();
    table(
        [
            "Recipient",
            "Student",
            "Channel",
            "Address",
            "Status",
            "Tries",
            "First (UTC)",
            "Last (UTC)",
            "Recall",
        ],
        &cells,
    )
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_shows_who_where_when_and_the_recall() {
        let list: List = serde_json::from_value(json!({
            "part": "recalled",
            "recipients": [
                { "recipient": "Ana\nLee", "student": "Sam Lee", "channel": "voice", "address": "+15551230001",
                  "status": "Canceled", "attempts": 1, "first_attempt_at": "2026-01-05T12:00:00Z",
                  "last_attempt_at": "2026-01-05T12:00:00Z", "recall": "too_late" },
                { "recipient": "Ben Lee", "student": null, "channel": null, "address": null, "status": "No Device",
                  "attempts": 0, "first_attempt_at": null, "last_attempt_at": null, "recall": "none" },
            ],
            "next_cursor": null,
        }))
        .unwrap();
        let text = strip_str(&rows(&list.recipients)).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1..],
            [
                "Ana Lee    Sam Lee  Voice    +15551230001  Canceled   1      2026-01-05 12:00:00  2026-01-05 12:00:00  Too late",
                "Ben Lee    -        -        -             No Device  0      -                    -                    -",
            ]
        );
    }
}
