//! `academicSessions.csv`: terms and the school years that they are of.

use std::collections::HashSet;

use crate::error::RosterError;
use crate::problem::ProblemLog;
use crate::roster::{FileRead, Session};
use crate::source::Source;
use crate::table::{Column, Layout, Row, Status, Table};
use crate::vocabulary::{FileMode, SESSIONS};

const LAYOUT: Layout = Layout {
    file: SESSIONS,
    required: &["sourcedId", "title", "type", "startDate", "endDate", "schoolYear"],
    optional: &["status", "dateLastModified", "parentSourcedId"],
};

/// A year outside is a slip.
const YEARS: std::ops::RangeInclusive<i16> = 1990..=2200;

struct Columns {
    source_id: Column,
    status: Column,
    modified: Column,
    title: Column,
    kind: Column,
    start: Column,
    end: Column,
    parent: Column,
    year: Column,
}

pub(crate) fn read(
    source: &mut Source,
    mode: FileMode,
    log: &mut ProblemLog,
) -> Result<(Vec<Session>, FileRead), RosterError> {
    let mut table = Table::open(source.reader(SESSIONS)?, &LAYOUT, log)?;
    let columns = Columns {
        source_id: table.column("sourcedId"),
        status: table.column("status"),
        modified: table.column("dateLastModified"),
        title: table.column("title"),
        kind: table.column("type"),
        start: table.column("startDate"),
        end: table.column("endDate"),
        parent: table.column("parentSourcedId"),
        year: table.column("schoolYear"),
    };
    let mut sessions = Vec::new();
    let mut known = HashSet::new();
    while table.advance(log)? {
        let row = table.row();
        match row.new_source_id(columns.source_id, &mut known, log) {
            Some(id) => sessions.push(read_session(id, row, &columns, log)),
            None => table.leave_out(),
        }
    }
    let (file, _) = table.finish(mode);
    Ok((sessions, file))
}

fn read_session(id: &str, row: Row<'_>, columns: &Columns, log: &mut ProblemLog) -> Session {
    row.check_instant(columns.modified, log);
    let deleted = row.status(columns.status, log) == Status::ToBeDeleted;
    let year = row.text(columns.year, log);
    let school_year = year.and_then(|year| year.parse().ok()).filter(|year| YEARS.contains(year));
    if school_year.is_none() && !deleted {
        let what = "is no year, so that nobody is found by it: write the year in which it ends, such as 2027";
        row.error(log, Some(columns.year.name), what.to_owned());
    }
    Session {
        source_id: id.to_owned(),
        title: row.text(columns.title, log).unwrap_or(id).to_owned(),
        kind: row.text(columns.kind, log).unwrap_or_default().to_owned(),
        starts_on: row.date(columns.start, log),
        ends_on: row.date(columns.end, log),
        school_year,
        parent_source_id: row.text(columns.parent, log).map(str::to_owned),
        deleted,
    }
}
