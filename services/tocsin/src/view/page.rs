//! The message detail of a campaign, laid out for reading (requirements 47-55, 192).

use std::fmt;

use indicatif::HumanCount;
use tocsin_domain::Channel;

use crate::client::{Counters, DeliverySummary, Detail, Receipt};
use crate::terminal::{HEADING, coloured, in_colour_of};

/// How much of the content is quoted.
const CONTENT_CHARS_MAX: usize = 72;

/// A campaign's page: its detail, and what its cancel reached if there was one.
#[derive(Debug)]
pub struct Page<'a> {
    pub detail: &'a Detail,
    pub receipt: Option<&'a Receipt>,
}

/// A name may hold anything.
pub fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The delivery modes as users know them (requirement 40).
pub fn channel_name(channel: Channel) -> &'static str {
    match channel {
        Channel::Voice => "Voice",
        Channel::Sms => "Text",
        Channel::Email => "Email",
        Channel::Inbox => "Inbox",
    }
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { detail, receipt } = self;
        writeln!(f, "{}", coloured(HEADING, &format!("Message ID {}: {}", detail.number, detail.subject)))?;
        let mut row = |name: &str, value: String| writeln!(f, "  {name:<16}{value}");
        row("Status", in_colour_of(detail.state, &in_words(detail.state.as_str())))?;
        row("Type", in_words(&detail.message_type))?;
        if detail.test {
            row("Test", "it goes to the district's test people only".to_owned())?;
        }
        row("Sender", format!("{}, {}", detail.created_by, detail.created_at.format("%F %T UTC")))?;
        row("Content", content(detail))?;
        row("Recipients", HumanCount(detail.recipients).to_string())?;
        row("No device", HumanCount(detail.no_device).to_string())?;
        write_summary(detail, &mut row)?;
        if detail.redial.confirm && detail.by_channel.contains_key(&Channel::Voice) {
            row("Confirmed", format!("{} calls, by pressing 0", HumanCount(detail.totals.confirmed)))?;
        }
        row("Duration", duration(detail))?;
        if let Some(receipt) = receipt {
            write_receipt(receipt, &mut row)?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "  {:<7}{:>8}{:>10}{:>12}{:>7}{:>10}{:>10}{:>12}{:>15}",
            "",
            "Devices",
            "Attempts",
            "Successful",
            "Error",
            "Canceled",
            "Not sent",
            "Duplicates",
            "First attempt"
        )?;
        for (channel, counted) in &detail.by_channel {
            write_counters(f, channel_name(*channel), &counted.counters, counted.first_attempt_seconds)?;
        }
        write_counters(f, "Total", &detail.totals, detail.first_attempt_seconds)
    }
}

/// What a cancel reached, by itself.
#[derive(Debug)]
pub struct Reached<'a>(pub &'a Receipt);

impl fmt::Display for Reached<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_receipt(self.0, &mut |name, value| writeln!(f, "  {name:<16}{value}"))
    }
}

/// The totals of the channels that the campaign has.
fn write_summary(detail: &Detail, row: &mut impl FnMut(&str, String) -> fmt::Result) -> fmt::Result {
    let summary = &detail.delivery_summary;
    let phones = [Channel::Voice, Channel::Sms];
    if phones.iter().any(|channel| detail.by_channel.contains_key(channel)) {
        let contacted = HumanCount(summary.contacted_by_phone);
        let others = HumanCount(summary.not_contacted_by_phone);
        row("By phone", format!("{contacted} recipients contacted, {others} not"))?;
    }
    detail.by_channel.keys().try_for_each(|channel| {
        let (what, total, attempted) = addresses(summary, *channel);
        row(what, format!("{}, {} attempted", HumanCount(total), HumanCount(attempted)))
    })?;
    match summary.email_progress_percent {
        Some(percent) => row("Email progress", format!("{percent} %")),
        None => Ok(()),
    }
}

fn addresses(summary: &DeliverySummary, channel: Channel) -> (&'static str, u64, u64) {
    match channel {
        Channel::Voice => ("Total Voice", summary.voice, summary.voice_attempted),
        Channel::Sms => ("Total Text", summary.text, summary.text_attempted),
        Channel::Email => ("Total Emails", summary.emails, summary.emails_attempted),
        Channel::Inbox => ("Total Inbox", summary.inbox, summary.inbox_attempted),
    }
}

fn write_receipt(receipt: &Receipt, row: &mut impl FnMut(&str, String) -> fmt::Result) -> fmt::Result {
    if let Some(canceled) = &receipt.canceled {
        let reason = canceled.reason.as_deref().unwrap_or("no reason given");
        row("Canceled", format!("by {}, {}: {reason}", canceled.by, canceled.at.format("%F %T UTC")))?;
    }
    row(
        "It reached",
        format!(
            "{} devices contacted, {} in flight or unknown, {} recalled; {} never tried,\n{:18}duplicates and \
             those without a device among them",
            HumanCount(receipt.contacted),
            HumanCount(receipt.in_flight_or_unknown),
            HumanCount(receipt.recalled),
            HumanCount(receipt.never_tried),
            ""
        ),
    )
}

fn write_counters(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    counters: &Counters,
    first_attempt_seconds: Option<f64>,
) -> fmt::Result {
    let count = |number: u64| HumanCount(number).to_string();
    writeln!(
        f,
        "  {name:<7}{:>8}{:>10}{:>12}{:>7}{:>10}{:>10}{:>12}{:>15}",
        count(counters.devices),
        count(counters.attempts),
        count(counters.successful),
        count(counters.error),
        count(counters.canceled),
        count(counters.not_dispatched),
        count(counters.duplicates),
        first_attempt_seconds.map_or_else(|| "-".to_owned(), seconds),
    )
}

/// The text that most recipients get, as it was written.
fn content(detail: &Detail) -> String {
    let Some(first) = detail.contents.first() else { return "-".to_owned() };
    let mut quoted: String = first.body.chars().take(CONTENT_CHARS_MAX).collect();
    if quoted.len() < first.body.len() {
        quoted.push('…');
    }
    match detail.contents.len() - 1 {
        0 => quoted,
        more => format!("{quoted}\n{:18}and {more} more, by language and channel", ""),
    }
}

fn duration(detail: &Detail) -> String {
    match detail.seconds {
        Some(total) => format!("{} in all, redials, waits and late status included", seconds(total)),
        None => "not started".to_owned(),
    }
}

/// Requirement 52 shows what rounds to nothing as less than a second.
fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { "< 1 s".to_owned() } else { format!("{seconds:.1} s") }
}

/// `no_recipients` as users read it.
pub fn in_words(name: &str) -> String {
    let mut words = name.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn detail() -> Detail {
        let counters = json!({
            "devices": 1234, "attempts": 1500, "successful": 1200, "error": 30, "canceled": 0,
            "not_dispatched": 4, "open": 0, "duplicates": 17, "confirmed": 321, "first_attempt_seconds": 4.25
        });
        let mut silent = counters.clone();
        silent["first_attempt_seconds"] = json!(null);
        serde_json::from_value(json!({
            "id": "01900000-0000-7000-8000-000000000001", "number": 7, "state": "no_recipients",
            "subject": "Snow day", "message_type": "special_ed", "created_by": "Office",
            "created_at": "2026-01-05T12:00:00Z", "recipients": 1100, "no_device": 12,
            "totals": counters, "by_channel": { "voice": counters, "sms": silent },
            "delivery_summary": {
                "recipients": 1100, "no_device": 12, "inbox": 1, "emails": 2, "voice": 1217, "text": 1216,
                "inbox_attempted": 3, "emails_attempted": 4, "voice_attempted": 1190, "text_attempted": 1180,
                "contacted_by_phone": 1050, "not_contacted_by_phone": 50, "email_progress_percent": null
            },
            "seconds": 0.4, "first_attempt_seconds": 4.25, "redial": { "confirm": true, "attempts_max": 3 },
            "contents": [
                { "language": null, "channel": null, "subject": null, "body": "é".repeat(73) },
                { "language": "es", "channel": null, "subject": null, "body": "b" }
            ]
        }))
        .unwrap()
    }

    #[test]
    fn a_page_shows_every_counter_in_its_column() {
        let receipt =
            Receipt { canceled: None, contacted: 1000, in_flight_or_unknown: 2, recalled: 3, never_tried: 4 };
        let page = Page { detail: &detail(), receipt: Some(&receipt) }.to_string();
        let page = anstream::adapter::strip_str(&page).to_string();
        for line in [
            "Message ID 7: Snow day",
            "  Status          No recipients",
            "  Type            Special ed",
            "  Sender          Office, 2026-01-05 12:00:00 UTC",
            "and 1 more, by language and channel",
            "  By phone        1,050 recipients contacted, 50 not",
            "  Total Voice     1,217, 1,190 attempted",
            "  Total Text      1,216, 1,180 attempted",
            "  Confirmed       321 calls, by pressing 0",
            "  Duration        < 1 s in all",
            "  It reached      1,000 devices contacted, 2 in flight or unknown, 3 recalled; 4 never tried,",
            "  Voice     1,234     1,500       1,200     30         0         4          17          4.2 s",
            "  Text      1,234     1,500       1,200     30         0         4          17              -",
        ] {
            assert!(page.contains(line), "{line:?} is not in\n{page}");
        }
        assert!(page.contains(&format!("{}…", "é".repeat(72))) && !page.contains(&"é".repeat(73)));
    }
}
