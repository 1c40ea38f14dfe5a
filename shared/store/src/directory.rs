//! Bringing a district's directory in line with a roster: in one transaction, so that nothing is half applied.
//!
//! What is missing from a complete delivery becomes inactive: campaigns that were sent still name it. Contacts
//! and devices are removed, as an old number must not be called. Rows that are as delivered are not written.
//! What the district added, ended or prefers by hand stays so (docs/adr/0034-directory.md).

mod align;
mod delivery;
mod stage;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tocsin_domain::DistrictId;
use uuid::Uuid;

use crate::{Store, StoreError};

pub use delivery::{
    ClassMemberRow, ClassRow, ContactRow, Coverage, DeviceRow, Directory, Enrolments, Extent, MentionRow,
    PersonRow, SchoolRow, SessionRow, StudentRow,
};

/// The engine's sessions plan without statistics (see `pool.rs`); here whole tables meet, which is what
/// hash joins are for.
const PLAN_FOR_WHOLE_TABLES: &str = "-- store.import_directory: plan
set local enable_hashjoin = on; set local enable_mergejoin = on; set local enable_seqscan = on;
set local plan_cache_mode = auto; set local work_mem = '64MB'";

/// Held to the end, so that two imports of one district follow one another. Campaigns go on meanwhile.
const LOCK: &str = "-- store.import_directory: lock
select directory_version from districts where id = $1 for no key update";

/// What a delivery was compared with is told by this number, which every change of the directory raises.
const RAISE: &str = "-- store.import_directory: raise the version
update districts set directory_version = directory_version + 1 where id = $1";

/// 4 is applied.
const APPLIED: &str = "-- store.import_directory: applied
update imports set state = 4, applied_by = $3, applied_at = $4, delivery = null
where district_id = $1 and id = $2 and state = 3";

const AUDIT: &str = "-- store.import_directory: audit
insert into audit (district_id, at, actor, action, subject, details)
values ($1, $2, $3, 'directory.import', 'directory', $4)";

/// How one table was brought in line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryReport {
    pub schools: TableReport,
    pub people: TableReport,
    /// Enrolments: a student of two schools counts twice.
    pub students: TableReport,
    pub contacts: TableReport,
    pub devices: TableReport,
    pub sessions: TableReport,
    pub classes: TableReport,
    pub class_members: TableReport,
    /// Enrolments, contacts and members of classes left out because they name somebody who is not, or no longer, in the
    /// district. Only a delivery of changes can have them.
    pub unresolved: u64,
}

/// The first rows of each kind, as people read them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSamples {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub gone: Vec<String>,
}

/// Some of what an import changes. They hold names and addresses, and belong into no log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectorySamples {
    pub schools: TableSamples,
    pub people: TableSamples,
    pub students: TableSamples,
    pub contacts: TableSamples,
    pub devices: TableSamples,
    pub sessions: TableSamples,
    pub classes: TableSamples,
    pub class_members: TableSamples,
}

/// What a delivery would change, and of which directory that was found out.
#[derive(Debug, Clone)]
pub struct Preview {
    pub report: DirectoryReport,
    pub samples: DirectorySamples,
    pub directory_version: i64,
}

impl DirectoryReport {
    /// Rows written, over all tables.
    pub fn changes(&self) -> u64 {
        self.tables().iter().map(|(_, table)| table.changes()).sum()
    }

    /// Each table by its name.
    pub fn tables(&self) -> [(&'static str, TableReport); 8] {
        [
            ("schools", self.schools),
            ("people", self.people),
            ("students", self.students),
            ("contacts", self.contacts),
            ("devices", self.devices),
            ("sessions", self.sessions),
            ("classes", self.classes),
            ("members", self.class_members),
        ]
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
        let ending = Ending::Commit { actor, now, version: None, import: None };
        Ok(self.align_directory(district, directory, Session::AsItIs, ending).await?.report)
    }

    /// What [`Store::import_directory`] would report: the same work, rolled back.
    pub async fn preview_directory(
        &self,
        district: DistrictId,
        directory: &Directory<'_>,
    ) -> Result<DirectoryReport, StoreError> {
        Ok(self.align_directory(district, directory, Session::AsItIs, Ending::RollBack).await?.report)
    }

    pub(crate) async fn align_directory(
        &self,
        district: DistrictId,
        directory: &Directory<'_>,
        session: Session,
        ending: Ending<'_>,
    ) -> Result<Preview, StoreError> {
        const NAME: &str = "import_directory";
        let failed = || StoreError::statement(NAME);
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        if let Session::Tenant { enter } = session {
            transaction.batch_execute(&enter).await.map_err(failed())?;
        }
        transaction.batch_execute(PLAN_FOR_WHOLE_TABLES).await.map_err(failed())?;
        let directory_version: i64 =
            transaction.query_one(LOCK, &[&district.0]).await.map_err(failed())?.get("directory_version");
        if let Ending::Commit { version: Some(wanted), .. } = ending
            && wanted != directory_version
        {
            transaction.rollback().await.map_err(failed())?;
            return Err(StoreError::DirectoryMoved);
        }
        stage::load(&transaction, directory).await?;
        let by = match ending {
            Ending::Commit { actor, now, .. } => Some(align::By { actor, now }),
            Ending::RollBack => None,
        };
        let (report, samples) = align::align(&transaction, district, directory, by).await?;
        match ending {
            Ending::Commit { actor, now, import, .. } => {
                let details = serde_json::json!(report);
                transaction.execute(AUDIT, &[&district.0, &now, &actor, &details]).await.map_err(failed())?;
                if report.changes() > 0 {
                    transaction.execute(RAISE, &[&district.0]).await.map_err(failed())?;
                }
                if let Some(import) = import {
                    let applied = transaction.execute(APPLIED, &[&district.0, &import, &actor, &now]).await;
                    applied.map_err(failed())?;
                }
                transaction.commit().await.map_err(failed())?;
            }
            Ending::RollBack => transaction.rollback().await.map_err(failed())?,
        }
        Ok(Preview { report, samples, directory_version })
    }
}

/// In which role the statements run.
#[derive(Debug)]
pub(crate) enum Session {
    /// The session's own: the engine's.
    AsItIs,
    /// As every statement of the api: with one district set.
    Tenant { enter: String },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending<'a> {
    /// `version`: to no directory but that one. `import`: the delivery, which is marked as applied.
    Commit {
        actor: &'a str,
        now: DateTime<Utc>,
        version: Option<i64>,
        import: Option<Uuid>,
    },
    RollBack,
}
