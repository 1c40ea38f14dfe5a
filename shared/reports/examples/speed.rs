//! How long a report of many rows takes to render, and how much memory: docs/SPEED.md.
//!
//! `cargo run --release -p tocsin-reports --example speed -- pdf 100000 [FILE]`

use std::convert::Infallible;
use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tocsin_domain::{Channel, Outcome};
use tocsin_reports::{Choice, Detail, Device, Format, Person, Report, Row, Text, write};

const PAGE: i64 = 2_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let format = Format::ALL.into_iter().find(|it| arguments.first().is_some_and(|name| it.as_str() == name));
    let (Some(format), Some(rows)) = (format, arguments.get(1).and_then(|rows| rows.parse::<i64>().ok()))
    else {
        return Err("usage: speed pdf|csv|docx ROWS [FILE]".into());
    };
    let sink: Box<dyn Write> = match arguments.get(2) {
        Some(path) => Box::new(BufWriter::new(std::fs::File::create(path)?)),
        None => Box::new(io::sink()),
    };
    let mut sink = Counted { sink, bytes: 0 };
    let since = Instant::now();
    let pages = (0..(rows + PAGE - 1) / PAGE)
        .map(|page| Ok::<_, Infallible>((page * PAGE..rows.min((page + 1) * PAGE)).map(row).collect()));
    write(&report(), format, pages, &mut sink)?;
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim().to_owned();
    println!(
        "{} {rows} rows: {:.2} s, {:.1} MB written, peak memory {peak}",
        format.as_str(),
        since.elapsed().as_secs_f64(),
        sink.bytes as f64 / 1e6
    );
    Ok(())
}

struct Counted {
    sink: Box<dyn Write>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        self.sink.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

fn begin() -> DateTime<Utc> {
    DateTime::from_timestamp(1_793_512_800, 0).unwrap_or_default()
}

/// Two devices a person, in four scripts.
fn row(at: i64) -> Row {
    let person = at / 2;
    let family = ["Rivera", "Nguyễn", "Иванова", "O'Brien-Castañeda"][(person % 4) as usize];
    let (channel, address) = match at % 2 {
        0 => (Channel::Sms, format!("+1312{person:07}")),
        _ => (Channel::Email, format!("guardian{person}@example.org")),
    };
    let outcome =
        [Outcome::Delivered, Outcome::Sent, Outcome::Undelivered, Outcome::OptOut][(at % 4) as usize];
    let device = Device {
        channel,
        address,
        duplicate: at % 50 == 7,
        ended: true,
        outcome: Some(outcome),
        sent_outcome: Some(Outcome::Delivered),
        provider_code: None,
        time: Some(begin() + TimeDelta::seconds(at)),
    };
    let (recipient, student) = (format!("Guardian {family} {person}"), Some(format!("Sam {family}")));
    Row { person: Person(person), recipient, student, device: Some(device) }
}

fn report() -> Report {
    Report {
        district: "Plainview Schools".to_owned(),
        zone: chrono_tz::America::Chicago,
        number: 1,
        subject: "Early dismissal".to_owned(),
        test: false,
        message_type: "General".to_owned(),
        status: "Sent".to_owned(),
        sender: "Administrator".to_owned(),
        created_at: begin(),
        scheduled_at: begin(),
        started_at: Some(begin()),
        ended_at: Some(begin() + TimeDelta::hours(1)),
        canceled: None,
        as_of: None,
        channels: vec![Channel::Sms, Channel::Email],
        totals: Default::default(),
        delivery: Vec::new(),
        duration: Some(Duration::from_secs(3600)),
        first_attempt: Some(Duration::from_secs(60)),
        criteria: Vec::new(),
        texts: vec![Text {
            heading: "Default language".to_owned(),
            subject: None,
            audio_url: None,
            attachments: Vec::new(),
            body: "School ends at noon.".to_owned(),
        }],
        choice: Choice {
            detail: Detail::All,
            modes: vec![Channel::Sms, Channel::Email],
            statuses: None,
            no_device: true,
        },
    }
}
