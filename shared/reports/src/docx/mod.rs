//! The report as DOCX: a zip of a few fixed parts and one document that is written row by row.

mod parts;
mod xml;

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use self::xml::escaped;
use crate::cells::Line;
use crate::report::Report;
use crate::sheet::{Fact, Sheet};

const DUPLICATE: &str = "†";
const DOCUMENT: &str = "word/document.xml";
/// Bytes that are collected before they are packed.
const BUFFER: usize = 64 * 1024;

/// In twentieths of a point; together the width between the margins.
const DETAIL_WIDTHS: [u32; 5] = [2420, 2120, 2600, 1660, 2000];
const DETAIL_HEAD: [&str; 5] = ["Recipient", "Student", "Delivery Device", "Status", "Time"];
const FACT_WIDTHS: [u32; 4] = [3200, 2200, 3200, 2200];
const LIST_WIDTHS: [u32; 2] = [3200, 7600];
const FIRST_COLUMN: u32 = 1680;
const WIDTH: u32 = 10_800;

pub(crate) struct Docx<W: Write> {
    /// None: the document is finished.
    zip: Option<ZipWriter<StreamWriter<Kept<W>>>>,
    failed: Rc<RefCell<Option<io::Error>>>,
    /// What is not packed yet.
    text: String,
}

/// A sink that keeps its first error and takes no more: a zip whose writing failed is ended when it is dropped, and
/// complains on the standard error if that fails, too.
struct Kept<W> {
    sink: W,
    over: bool,
    failed: Rc<RefCell<Option<io::Error>>>,
}

impl<W: Write> Kept<W> {
    fn keep(&mut self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            self.over = true;
            *self.failed.borrow_mut() = Some(error);
        }
    }
}

impl<W: Write> Write for Kept<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.over {
            let outcome = self.sink.write_all(bytes);
            self.keep(outcome);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.over {
            let outcome = self.sink.flush();
            self.keep(outcome);
        }
        Ok(())
    }
}

/// How a cell's paragraph looks: a style of `parts::STYLES`.
#[derive(Debug, Clone, Copy)]
enum Look {
    Name,
    Value,
    Head,
    Cell,
    HeadNumber,
    Number,
}

impl Look {
    fn style(self) -> &'static str {
        match self {
            Self::Name => "FactName",
            Self::Value => "FactValue",
            Self::Head => "HeadCell",
            Self::Cell => "Cell",
            Self::HeadNumber => "HeadNumber",
            Self::Number => "NumberCell",
        }
    }
}

impl<W: Write> Docx<W> {
    pub fn new(sink: W, report: &Report) -> io::Result<Self> {
        let failed = Rc::new(RefCell::new(None));
        let mut zip = ZipWriter::new_stream(Kept { sink, over: false, failed: Rc::clone(&failed) });
        for (name, body) in parts::fixed(report) {
            zip.start_file(name, options())?;
            zip.write_all(body.as_bytes())?;
        }
        zip.start_file(DOCUMENT, options())?;
        let mut text = String::with_capacity(2 * BUFFER);
        text.push_str(parts::DOCUMENT_START);
        Ok(Self { zip: Some(zip), failed, text })
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(zip) = &mut self.zip {
            zip.write_all(self.text.as_bytes())?;
        }
        self.text.clear();
        self.still_written()
    }

    fn still_written(&self) -> io::Result<()> {
        self.failed.borrow_mut().take().map_or(Ok(()), Err)
    }

    fn push(&mut self, text: &str) -> io::Result<()> {
        self.text.push_str(text);
        if self.text.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn styled(&mut self, style: &str, text: &str) -> io::Result<()> {
        self.push(&paragraph(style, text))
    }

    fn begin_table(&mut self, style: &str, widths: &[u32]) -> io::Result<()> {
        let grid: String = widths.iter().map(|width| format!("<w:gridCol w:w=\"{width}\"/>")).collect();
        self.push(&format!(
            "<w:tbl><w:tblPr><w:tblStyle w:val=\"{style}\"/><w:tblW w:w=\"{WIDTH}\" w:type=\"dxa\"/>\
             <w:tblLayout w:type=\"fixed\"/></w:tblPr><w:tblGrid>{grid}</w:tblGrid>"
        ))
    }

    /// Two tables that follow one another would be one.
    fn end_table(&mut self) -> io::Result<()> {
        self.push("</w:tbl>")?;
        self.styled("Gap", "")
    }

    fn row(&mut self, cells: &[(&str, u32, Look)], is_head: bool) -> io::Result<()> {
        self.push("<w:tr><w:trPr><w:cantSplit/>")?;
        self.push(if is_head { "<w:tblHeader/></w:trPr>" } else { "</w:trPr>" })?;
        for (text, width, look) in cells {
            let text = paragraph(look.style(), text);
            self.push(&format!(
                "<w:tc><w:tcPr><w:tcW w:w=\"{width}\" w:type=\"dxa\"/></w:tcPr>{text}</w:tc>"
            ))?;
        }
        self.push("</w:tr>")
    }
}

impl<W: Write> Sheet for Docx<W> {
    fn title(&mut self, title: &str, about: &str) -> io::Result<()> {
        self.styled("Subtitle", title)?;
        self.styled("Title", about)
    }

    fn section(&mut self, name: &str) -> io::Result<()> {
        self.styled("Heading1", name)
    }

    fn facts(&mut self, facts: &[Fact]) -> io::Result<()> {
        if facts.is_empty() {
            return Ok(());
        }
        self.begin_table("Plain", &FACT_WIDTHS)?;
        let height = facts.len().div_ceil(2);
        for at in 0..height {
            // A row has all of its cells, be the last ones empty.
            let mut cells: Vec<(&str, u32, Look)> = Vec::with_capacity(4);
            for side in 0..2 {
                let fact = facts.get(at + side * height);
                let (name, value) = fact.map_or(("", ""), |fact| (&fact.name, &fact.value));
                cells.push((name, FACT_WIDTHS[0], Look::Name));
                cells.push((value, FACT_WIDTHS[1], Look::Value));
            }
            self.row(&cells, false)?;
        }
        self.end_table()
    }

    fn list(&mut self, facts: &[Fact]) -> io::Result<()> {
        if facts.is_empty() {
            return Ok(());
        }
        self.begin_table("Plain", &LIST_WIDTHS)?;
        for fact in facts {
            let cells = [
                (fact.name.as_str(), LIST_WIDTHS[0], Look::Name),
                (&fact.value, LIST_WIDTHS[1], Look::Value),
            ];
            self.row(&cells, false)?;
        }
        self.end_table()
    }

    fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        let others = u32::try_from(head.len().saturating_sub(1)).unwrap_or(1).max(1);
        let width = |at: usize| if at == 0 { FIRST_COLUMN } else { (WIDTH - FIRST_COLUMN) / others };
        let widths: Vec<u32> = (0..head.len()).map(width).collect();
        self.begin_table("Lined", &widths)?;
        let look = |at: usize, first, other| if at == 0 { first } else { other };
        let cells: Vec<_> = head
            .iter()
            .enumerate()
            .map(|(at, text)| (*text, width(at), look(at, Look::Head, Look::HeadNumber)))
            .collect();
        self.row(&cells, true)?;
        for row in rows {
            let cells: Vec<_> = row
                .iter()
                .enumerate()
                .map(|(at, text)| (text.as_str(), width(at), look(at, Look::Cell, Look::Number)))
                .collect();
            self.row(&cells, false)?;
        }
        self.end_table()
    }

    fn heading(&mut self, text: &str) -> io::Result<()> {
        self.styled("Heading2", text)
    }

    fn paragraph(&mut self, text: &str) -> io::Result<()> {
        text.lines().try_for_each(|line| self.styled("Normal", line))
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.styled("Note", text)
    }

    fn begin_detail(&mut self) -> io::Result<()> {
        self.begin_table("Lined", &DETAIL_WIDTHS)?;
        let cells: [(&str, u32, Look); 5] =
            std::array::from_fn(|at| (DETAIL_HEAD[at], DETAIL_WIDTHS[at], Look::Head));
        self.row(&cells, true)
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
        let cells: [(&str, u32, Look); 5] =
            std::array::from_fn(|at| (texts[at], DETAIL_WIDTHS[at], Look::Cell));
        self.row(&cells, false)
    }

    fn end_detail(&mut self) -> io::Result<()> {
        self.end_table()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.push(parts::DOCUMENT_END)?;
        self.flush()?;
        if let Some(zip) = self.zip.take() {
            zip.finish()?.flush()?;
        }
        self.still_written()
    }

    fn duplicate_sign(&self) -> &'static str {
        DUPLICATE
    }
}

/// The same bytes whenever it is made: no clock.
fn options() -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(4))
        .last_modified_time(DateTime::default())
}

fn paragraph(style: &str, text: &str) -> String {
    let run = match text {
        "" => String::new(),
        text => format!("<w:r><w:t xml:space=\"preserve\">{}</w:t></w:r>", escaped(text)),
    };
    format!("<w:p><w:pPr><w:pStyle w:val=\"{style}\"/></w:pPr>{run}</w:p>")
}
