//! The statements that bring the directory in line with the staged delivery. Each table is first written, then
//! rid of what is gone; people come before all that refers to them.

mod classes;
mod links;
mod people;

use chrono::{DateTime, Utc};
use deadpool_postgres::Transaction;
use tocsin_domain::DistrictId;
use tokio_postgres::types::ToSql;

use super::{Directory, DirectoryReport, DirectorySamples, Enrolments, Extent, TableReport, TableSamples};
use crate::StoreError;

/// One table: `write` and `remove` answer as [`written`] and [`gone`] say.
struct Step {
    name: &'static str,
    write: &'static str,
    remove: &'static str,
}

/// Counts what `delivered` and `written` hold, and shows the first of what is new and of what is changed. `$label` tells
/// of the row `w`, joined with `$with`.
macro_rules! written {
    ($label:literal, $with:literal) => {
        concat!(
            "
select (select count(*) from delivered) as delivered, count(*) filter (where added) as added,
  count(*) filter (where not added) as changed,
  array(select ",
            $label,
            " from (select * from written where added limit 10) w ",
            $with,
            ") as added_rows,
  array(select ",
            $label,
            " from (select * from written where not added limit 10) w ",
            $with,
            ") as changed_rows
from written"
        )
    };
}

/// The same of what is `gone`.
macro_rules! gone {
    ($label:literal, $with:literal) => {
        concat!(
            "
select count(*) as gone, array(select ",
            $label,
            " from (select * from gone limit 10) w ",
            $with,
            ") as gone_rows
from gone"
        )
    };
}

use {gone, written};

/// Whoever applies the delivery, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct By<'a> {
    pub actor: &'a str,
    pub now: DateTime<Utc>,
}

/// `by`: None, and what changes of contacts and enrolments is not noted, for it will be rolled back.
pub(super) async fn align(
    transaction: &Transaction<'_>,
    district: DistrictId,
    directory: &Directory<'_>,
    by: Option<By<'_>>,
) -> Result<(DirectoryReport, DirectorySamples), StoreError> {
    let coverage = directory.coverage;
    let all = |extent| extent == Extent::Complete;
    let all_enrolments = coverage.enrolments == Enrolments::Complete;
    let of_people = coverage.enrolments == Enrolments::OfPeople;
    let id = &district.0;
    let (at, actor) = (by.map(|by| by.now), by.map(|by| by.actor));
    let mut report = DirectoryReport::default();
    let mut samples = DirectorySamples::default();

    (report.schools, samples.schools) =
        people::SCHOOLS.run(transaction, &[id], &[id, &all(coverage.schools)]).await?;
    // Whoever is gone is made inactive before anything is linked to people.
    (report.people, samples.people) =
        people::PEOPLE.run(transaction, &[id], &[id, &all(coverage.people)]).await?;
    (report.students, samples.students) = links::STUDENTS
        .run(transaction, &[id, &at, &actor], &[id, &all_enrolments, &of_people, &at, &actor])
        .await?;
    (report.contacts, samples.contacts) =
        links::CONTACTS.run(transaction, &[id, &at, &actor], &[id, &at, &actor]).await?;
    (report.devices, samples.devices) = people::DEVICES.run(transaction, &[id], &[id]).await?;
    (report.sessions, samples.sessions) =
        classes::SESSIONS.run(transaction, &[id], &[id, &all(coverage.sessions)]).await?;
    (report.classes, samples.classes) =
        classes::CLASSES.run(transaction, &[id], &[id, &all(coverage.classes)]).await?;
    classes::tell_school_years(transaction, district).await?;
    (report.class_members, samples.class_members) =
        classes::MEMBERS.run(transaction, &[id], &[id, &all(coverage.class_members)]).await?;

    let linked = report.students.delivered + report.contacts.delivered + report.class_members.delivered;
    let members = directory.class_members.iter().filter(|member| !member.deleted).count();
    let links = (directory.students.len() + directory.contacts.len() + members) as u64;
    report.unresolved = links.saturating_sub(linked);
    Ok((report, samples))
}

impl Step {
    async fn run(
        &self,
        transaction: &Transaction<'_>,
        to_write: &[&(dyn ToSql + Sync)],
        to_remove: &[&(dyn ToSql + Sync)],
    ) -> Result<(TableReport, TableSamples), StoreError> {
        let failed = || StoreError::statement(self.name);
        let written = transaction.query_one(self.write, to_write).await.map_err(failed())?;
        let gone = transaction.query_one(self.remove, to_remove).await.map_err(failed())?;
        let count = |row: &tokio_postgres::Row, column| row.get::<_, i64>(column).unsigned_abs();
        let report = TableReport {
            delivered: count(&written, "delivered"),
            added: count(&written, "added"),
            changed: count(&written, "changed"),
            gone: count(&gone, "gone"),
        };
        let samples = TableSamples {
            added: written.get("added_rows"),
            changed: written.get("changed_rows"),
            gone: gone.get("gone_rows"),
        };
        Ok((report, samples))
    }
}
