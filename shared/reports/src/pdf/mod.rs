//! The report as PDF: US Letter, one column, a table whose head stands on every page.
//!
//! A page leaves as soon as it is full. What the file's end repeats, where its objects lie and which glyphs were used, is all
//! that is held (docs/adr/0033-reports.md).

mod file;
mod font;
mod page;
mod shape;

use std::io::{self, Write};

use self::font::Weight;
use self::page::{Cell, Pages, Style};
use crate::cells::Line;
use crate::report::Report;
use crate::sheet::{Fact, Sheet};

const DUPLICATE: &str = "†";

/// Of the detail's columns: recipient, student, device, status, time. In points; together the page's width.
const DETAIL_WIDTHS: [f32; 5] = [122.0, 106.0, 130.0, 82.0, 100.0];
const DETAIL_HEAD: [&str; 5] = ["Recipient", "Student", "Delivery Device", "Status", "Time"];
/// Of facts that stand side by side.
const FACT_COLUMNS: usize = 2;
/// The name's part of a column of facts.
const FACT_NAME_PART: f32 = 0.61;
const LIST_NAME_WIDTH: f32 = page::WIDTH / FACT_COLUMNS as f32 * FACT_NAME_PART;

const TITLE: Style = Style { weight: Weight::Bold, size: 9.0, gray: 0.38 };
const ABOUT: Style = Style { weight: Weight::Bold, size: 16.0, gray: 0.0 };
const SECTION: Style = Style { weight: Weight::Bold, size: 11.0, gray: 0.0 };
const HEADING: Style = Style { weight: Weight::Bold, size: 9.0, gray: 0.25 };
const BODY: Style = Style { weight: Weight::Regular, size: 9.0, gray: 0.0 };
const NAME: Style = Style { weight: Weight::Regular, size: 8.0, gray: 0.38 };
const VALUE: Style = Style { weight: Weight::Regular, size: 8.0, gray: 0.0 };
const NOTE: Style = Style { weight: Weight::Regular, size: 7.5, gray: 0.38 };
const HEAD_CELL: Style = Style { weight: Weight::Bold, size: 8.0, gray: 0.25 };
const CELL: Style = Style { weight: Weight::Regular, size: 8.0, gray: 0.0 };

pub(crate) struct Pdf<W: Write> {
    pages: Pages<W>,
    in_detail: bool,
}

impl<W: Write> Pdf<W> {
    pub fn new(sink: W, report: &Report) -> io::Result<Self> {
        let footer = format!("{} · Message {}", report.district, report.number);
        let dated = report.ended_at.or(report.as_of).unwrap_or(report.created_at);
        let title = format!("{}: {}", report.title(), report.subject);
        Ok(Self { pages: Pages::new(sink, footer, title, dated)?, in_detail: false })
    }

    fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        let row = self.pages.set(cells);
        if self.in_detail && !self.pages.has_room_for(&row) {
            self.pages.turn()?;
            self.detail_head()?;
        }
        self.pages.place(&row)?;
        self.pages.rule(0.25, 0.85);
        Ok(())
    }

    fn detail_head(&mut self) -> io::Result<()> {
        let cells: Vec<Cell<'_>> = DETAIL_HEAD
            .iter()
            .zip(DETAIL_WIDTHS)
            .map(|(text, width)| Cell::left(text, width, HEAD_CELL))
            .collect();
        self.pages.row(&cells)?;
        self.pages.rule(0.75, 0.4);
        Ok(())
    }

    fn named(&mut self, fact: &Fact, name_width: f32) -> io::Result<()> {
        let value_width = page::WIDTH - name_width;
        self.pages.row(&[
            Cell::left(&fact.name, name_width, NAME).tight(),
            Cell::left(&fact.value, value_width, VALUE).tight(),
        ])
    }
}

impl<W: Write> Sheet for Pdf<W> {
    fn title(&mut self, title: &str, about: &str) -> io::Result<()> {
        self.pages.text(title, TITLE)?;
        self.pages.gap(3.0);
        self.pages.text(about, ABOUT)?;
        self.pages.gap(6.0);
        self.pages.rule(1.0, 0.0);
        self.pages.gap(6.0);
        Ok(())
    }

    fn section(&mut self, name: &str) -> io::Result<()> {
        self.pages.gap(14.0);
        // A heading stays with what it is of.
        self.pages.keep(64.0)?;
        self.pages.text(name, SECTION)?;
        self.pages.gap(2.0);
        self.pages.rule(0.5, 0.7);
        self.pages.gap(4.0);
        Ok(())
    }

    fn facts(&mut self, facts: &[Fact]) -> io::Result<()> {
        let column = page::WIDTH / FACT_COLUMNS as f32;
        let (name, value) = (column * FACT_NAME_PART, column * (1.0 - FACT_NAME_PART));
        // Read down the first column, then the second.
        let height = facts.len().div_ceil(FACT_COLUMNS);
        for at in 0..height {
            let cells: Vec<Cell<'_>> = facts
                .iter()
                .skip(at)
                .step_by(height.max(1))
                .flat_map(|fact| {
                    [
                        Cell::left(&fact.name, name, NAME).tight(),
                        Cell::left(&fact.value, value, VALUE).tight(),
                    ]
                })
                .collect();
            self.pages.row(&cells)?;
        }
        Ok(())
    }

    fn list(&mut self, facts: &[Fact]) -> io::Result<()> {
        facts.iter().try_for_each(|fact| self.named(fact, LIST_NAME_WIDTH))
    }

    fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        let first = 84.0;
        let rest = (page::WIDTH - first) / head.len().saturating_sub(1).max(1) as f32;
        let cell = |at: usize, text, style| match at {
            0 => Cell::left(text, first, style),
            _ => Cell::right(text, rest, style),
        };
        self.pages.gap(8.0);
        let cells: Vec<Cell<'_>> =
            head.iter().enumerate().map(|(at, text)| cell(at, *text, HEAD_CELL)).collect();
        self.pages.row(&cells)?;
        self.pages.rule(0.75, 0.4);
        for row in rows {
            let cells: Vec<Cell<'_>> =
                row.iter().enumerate().map(|(at, text)| cell(at, text.as_str(), CELL)).collect();
            self.row(&cells)?;
        }
        self.pages.gap(6.0);
        Ok(())
    }

    fn heading(&mut self, text: &str) -> io::Result<()> {
        self.pages.gap(6.0);
        self.pages.keep(36.0)?;
        self.pages.text(text, HEADING)?;
        self.pages.gap(2.0);
        Ok(())
    }

    fn paragraph(&mut self, text: &str) -> io::Result<()> {
        self.pages.text(text, BODY)
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.pages.text(text, NOTE)?;
        self.pages.gap(2.0);
        Ok(())
    }

    fn begin_detail(&mut self) -> io::Result<()> {
        self.pages.gap(4.0);
        self.pages.keep(48.0)?;
        self.in_detail = true;
        self.detail_head()
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        let recipient = if line.not_contacted { &format!("{} *", line.recipient) } else { line.recipient };
        let device = match (line.device, line.duplicate) {
            ("", _) => line.mode,
            (device, true) => &format!("{}: {device} {DUPLICATE}", line.mode),
            (device, false) => &format!("{}: {device}", line.mode),
        };
        let status = line.status_with_codes();
        let texts = [recipient, line.student, device, status.as_str(), line.time.as_str()];
        let cells: [Cell<'_>; 5] = std::array::from_fn(|at| Cell::left(texts[at], DETAIL_WIDTHS[at], CELL));
        self.row(&cells)
    }

    fn end_detail(&mut self) -> io::Result<()> {
        self.in_detail = false;
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.pages.finish()
    }

    fn duplicate_sign(&self) -> &'static str {
        DUPLICATE
    }
}
