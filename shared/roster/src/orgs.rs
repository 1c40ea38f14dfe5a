//! `orgs.csv`: schools and what they belong to.

use std::collections::{HashMap, HashSet};

use crate::error::RosterError;
use crate::problem::{Problem, ProblemKind, ProblemLog};
use crate::roster::{FileRead, School};
use crate::source::Source;
use crate::table::{Column, Layout, Row, Status, Table};
use crate::vocabulary::{FileMode, ORGS, OrgKind};

const LAYOUT: Layout = Layout {
    file: ORGS,
    required: &["sourcedId", "name", "type"],
    optional: &["status", "dateLastModified", "identifier", "parentSourcedId"],
};

/// More levels than any district has.
const MAX_DEPTH: usize = 64;

/// The organisations, and what other files need to know to refer to them.
pub(crate) struct Orgs {
    pub schools: Vec<School>,
    mode: FileMode,
    by_id: HashMap<String, usize>,
    left_out: HashSet<String>,
}

/// What a reference to an organisation comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrgReference {
    School,
    /// An organisation above or beside the schools.
    Other,
    /// Not in this file, which does not claim to be complete.
    Elsewhere,
    /// Its row is going or was left out for a fault of its own, which is reported there.
    Gone,
    Dangling,
}

impl Orgs {
    pub(crate) fn absent() -> Self {
        Self { schools: Vec::new(), mode: FileMode::Absent, by_id: HashMap::new(), left_out: HashSet::new() }
    }

    pub(crate) fn resolve(&self, id: &str) -> OrgReference {
        match self.by_id.get(id).map(|&index| &self.schools[index]) {
            Some(school) if school.deleted => OrgReference::Gone,
            Some(school) if school.kind == OrgKind::School => OrgReference::School,
            Some(_) => OrgReference::Other,
            None if self.left_out.contains(id) => OrgReference::Gone,
            None if self.mode == FileMode::Bulk => OrgReference::Dangling,
            None => OrgReference::Elsewhere,
        }
    }
}

struct Columns {
    source_id: Column,
    status: Column,
    modified: Column,
    name: Column,
    kind: Column,
    identifier: Column,
    parent: Column,
}

pub(crate) fn read(
    source: &mut Source,
    mode: FileMode,
    log: &mut ProblemLog,
) -> Result<(Orgs, FileRead), RosterError> {
    let mut table = Table::open(source.reader(ORGS)?, &LAYOUT, log)?;
    let columns = Columns {
        source_id: table.column("sourcedId"),
        status: table.column("status"),
        modified: table.column("dateLastModified"),
        name: table.column("name"),
        kind: table.column("type"),
        identifier: table.column("identifier"),
        parent: table.column("parentSourcedId"),
    };
    let mut schools: Vec<School> = Vec::new();
    let mut lines: Vec<u64> = Vec::new();
    let mut by_id = HashMap::new();
    while table.advance(log)? {
        let row = table.row();
        let Some(school) = read_org(row, &columns, &by_id, log) else {
            table.leave_out();
            continue;
        };
        by_id.insert(school.source_id.clone(), schools.len());
        lines.push(row.line());
        schools.push(school);
    }
    let (file, left_out) = table.finish(mode);
    let mut orgs = Orgs { schools, mode, by_id, left_out };
    check_parents(&mut orgs, &lines, log);
    Ok((orgs, file))
}

fn read_org(
    row: Row<'_>,
    columns: &Columns,
    known: &HashMap<String, usize>,
    log: &mut ProblemLog,
) -> Option<School> {
    let source_id = row.source_id(columns.source_id, log)?;
    if known.contains_key(source_id) {
        let what = "repeats the id of an earlier row: remove one; this row was left out";
        row.error(log, Some("sourcedId"), what.to_owned());
        return None;
    }
    row.check_instant(columns.modified, log);
    let deleted = row.status(columns.status, log) == Status::ToBeDeleted;
    let kind = row.text(columns.kind, log).and_then(OrgKind::parse);
    if kind.is_none() && !deleted {
        row.warning(log, Some("type"), format!("was taken as school: write {}", OrgKind::WORDS));
    }
    let name = row.text(columns.name, log);
    if name.is_none() && !deleted {
        row.warning(log, Some("name"), "is missing, the sourcedId stands in for it: name it".to_owned());
    }
    Some(School {
        source_id: source_id.to_owned(),
        name: name.unwrap_or(source_id).to_owned(),
        identifier: row.text(columns.identifier, log).map(str::to_owned),
        parent_source_id: row.text(columns.parent, log).map(str::to_owned),
        kind: kind.unwrap_or(OrgKind::School),
        deleted,
    })
}

/// A parent must exist, and no organisation may be its own ancestor: whoever walks up must arrive.
fn check_parents(orgs: &mut Orgs, lines: &[u64], log: &mut ProblemLog) {
    for (index, &line) in lines.iter().enumerate() {
        let Some(parent) = orgs.schools[index].parent_source_id.as_deref() else { continue };
        let fault = match orgs.resolve(parent) {
            OrgReference::Dangling => {
                Some("names no row of orgs.csv: correct it; the school has no parent now")
            }
            OrgReference::Gone => None,
            OrgReference::Elsewhere => continue,
            OrgReference::School | OrgReference::Other if is_own_ancestor(orgs, index) => {
                Some("leads back to the school itself: correct it; the school has no parent now")
            }
            OrgReference::School | OrgReference::Other => continue,
        };
        orgs.schools[index].parent_source_id = None;
        if let Some(fault) = fault {
            let (column, what) = (Some("parentSourcedId"), fault.to_owned());
            log.add(Problem { file: ORGS, line, column, kind: ProblemKind::Error, what });
        }
    }
}

fn is_own_ancestor(orgs: &Orgs, start: usize) -> bool {
    let mut current = start;
    // A longer walk goes round in a circle further up, which that circle's own rows report.
    for _ in 0..MAX_DEPTH {
        let parent = orgs.schools[current].parent_source_id.as_ref();
        let Some(&next) = parent.and_then(|parent| orgs.by_id.get(parent)) else { return false };
        if next == start {
            return true;
        }
        current = next;
    }
    false
}
