//! The roles of one user row, wherever the version keeps them.

use std::collections::HashMap;

use crate::contacts::Side;
use crate::orgs::Orgs;
use crate::problem::ProblemLog;
use crate::roles::{RolesOfUser, StatedRole, read_word, relationship, stated_org};
use crate::table::{Column, Row, Status};
use crate::users::Context;
use crate::vocabulary::{FileMode, Role};

/// Where a user's roles stand.
pub(crate) enum RoleSource<'a> {
    /// 1.1: in the row itself.
    Row,
    /// 1.2: in roles.csv, read before.
    File { by_user: &'a HashMap<String, RolesOfUser>, mode: FileMode },
}

/// The columns of 1.1 that 1.2 moved to roles.csv.
pub(crate) struct RoleColumns {
    pub role: Column,
    pub orgs: Column,
}

/// The roles of one user: none where each was refused, `None` where this delivery does not say.
pub(crate) fn of_row(
    id: &str,
    status: Status,
    row: Row<'_>,
    columns: &RoleColumns,
    context: &Context<'_>,
    log: &mut ProblemLog,
) -> Option<Vec<StatedRole>> {
    let (by_user, mode) = match &context.roles {
        RoleSource::Row => return Some(roles_in_row(status, row, columns, context.orgs, log)),
        RoleSource::File { by_user, mode } => (by_user, *mode),
    };
    match by_user.get(id) {
        Some(roles) => Some(roles.stated.clone()),
        None if mode == FileMode::Bulk => {
            let what = "the user has no row in roles.csv: give it a role; nobody is enrolled by this row";
            row.error(log, None, what.to_owned());
            Some(Vec::new())
        }
        None => None,
    }
}

/// 1.1: one role at each of the row's organisations.
fn roles_in_row(
    status: Status,
    row: Row<'_>,
    columns: &RoleColumns,
    orgs: &Orgs,
    log: &mut ProblemLog,
) -> Vec<StatedRole> {
    let word = read_word(row, columns.role, "the person was taken without a role", log);
    let Some(word) = word else { return Vec::new() };
    let ids: Vec<&str> = row.list(columns.orgs, log).collect();
    if ids.is_empty() {
        report_no_org(word.role, row, columns.orgs, log);
    }
    let current = status == Status::Active;
    let mut roles: Vec<StatedRole> = ids
        .into_iter()
        .filter_map(|id| stated_org(row, columns.orgs, id, orgs, log))
        .map(|org| StatedRole { word, primary: true, current, org: Some(org) })
        .collect();
    if roles.is_empty() {
        roles.push(StatedRole { word, primary: true, current, org: None });
    }
    roles
}

/// Only a student is lost to a school by it.
fn report_no_org(role: Role, row: Row<'_>, column: Column, log: &mut ProblemLog) {
    match role {
        Role::Student => {
            let what = "is empty: name the student's school; the person was taken, but is enrolled nowhere";
            row.error(log, Some(column.name), what.to_owned());
        }
        Role::Staff | Role::Guardian => {
            row.warning(log, Some(column.name), "is empty: OneRoster asks for one at least".to_owned());
        }
    }
}

pub(crate) fn side(role: Option<Role>, stated: Option<&[StatedRole]>) -> Side {
    let Some(stated) = stated else { return Side::Unsaid };
    match (role, relationship(stated)) {
        (None, _) => Side::Refused,
        (Some(Role::Student), _) => Side::Student,
        (Some(Role::Staff | Role::Guardian), Some(relationship)) => Side::Contact(relationship),
        (Some(Role::Staff | Role::Guardian), None) => Side::Staff,
    }
}
