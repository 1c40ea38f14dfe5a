//! Pages: what is set goes below what was set, and on the next page where there is no room.

use std::io::{self, Write};
use std::ops::Range;

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::{Content, Date, Filter, Finish as _, Name, Rect, Ref, Str, TextStr};

use super::file::File;
use super::font::{Font, Weight};
use super::shape::{Run, run};

/// US Letter, in points.
const PAGE: (f32, f32) = (612.0, 792.0);
const MARGIN: f32 = 36.0;
const BOTTOM: f32 = 48.0;
/// Between the margins.
pub(super) const WIDTH: f32 = PAGE.0 - 2.0 * MARGIN;
const LINE_HEIGHT: f32 = 1.25;
/// Between a cell's text and the next column, and above and below its text.
const CELL_GAP: f32 = 6.0;
const CELL_SPACE: f32 = 2.5;
const TIGHT_SPACE: f32 = 1.0;
const FOOTER: Style = Style { weight: Weight::Regular, size: 7.5, gray: 0.38 };
const FOOTER_AT: f32 = 28.0;
/// The room that is kept for the number of pages, which is known at the end.
const TOTAL_WIDTH: f32 = 24.0;
const TOTAL: Name<'static> = Name(b"T");

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Style {
    pub weight: Weight,
    pub size: f32,
    /// 0 is black.
    pub gray: f32,
}

/// One column of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'a> {
    text: &'a str,
    width: f32,
    style: Style,
    right: bool,
    space: f32,
}

/// A row whose texts were broken into the lines of their columns.
pub(super) struct SetRow {
    columns: Vec<Column>,
    height: f32,
}

struct Column {
    lines: Vec<Run>,
    width: f32,
    style: Style,
    right: bool,
    space: f32,
}

pub(super) struct Pages<W: Write> {
    file: File<W>,
    regular: Font,
    bold: Font,
    ids: Ids,
    kids: Vec<Ref>,
    content: Content,
    /// Where the next line's top is.
    y: f32,
    footer: String,
    title: String,
    dated: DateTime<Utc>,
}

/// Objects that every page names and the end writes.
struct Ids {
    tree: Ref,
    regular: Ref,
    bold: Ref,
    total: Ref,
}

impl<'a> Cell<'a> {
    pub fn left(text: &'a str, width: f32, style: Style) -> Self {
        Self { text, width, style, right: false, space: CELL_SPACE }
    }

    pub fn right(text: &'a str, width: f32, style: Style) -> Self {
        Self { right: true, ..Self::left(text, width, style) }
    }

    /// With little space above and below.
    pub fn tight(self) -> Self {
        Self { space: TIGHT_SPACE, ..self }
    }
}

impl Column {
    fn height(&self) -> f32 {
        self.lines.len().max(1) as f32 * self.style.line_height() + 2.0 * self.space
    }
}

impl Style {
    fn line_height(self) -> f32 {
        self.size * LINE_HEIGHT
    }
}

impl<W: Write> Pages<W> {
    pub fn new(sink: W, footer: String, title: String, dated: DateTime<Utc>) -> io::Result<Self> {
        let mut file = File::new(sink)?;
        let ids =
            Ids { tree: file.number(), regular: file.number(), bold: file.number(), total: file.number() };
        Ok(Self {
            file,
            regular: Font::new(Weight::Regular)?,
            bold: Font::new(Weight::Bold)?,
            ids,
            kids: Vec::new(),
            content: Content::new(),
            y: PAGE.1 - MARGIN,
            footer,
            title,
            dated,
        })
    }

    pub fn gap(&mut self, height: f32) {
        // Nothing stands off the top of a page.
        if self.y < PAGE.1 - MARGIN {
            self.y -= height;
        }
    }

    /// Turns the page unless so much room is left on it.
    pub fn keep(&mut self, height: f32) -> io::Result<()> {
        if self.y - height < BOTTOM { self.turn() } else { Ok(()) }
    }

    /// A line over the whole width, where the last row ended.
    pub fn rule(&mut self, thickness: f32, gray: f32) {
        self.content.set_fill_gray(gray);
        self.content.rect(MARGIN, self.y - thickness, WIDTH, thickness).fill_nonzero();
        self.y -= thickness;
    }

    /// Text over the whole width, as many lines and pages as it takes.
    pub fn text(&mut self, text: &str, style: Style) -> io::Result<()> {
        for paragraph in text.lines() {
            let lines = self.lines(paragraph, WIDTH, style);
            if lines.is_empty() {
                self.gap(style.line_height());
            }
            for line in &lines {
                self.keep(style.line_height())?;
                self.y -= style.line_height();
                show(&mut self.content, line, MARGIN, self.y + descent(style), style);
            }
        }
        Ok(())
    }

    pub fn set(&mut self, cells: &[Cell<'_>]) -> SetRow {
        let columns: Vec<Column> = cells
            .iter()
            .map(|cell| {
                let Cell { width, style, right, space, .. } = *cell;
                Column { lines: self.lines(cell.text, width - CELL_GAP, style), width, style, right, space }
            })
            .collect();
        let height = columns.iter().map(Column::height).fold(0.0, f32::max);
        SetRow { columns, height }
    }

    pub fn has_room_for(&self, row: &SetRow) -> bool {
        self.y - row.height >= BOTTOM
    }

    /// A row stays on one page if a page can hold it, and else goes on line by line.
    pub fn place(&mut self, row: &SetRow) -> io::Result<()> {
        if row.height <= PAGE.1 - MARGIN - BOTTOM {
            self.keep(row.height)?;
            self.columns(row, 0..usize::MAX, self.y);
            self.y -= row.height;
            return Ok(());
        }
        let lines = row.columns.iter().map(|column| column.lines.len()).max().unwrap_or_default();
        let line_height = row.columns.iter().map(|column| column.style.line_height()).fold(0.0, f32::max);
        for at in 0..lines {
            self.keep(line_height)?;
            self.columns(row, at..at + 1, self.y);
            self.y -= line_height;
        }
        Ok(())
    }

    pub fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        let set = self.set(cells);
        self.place(&set)
    }

    /// Ends the page.
    pub fn turn(&mut self) -> io::Result<()> {
        self.show_footer();
        let content = std::mem::replace(&mut self.content, Content::new()).finish();
        self.y = PAGE.1 - MARGIN;
        let (page, stream) = (self.file.number(), self.file.number());
        self.kids.push(page);
        let packed = deflated(&content);
        let tree = self.ids.tree;
        self.file.put(stream, |chunk| chunk.stream(stream, &packed).filter(Filter::FlateDecode).finish())?;
        self.file.put(page, |chunk| chunk.page(page).parent(tree).contents(stream).finish())
    }

    /// Ends the last page and writes what all pages share.
    pub fn finish(&mut self) -> io::Result<()> {
        self.turn()?;
        let count = i32::try_from(self.kids.len()).unwrap_or(i32::MAX);
        self.write_total(count)?;
        let (ids, kids) = (&self.ids, std::mem::take(&mut self.kids));
        self.file.put(ids.tree, |chunk| {
            let mut tree = chunk.pages(ids.tree);
            tree.kids(kids.iter().copied()).count(count).media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1));
            let mut resources = tree.resources();
            resources
                .fonts()
                .pair(Weight::Regular.resource(), ids.regular)
                .pair(Weight::Bold.resource(), ids.bold);
            resources.x_objects().pair(TOTAL, ids.total);
        })?;
        self.regular.write(Weight::Regular, ids.regular, &mut self.file)?;
        self.bold.write(Weight::Bold, ids.bold, &mut self.file)?;
        let (title, tree, at) = (&self.title, ids.tree, self.dated);
        self.file.end(
            |mut catalog| {
                catalog.pages(tree).lang(TextStr("en-US"));
                catalog.viewer_preferences().display_doc_title(true);
            },
            |mut information| {
                information.title(TextStr(title)).creator(TextStr("Tocsin")).creation_date(date(at));
            },
        )
    }

    /// The number of pages, which every footer shows, as an object of its own.
    fn write_total(&mut self, count: i32) -> io::Result<()> {
        let number = run(self.font(FOOTER), &count.to_string());
        let mut content = Content::new();
        show(&mut content, &number, 0.0, 0.0, FOOTER);
        let packed = deflated(&content.finish());
        let (total, regular) = (self.ids.total, self.ids.regular);
        self.file.put(total, |chunk| {
            let mut form = chunk.form_xobject(total, &packed);
            form.filter(Filter::FlateDecode);
            form.bbox(Rect::new(0.0, -FOOTER.size, TOTAL_WIDTH, FOOTER.size * 2.0));
            form.resources().fonts().pair(Weight::Regular.resource(), regular);
        })
    }

    fn show_footer(&mut self) {
        let number = format!("Page {} of ", self.kids.len() + 1);
        let number = run(self.font(FOOTER), &number);
        let total_at = PAGE.0 - MARGIN - TOTAL_WIDTH;
        let number_at = total_at - number.width * FOOTER.size / 1000.0;
        let footer = self.footer.clone();
        let room = number_at - MARGIN - CELL_GAP;
        if let Some(line) = self.lines(&footer, room, FOOTER).first() {
            show(&mut self.content, line, MARGIN, FOOTER_AT, FOOTER);
        }
        show(&mut self.content, &number, number_at, FOOTER_AT, FOOTER);
        self.content.save_state().transform([1.0, 0.0, 0.0, 1.0, total_at, FOOTER_AT]);
        self.content.x_object(TOTAL).restore_state();
    }

    fn font(&mut self, style: Style) -> &mut Font {
        match style.weight {
            Weight::Regular => &mut self.regular,
            Weight::Bold => &mut self.bold,
        }
    }

    fn columns(&mut self, row: &SetRow, lines: Range<usize>, top: f32) {
        let mut left = MARGIN;
        for column in &row.columns {
            let style = column.style;
            let mut baseline = top - column.space + descent(style);
            for line in column.lines.iter().take(lines.end).skip(lines.start) {
                baseline -= style.line_height();
                let slack = column.width - line.width * style.size / 1000.0;
                let at = if column.right { left + slack } else { left };
                show(&mut self.content, line, at, baseline, style);
            }
            left += column.width;
        }
    }

    /// Breaks one paragraph where it must: between words, and within a word that is wider than the column.
    fn lines(&mut self, text: &str, width: f32, style: Style) -> Vec<Run> {
        let room = width * 1000.0 / style.size;
        let font = self.font(style);
        let whole = run(font, text);
        if whole.width <= room {
            return if whole.glyphs.is_empty() { Vec::new() } else { vec![whole] };
        }
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split_inclusive(break_after) {
            let longer = format!("{line}{word}");
            if run(font, longer.trim_end()).width <= room {
                line = longer;
                continue;
            }
            if !line.trim_end().is_empty() {
                lines.push(run(font, line.trim_end()));
            }
            line = word.to_owned();
            while run(font, line.trim_end()).width > room {
                let (head, tail) = line.split_at(fitting(font, &line, room));
                lines.push(run(font, head));
                line = tail.to_owned();
            }
        }
        if !line.trim_end().is_empty() {
            lines.push(run(font, line.trim_end()));
        }
        lines
    }
}

fn break_after(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '-' | '@' | '/')
}

/// Bytes of as many letters as fit, one at least.
fn fitting(font: &mut Font, text: &str, room: f32) -> usize {
    let mut width = 0.0;
    let mut bytes = 0;
    for letter in text.chars() {
        width += font.letter(letter).advance;
        if bytes > 0 && width > room {
            break;
        }
        bytes += letter.len_utf8();
    }
    bytes
}

/// From the foot of a line to its baseline.
fn descent(style: Style) -> f32 {
    style.size * 0.3
}

fn show(content: &mut Content, line: &Run, x: f32, y: f32, style: Style) {
    content.begin_text();
    content.set_fill_gray(style.gray).set_font(style.weight.resource(), style.size);
    content.set_text_matrix([1.0, 0.0, 0.0, 1.0, x, y]);
    if !line.placed {
        let bytes: Vec<u8> = line.glyphs.iter().flat_map(|glyph| glyph.id.to_be_bytes()).collect();
        content.show(Str(&bytes));
    } else {
        let mut at = x;
        for glyph in &line.glyphs {
            let scale = style.size / 1000.0;
            let (right, up) = (glyph.shift.0 * scale, glyph.shift.1 * scale);
            content.set_text_matrix([1.0, 0.0, 0.0, 1.0, at + right, y + up]);
            content.show(Str(&glyph.id.to_be_bytes()));
            at += glyph.advance * scale;
        }
    }
    content.end_text();
}

pub(super) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut packer = ZlibEncoder::new(Vec::with_capacity(bytes.len() / 3), Compression::new(4));
    // A vector takes everything.
    packer.write_all(bytes).and_then(|()| packer.finish()).unwrap_or_default()
}

fn date(at: DateTime<Utc>) -> Date {
    let part = |number: u32| u8::try_from(number).unwrap_or_default();
    Date::new(u16::try_from(at.year()).unwrap_or_default())
        .month(part(at.month()))
        .day(part(at.day()))
        .hour(part(at.hour()))
        .minute(part(at.minute()))
        .second(part(at.second()))
        .utc_offset_hour(0)
        .utc_offset_minute(0)
}
