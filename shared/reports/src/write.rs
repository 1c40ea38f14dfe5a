//! What a report says, in the order of its sections (requirements 60 to 76).

use std::io::{self, Write};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tocsin_domain::Channel;
use tocsin_domain::counters::DeliveryInformation;

use crate::cells::Line;
use crate::choice::{Detail, Format};
use crate::people::People;
use crate::report::{Report, Row};
use crate::sheet::{Fact, Sheet};
use crate::words::{channel, count, length, time};
use crate::{csv, docx, pdf};

const NONE: &str = "–";

/// Why a report could not be written to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReportError<E> {
    #[error("the rows could not be read")]
    Rows(#[source] E),
    #[error("the report could not be written")]
    Sink(#[from] io::Error),
}

/// Writes `report` with its rows, all rows of the campaign in recipient order, to `sink`. Of a summary no row is read.
pub fn write<E>(
    report: &Report,
    format: Format,
    pages: impl Iterator<Item = Result<Vec<Row>, E>>,
    sink: impl Write,
) -> Result<(), ReportError<E>> {
    match format {
        Format::Pdf => set(report, pages, &mut pdf::Pdf::new(sink, report)?),
        Format::Csv => set(report, pages, &mut csv::Csv::new(sink)?),
        Format::Docx => set(report, pages, &mut docx::Docx::new(sink, report)?),
    }
}

fn set<E>(
    report: &Report,
    pages: impl Iterator<Item = Result<Vec<Row>, E>>,
    sheet: &mut dyn Sheet,
) -> Result<(), ReportError<E>> {
    sheet.title(report.title(), &report.subject)?;
    sheet.facts(&header(report))?;
    sheet.list(&included(report))?;
    sheet.section("Delivery Summary")?;
    summary(report, sheet)?;
    if report.choice.detail == Detail::Summary {
        return Ok(sheet.finish()?);
    }
    sheet.section("Filter Criteria")?;
    let criteria: Vec<Fact> = report.criteria.iter().map(|(name, value)| Fact::new(name, value)).collect();
    sheet.list(&criteria)?;
    sheet.section("Message Detail")?;
    message(report, sheet)?;
    sheet.section("Delivery Detail")?;
    legend(report, sheet)?;
    sheet.begin_detail()?;
    let by_phone = goes_to_phones(report);
    for person in People::of(pages) {
        let person = person.map_err(ReportError::Rows)?;
        for row in person.chosen(&report.choice) {
            sheet.line(&Line::of(row, by_phone && !person.contacted_by_phone, report.zone))?;
        }
    }
    sheet.end_detail()?;
    Ok(sheet.finish()?)
}

fn header(report: &Report) -> Vec<Fact> {
    let at = |at: DateTime<Utc>| time(at, report.zone);
    vec![
        Fact::new("District", &report.district),
        Fact::new("Message ID", report.number.to_string()),
        Fact::new("Type", &report.message_type),
        Fact::new("Status", &report.status),
        Fact::new("Sender", &report.sender),
        Fact::new("Date Created", at(report.created_at)),
        Fact::new("Date Scheduled", at(report.scheduled_at)),
        Fact::new("Report Detail", report.choice.detail.label()),
    ]
}

fn included(report: &Report) -> Vec<Fact> {
    let mut facts = vec![Fact::new("Devices Included", devices_included(report))];
    if report.choice.detail != Detail::Summary {
        let statuses = report.choice.statuses.as_ref().map_or_else(|| "All".to_owned(), |it| it.names());
        facts.push(Fact::new("Statuses Included", statuses));
    }
    facts.push(Fact::new("Times", report.zone.name()));
    if let Some(as_of) = report.as_of {
        facts.push(Fact::new("As of", format!("{}; statuses are still coming in", time(as_of, report.zone))));
    }
    facts
}

fn devices_included(report: &Report) -> String {
    let mut names: Vec<&str> = report.choice.modes.iter().map(|mode| channel(*mode)).collect();
    if report.choice.no_device {
        names.push("No Device");
    }
    names.join(", ")
}

fn goes_to_phones(report: &Report) -> bool {
    report.channels.iter().any(|channel| match channel {
        Channel::Voice | Channel::Sms => true,
        Channel::Email | Channel::Inbox => false,
    })
}

/// The numbers of the message detail (64), as they are defined in 65 to 74 and 49 to 53.
fn summary(report: &Report, sheet: &mut dyn Sheet) -> io::Result<()> {
    let totals = &report.totals;
    let at = |at: Option<DateTime<Utc>>| at.map_or_else(|| NONE.to_owned(), |at| time(at, report.zone));
    let number = |name: &str, number: u64| Fact::new(name, count(number));
    if let Some(canceled) = &report.canceled {
        let by = canceled.by.as_deref().map_or_else(String::new, |by| format!(" by {by}"));
        let reason = canceled.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
        sheet.list(&[Fact::new("Canceled", format!("{}{by}{reason}", time(canceled.at, report.zone)))])?;
    }
    let progress = totals
        .email_progress_percent
        .map(|percent| Fact::new("Email Delivery Progress", format!("{percent}%")));
    let no_device = report.choice.no_device.then(|| number("Total No Device", totals.no_device));
    // Two columns of the same length: what is counted, and beside it what came of it.
    let mut counted = vec![
        Fact::new("Start Time", at(report.started_at)),
        Fact::new("End Time", at(report.ended_at)),
        number("Total Recipients", totals.recipients),
        no_device.unwrap_or_else(Fact::blank),
        number("Total Inbox", totals.inbox),
        number("Total Emails", totals.emails),
        number("Total Voice", totals.voice),
        number("Total Text", totals.text),
    ];
    let mut came_of_it = vec![
        Fact::new("Total Message Duration", said(report.duration)),
        Fact::new("First Attempt Duration", said(report.first_attempt)),
        number("Recipients contacted successfully by phone", totals.contacted_by_phone),
        number("Recipients not contacted by phone", totals.not_contacted_by_phone),
        number("Total Inbox Attempted", totals.inbox_attempted),
        number("Total Emails Attempted", totals.emails_attempted),
        number("Total Voice Attempted", totals.voice_attempted),
        number("Total Text Messages Attempted", totals.text_attempted),
    ];
    if let Some(progress) = progress {
        counted.push(progress);
        came_of_it.push(Fact::blank());
    }
    counted.append(&mut came_of_it);
    sheet.facts(&counted)?;
    let rows: Vec<Vec<String>> = report.delivery.iter().map(delivery_row).collect();
    sheet.table(&DELIVERY_HEAD, &rows)?;
    sheet.note(
        "Totals count each number or address once, however many recipients share it; duplicates are in none of the \
         numbers but their own. Successful, Error and Canceled count attempts, redials included: Busy and No Answer \
         are successful attempts and no contact.",
    )?;
    sheet.note(TEXTS_STATEMENT)
}

/// Requirement 76.
const TEXTS_STATEMENT: &str = "A text message counts as successful when it was sent. That is no guarantee that the \
     recipient has retrieved it, which depends on the recipient's carrier and phone.";

const DELIVERY_HEAD: [&str; 9] = [
    "Delivery Mode",
    "Devices",
    "Attempts",
    "Successful",
    "Error",
    "Canceled",
    "Not Sent",
    "Duplicates",
    "First Attempts",
];

fn delivery_row(of: &DeliveryInformation) -> Vec<String> {
    let numbers =
        [of.devices, of.attempts, of.successful, of.error, of.canceled, of.not_dispatched, of.duplicates];
    let mut row = vec![channel(of.channel).to_owned()];
    row.extend(numbers.into_iter().map(count));
    row.push(said(of.first_attempt));
    row
}

fn said(duration: Option<Duration>) -> String {
    duration.map_or_else(|| NONE.to_owned(), length)
}

fn message(report: &Report, sheet: &mut dyn Sheet) -> io::Result<()> {
    sheet.list(&[Fact::new("Subject", &report.subject)])?;
    for text in &report.texts {
        sheet.heading(&text.heading)?;
        let mut facts = Vec::new();
        if let Some(subject) = text.subject.as_ref().filter(|subject| **subject != report.subject) {
            facts.push(Fact::new("Subject", subject));
        }
        if let Some(url) = &text.audio_url {
            facts.push(Fact::new("Recording", url));
        }
        if !text.attachments.is_empty() {
            facts.push(Fact::new("Attachments", text.attachments.join(", ")));
        }
        sheet.list(&facts)?;
        sheet.paragraph(&text.body)?;
    }
    Ok(())
}

/// What the signs mean (62, 63), above the rows that bear them.
fn legend(report: &Report, sheet: &mut dyn Sheet) -> io::Result<()> {
    let sign = sheet.duplicate_sign();
    let so_far = if report.as_of.is_some() { " so far" } else { "" };
    let mut text = String::new();
    if goes_to_phones(report) {
        text =
            format!("* Not contacted by phone{so_far}: no call or text reached a phone of this recipient.  ");
    }
    text.push_str(&format!(
        "{sign} Duplicate: the message goes to this address or number once, by another row; it is left out of the totals.  \
         A number in brackets is the status code."
    ));
    sheet.note(&text)
}
