//! `classes.csv` and `enrollments.csv`: what is taught where, in which terms, by whom and to whom.

use std::collections::HashSet;

use chrono::NaiveDate;

use crate::error::RosterError;
use crate::orgs::{OrgReference, Orgs};
use crate::problem::ProblemLog;
use crate::roles::read_word;
use crate::roster::{Class, ClassMember, FileRead, Session};
use crate::source::Source;
use crate::table::{Column, Layout, Row, Status, Table};
use crate::vocabulary::{CLASSES, ENROLLMENTS, FileMode, Role};

const CLASS_LAYOUT: Layout = Layout {
    file: CLASSES,
    required: &["sourcedId", "title", "schoolSourcedId", "termSourcedIds"],
    optional: &[
        "status",
        "dateLastModified",
        "grades",
        "courseSourcedId",
        "classCode",
        "classType",
        "location",
        "subjects",
        "subjectCodes",
        "periods",
    ],
};

const MEMBER_LAYOUT: Layout = Layout {
    file: ENROLLMENTS,
    required: &["sourcedId", "classSourcedId", "userSourcedId", "role"],
    optional: &["status", "dateLastModified", "schoolSourcedId", "primary", "beginDate", "endDate"],
};

/// The sessions that classes may name; `None` where this delivery does not have them all.
pub(crate) type Terms<'a> = Option<HashSet<&'a str>>;

pub(crate) fn terms(sessions: &[Session], mode: FileMode) -> Terms<'_> {
    (mode == FileMode::Bulk).then(|| sessions.iter().map(|session| session.source_id.as_str()).collect())
}

struct ClassColumns {
    source_id: Column,
    status: Column,
    modified: Column,
    title: Column,
    code: Column,
    school: Column,
    terms: Column,
}

pub(crate) fn read_classes(
    source: &mut Source,
    mode: FileMode,
    orgs: &Orgs,
    terms: &Terms<'_>,
    log: &mut ProblemLog,
) -> Result<(Vec<Class>, HashSet<String>, FileRead), RosterError> {
    let mut table = Table::open(source.reader(CLASSES)?, &CLASS_LAYOUT, log)?;
    let columns = ClassColumns {
        source_id: table.column("sourcedId"),
        status: table.column("status"),
        modified: table.column("dateLastModified"),
        title: table.column("title"),
        code: table.column("classCode"),
        school: table.column("schoolSourcedId"),
        terms: table.column("termSourcedIds"),
    };
    let mut classes = Vec::new();
    let mut known = HashSet::new();
    while table.advance(log)? {
        let row = table.row();
        let id = row.new_source_id(columns.source_id, &mut known, log);
        match id.and_then(|id| read_class(id, row, &columns, orgs, terms, log)) {
            Some(class) => classes.push(class),
            None => table.leave_out(),
        }
    }
    let (file, left_out) = table.finish(mode);
    Ok((classes, left_out, file))
}

fn read_class(
    id: &str,
    row: Row<'_>,
    columns: &ClassColumns,
    orgs: &Orgs,
    terms: &Terms<'_>,
    log: &mut ProblemLog,
) -> Option<Class> {
    row.check_instant(columns.modified, log);
    let deleted = row.status(columns.status, log) == Status::ToBeDeleted;
    let school = match deleted {
        true => row.text(columns.school, log).unwrap_or_default(),
        false => row.required(columns.school, "name the class's school; the row was left out", log)?,
    };
    if !deleted && orgs.resolve(school) == OrgReference::Dangling {
        let what = "names no row of orgs.csv: correct it, or deliver that school; the class was left out";
        row.error(log, Some(columns.school.name), what.to_owned());
        return None;
    }
    let mut named: Vec<String> = row.list(columns.terms, log).map(str::to_owned).collect();
    if let Some(terms) = terms {
        let before = named.len();
        named.retain(|term| terms.contains(term.as_str()));
        if named.len() < before && !deleted {
            let what =
                "names no row of academicSessions.csv: correct it; the class was taken without that term";
            row.error(log, Some(columns.terms.name), what.to_owned());
        }
    }
    Some(Class {
        source_id: id.to_owned(),
        title: row.text(columns.title, log).unwrap_or(id).to_owned(),
        code: row.text(columns.code, log).map(str::to_owned),
        school_source_id: school.to_owned(),
        session_source_ids: named,
        deleted,
    })
}

struct MemberColumns {
    source_id: Column,
    status: Column,
    modified: Column,
    class: Column,
    user: Column,
    role: Column,
    begin: Column,
    end: Column,
}

/// What enrolments may refer to. `None`: this delivery does not have them all, and the directory decides.
pub(crate) struct Known<'a> {
    pub classes: Option<HashSet<&'a str>>,
    pub users: Option<HashSet<&'a str>>,
    /// Rows that were left out, which are reported where they stand.
    pub left_out: &'a HashSet<String>,
    pub today: Option<NaiveDate>,
}

pub(crate) fn read_members(
    source: &mut Source,
    mode: FileMode,
    refer: &Known<'_>,
    log: &mut ProblemLog,
) -> Result<(Vec<ClassMember>, FileRead), RosterError> {
    let mut table = Table::open(source.reader(ENROLLMENTS)?, &MEMBER_LAYOUT, log)?;
    let columns = MemberColumns {
        source_id: table.column("sourcedId"),
        status: table.column("status"),
        modified: table.column("dateLastModified"),
        class: table.column("classSourcedId"),
        user: table.column("userSourcedId"),
        role: table.column("role"),
        begin: table.column("beginDate"),
        end: table.column("endDate"),
    };
    let mut members = Vec::new();
    let mut known = HashSet::new();
    while table.advance(log)? {
        let row = table.row();
        let id = row.new_source_id(columns.source_id, &mut known, log);
        match id.and_then(|id| read_member(id, row, &columns, refer, log)) {
            Some(member) => members.push(member),
            None => table.leave_out(),
        }
    }
    let (file, _) = table.finish(mode);
    Ok((members, file))
}

fn read_member(
    id: &str,
    row: Row<'_>,
    columns: &MemberColumns,
    refer: &Known<'_>,
    log: &mut ProblemLog,
) -> Option<ClassMember> {
    row.check_instant(columns.modified, log);
    let status = row.status(columns.status, log);
    if status == Status::ToBeDeleted {
        // Such a row need not hold more than its id.
        let (class, person) = (String::new(), String::new());
        let (role, active) = (Role::Student, false);
        return Some(ClassMember {
            source_id: id.to_owned(),
            class_source_id: class,
            person_source_id: person,
            role,
            active,
            deleted: true,
        });
    }
    let remedy = "the row was left out";
    let class = row.required(columns.class, "name the class; the row was left out", log)?;
    let user = row.required(columns.user, "name the user; the row was left out", log)?;
    let role = read_word(row, columns.role, remedy, log)?.role;
    if role == Role::Guardian {
        let what = "is no role in a class: write student, teacher, aide, proctor or administrator; the row was left out";
        row.error(log, Some(columns.role.name), what.to_owned());
        return None;
    }
    let references =
        [(columns.class, class, &refer.classes, CLASSES), (columns.user, user, &refer.users, "users.csv")];
    for (column, named, there, file) in references {
        if there.as_ref().is_some_and(|there| !there.contains(named)) {
            if !refer.left_out.contains(named) {
                row.error(log, Some(column.name), format!("names no row of {file}: correct it; {remedy}"));
            }
            return None;
        }
    }
    let (begin, end) = (row.date(columns.begin, log), row.date(columns.end, log));
    // The end is the first day on which it is over.
    let within = refer
        .today
        .is_none_or(|today| begin.is_none_or(|begin| begin <= today) && end.is_none_or(|end| today < end));
    Some(ClassMember {
        source_id: id.to_owned(),
        class_source_id: class.to_owned(),
        person_source_id: user.to_owned(),
        role,
        active: within && status == Status::Active,
        deleted: false,
    })
}
