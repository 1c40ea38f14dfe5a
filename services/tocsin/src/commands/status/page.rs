//! The same as text.

use std::fmt::Write as _;

use tocsin_queue::Queue;
use tocsin_store::accounts::Account;

use super::glance::{Glance, Letters};
use crate::commands::account::standing;
use crate::terminal::{BAD, HEADING, QUIET, coloured, in_colour_of, table};

/// Of a subject, on the terminal.
const SUBJECT_CHARS_MAX: usize = 40;

pub fn text(glance: &Glance) -> String {
    let mut text = String::new();
    warnings(&mut text, glance);
    section(&mut text, "Roles", processes(glance));
    section(&mut text, "Accounts", accounts(glance));
    section(&mut text, "Queues", queues(glance));
    section(&mut text, "Campaigns", campaigns(glance));
    text
}

fn section(text: &mut String, title: &str, body: String) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{}\n{body}\n", coloured(HEADING, title));
}

/// What somebody has to do something about.
fn warnings(text: &mut String, glance: &Glance) {
    let mut warn = |line: String| {
        let _ = writeln!(text, "{}", coloured(BAD, &line));
    };
    if glance.restored {
        warn("the database was restored from a backup: run `tocsin recover`".to_owned());
    }
    for stop in &glance.stops {
        let whom = stop.district.map_or("every district", |id| glance.district(id));
        warn(format!(
            "stopped: {whom}, since {} by {}: {}",
            stop.at.format("%Y-%m-%d %H:%M:%S UTC"),
            stop.by,
            stop.reason
        ));
    }
    let undecided = glance.campaigns.iter().filter(|campaign| campaign.undecided).count();
    if undecided > 0 {
        warn(format!("{undecided} campaigns wait for a decision after a restore: see `tocsin recover`"));
    }
    if let Some(dead @ 1..) = glance.broker.dead() {
        warn(format!("{dead} dead letters: see `tocsin dead list`"));
    }
    if glance.unknown > 0 {
        warn(format!("{} attempts of which nobody knows what became", glance.unknown));
    }
    if !text.is_empty() {
        text.push('\n');
    }
}

fn processes(glance: &Glance) -> String {
    let rows: Vec<[String; 5]> = glance
        .processes
        .iter()
        .map(|process| {
            let silent = (glance.now - process.seen_at).num_seconds().max(0);
            let seen = if process.alive { "runs".to_owned() } else { format!("silent for {silent} s") };
            let since = process.started_at.format("%Y-%m-%d %H:%M UTC").to_string();
            [process.is.role.clone(), process.is.host.clone(), process.is.version.clone(), since, seen]
        })
        .collect();
    let mut text = if rows.is_empty() {
        "none\n".to_owned()
    } else {
        table(["Role", "Host", "Version", "Since", ""], &rows)
    };
    let holders: std::collections::BTreeSet<_> = glance.duties.iter().map(|duty| duty.holder).collect();
    let _ = writeln!(text, "{} release duties held by {} planners", glance.duties.len(), holders.len());
    text
}

fn accounts(glance: &Glance) -> String {
    let dash = || "-".to_owned();
    let row = |account: &Account| {
        let shared = glance.shared.get(&account.id).copied().unwrap_or_default();
        let by_hand = if glance.by_hand.contains_key(&account.id) { " (by hand)" } else { "" };
        [
            account.limits.name.clone(),
            account.limits.channel.to_string(),
            account.limits.rate_per_second.map_or_else(dash, |rate| format!("{rate}{by_hand}")),
            shared.rate_per_second.map_or_else(dash, |rate| format!("{rate:.1}")),
            format!("{:.1}", shared.used_per_second),
            shared.workers.to_string(),
            account.pace.holds.to_string(),
            standing(account),
        ]
    };
    let rows: Vec<[String; 8]> = glance.accounts.iter().map(row).collect();
    if rows.is_empty() {
        return "none\n".to_owned();
    }
    table(["Name", "Channel", "Limit/s", "Shared/s", "Used/s", "Workers", "Holds", "State"], &rows)
}

fn queues(glance: &Glance) -> String {
    let mut text = String::new();
    let queued = glance.queued_by_lane();
    let released: Vec<String> = queued.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let none = || "none".to_owned();
    let listed = |all: &[String]| if all.is_empty() { none() } else { all.join(", ") };
    let _ = writeln!(text, "released and unclaimed: {}", listed(&released));
    let _ = match &glance.broker {
        Letters::NotConfigured => writeln!(text, "{}", coloured(QUIET, "broker: AMQP_URL is not set")),
        Letters::Unreachable(why) => writeln!(text, "{}", coloured(BAD, &format!("broker: {why}"))),
        Letters::Ready(ready) => {
            let waiting = ready.iter().filter(|(queue, count)| *count > 0 && *queue != Queue::DeadLetters);
            let waiting: Vec<String> =
                waiting.map(|(queue, count)| format!("{} {count}", queue.name())).collect();
            writeln!(text, "messages that wait: {}", listed(&waiting))
        }
    };
    text
}

fn campaigns(glance: &Glance) -> String {
    let counts: Vec<String> = glance
        .counts
        .iter()
        .map(|(state, count)| format!("{count} {}", in_colour_of(*state, state.as_str())))
        .collect();
    let counted = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
    let mut text = format!("open, or ended within a day: {counted}\n");
    let rows: Vec<[String; 6]> = glance
        .campaigns
        .iter()
        .map(|campaign| {
            let subject: String = campaign.subject.chars().take(SUBJECT_CHARS_MAX).collect();
            let ended = campaign.devices - campaign.open;
            let percent = if campaign.devices > 0 { ended * 100 / campaign.devices } else { 0 };
            let state = if campaign.undecided { "undecided" } else { campaign.state.as_str() };
            [
                campaign.number.to_string(),
                glance.district(campaign.district).to_owned(),
                subject,
                campaign.lane.to_string(),
                state.to_owned(),
                format!("{ended} of {} ({percent} %)", campaign.devices),
            ]
        })
        .collect();
    if !rows.is_empty() {
        text.push_str(&table(["Message ID", "District", "Subject", "Lane", "State", "Ended"], &rows));
    }
    text
}
