//! RFC 4180 records, one at a time, in bounded memory.
//!
//! The `csv` crate reads on to the end of the file when a quote is not closed, and silently swallows
//! every row behind it; in a bulk delivery those people would be taken for gone. This reader holds
//! to the grammar, says which line broke it, and goes on with the very next line.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

/// Longer than any honest row; also bounds what an unclosed quote makes us look at.
const MAX_RECORD_BYTES: usize = 64 * 1024;

/// A row's fields, unquoted. Reused from row to row.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The line the row starts on, from 1.
    pub line: u64,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Record {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn field(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn end_field(&mut self) {
        self.ends.push(self.bytes.len());
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Row,
    /// The line in `Record::line` is no row; reading goes on behind it.
    Malformed(Malformed),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    UnclosedQuote,
    TextAfterQuote,
    TooLong,
}

#[derive(Clone, Copy)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    QuoteInQuoted,
}

enum Scan {
    Complete,
    /// The line ends inside quotes: the row goes on.
    Open,
    TextAfterQuote,
}

pub(crate) struct Records<R> {
    input: R,
    /// Lines read ahead while looking for the end of a quoted field.
    ahead: VecDeque<Vec<u8>>,
    /// Emptied line buffers, to be filled again.
    spare: Vec<Vec<u8>>,
    lines_taken: u64,
}

impl<R: BufRead> Records<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, ahead: VecDeque::new(), spare: Vec::new(), lines_taken: 0 }
    }

    /// Reads the next row into `record`. Blank lines are passed over.
    pub(crate) fn next(&mut self, record: &mut Record) -> io::Result<Next> {
        loop {
            if !self.have_line(0)? {
                return Ok(Next::End);
            }
            if !is_blank(&self.ahead[0]) {
                break;
            }
            self.take_lines(1);
        }
        record.clear();
        record.line = self.lines_taken + 1;
        let mut state = State::FieldStart;
        let mut lines = 0;
        let mut bytes = 0;
        loop {
            if !self.have_line(lines)? {
                return Ok(self.give_up_line(Malformed::UnclosedQuote));
            }
            let line = &self.ahead[lines];
            bytes += line.len();
            if bytes > MAX_RECORD_BYTES {
                let fault = if lines == 0 { Malformed::TooLong } else { Malformed::UnclosedQuote };
                return Ok(self.give_up_line(fault));
            }
            lines += 1;
            match scan(line, &mut state, record) {
                Scan::Open => {}
                Scan::TextAfterQuote => return Ok(self.give_up_line(Malformed::TextAfterQuote)),
                Scan::Complete => {
                    self.take_lines(lines);
                    return Ok(Next::Row);
                }
            }
        }
    }

    fn give_up_line(&mut self, fault: Malformed) -> Next {
        self.take_lines(1);
        Next::Malformed(fault)
    }

    fn take_lines(&mut self, count: usize) {
        self.lines_taken += count as u64;
        self.spare.extend(self.ahead.drain(..count));
        // One row is read at a time; more buffers than that are left over from an open quote.
        self.spare.truncate(8);
    }

    /// Whether there is a line `index` lines behind the current one.
    fn have_line(&mut self, index: usize) -> io::Result<bool> {
        while self.ahead.len() <= index {
            let mut line = self.spare.pop().unwrap_or_default();
            line.clear();
            let limit = MAX_RECORD_BYTES as u64 + 1;
            if self.input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
                return Ok(false);
            }
            if line.len() as u64 == limit && !line.ends_with(b"\n") {
                skip_line(&mut self.input)?;
            }
            self.ahead.push_back(line);
        }
        Ok(true)
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let count = end.map_or(buffer.len(), |end| end + 1);
        input.consume(count);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

/// Adds the fields of one line. A quote inside a field that did not start with one is plain text.
fn scan(line: &[u8], state: &mut State, record: &mut Record) -> Scan {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    for &byte in text {
        *state = match (*state, byte) {
            (State::FieldStart, b'"') => State::Quoted,
            (State::FieldStart | State::Plain | State::QuoteInQuoted, b',') => {
                record.end_field();
                State::FieldStart
            }
            (State::Quoted, b'"') => State::QuoteInQuoted,
            (State::QuoteInQuoted, b'"') => {
                record.bytes.push(b'"');
                State::Quoted
            }
            (State::QuoteInQuoted, _) => return Scan::TextAfterQuote,
            (State::Quoted, _) => {
                record.bytes.push(byte);
                State::Quoted
            }
            (State::FieldStart | State::Plain, _) => {
                record.bytes.push(byte);
                State::Plain
            }
        };
    }
    if let State::Quoted = state {
        record.bytes.extend_from_slice(&line[text.len()..]);
        return Scan::Open;
    }
    record.end_field();
    Scan::Complete
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every row as its line and fields; a malformed line as its line and fault.
    fn rows(text: &[u8]) -> Vec<(u64, Result<Vec<String>, Malformed>)> {
        let mut records = Records::new(text);
        let mut record = Record::default();
        let mut rows = Vec::new();
        loop {
            let row = match records.next(&mut record).unwrap() {
                Next::End => return rows,
                Next::Malformed(fault) => Err(fault),
                Next::Row => Ok((0..record.len())
                    .map(|index| String::from_utf8_lossy(record.field(index).unwrap()).into_owned())
                    .collect()),
            };
            rows.push((record.line, row));
        }
    }

    fn row(line: u64, fields: &[&str]) -> (u64, Result<Vec<String>, Malformed>) {
        (line, Ok(fields.iter().map(|field| (*field).to_owned()).collect()))
    }

    #[test]
    fn rows_follow_rfc_4180() {
        let table: &[(&str, &[&[&str]])] = &[
            ("a,b\r\nc,d\r\n", &[&["a", "b"], &["c", "d"]]),
            ("a,b\nc,d", &[&["a", "b"], &["c", "d"]]),
            ("\"a,1\",\"b\"\"2\"\n", &[&["a,1", "b\"2"]]),
            (",\n", &[&["", ""]]),
            ("\"\",\"\"\n", &[&["", ""]]),
            ("a,\"two\r\nlines\"\n", &[&["a", "two\r\nlines"]]),
            ("5\" pipe,John \"Jack\"\n", &[&["5\" pipe", "John \"Jack\""]]),
        ];
        for (text, expected) in table {
            let fields: Vec<_> = rows(text.as_bytes()).into_iter().map(|(_, row)| row.unwrap()).collect();
            assert_eq!(&fields, expected, "{text:?}");
        }
    }

    #[test]
    fn lines_are_counted_through_blank_lines_and_quoted_breaks() {
        let text = b"a\n\n\"b\nb\"\r\n\r\nc\n";
        assert_eq!(rows(text), [row(1, &["a"]), row(3, &["b\nb"]), row(6, &["c"])]);
    }

    #[test]
    fn a_broken_quote_costs_its_line_and_no_other() {
        let open_to_the_end = b"a,1\nb,\"2\nc,3\nd,4\n";
        assert_eq!(
            rows(open_to_the_end),
            [
                row(1, &["a", "1"]),
                (2, Err(Malformed::UnclosedQuote)),
                row(3, &["c", "3"]),
                row(4, &["d", "4"])
            ]
        );
        let closed_by_a_later_row = b"a,\"1\nb,\"2,3\"\n";
        assert_eq!(rows(closed_by_a_later_row), [(1, Err(Malformed::TextAfterQuote)), row(2, &["b", "2,3"])]);
    }

    #[test]
    fn an_endless_line_is_passed_over_in_bounded_memory() {
        let mut text = vec![b'x'; MAX_RECORD_BYTES * 3];
        text.extend_from_slice(b"\na,b\n");
        assert_eq!(rows(&text), [(1, Err(Malformed::TooLong)), row(2, &["a", "b"])]);

        let mut open_quote = b"\"".to_vec();
        open_quote.extend("line\n".repeat(MAX_RECORD_BYTES / 4).bytes());
        let rows = rows(&open_quote);
        assert_eq!(rows[0], (1, Err(Malformed::UnclosedQuote)));
        assert_eq!(rows[1], row(2, &["line"]));
        assert_eq!(rows.len(), MAX_RECORD_BYTES / 4);
    }

    proptest! {
        #[test]
        fn what_the_csv_writer_writes_is_read_back(
            written in prop::collection::vec(prop::collection::vec("[a-z,\"\r\n é]{0,6}", 2..4), 0..8)
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for fields in &written {
                writer.write_record(fields).unwrap();
            }
            let text = writer.into_inner().unwrap();
            let fields: Vec<_> = rows(&text).into_iter().map(|(_, row)| row.unwrap()).collect();
            prop_assert_eq!(fields, written);
        }
    }
}
