//! What holds of every format: the same bytes, the same numbers, no text that breaks it.

use std::io;

use proptest::prelude::*;
use tocsin_domain::{Channel, Outcome};
use tocsin_reports::{Device, Format, Person, ReportError, Row, write};

use crate::sample::{all, at, bytes, recount, report, rows};

#[test]
fn the_same_message_makes_the_same_bytes_however_its_rows_are_paged() {
    let rows = rows();
    for format in Format::ALL {
        let made = bytes(&report(all(), &rows), format, &rows, 100);
        for page in [1, 2, 7] {
            assert_eq!(
                bytes(&report(all(), &rows), format, &rows, page),
                made,
                "{format:?}, pages of {page}"
            );
        }
    }
}

#[test]
fn the_samples_numbers_are_the_domains() {
    let (totals, channels) = recount(&rows());
    assert_eq!((totals.recipients, totals.no_device, totals.voice, totals.text), (12, 1, 5, 3));
    assert_eq!((totals.voice_attempted, totals.text_attempted), (4, 2));
    assert_eq!(channels.iter().map(|it| it.duplicates).sum::<u64>(), 2);
}

#[test]
fn rows_that_cannot_be_read_end_the_report_with_an_error() {
    let rows = rows();
    for format in Format::ALL {
        let pages = [Ok(rows.clone()), Err(io::Error::other("away"))].into_iter();
        let ended = write(&report(all(), &rows), format, pages, io::sink());
        assert!(matches!(ended, Err(ReportError::Rows(_))), "{format:?}");
    }
}

#[test]
fn a_sink_that_takes_no_more_ends_the_report_with_an_error() {
    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or_else(|| io::Error::other("gone"))?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let rows = rows();
    for format in Format::ALL {
        let pages = std::iter::once(Ok::<_, io::Error>(rows.clone()));
        let ended = write(&report(all(), &rows), format, pages, Full(600));
        assert!(matches!(ended, Err(ReportError::Sink(_))), "{format:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_is_written(name in "\\PC{0,40}|.{0,12}", address in ".{0,60}", body in "(?s).{0,80}") {
        let device = Device {
            channel: Channel::Email, address, duplicate: false, ended: true, outcome: Some(Outcome::Sent),
            sent_outcome: None, provider_code: None, time: Some(at("2026-03-08T08:00:00Z")),
        };
        let rows = [Row { person: Person(1), recipient: name.clone(), student: Some(name), device: Some(device) }];
        let mut message = report(all(), &rows);
        message.texts[0].body = body;
        for format in Format::ALL {
            prop_assert!(!bytes(&message, format, &rows, 1).is_empty());
        }
    }
}
