//! Bringing a district's directory in line with a roster: in one transaction, so that nothing is half applied.
//!
//! What is missing from a complete delivery becomes inactive: campaigns that were sent still name it. Contacts
//! and devices are removed, as an old number must not be called. Rows that are as delivered are not written.

mod align;
mod delivery;
mod stage;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tocsin_domain::DistrictId;

use crate::{Store, StoreError};

pub use delivery::{
    ContactRow, Coverage, DeviceRow, Directory, Enrolments, Extent, MentionRow, PersonRow, SchoolRow,
    StudentRow,
};

/// The engine's sessions plan without statistics (see `pool.rs`); here whole tables meet, which is what
/// hash joins are for.
const PLAN_FOR_WHOLE_TABLES: &str = "-- store.import_directory: plan
set local enable_hashjoin = on; set local enable_mergejoin = on; set local enable_seqscan = on;
set local plan_cache_mode = auto; set local work_mem = '64MB'";

/// Held to the end, so that two imports of one district follow one another. Campaigns go on meanwhile.
const LOCK: &str = "-- store.import_directory: lock
select from districts where id = $1 for no key update";

const AUDIT: &str = "-- store.import_directory: audit
insert into audit (district_id, at, actor, action, subject, details)
values ($1, $2, $3, 'directory.import', 'directory', $4)";

/// How one table was brought in line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Rows of the delivery that the directory now has, changed or not.
    pub delivered: u64,
    pub added: u64,
    pub changed: u64,
    /// Schools, people, students: made inactive. Contacts, devices: removed.
    pub gone: u64,
}

impl TableReport {
    pub fn unchanged(&self) -> u64 {
        self.delivered.saturating_sub(self.added + self.changed)
    }

    /// Rows written.
    pub fn changes(&self) -> u64 {
        self.added + self.changed + self.gone
    }
}

/// How an import went, or would go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DirectoryReport {
    pub schools: TableReport,
    pub people: TableReport,
    /// Enrolments: a student of two schools counts twice.
    pub students: TableReport,
    pub contacts: TableReport,
    pub devices: TableReport,
    /// Enrolments and contacts left out because they name somebody who is not, or no longer, in the
    /// district. Only a delivery of changes can have them.
    pub unresolved: u64,
}

impl DirectoryReport {
    /// Rows written, over all tables.
    pub fn changes(&self) -> u64 {
        [self.schools, self.people, self.students, self.contacts, self.devices]
            .iter()
            .map(TableReport::changes)
            .sum()
    }

    /// Schools, people and enrolments made inactive.
    pub fn deactivated(&self) -> u64 {
        self.schools.gone + self.people.gone + self.students.gone
    }
}

impl Store {
    /// Brings the district's directory in line with the delivery, and writes an audit row.
    ///
    /// # Errors
    /// Any row that the database refuses, such as a source id that comes twice; then nothing changed.
    pub async fn import_directory(
        &self,
        district: DistrictId,
        directory: &Directory<'_>,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<DirectoryReport, StoreError> {
        self.align_directory(district, directory, Ending::Commit { actor, now }).await
    }

    /// What [`Store::import_directory`] would report: the same work, rolled back.
    pub async fn preview_directory(
        &self,
        district: DistrictId,
        directory: &Directory<'_>,
    ) -> Result<DirectoryReport, StoreError> {
        self.align_directory(district, directory, Ending::RollBack).await
    }

    async fn align_directory(
        &self,
        district: DistrictId,
        directory: &Directory<'_>,
        ending: Ending<'_>,
    ) -> Result<DirectoryReport, StoreError> {
        const NAME: &str = "import_directory";
        let failed = || StoreError::statement(NAME);
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        transaction.batch_execute(PLAN_FOR_WHOLE_TABLES).await.map_err(failed())?;
        transaction.query_one(LOCK, &[&district.0]).await.map_err(failed())?;
        stage::load(&transaction, directory).await?;
        let report = align::align(&transaction, district, directory).await?;
        match ending {
            Ending::Commit { actor, now } => {
                let details = serde_json::json!(report);
                transaction.execute(AUDIT, &[&district.0, &now, &actor, &details]).await.map_err(failed())?;
                transaction.commit().await.map_err(failed())?;
            }
            Ending::RollBack => transaction.rollback().await.map_err(failed())?,
        }
        Ok(report)
    }
}

enum Ending<'a> {
    Commit { actor: &'a str, now: DateTime<Utc> },
    RollBack,
}
