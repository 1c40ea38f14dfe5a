//! Reading a whole delivery: which files, in which order, and what holds between them.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use chrono::NaiveDate;

use crate::classes::{self, Known};
use crate::contacts;
use crate::error::RosterError;
use crate::manifest;
use crate::orgs::{self, Orgs};
use crate::phone::PhoneReader;
use crate::problem::{Problem, ProblemKind, ProblemLog};
use crate::roles::{self, RolesOfUser, enrolments};
use crate::roster::{Class, ClassMember, FileRead, Roster, Session, Student};
use crate::sessions;
use crate::source::Source;
use crate::user_roles::RoleSource;
use crate::users::{self, Context, UsersRead};
use crate::vocabulary::{FileMode, OneRosterVersion, ROLES};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// Whose numbers are written without a country code: an ISO 3166 code such as `US`.
    pub default_region: String,
    /// The district's local date, which decides whether a 1.2 role with dates is current. `None`
    /// takes every role as current.
    pub today: Option<NaiveDate>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { default_region: "US".to_owned(), today: None }
    }
}

/// Reads a OneRoster 1.1 or 1.2 CSV delivery: a folder, or a zip with the files in its root.
///
/// Rows stream through; what is kept is what comes back. It is blocking work: call it off the async
/// threads.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Roster, RosterError> {
    read_source(Source::open(path)?, options)
}

/// As [`read`], of a zip in memory.
pub fn read_zip(zip: Vec<u8>, options: &ReadOptions) -> Result<Roster, RosterError> {
    read_source(Source::of_zip(zip)?, options)
}

fn read_source(mut source: Source, options: &ReadOptions) -> Result<Roster, RosterError> {
    let phones = PhoneReader::new(&options.default_region)?;
    let mut log = ProblemLog::default();
    let manifest = manifest::read(&mut source, &mut log)?;
    let mut files = Vec::new();

    let mut orgs = Orgs::absent();
    if manifest.orgs != FileMode::Absent {
        let (read, file) = orgs::read(&mut source, manifest.orgs, &mut log)?;
        orgs = read;
        files.push(file);
    }
    // Before the users, whose rows say nothing of their roles in 1.2.
    let mut by_user = HashMap::new();
    if manifest.roles != FileMode::Absent {
        let (read, file) = roles::read(&mut source, manifest.roles, &orgs, options.today, &mut log)?;
        by_user = read;
        files.push(file);
    }
    let mut users = UsersRead::default();
    if manifest.users != FileMode::Absent {
        let roles = match manifest.version {
            OneRosterVersion::V1_1 => RoleSource::Row,
            OneRosterVersion::V1_2 => RoleSource::File { by_user: &by_user, mode: manifest.roles },
        };
        let context = Context { orgs: &orgs, roles, phones: &phones };
        let (read, file) = users::read(&mut source, manifest.users, &context, &mut log)?;
        users = read;
        files.push(file);
    }
    let elsewhere = enrolments_of_others(&by_user, &users, manifest.users, &mut log);
    users.students.extend(elsewhere);

    let linked = contacts::link(
        &users.claims,
        &contacts::Users {
            mode: manifest.users,
            source_ids: users.people.iter().map(|person| person.source_id.as_str()).collect(),
            sides: &users.sides,
            left_out: &users.left_out,
        },
        &mut log,
    );
    let taught = read_taught(&mut source, &manifest, &orgs, &users, options.today, &mut files, &mut log)?;
    let (problems, counts) = log.finish();
    Ok(Roster {
        version: manifest.version,
        files,
        sessions: taught.sessions,
        classes: taught.classes,
        class_members: taught.members,
        schools: orgs.schools,
        people: users.people,
        students: users.students,
        contacts: linked.contacts,
        mentions: linked.mentions,
        devices: users.devices,
        problems,
        counts,
    })
}

#[derive(Default)]
struct Taught {
    sessions: Vec<Session>,
    classes: Vec<Class>,
    members: Vec<ClassMember>,
}

/// Sessions, classes of them, and who is in the classes.
fn read_taught(
    source: &mut Source,
    manifest: &manifest::Manifest,
    orgs: &Orgs,
    users: &UsersRead,
    today: Option<NaiveDate>,
    files: &mut Vec<FileRead>,
    log: &mut ProblemLog,
) -> Result<Taught, RosterError> {
    let mut taught = Taught::default();
    if manifest.sessions != FileMode::Absent {
        let (sessions, file) = sessions::read(source, manifest.sessions, log)?;
        taught.sessions = sessions;
        files.push(file);
    }
    let mut left_out = users.left_out.clone();
    if manifest.classes != FileMode::Absent {
        let terms = classes::terms(&taught.sessions, manifest.sessions);
        let (read, without, file) = classes::read_classes(source, manifest.classes, orgs, &terms, log)?;
        taught.classes = read;
        left_out.extend(without);
        files.push(file);
    }
    if manifest.enrollments != FileMode::Absent {
        let all = |mode| mode == FileMode::Bulk;
        let known = Known {
            classes: all(manifest.classes)
                .then(|| taught.classes.iter().map(|class| class.source_id.as_str()).collect()),
            users: all(manifest.users)
                .then(|| users.people.iter().map(|person| person.source_id.as_str()).collect()),
            left_out: &left_out,
            today,
        };
        let (members, file) = classes::read_members(source, manifest.enrollments, &known, log)?;
        taught.members = members;
        files.push(file);
    }
    Ok(taught)
}

/// The roles of users that users.csv does not have. Where it is complete they are dangling; else their
/// enrolments stand, for people of an earlier delivery.
fn enrolments_of_others(
    by_user: &HashMap<String, RolesOfUser>,
    users: &UsersRead,
    mode: FileMode,
    log: &mut ProblemLog,
) -> Vec<Student> {
    let known: HashSet<&str> = users.people.iter().map(|person| person.source_id.as_str()).collect();
    let mut others: Vec<_> = by_user
        .iter()
        .filter(|(id, _)| !known.contains(id.as_str()) && !users.left_out.contains(*id))
        .collect();
    others.sort_by_key(|(_, roles)| roles.line);
    let mut students = Vec::new();
    for (id, roles) in others {
        if mode == FileMode::Bulk {
            log.add(Problem {
                file: ROLES,
                line: roles.line,
                column: Some("userSourcedId"),
                kind: ProblemKind::Error,
                what: "names no row of users.csv: correct it; this user's roles were left out".to_owned(),
            });
        } else {
            students.extend(enrolments(id, &roles.stated, None));
        }
    }
    students
}
