//! Recipients and their devices as a table: what became of each, or what it waits for and until when.

use serde::Deserialize;
use tocsin_domain::Channel;

use super::page::{channel_name, on_one_line};
use crate::terminal::table;

#[derive(Debug, Deserialize)]
pub struct Recipients {
    pub recipients: Vec<Row>,
    /// There are more.
    pub next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Row {
    recipient: String,
    /// Null, as the address: no device on file.
    channel: Option<Channel>,
    address: Option<String>,
    status: String,
    attempts: i16,
    wait: Option<Wait>,
}

#[derive(Debug, Deserialize)]
struct Wait {
    words: String,
}

pub fn recipients(rows: &[Row]) -> String {
    let cells = |row: &Row| {
        let waits = row.wait.as_ref().map_or_else(String::new, |wait| format!(": {}", wait.words));
        [
            on_one_line(&row.recipient),
            row.channel.map_or_else(|| "-".to_owned(), |channel| channel_name(channel).to_owned()),
            row.address.clone().unwrap_or_else(|| "-".to_owned()),
            row.attempts.to_string(),
            format!("{}{waits}", row.status),
        ]
    };
    let cells: Vec<[String; 5]> = rows.iter().map(cells).collect();
    table(["Recipient", "Channel", "Address", "Tries", "Status"], &cells)
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_device_that_waits_says_what_for_and_until_when() {
        let words = "held until 08:00 America/Chicago";
        let list: Recipients = serde_json::from_value(json!({
            "recipients": [
                { "recipient": "Ann Lee", "channel": "sms", "address": "+13125550100", "status": "In-Progress",
                  "attempts": 0, "wait": { "reason": "window", "due_at": null, "words": words } },
                { "recipient": "Ben Ortiz", "channel": null, "address": null, "status": "No Device",
                  "attempts": 0, "wait": null },
            ],
            "next_cursor": null,
        }))
        .unwrap();
        let text = recipients(&list.recipients);
        assert_eq!(
            strip_str(&text).to_string(),
            "Recipient  Channel  Address       Tries  Status\n\
             Ann Lee    Text     +13125550100  0      In-Progress: held until 08:00 America/Chicago\n\
             Ben Ortiz  -        -             0      No Device\n"
        );
    }
}
