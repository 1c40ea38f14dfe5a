//! Campaigns as a table, newest first.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tocsin_domain::{CampaignId, CampaignState};

use super::page::in_words;
use crate::terminal::{in_colour_of, table};

/// What a line shows of a subject.
const SUBJECT_CHARS_MAX: usize = 48;

#[derive(Debug, Deserialize)]
pub struct Campaigns {
    pub campaigns: Vec<Summary>,
    /// There are more.
    pub next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Summary {
    id: CampaignId,
    number: i64,
    state: CampaignState,
    message_type: String,
    /// It went to the district's test people.
    #[serde(default)]
    test: bool,
    subject: String,
    created_at: DateTime<Utc>,
}

pub fn campaigns(list: &[Summary]) -> String {
    let row = |campaign: &Summary| {
        [
            format!("#{}", campaign.number),
            in_words(campaign.state.as_str()),
            kind(&campaign.message_type, campaign.test),
            campaign.created_at.format("%F %R").to_string(),
            campaign.id.to_string(),
            shortened(&campaign.subject),
        ]
    };
    let rows: Vec<[String; 6]> = list.iter().map(row).collect();
    let text = table(["No.", "Status", "Type", "Made (UTC)", "Id", "Subject"], &rows);
    let mut lines = text.lines();
    let mut page = lines.next().map(|heading| format!("{heading}\n")).unwrap_or_default();
    // Coloured after the columns are laid out: codes have no width.
    for (line, campaign) in lines.zip(list) {
        let state = in_words(campaign.state.as_str());
        page.push_str(&line.replacen(&state, &in_colour_of(campaign.state, &state), 1));
        page.push('\n');
    }
    page
}

fn kind(message_type: &str, test: bool) -> String {
    let kind = in_words(message_type);
    if test { format!("{kind} (test)") } else { kind }
}

fn shortened(subject: &str) -> String {
    // A subject may hold anything; here it is one line.
    let line: String = subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= SUBJECT_CHARS_MAX {
        return line;
    }
    let kept: String = line.chars().take(SUBJECT_CHARS_MAX - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_is_aligned_and_only_the_state_is_coloured() {
        let campaign = |number: i64, state: &str, subject: &str| {
            json!({ "id": "01900000-0000-7000-8000-000000000001", "number": number, "state": state,
                "message_type": "general", "subject": subject, "created_at": "2026-01-05T12:00:00Z" })
        };
        let list: Campaigns = serde_json::from_value(json!({
            "campaigns": [campaign(12, "sent", "Snow\nday"), campaign(7, "no_recipients", &"x".repeat(60))],
            "next_cursor": null,
        }))
        .unwrap();
        let text = campaigns(&list.campaigns);
        assert_eq!(
            strip_str(&text).to_string(),
            format!(
                "No.  Status         Type     Made (UTC)        Id                                    Subject\n\
                 #12  Sent           General  2026-01-05 12:00  01900000-0000-7000-8000-000000000001  Snow day\n\
                 #7   No recipients  General  2026-01-05 12:00  01900000-0000-7000-8000-000000000001  {}…\n",
                "x".repeat(47)
            )
        );
        assert!(text.contains("\u{1b}[32mSent\u{1b}[0m "), "{text:?}");
    }
}
