//! `manifest.csv`: the version, and which files are in the delivery and how (wire.md F).
//!
//! It is optional, as many exporters leave it out. Without it a file that is there is bulk, and
//! `roles.csv` marks version 1.2.

use crate::error::RosterError;
use crate::problem::ProblemLog;
use crate::source::Source;
use crate::table::{Layout, Table};
use crate::vocabulary::{
    CLASSES, ENROLLMENTS, FileMode, MANIFEST, ORGS, OneRosterVersion, ROLES, SESSIONS, USERS,
};

const LAYOUT: Layout = Layout { file: MANIFEST, required: &["propertyName", "value"], optional: &[] };

/// What is to be read, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub version: OneRosterVersion,
    pub orgs: FileMode,
    pub users: FileMode,
    /// Absent in 1.1, which has no such file.
    pub roles: FileMode,
    /// Many deliveries have none of these three: one that is neither named nor there is absent.
    pub sessions: FileMode,
    pub classes: FileMode,
    pub enrollments: FileMode,
}

#[derive(Default)]
struct Stated {
    version: Option<OneRosterVersion>,
    orgs: Option<FileMode>,
    users: Option<FileMode>,
    roles: Option<FileMode>,
    sessions: Option<FileMode>,
    classes: Option<FileMode>,
    enrollments: Option<FileMode>,
}

pub(crate) fn read(source: &mut Source, log: &mut ProblemLog) -> Result<Manifest, RosterError> {
    let stated = if source.contains(MANIFEST) { read_stated(source, log)? } else { Stated::default() };
    let guessed = if source.contains(ROLES) { OneRosterVersion::V1_2 } else { OneRosterVersion::V1_1 };
    let version = stated.version.unwrap_or(guessed);
    let optional = |stated: Option<FileMode>, file| {
        stated.unwrap_or(if source.contains(file) { FileMode::Bulk } else { FileMode::Absent })
    };
    let manifest = Manifest {
        version,
        // Unsaid means bulk: if such a file is missing too, opening it says so.
        orgs: stated.orgs.unwrap_or(FileMode::Bulk),
        users: stated.users.unwrap_or(FileMode::Bulk),
        roles: match version {
            OneRosterVersion::V1_1 => FileMode::Absent,
            OneRosterVersion::V1_2 => stated.roles.unwrap_or(FileMode::Bulk),
        },
        sessions: optional(stated.sessions, SESSIONS),
        classes: optional(stated.classes, CLASSES),
        enrollments: optional(stated.enrollments, ENROLLMENTS),
    };
    let all = [
        manifest.orgs,
        manifest.users,
        manifest.roles,
        manifest.sessions,
        manifest.classes,
        manifest.enrollments,
    ];
    if all == [FileMode::Absent; 6] {
        return Err(RosterError::NothingToRead);
    }
    Ok(manifest)
}

fn read_stated(source: &mut Source, log: &mut ProblemLog) -> Result<Stated, RosterError> {
    let there =
        [ORGS, USERS, ROLES, SESSIONS, CLASSES, ENROLLMENTS].map(|file| (file, source.contains(file)));
    let mut table = Table::open(source.reader(MANIFEST)?, &LAYOUT, log)?;
    let (property, value) = (table.column("propertyName"), table.column("value"));
    let mut stated = Stated::default();
    while table.advance(log)? {
        let row = table.row();
        let text = row.text(value, log).unwrap_or_default();
        let (slot, property, file) = match row.text(property, log).unwrap_or_default() {
            "oneroster.version" => {
                stated.version = Some(version(text)?);
                continue;
            }
            "file.orgs" => (&mut stated.orgs, "file.orgs", ORGS),
            "file.users" => (&mut stated.users, "file.users", USERS),
            "file.roles" => (&mut stated.roles, "file.roles", ROLES),
            "file.academicSessions" => (&mut stated.sessions, "file.academicSessions", SESSIONS),
            "file.classes" => (&mut stated.classes, "file.classes", CLASSES),
            "file.enrollments" => (&mut stated.enrollments, "file.enrollments", ENROLLMENTS),
            _ => continue,
        };
        let mode = mode(property, text)?;
        if mode == FileMode::Absent && there.contains(&(file, true)) {
            let what =
                format!("says that {file} is absent; it is there and was not read: correct one of the two");
            row.warning(log, Some(value.name), what);
        }
        *slot = Some(mode);
    }
    Ok(stated)
}

fn version(value: &str) -> Result<OneRosterVersion, RosterError> {
    match value {
        "1.1" => Ok(OneRosterVersion::V1_1),
        "1.2" => Ok(OneRosterVersion::V1_2),
        _ => Err(RosterError::Manifest { property: "oneroster.version", allowed: "1.1 or 1.2" }),
    }
}

fn mode(property: &'static str, value: &str) -> Result<FileMode, RosterError> {
    match value {
        "absent" => Ok(FileMode::Absent),
        "bulk" => Ok(FileMode::Bulk),
        "delta" => Ok(FileMode::Delta),
        _ => Err(RosterError::Manifest { property, allowed: "absent, bulk or delta" }),
    }
}
