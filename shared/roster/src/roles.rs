//! What people are to which organisations: the role columns of 1.1's users.csv, and 1.2's roles.csv.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;

use crate::error::RosterError;
use crate::orgs::{OrgReference, Orgs};
use crate::problem::ProblemLog;
use crate::roster::{FileRead, Student};
use crate::source::Source;
use crate::table::{Column, Layout, Row, Status, Table};
use crate::vocabulary::{FileMode, ROLES, Relationship, Role, RoleWord};

const LAYOUT: Layout = Layout {
    file: ROLES,
    required: &["sourcedId", "userSourcedId", "roleType", "role", "orgSourcedId"],
    optional: &["status", "dateLastModified", "beginDate", "endDate", "userProfileSourcedId"],
};

/// One role of a person at one organisation, as either version states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatedRole {
    pub word: RoleWord,
    pub primary: bool,
    /// Not deleted, and today is within its dates.
    pub current: bool,
    /// `None` where the reference was left out.
    pub org: Option<StatedOrg>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatedOrg {
    pub source_id: String,
    /// False for a district or department: a student belongs there only for want of a school.
    pub is_school: bool,
}

/// Everything roles.csv says of one person. No role at all means that each was refused there.
#[derive(Debug, Default)]
pub(crate) struct RolesOfUser {
    pub stated: Vec<StatedRole>,
    pub line: u64,
}

/// A person with several roles is what the current and primary one says, a student before all: whoever
/// is taught here is no contact by having a job at the library.
pub(crate) fn person_role(stated: &[StatedRole]) -> Option<Role> {
    stated.iter().map(|role| (!role.current, !role.primary, role.word.role)).min().map(|(_, _, role)| role)
}

/// How the person is related to students, if any role says so.
pub(crate) fn relationship(stated: &[StatedRole]) -> Option<Relationship> {
    stated.iter().filter_map(|role| role.word.relationship).min()
}

/// The person's enrolments, one for each school; at the district only where no school is named.
pub(crate) fn enrolments(person: &str, stated: &[StatedRole], grade: Option<&str>) -> Vec<Student> {
    let of_student = || stated.iter().filter(|role| role.word.role == Role::Student);
    let orgs = || of_student().filter_map(|role| role.org.as_ref().map(|org| (role, org)));
    let any_school = orgs().any(|(_, org)| org.is_school);
    let mut students: Vec<Student> = Vec::new();
    for (role, org) in orgs().filter(|(_, org)| org.is_school || !any_school) {
        match students.iter_mut().find(|student| student.school_source_id == org.source_id) {
            Some(student) => student.active |= role.current,
            None => students.push(Student {
                person_source_id: person.to_owned(),
                school_source_id: org.source_id.clone(),
                grade: grade.map(str::to_owned),
                active: role.current,
            }),
        }
    }
    students
}

/// The organisation a row names, or `None`, reported where that is a fault of this row.
pub(crate) fn stated_org(
    row: Row<'_>,
    column: Column,
    id: &str,
    orgs: &Orgs,
    log: &mut ProblemLog,
) -> Option<StatedOrg> {
    let is_school = match orgs.resolve(id) {
        OrgReference::School | OrgReference::Elsewhere => true,
        OrgReference::Other => false,
        OrgReference::Gone => return None,
        OrgReference::Dangling => {
            let what = "names no row of orgs.csv and was left out: correct it, or deliver that school";
            row.error(log, Some(column.name), what.to_owned());
            return None;
        }
    };
    Some(StatedOrg { source_id: id.to_owned(), is_school })
}

struct Columns {
    source_id: Column,
    status: Column,
    modified: Column,
    user: Column,
    role_type: Column,
    role: Column,
    org: Column,
    begin: Column,
    end: Column,
}

/// Reads roles.csv into what it says of each user, by the user's source id.
pub(crate) fn read(
    source: &mut Source,
    mode: FileMode,
    orgs: &Orgs,
    today: Option<NaiveDate>,
    log: &mut ProblemLog,
) -> Result<(HashMap<String, RolesOfUser>, FileRead), RosterError> {
    let mut table = Table::open(source.reader(ROLES)?, &LAYOUT, log)?;
    let columns = Columns {
        source_id: table.column("sourcedId"),
        status: table.column("status"),
        modified: table.column("dateLastModified"),
        user: table.column("userSourcedId"),
        role_type: table.column("roleType"),
        role: table.column("role"),
        org: table.column("orgSourcedId"),
        begin: table.column("beginDate"),
        end: table.column("endDate"),
    };
    let mut ids = HashSet::new();
    let mut by_user: HashMap<String, RolesOfUser> = HashMap::new();
    while table.advance(log)? {
        let row = table.row();
        let Some(user) = read_user(row, &columns, &mut ids, log) else {
            table.leave_out();
            continue;
        };
        let roles = by_user.entry(user.to_owned()).or_default();
        roles.line = if roles.line == 0 { row.line() } else { roles.line };
        match read_role(row, &columns, orgs, today, log) {
            Some(role) => roles.stated.push(role),
            None => table.leave_out(),
        }
    }
    let (file, _) = table.finish(mode);
    Ok((by_user, file))
}

fn read_user<'a>(
    row: Row<'a>,
    columns: &Columns,
    ids: &mut HashSet<String>,
    log: &mut ProblemLog,
) -> Option<&'a str> {
    let source_id = row.source_id(columns.source_id, log)?;
    if !ids.insert(source_id.to_owned()) {
        let what = "repeats the id of an earlier row: remove one; this row was left out";
        row.error(log, Some("sourcedId"), what.to_owned());
        return None;
    }
    row.required(columns.user, "name the user; the row was left out", log)
}

fn read_role(
    row: Row<'_>,
    columns: &Columns,
    orgs: &Orgs,
    today: Option<NaiveDate>,
    log: &mut ProblemLog,
) -> Option<StatedRole> {
    row.check_instant(columns.modified, log);
    let word = read_word(row, columns.role, "the row was left out", log)?;
    let status = row.status(columns.status, log);
    let begin = row.date(columns.begin, log);
    let end = row.date(columns.end, log);
    let within = today
        .is_none_or(|today| begin.is_none_or(|begin| begin <= today) && end.is_none_or(|end| today <= end));
    let org = row
        .required(columns.org, "name the school; the role was taken without one", log)
        .and_then(|id| stated_org(row, columns.org, id, orgs, log));
    Some(StatedRole {
        word,
        primary: is_primary(row, columns.role_type, log),
        current: status == Status::Active && within,
        org,
    })
}

/// The role word of a row, or `None` with an error that says what its loss comes to.
pub(crate) fn read_word(
    row: Row<'_>,
    column: Column,
    consequence: &str,
    log: &mut ProblemLog,
) -> Option<RoleWord> {
    let remedy = format!("write {}; {consequence}", RoleWord::WORDS);
    let word = row.required(column, &remedy, log)?;
    let known = RoleWord::parse(word);
    if known.is_none() {
        row.error(log, Some(column.name), format!("is no role of OneRoster: {remedy}"));
    }
    known
}

fn is_primary(row: Row<'_>, column: Column, log: &mut ProblemLog) -> bool {
    match row.text(column, log) {
        Some(word) if word.eq_ignore_ascii_case("primary") => true,
        Some(word) if word.eq_ignore_ascii_case("secondary") => false,
        Some(_) | None => {
            row.warning(
                log,
                Some(column.name),
                "was taken as secondary: write primary or secondary".to_owned(),
            );
            false
        }
    }
}
