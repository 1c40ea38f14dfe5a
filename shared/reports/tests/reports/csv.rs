//! CSV, read back.

use tocsin_domain::Channel;
use tocsin_reports::{Choice, Detail, Format, Statuses};

use crate::sample::{all, bytes, report, rows};

/// Its records, without the mark in front.
fn read(bytes: &[u8]) -> Vec<Vec<String>> {
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).expect("the mark that spreadsheets know UTF-8 by");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn made(choice: Choice) -> Vec<Vec<String>> {
    let rows = rows();
    read(&bytes(&report(choice, &rows), Format::Csv, &rows, 4))
}

/// The lines of the delivery detail.
fn detail(records: &[Vec<String>]) -> &[Vec<String>] {
    let head = records.iter().position(|record| record.first().is_some_and(|cell| cell == "Recipient"));
    &records[head.expect("a head of the detail") + 1..]
}

fn value<'a>(records: &'a [Vec<String>], name: &str) -> &'a str {
    let found = records.iter().find(|record| record.first().is_some_and(|cell| cell == name));
    &found.unwrap_or_else(|| panic!("no {name}"))[1]
}

#[test]
fn every_row_stands_in_the_detail_with_its_signs_and_times() {
    let records = made(all());
    let lines = detail(&records);
    let cells = |at: usize| lines[at].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(lines.len(), 15);
    assert_eq!(
        cells(0),
        [
            "Heather Parent",
            "Calvin Student",
            "Voice",
            "+15551230001",
            "Live Person",
            "5",
            "",
            "11/01/2026 01:30:17 AM"
        ]
    );
    // A duplicate of a phone that was reached: its people were, too.
    assert_eq!(cells(2)[..5], ["Tad Parent", "Karen Student", "Voice", "+15551230001 &", "Duplicate"]);
    assert_eq!(cells(4)[..5], ["Kris Parent *", "Lauren Student", "Voice", "+15551230003", "Busy"]);
    assert_eq!(cells(10)[..5], ["No Device *", "", "", "", "No Device"]);
    assert_eq!(cells(13)[4], "In-Progress (No Answer)");
    // What nobody mapped is kept as it came.
    assert_eq!(cells(11)[4..7], ["N/S", "9", "EC-42"]);
}

#[test]
fn whoever_is_starred_is_counted_as_not_contacted_by_phone() {
    let records = made(all());
    let starred: std::collections::BTreeSet<&str> =
        detail(&records).iter().map(|line| line[0].as_str()).filter(|name| name.ends_with(" *")).collect();
    assert_eq!(starred.len().to_string(), value(&records, "Recipients not contacted by phone"));
    assert_eq!(value(&records, "Recipients contacted successfully by phone"), "3");
}

#[test]
fn no_cell_is_a_formula() {
    let records = made(all());
    let begins = |cell: &&String| {
        let cell = cell.trim_start();
        let number = cell.strip_prefix(['+', '-']).map(|rest| rest.trim_end_matches(" &"));
        let is_number =
            number.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()));
        cell.starts_with(['=', '+', '-', '@', '\t']) && !is_number
    };
    let formulas: Vec<_> = records.iter().flatten().filter(begins).collect();
    assert_eq!(formulas, Vec::<&String>::new());
    assert_eq!(detail(&records)[11][..2], ["'=HYPERLINK(\"http://evil.example\") *", "'@SUM(A1)"]);
}

#[test]
fn modes_statuses_and_detail_are_what_was_chosen() {
    let names = |records: &[Vec<String>]| {
        detail(records)
            .iter()
            .map(|line| format!("{}/{}", line[0].trim_end_matches(" *"), line[2]))
            .collect::<Vec<_>>()
    };
    let errors = Choice {
        modes: vec![Channel::Sms],
        statuses: Some(Statuses::named(["error", "opt_out"]).unwrap()),
        no_device: false,
        ..all()
    };
    assert_eq!(names(&made(errors)), ["Kris Parent/Text", "Жанна Иванова/Text"]);
    // Whoever shares a phone at which the delivery failed is among them, and every device of theirs.
    let failed = Choice { detail: Detail::Failed, ..all() };
    let records = made(failed);
    assert_eq!(
        names(&records),
        [
            "Tad Parent/Voice",
            "Tad Parent/Email",
            "Жанна Иванова/Text",
            "José Muñoz Güell/Text",
            "Maximiliana Featherstonehaugh-Cholmondeley the Younger of Marjoribanks/Email"
        ]
    );
    assert_eq!(value(&records, "Report Detail"), "Failed Delivery");
    let summary = made(Choice { detail: Detail::Summary, no_device: false, ..all() });
    assert!(!summary.iter().any(|record| record[0] == "Delivery Detail" || record[0] == "Total No Device"));
    assert_eq!(value(&summary, "Total Recipients"), "12");
}

#[test]
fn the_statement_about_texts_and_the_legend_are_there() {
    let text = String::from_utf8(bytes(&report(all(), &rows()), Format::Csv, &rows(), 100)).unwrap();
    assert!(text.contains("no guarantee that the recipient has retrieved it"), "{text}");
    assert!(text.contains("& Duplicate:") && text.contains("* Not contacted by phone:"), "{text}");
}
