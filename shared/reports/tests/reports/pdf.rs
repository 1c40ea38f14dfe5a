//! PDF, read by poppler.

use tocsin_reports::{Choice, Detail, Format, Person, Report, Row};

use crate::papers::{keep, text_of_pdf};
use crate::sample::{all, bytes, canceled, report, rows};

#[test]
fn its_text_is_what_was_written_in_every_script() {
    let rows = rows();
    let pdf = bytes(&canceled(report(all(), &rows)), Format::Pdf, &rows, 3);
    keep("sample.pdf", &pdf);
    let text = text_of_pdf(&pdf);
    for wanted in [
        "Sent Message Report",
        "Plainview Schools",
        "11/01/2026 01:10:00 AM by J. Doe: wrong school",
        "Hôm nay trường nghỉ học vì thời tiết xấu.",
        "Nguyễn Thị Hương",
        "Жанна Иванова *",
        "José Muñoz Güell *",
        "† Duplicate:",
        "Voice: +15551230001 †",
        "N/S (9) (EC-42)",
        "Ola & <Co> *",
        "Page 1 of 2",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    // What the font lacks is seen to be missing: three letters.
    assert!(text.contains("\u{fffd}\u{fffd}\u{fffd} 😀 *"), "{text}");
    let arabic: String = text.chars().filter(|letter| ('\u{600}'..='\u{6ff}').contains(letter)).collect();
    for letter in "محمدعلي".chars() {
        assert!(arabic.contains(letter), "{letter} of {arabic}");
    }
}

#[test]
fn every_page_has_the_head_of_the_detail_and_its_number() {
    let rows: Vec<Row> = (0..40)
        .flat_map(|copy| {
            rows().into_iter().map(move |row| Row { person: Person(row.person.0 + 100 * copy), ..row })
        })
        .collect();
    let pdf = bytes(&report(all(), &rows), Format::Pdf, &rows, 50);
    keep("long.pdf", &pdf);
    let text = text_of_pdf(&pdf);
    let pages: Vec<&str> = text.split('\u{c}').filter(|page| !page.trim().is_empty()).collect();
    assert!(pages.len() > 8, "{} pages", pages.len());
    for (at, page) in pages.iter().enumerate() {
        assert!(page.contains(&format!("Page {} of {}", at + 1, pages.len())), "{page}");
        let heads =
            page.lines().filter(|line| line.contains("Delivery Device") && line.contains("Status")).count();
        assert_eq!(heads, usize::from(at > 0 || page.contains("Delivery Detail")), "{page}");
    }
    assert_eq!(text.matches("Live Person").count(), 40);
}

#[test]
fn a_text_longer_than_a_page_goes_on_and_control_characters_do_no_harm() {
    let rows = rows();
    let mut long = report(Choice { detail: Detail::All, ..all() }, &rows);
    long.texts[0].body = format!("begin\u{0}\u{7} {} end", "word ".repeat(9_000));
    long.subject = "x".repeat(255);
    long.district = "A district with a very long name ".repeat(12);
    let text = text_of_pdf(&bytes(&long, Format::Pdf, &rows, 100));
    assert_eq!(text.matches("word").count(), 9_000);
    assert!(text.contains("begin") && text.contains("end"));
}

#[test]
fn the_report_of_a_test_says_so_at_its_head() {
    let rows = rows();
    for (test, title) in [(false, "Sent Message Report\n"), (true, "Sent Message Report of a Test\n")] {
        let report = Report { test, ..report(all(), &rows) };
        let text = text_of_pdf(&bytes(&report, Format::Pdf, &rows, 100));
        assert!(text.trim_start().starts_with(title), "{test}: {text}");
    }
}
