//! A message with odd outcomes, and names in several scripts.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::counters::{self, DeliveryInformation, Totals};
use tocsin_domain::{AttemptResult, Channel, Outcome};
use tocsin_reports::{Canceled, Choice, Detail, Device, Format, Person, Report, Row, Text, write};

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub fn all() -> Choice {
    Choice { detail: Detail::All, modes: Channel::ALL.to_vec(), statuses: None, no_device: true }
}

/// The report of `rows`, with their own numbers.
pub fn report(choice: Choice, rows: &[Row]) -> Report {
    let counted = counters::recount(rows.iter().map(counted));
    Report {
        district: "Plainview Schools".to_owned(),
        zone: "America/Chicago".parse().unwrap(),
        number: 1042,
        subject: "School is cancelled".to_owned(),
        test: false,
        message_type: "General".to_owned(),
        status: "Sent".to_owned(),
        sender: "Administrator, System".to_owned(),
        created_at: at("2026-11-01T05:54:10Z"),
        scheduled_at: at("2026-11-01T05:55:00Z"),
        started_at: Some(at("2026-11-01T05:55:01Z")),
        ended_at: Some(at("2026-11-01T07:35:41Z")),
        canceled: None,
        as_of: None,
        channels: Channel::ALL.to_vec(),
        totals: counted.totals,
        delivery: counted.channels,
        duration: Some(Duration::from_secs(6040)),
        first_attempt: Some(Duration::from_secs(75)),
        criteria: vec![
            ("Deliver To".to_owned(), "Contacts of students".to_owned()),
            ("Messages".to_owned(), "One Message For Each Device".to_owned()),
            ("Schools".to_owned(), "Harrison High, Lincoln Elementary".to_owned()),
        ],
        texts: vec![
            Text {
                heading: "Default language · All delivery modes".to_owned(),
                subject: None,
                audio_url: None,
                attachments: Vec::new(),
                body: "{{ school_name }} is closed today due to the weather.\n\nPlease keep {{ given_name | everybody }} at home; \
                       practice, band and the evening concert are off, too. The decision about tomorrow will be sent by \
                       six o'clock this evening."
                    .to_owned(),
            },
            Text {
                heading: "Vietnamese · Text".to_owned(),
                subject: Some("Trường đóng cửa".to_owned()),
                audio_url: None,
                attachments: Vec::new(),
                body: "Hôm nay trường nghỉ học vì thời tiết xấu.".to_owned(),
            },
        ],
        choice,
    }
}

pub fn canceled(report: Report) -> Report {
    let at = at("2026-11-01T06:10:00Z");
    let canceled = Canceled { at, by: Some("J. Doe".to_owned()), reason: Some("wrong school".to_owned()) };
    Report { canceled: Some(canceled), status: "Canceled".to_owned(), ..report }
}

/// The same bytes whoever asks, or the failure of a test.
pub fn bytes(report: &Report, format: Format, rows: &[Row], page: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let pages = rows.chunks(page).map(|page| Ok::<_, Infallible>(page.to_vec()));
    write(report, format, pages, &mut bytes).unwrap();
    bytes
}

/// A call or text that is over, an hour in which the clocks are set back.
fn device(channel: Channel, address: &str, outcome: Outcome) -> Device {
    Device {
        channel,
        address: address.to_owned(),
        duplicate: false,
        ended: true,
        outcome: Some(outcome),
        sent_outcome: None,
        provider_code: None,
        time: Some(at("2026-11-01T06:30:05Z") + TimeDelta::seconds(address.len() as i64)),
    }
}

fn duplicate(channel: Channel, address: &str, sent: Outcome) -> Device {
    Device { duplicate: true, sent_outcome: Some(sent), ..device(channel, address, Outcome::Duplicate) }
}

fn row(person: i64, recipient: &str, student: Option<&str>, device: Option<Device>) -> Row {
    let student = student.map(str::to_owned);
    Row { person: Person(person), recipient: recipient.to_owned(), student, device }
}

/// Twelve people: shared phones, duplicates that were and were not reached, no device, several scripts, formulas.
pub fn rows() -> Vec<Row> {
    use Channel::{Email, Inbox, Sms, Voice};
    let open = |device: Device| Device { ended: false, ..device };
    let unknown = |device: Device| Device { provider_code: Some("EC-42".to_owned()), ..device };
    vec![
        row(
            1,
            "Heather Parent",
            Some("Calvin Student"),
            Some(device(Voice, "+15551230001", Outcome::LivePerson)),
        ),
        row(
            1,
            "Heather Parent",
            Some("Calvin Student"),
            Some(device(Email, "heather@nomail.example", Outcome::Delivered)),
        ),
        row(
            2,
            "Tad Parent",
            Some("Karen Student"),
            Some(duplicate(Voice, "+15551230001", Outcome::LivePerson)),
        ),
        row(
            2,
            "Tad Parent",
            Some("Karen Student"),
            Some(device(Email, "tad@nomail.example", Outcome::HardBounce)),
        ),
        row(3, "Kris Parent", Some("Lauren Student"), Some(device(Voice, "+15551230003", Outcome::Busy))),
        row(3, "Kris Parent", Some("Lauren Student"), Some(device(Sms, "+15551230003", Outcome::OptOut))),
        row(
            4,
            "Nguyễn Thị Hương",
            Some("Nguyễn Văn Đức"),
            Some(device(Sms, "+15551230004", Outcome::Delivered)),
        ),
        row(5, "Жанна Иванова", Some("Пётр Иванов"), Some(device(Sms, "+15551230005", Outcome::Undelivered))),
        row(
            6,
            "José Muñoz Güell",
            Some("Íñigo Muñoz"),
            Some(duplicate(Sms, "+15551230005", Outcome::Undelivered)),
        ),
        row(7, "محمد علي", Some("ليلى محمد"), Some(device(Inbox, "mohamed", Outcome::InboxDelivered))),
        row(8, "No Device", None, None),
        row(
            9,
            "=HYPERLINK(\"http://evil.example\")",
            Some("@SUM(A1)"),
            Some(unknown(device(Voice, "+15551230009", Outcome::Unknown))),
        ),
        row(10, "王小明 😀", Some("王 明"), Some(device(Voice, "+15551230010", Outcome::Canceled))),
        row(
            11,
            "Ola & <Co>",
            Some("Nils \"N\" Co"),
            Some(open(device(Voice, "+15551230011", Outcome::NoAnswer))),
        ),
        row(
            12,
            "Maximiliana Featherstonehaugh-Cholmondeley the Younger of Marjoribanks",
            Some("Bartholomew Featherstonehaugh-Cholmondeley"),
            Some(device(
                Email,
                "maximiliana.featherstonehaugh.cholmondeley@an-extremely-long-domain-name.example",
                Outcome::Expired,
            )),
        ),
    ]
}

/// As the domain counts it.
fn counted(row: &Row) -> counters::Row<'_> {
    let device = row.device.as_ref().map(|device| counters::Device {
        channel: device.channel,
        address: &device.address,
        student: None,
        duplicate: device.duplicate,
        repeats: false,
        ended: device.ended,
        outcome: device.outcome,
        attempts: device
            .outcome
            .map(Outcome::result)
            .filter(|it| *it != AttemptResult::NotDispatched)
            .into_iter()
            .collect(),
        first_attempt: Some(Duration::from_secs(3)),
    });
    counters::Row { person: row.person.0, device }
}

pub fn recount(rows: &[Row]) -> (Totals, Vec<DeliveryInformation>) {
    let counted = counters::recount(rows.iter().map(counted));
    (counted.totals, counted.channels)
}
