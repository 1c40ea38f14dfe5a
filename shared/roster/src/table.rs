//! A CSV file as rows with named columns. Faults of the file stop the reading; faults of a row are
//! reported and the row passed over.

use std::collections::HashSet;
use std::io::BufRead;

use chrono::{DateTime, NaiveDate};

use crate::error::RosterError;
use crate::problem::{Problem, ProblemKind, ProblemLog};
use crate::records::{Malformed, Next, Record, Records};
use crate::roster::FileRead;
use crate::source::read_error;
use crate::vocabulary::FileMode;

/// OneRoster's own limit on a sourcedId.
const MAX_SOURCE_ID_CHARS: usize = 255;

/// The columns of a file. What is in neither list is reported once, as a likely misspelling, unless
/// it is an extension (`metadata.*`, `ext_*`).
pub(crate) struct Layout {
    pub file: &'static str,
    pub required: &'static [&'static str],
    pub optional: &'static [&'static str],
}

/// A column of one file; `index` is `None` where the file does not have it.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    pub name: &'static str,
    index: Option<usize>,
}

/// What `status` says; absent or blank means active, as bulk files leave it blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    /// OneRoster 1.0; later versions dropped it, exporters did not.
    Inactive,
    ToBeDeleted,
}

pub(crate) struct Table<R> {
    file: &'static str,
    header: Vec<String>,
    header_line: u64,
    records: Records<R>,
    record: Record,
    rows: u64,
    rows_left_out: u64,
    left_out_ids: HashSet<String>,
}

impl<R: BufRead> Table<R> {
    pub(crate) fn open(input: R, layout: &Layout, log: &mut ProblemLog) -> Result<Self, RosterError> {
        let file = layout.file;
        let mut records = Records::new(input);
        let mut record = Record::default();
        match records.next(&mut record).map_err(|source| read_error(file, source))? {
            Next::Row => {}
            Next::Malformed(_) | Next::End => return Err(RosterError::NoHeader { file }),
        }
        let header = (0..record.len())
            .map(|index| std::str::from_utf8(record.field(index).unwrap_or_default()).map(str::to_owned))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| RosterError::NoHeader { file })?;
        let table = Self {
            file,
            header,
            header_line: record.line,
            records,
            record,
            rows: 0,
            rows_left_out: 0,
            left_out_ids: HashSet::new(),
        };
        table.check_header(layout, log)?;
        Ok(table)
    }

    fn check_header(&self, layout: &Layout, log: &mut ProblemLog) -> Result<(), RosterError> {
        let file = self.file;
        for &column in layout.required.iter().chain(layout.optional) {
            let count = self.header.iter().filter(|name| *name == column).count();
            if count > 1 {
                return Err(RosterError::RepeatedColumn { file, column });
            }
            if count == 0 && layout.required.contains(&column) {
                return Err(RosterError::MissingColumn { file, column });
            }
        }
        for name in &self.header {
            let known = |list: &[&str]| list.contains(&name.as_str());
            let extension = name.starts_with("metadata.") || name.starts_with("ext_") || name.is_empty();
            if !extension && !known(layout.required) && !known(layout.optional) {
                let name: String = name.chars().take(40).collect();
                let what = format!(
                    "column {name:?} is not one of this version of OneRoster and was ignored: check its spelling"
                );
                log.add(Problem {
                    file,
                    line: self.header_line,
                    column: None,
                    kind: ProblemKind::Warning,
                    what,
                });
            }
        }
        Ok(())
    }

    pub(crate) fn column(&self, name: &'static str) -> Column {
        Column { name, index: self.header.iter().position(|header| header == name) }
    }

    /// Goes to the next usable row; false at the end of the file.
    pub(crate) fn advance(&mut self, log: &mut ProblemLog) -> Result<bool, RosterError> {
        loop {
            let next = self.records.next(&mut self.record).map_err(|source| read_error(self.file, source))?;
            let fault = match next {
                Next::End => return Ok(false),
                Next::Malformed(Malformed::UnclosedQuote) => {
                    "a quoted field is not closed: close the quote".to_owned()
                }
                Next::Malformed(Malformed::TextAfterQuote) => {
                    "text follows a closing quote: double each quote inside a quoted field".to_owned()
                }
                Next::Malformed(Malformed::TooLong) => {
                    "the row is too long for a roster: split it".to_owned()
                }
                Next::Row if self.record.len() != self.header.len() => {
                    let (found, expected) = (self.record.len(), self.header.len());
                    format!(
                        "the row has {found} fields, the header {expected}: quote fields that hold a comma"
                    )
                }
                Next::Row => {
                    self.rows += 1;
                    return Ok(true);
                }
            };
            self.rows += 1;
            self.row().error(log, None, fault);
            self.leave_out();
        }
    }

    pub(crate) fn row(&self) -> Row<'_> {
        Row { file: self.file, record: &self.record }
    }

    /// Nothing of the current row was taken. Its id is remembered, so that what refers to it is not
    /// reported as a second fault.
    pub(crate) fn leave_out(&mut self) {
        self.rows_left_out += 1;
        let id = self.column("sourcedId").index.and_then(|index| self.record.field(index));
        if let Some(id) = id.and_then(|id| std::str::from_utf8(id).ok()) {
            self.left_out_ids.insert(id.trim().to_owned());
        }
    }

    pub(crate) fn finish(self, mode: FileMode) -> (FileRead, HashSet<String>) {
        let read = FileRead { file: self.file, mode, rows: self.rows, rows_left_out: self.rows_left_out };
        (read, self.left_out_ids)
    }
}

/// The current row. Values come trimmed; blank is `None`.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    file: &'static str,
    record: &'a Record,
}

impl<'a> Row<'a> {
    pub(crate) fn line(&self) -> u64 {
        self.record.line
    }

    pub(crate) fn text(&self, column: Column, log: &mut ProblemLog) -> Option<&'a str> {
        self.read(column, log).ok().flatten()
    }

    /// The value, or an error in the log with what its loss comes to.
    pub(crate) fn required(&self, column: Column, remedy: &str, log: &mut ProblemLog) -> Option<&'a str> {
        let value = self.read(column, log).ok()?;
        if value.is_none() {
            self.error(log, Some(column.name), format!("is empty: {remedy}"));
        }
        value
    }

    pub(crate) fn source_id(&self, column: Column, log: &mut ProblemLog) -> Option<&'a str> {
        let id = self.required(column, "every row needs an id of its own; the row was left out", log)?;
        if id.chars().count() > MAX_SOURCE_ID_CHARS {
            let what = "is longer than 255 characters: shorten it; the row was left out";
            self.error(log, Some(column.name), what.to_owned());
            return None;
        }
        Some(id)
    }

    /// As `source_id`, of a row whose id no earlier row of the file has.
    pub(crate) fn new_source_id(
        &self,
        column: Column,
        known: &mut HashSet<String>,
        log: &mut ProblemLog,
    ) -> Option<&'a str> {
        let id = self.source_id(column, log)?;
        if !known.insert(id.to_owned()) {
            let what = "repeats the id of an earlier row: remove one; this row was left out";
            self.error(log, Some(column.name), what.to_owned());
            return None;
        }
        Some(id)
    }

    /// A comma-separated list; empty entries are passed over.
    pub(crate) fn list(
        &self,
        column: Column,
        log: &mut ProblemLog,
    ) -> impl Iterator<Item = &'a str> + use<'a> {
        self.list_if_told(column, log).into_iter().flatten()
    }

    /// As `list`; `None` where the file has no such column, and where the value cannot be read.
    pub(crate) fn list_if_told(
        &self,
        column: Column,
        log: &mut ProblemLog,
    ) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        column.index?;
        let text = self.read(column, log).ok()?.unwrap_or_default();
        Some(text.split(',').map(str::trim).filter(|entry| !entry.is_empty()))
    }

    pub(crate) fn status(&self, column: Column, log: &mut ProblemLog) -> Status {
        match self.text(column, log) {
            None => Status::Active,
            Some(word) if word.eq_ignore_ascii_case("active") => Status::Active,
            Some(word) if word.eq_ignore_ascii_case("inactive") => Status::Inactive,
            Some(word) if word.eq_ignore_ascii_case("tobedeleted") => Status::ToBeDeleted,
            Some(_) => {
                let what = "is neither active nor tobedeleted and was taken as active: correct it";
                self.warning(log, Some(column.name), what.to_owned());
                Status::Active
            }
        }
    }

    pub(crate) fn date(&self, column: Column, log: &mut ProblemLog) -> Option<NaiveDate> {
        let text = self.text(column, log)?;
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
        if date.is_none() {
            let what = "is no date and was ignored: write it as 2026-08-31";
            self.warning(log, Some(column.name), what.to_owned());
        }
        date
    }

    /// `dateLastModified` decides nothing here; one that cannot be read still hints at a broken export.
    pub(crate) fn check_instant(&self, column: Column, log: &mut ProblemLog) {
        let Some(text) = self.text(column, log) else { return };
        if DateTime::parse_from_rfc3339(text).is_err() && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_err()
        {
            let what = "is no point in time and was ignored: write it as 2026-08-31T06:00:00Z";
            self.warning(log, Some(column.name), what.to_owned());
        }
    }

    pub(crate) fn error(&self, log: &mut ProblemLog, column: Option<&'static str>, what: String) {
        log.add(Problem { file: self.file, line: self.line(), column, kind: ProblemKind::Error, what });
    }

    pub(crate) fn warning(&self, log: &mut ProblemLog, column: Option<&'static str>, what: String) {
        log.add(Problem { file: self.file, line: self.line(), column, kind: ProblemKind::Warning, what });
    }

    /// `Err` where there is something, but no text; that is in the log then.
    fn read(&self, column: Column, log: &mut ProblemLog) -> Result<Option<&'a str>, Unreadable> {
        let Some(bytes) = column.index.and_then(|index| self.record.field(index)) else { return Ok(None) };
        match std::str::from_utf8(bytes) {
            // PostgreSQL has no text with a NUL in it: one such field would fail a whole batch.
            Ok(text) if !text.contains('\0') => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
            Ok(_) | Err(_) => {
                let what = "is not UTF-8 text and was left out: export the file as UTF-8";
                self.error(log, Some(column.name), what.to_owned());
                Err(Unreadable)
            }
        }
    }
}

struct Unreadable;
