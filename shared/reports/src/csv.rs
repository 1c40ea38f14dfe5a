//! The report as CSV (RFC 4180, UTF-8 with the mark by which spreadsheets know it).

use std::io::{self, Write};

use csv::{Terminator, Writer, WriterBuilder};

use crate::cells::Line;
use crate::sheet::{Fact, Sheet};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
const DUPLICATE: &str = "&";

pub(crate) struct Csv<W: Write> {
    writer: Writer<W>,
}

impl<W: Write> Csv<W> {
    pub fn new(mut sink: W) -> io::Result<Self> {
        sink.write_all(BYTE_ORDER_MARK)?;
        let mut builder = WriterBuilder::new();
        builder.flexible(true).terminator(Terminator::CRLF).buffer_capacity(64 * 1024);
        Ok(Self { writer: builder.from_writer(sink) })
    }

    pub fn record<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
        for cell in cells {
            self.cell(cell)?;
        }
        self.end()
    }

    fn cell(&mut self, text: &str) -> io::Result<()> {
        if is_formula(text) {
            self.writer.write_field(format!("'{text}"))?;
        } else {
            self.writer.write_field(text)?;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(self.writer.write_record(None::<&[u8]>)?)
    }

    /// A text with a sign behind it.
    fn marked(&mut self, text: &str, sign: Option<&str>) -> io::Result<()> {
        match sign {
            None => self.cell(text),
            Some(sign) => self.cell(&format!("{text} {sign}")),
        }
    }
}

impl<W: Write> Sheet for Csv<W> {
    fn title(&mut self, title: &str, about: &str) -> io::Result<()> {
        self.record([title, about])
    }

    fn section(&mut self, name: &str) -> io::Result<()> {
        self.record([""])?;
        self.record([name])
    }

    fn facts(&mut self, facts: &[Fact]) -> io::Result<()> {
        let mut said = facts.iter().filter(|fact| !fact.name.is_empty());
        said.try_for_each(|fact| self.record([fact.name.as_str(), fact.value.as_str()]))
    }

    fn list(&mut self, facts: &[Fact]) -> io::Result<()> {
        facts.iter().try_for_each(|fact| self.record([fact.name.as_str(), fact.value.as_str()]))
    }

    fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        self.record(head.iter().copied())?;
        rows.iter().try_for_each(|row| self.record(row.iter().map(String::as_str)))
    }

    fn heading(&mut self, text: &str) -> io::Result<()> {
        self.record([text])
    }

    fn paragraph(&mut self, text: &str) -> io::Result<()> {
        self.record([text])
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.record([text])
    }

    fn begin_detail(&mut self) -> io::Result<()> {
        self.record([
            "Recipient",
            "Student",
            "Delivery Mode",
            "Delivery Device",
            "Status",
            "Status Code",
            "Provider Code",
            "Time",
        ])
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.marked(line.recipient, line.not_contacted.then_some("*"))?;
        self.cell(line.student)?;
        self.cell(line.mode)?;
        self.marked(line.device, line.duplicate.then_some(DUPLICATE))?;
        self.cell(&line.status)?;
        self.cell(&line.call_code.map_or_else(String::new, |code| code.to_string()))?;
        self.cell(line.provider_code.unwrap_or_default())?;
        self.cell(&line.time)?;
        self.end()
    }

    fn end_detail(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    fn duplicate_sign(&self) -> &'static str {
        DUPLICATE
    }
}

/// Would a spreadsheet take it for a formula? A sign and digits alone are a number, such as a phone's.
fn is_formula(text: &str) -> bool {
    let body = text.trim_start_matches([' ', '\u{a0}', '\u{feff}']);
    let Some(first) = body.chars().next() else { return false };
    match first {
        '=' | '@' | '\t' | '\r' | '\n' | '|' | '＝' | '＋' | '－' | '＠' => true,
        '+' | '-' => !is_number(&body[1..]),
        _ => false,
    }
}

/// Digits, as many as a phone number or a code has, and the sign of a duplicate behind them.
fn is_number(text: &str) -> bool {
    let digits = text.strip_suffix(" &").unwrap_or(text);
    (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_compute_is_no_formula_any_more() {
        for formula in [
            "=1+1",
            "=HYPERLINK(\"http://evil.example\")",
            "@SUM(A1)",
            "+cmd|' /C calc'!A0",
            "-2+3",
            "\t=1",
            "\r=1",
            " =1",
            "＝1+1",
            "+1555 123",
            "-",
            "+",
            "\u{feff}=1",
        ] {
            assert!(is_formula(formula), "{formula:?}");
        }
        for text in
            ["", "Ann", "+15551230001", "+15551230001 &", "-22", "a=b", "* Ann", "–", "O'Brien", "3-4"]
        {
            assert!(!is_formula(text), "{text:?}");
        }
    }

    #[test]
    fn cells_are_quoted_and_defused() {
        let mut bytes = Vec::new();
        let mut sheet = Csv::new(&mut bytes).unwrap();
        sheet.record(["a,b", "say \"hi\"", "=1+1", "two\nlines"]).unwrap();
        sheet.finish().unwrap();
        drop(sheet);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "\u{feff}\"a,b\",\"say \"\"hi\"\"\",'=1+1,\"two\nlines\"\r\n"
        );
    }
}
