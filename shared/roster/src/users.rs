//! `users.csv`: people, their devices, where they are enrolled, and whom they name as agents.

use std::collections::HashSet;

use crate::contacts::{Claim, Side};
use crate::devices::{DeviceColumns, Portal, devices_of};
use crate::error::RosterError;
use crate::locale;
use crate::orgs::Orgs;
use crate::phone::PhoneReader;
use crate::problem::ProblemLog;
use crate::roles::{enrolments, person_role};
use crate::roster::{Device, FileRead, Person, Student};
use crate::source::Source;
use crate::table::{Column, Layout, Row, Status, Table};
use crate::user_roles::{self, RoleColumns, RoleSource};
use crate::vocabulary::{FileMode, USERS};

// `username` must have its column but may be blank in a row: nothing here reads it, and many exports
// have none for guardians. `password` is known so as not to be reported; it is never looked at.
const LAYOUT_1_1: Layout = Layout {
    file: USERS,
    required: &["sourcedId", "enabledUser", "orgSourcedIds", "role", "username", "givenName", "familyName"],
    optional: &[
        "status",
        "dateLastModified",
        "userIds",
        "middleName",
        "identifier",
        "email",
        "sms",
        "phone",
        "agentSourcedIds",
        "grades",
        "password",
        "metadata.language",
        "ext_language",
        "metadata.preferredLanguage",
        "metadata.timeZone",
    ],
};

const LAYOUT_1_2: Layout = Layout {
    file: USERS,
    required: &["sourcedId", "enabledUser", "username", "givenName", "familyName"],
    optional: &[
        "status",
        "dateLastModified",
        "userIds",
        "middleName",
        "identifier",
        "email",
        "sms",
        "phone",
        "agentSourcedIds",
        "grades",
        "password",
        "userMasterIdentifier",
        "preferredGivenName",
        "preferredMiddleName",
        "preferredFamilyName",
        "primaryOrgSourcedId",
        "pronouns",
        "metadata.language",
        "ext_language",
        "metadata.preferredLanguage",
        "metadata.timeZone",
    ],
};

/// What other files told, which rows are read against.
pub(crate) struct Context<'a> {
    pub orgs: &'a Orgs,
    pub roles: RoleSource<'a>,
    pub phones: &'a PhoneReader,
}

/// Everything users.csv holds. `sides` goes with `people`, index by index.
#[derive(Default)]
pub(crate) struct UsersRead {
    pub people: Vec<Person>,
    pub sides: Vec<Side>,
    pub students: Vec<Student>,
    pub devices: Vec<Device>,
    pub claims: Vec<Claim>,
    pub left_out: HashSet<String>,
}

struct Columns {
    source_id: Column,
    status: Column,
    modified: Column,
    enabled: Column,
    roles: RoleColumns,
    given_name: Column,
    family_name: Column,
    agents: Column,
    grades: Column,
    languages: [Column; 3],
    time_zone: Column,
    devices: DeviceColumns,
}

pub(crate) fn read(
    source: &mut Source,
    mode: FileMode,
    context: &Context<'_>,
    log: &mut ProblemLog,
) -> Result<(UsersRead, FileRead), RosterError> {
    let layout = match context.roles {
        RoleSource::Row => &LAYOUT_1_1,
        RoleSource::File { .. } => &LAYOUT_1_2,
    };
    let mut table = Table::open(source.reader(USERS)?, layout, log)?;
    let columns = Columns {
        source_id: table.column("sourcedId"),
        status: table.column("status"),
        modified: table.column("dateLastModified"),
        enabled: table.column("enabledUser"),
        roles: RoleColumns { role: table.column("role"), orgs: table.column("orgSourcedIds") },
        given_name: table.column("givenName"),
        family_name: table.column("familyName"),
        agents: table.column("agentSourcedIds"),
        grades: table.column("grades"),
        languages: ["metadata.language", "ext_language", "metadata.preferredLanguage"]
            .map(|name| table.column(name)),
        time_zone: table.column("metadata.timeZone"),
        devices: DeviceColumns {
            sms: table.column("sms"),
            phone: table.column("phone"),
            email: table.column("email"),
        },
    };
    let mut users = UsersRead::default();
    let mut known = HashSet::new();
    while table.advance(log)? {
        let row = table.row();
        let id = row.source_id(columns.source_id, log);
        let taken = match id {
            Some(id) if known.insert(id.to_owned()) => users.take_row(id, row, &columns, context, log),
            Some(_) => {
                let what = "repeats the id of an earlier row: remove one; this row was left out";
                row.error(log, Some("sourcedId"), what.to_owned());
                Taken::Nothing
            }
            None => Taken::Nothing,
        };
        if taken == Taken::Nothing {
            table.leave_out();
        }
    }
    let (file, left_out) = table.finish(mode);
    users.left_out = left_out;
    Ok((users, file))
}

#[derive(PartialEq, Eq)]
enum Taken {
    Person,
    Nothing,
}

impl UsersRead {
    fn take_row(
        &mut self,
        id: &str,
        row: Row<'_>,
        columns: &Columns,
        context: &Context<'_>,
        log: &mut ProblemLog,
    ) -> Taken {
        row.check_instant(columns.modified, log);
        let status = row.status(columns.status, log);
        if status == Status::ToBeDeleted {
            // Such a row need not hold more than its id.
            self.people.push(deleted_person(id));
            self.sides.push(Side::Deleted);
            return Taken::Person;
        }
        let Some((given_name, family_name)) = names(row, columns, log) else { return Taken::Nothing };
        let stated = user_roles::of_row(id, status, row, &columns.roles, context, log);
        let role = stated.as_deref().and_then(person_role);
        let enabled = is_enabled(row, columns.enabled, log) && status == Status::Active;
        let portal = if enabled { Portal::Open } else { Portal::Closed };
        self.devices.extend(devices_of(id, portal, row, &columns.devices, context.phones, log));
        let grade = row.list(columns.grades, log).next();
        let mut students = enrolments(id, stated.as_deref().unwrap_or_default(), grade);
        students.iter_mut().for_each(|student| student.active &= status == Status::Active);
        self.students.extend(students);
        let owner = self.people.len();
        let agents = row.list_if_told(columns.agents, log);
        let lists_contacts = agents.is_some();
        self.claims.extend(agents.into_iter().flatten().enumerate().map(|(index, target)| Claim {
            line: row.line(),
            entry: index + 1,
            owner,
            target: target.to_owned(),
        }));
        self.sides.push(user_roles::side(role, stated.as_deref()));
        self.people.push(Person {
            source_id: id.to_owned(),
            given_name: given_name.to_owned(),
            family_name: family_name.to_owned(),
            role,
            language: language(row, columns, log),
            time_zone: time_zone(row, columns, log),
            active: enabled,
            lists_contacts,
            deleted: false,
        });
        Taken::Person
    }
}

fn deleted_person(id: &str) -> Person {
    Person {
        source_id: id.to_owned(),
        given_name: String::new(),
        family_name: String::new(),
        role: None,
        language: None,
        time_zone: None,
        active: false,
        lists_contacts: false,
        deleted: true,
    }
}

/// A person with one name can still be called; one with none is a slip of the export.
fn names<'a>(row: Row<'a>, columns: &Columns, log: &mut ProblemLog) -> Option<(&'a str, &'a str)> {
    let given_name = row.text(columns.given_name, log);
    let family_name = row.text(columns.family_name, log);
    let missing = match (given_name, family_name) {
        (None, None) => {
            let what = "is empty, as is familyName: name the person; the row was left out";
            row.error(log, Some(columns.given_name.name), what.to_owned());
            return None;
        }
        (None, Some(_)) => Some(columns.given_name),
        (Some(_), None) => Some(columns.family_name),
        (Some(_), Some(_)) => None,
    };
    if let Some(column) = missing {
        row.warning(log, Some(column.name), "is empty: complete the name".to_owned());
    }
    Some((given_name.unwrap_or_default(), family_name.unwrap_or_default()))
}

fn is_enabled(row: Row<'_>, column: Column, log: &mut ProblemLog) -> bool {
    let remedy = "write true or false; no portal inbox was made";
    match row.required(column, remedy, log) {
        Some(word) if word.eq_ignore_ascii_case("true") => true,
        Some(word) if word.eq_ignore_ascii_case("false") => false,
        Some(_) => {
            row.error(log, Some(column.name), format!("is neither true nor false: {remedy}"));
            false
        }
        None => false,
    }
}

/// The first of the language columns that says something.
fn language(row: Row<'_>, columns: &Columns, log: &mut ProblemLog) -> Option<String> {
    for column in columns.languages {
        let Some(text) = row.text(column, log) else { continue };
        let language = locale::language(text);
        if language.is_none() {
            let what = "is no language tag and was left out: write one such as es";
            row.warning(log, Some(column.name), what.to_owned());
        }
        return language;
    }
    None
}

fn time_zone(row: Row<'_>, columns: &Columns, log: &mut ProblemLog) -> Option<String> {
    let text = row.text(columns.time_zone, log)?;
    let zone = locale::time_zone(text);
    if zone.is_none() {
        let what = "is no time zone and was left out: write its IANA name, such as America/Chicago";
        row.warning(log, Some(columns.time_zone.name), what.to_owned());
    }
    zone
}
