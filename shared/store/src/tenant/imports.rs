//! Deliveries of a roster that were sent to the api: compared with the directory first, applied when somebody says so.
//!
//! A district has one that waits at most: a later one takes its place, so that no pile of old deliveries is kept.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::Tenant;
use crate::directory::{Directory, Ending, Preview, Session};
use crate::{StoreError, row};

/// Where a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportState {
    Reading = 1,
    Compared = 2,
    Applying = 3,
    Applied = 4,
    Refused = 5,
    GivenUp = 6,
}

impl ImportState {
    pub const ALL: [Self; 6] =
        [Self::Reading, Self::Compared, Self::Applying, Self::Applied, Self::Refused, Self::GivenUp];

    pub fn number(self) -> i16 {
        self as i16
    }

    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Compared => "compared",
            Self::Applying => "applying",
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
        }
    }
}

/// A delivery, without its bytes.
#[derive(Debug, Clone)]
pub struct Import {
    pub id: Uuid,
    pub state: ImportState,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub file_name: String,
    pub strict: bool,
    /// When the work on it that is under way, or was the last, began.
    pub looked_at: Option<DateTime<Utc>>,
    /// What came of reading and comparing it, as the api wrote it.
    pub summary: Option<Value>,
    pub reason: Option<String>,
    pub applied_at: Option<DateTime<Utc>>,
    pub applied_by: Option<String>,
}

/// A delivery that just came.
#[derive(Debug, Clone, Copy)]
pub struct NewImport<'a> {
    pub id: Uuid,
    pub actor: &'a str,
    pub file_name: &'a str,
    pub strict: bool,
    pub zip: &'a [u8],
}

/// What became of a wish to apply a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    Yes,
    /// The directory is not that with which it was compared.
    Moved,
    /// It does not wait to be applied.
    NotCompared,
}

impl Tenant {
    pub async fn keep_import(&self, new: &NewImport<'_>, now: DateTime<Utc>) -> Result<(), StoreError> {
        let NewImport { id, actor, file_name, strict, zip } = new;
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
            [&self.district.0, id, actor, file_name, strict, zip, &now];
        self.rows("keep_import", KEEP_IMPORT, &parameters).await.map(|_| ())
    }

    pub async fn import(&self, id: Uuid) -> Result<Option<Import>, StoreError> {
        let rows = self.rows("import", IMPORT, &[&self.district.0, &id]).await?;
        rows.first().map(read).transpose()
    }

    /// A page of deliveries, the newest first.
    pub async fn imports(&self, before: Option<Uuid>, rows_max: u32) -> Result<Vec<Import>, StoreError> {
        let before = before.unwrap_or(Uuid::max());
        let rows = self.rows("imports", IMPORTS, &[&self.district.0, &before, &i64::from(rows_max)]).await?;
        rows.iter().map(read).collect()
    }

    /// The faults of its rows, as CSV. None: there is no such delivery.
    pub async fn import_problems(&self, id: Uuid) -> Result<Option<Option<String>>, StoreError> {
        let rows = self.rows("import_problems", IMPORT_PROBLEMS, &[&self.district.0, &id]).await?;
        Ok(rows.first().map(|found| found.get(0)))
    }

    /// The beginning of the same, of so many characters at most: the last line may be broken off.
    pub async fn import_problems_begin(
        &self,
        id: Uuid,
        chars_max: i32,
    ) -> Result<Option<String>, StoreError> {
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&self.district.0, &id, &chars_max];
        let rows = self.rows("import_problems_begin", IMPORT_PROBLEMS_BEGIN, &parameters).await?;
        Ok(rows.first().and_then(|found| found.get(0)))
    }

    /// The zip as it was sent, while something can become of it.
    pub async fn import_zip(&self, id: Uuid) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.rows("import_zip", IMPORT_ZIP, &[&self.district.0, &id]).await?;
        Ok(rows.first().and_then(|found| found.get(0)))
    }

    /// Compares it with the directory, and changes nothing.
    pub async fn compare_import(&self, directory: &Directory<'_>) -> Result<Preview, StoreError> {
        self.store
            .align_directory(
                self.district,
                directory,
                Session::Tenant { enter: self.enter() },
                Ending::RollBack,
            )
            .await
    }

    /// It waits to be applied to the directory of this version.
    pub async fn import_compared(
        &self,
        id: Uuid,
        summary: &Value,
        problems: &str,
        directory_version: i64,
    ) -> Result<(), StoreError> {
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&self.district.0, &id, summary, &problems, &directory_version];
        self.rows("import_compared", IMPORT_COMPARED, &parameters).await.map(|_| ())
    }

    /// Nothing will become of it.
    pub async fn refuse_import(
        &self,
        id: Uuid,
        reason: &str,
        summary: Option<&Value>,
        problems: Option<&str>,
    ) -> Result<(), StoreError> {
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&self.district.0, &id, &reason, &summary, &problems];
        self.rows("refuse_import", REFUSE_IMPORT, &parameters).await.map(|_| ())
    }

    /// Takes it up to be applied: once, and only to the directory that it was compared with.
    pub async fn begin_import(&self, id: Uuid, now: DateTime<Utc>) -> Result<Option<Begun>, StoreError> {
        let rows = self.rows("begin_import", BEGIN_IMPORT, &[&self.district.0, &id, &now]).await?;
        Ok(rows.first().map(|found| {
            let (begun, same): (bool, bool) = (found.get("begun"), found.get("same"));
            match (begun, same) {
                (true, _) => Begun::Yes,
                (false, false) => Begun::Moved,
                (false, true) => Begun::NotCompared,
            }
        }))
    }

    /// Applies it and says so, in one transaction. [`StoreError::DirectoryMoved`]: the directory changed meanwhile, and
    /// nothing was applied.
    pub async fn apply_import(
        &self,
        id: Uuid,
        directory: &Directory<'_>,
        directory_version: i64,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<Preview, StoreError> {
        let ending = Ending::Commit { actor, now, version: Some(directory_version), import: Some(id) };
        self.store
            .align_directory(self.district, directory, Session::Tenant { enter: self.enter() }, ending)
            .await
    }

    /// With which version of the directory it was compared.
    pub async fn compared_version(&self, id: Uuid) -> Result<Option<i64>, StoreError> {
        let rows = self.rows("compared_version", COMPARED_VERSION, &[&self.district.0, &id]).await?;
        Ok(rows.first().and_then(|found| found.get(0)))
    }
}

fn read(found: &tokio_postgres::Row) -> Result<Import, StoreError> {
    Ok(Import {
        id: found.get("id"),
        state: row::import_state("import", found.get("state"))?,
        created_at: found.get("created_at"),
        created_by: found.get("created_by"),
        file_name: found.get("file_name"),
        strict: found.get("strict"),
        looked_at: found.get("looked_at"),
        summary: found.get("summary"),
        reason: found.get("reason"),
        applied_at: found.get("applied_at"),
        applied_by: found.get("applied_by"),
    })
}

/// States as of [`ImportState`], here and below.
const KEEP_IMPORT: &str = "-- store.keep_import
with given_up as (
  update imports set state = 6, delivery = null, reason = 'a later delivery took its place'
  where district_id = $1 and state in (1, 2)
)
insert into imports (district_id, id, state, created_at, created_by, file_name, strict, delivery, looked_at)
values ($1, $2, 1, $7, $3, $4, $5, $6, $7)";

const IMPORT: &str = "-- store.import
select id, state, created_at, created_by, file_name, strict, looked_at, summary, reason, applied_at, applied_by
from imports where district_id = $1 and id = $2";

pub(crate) const IMPORTS: &str = "-- store.imports
select id, state, created_at, created_by, file_name, strict, looked_at, summary, reason, applied_at, applied_by
from imports where district_id = $1 and id < $2 order by id desc limit $3";

const IMPORT_PROBLEMS: &str = "-- store.import_problems
select problems from imports where district_id = $1 and id = $2";

const IMPORT_PROBLEMS_BEGIN: &str = "-- store.import_problems_begin
select left(problems, $3) from imports where district_id = $1 and id = $2";

const IMPORT_ZIP: &str = "-- store.import_zip
select delivery from imports where district_id = $1 and id = $2";

const COMPARED_VERSION: &str = "-- store.compared_version
select directory_version from imports where district_id = $1 and id = $2";

const IMPORT_COMPARED: &str = "-- store.import_compared
update imports set state = 2, summary = $3, problems = $4, directory_version = $5
where district_id = $1 and id = $2 and state = 1";

const REFUSE_IMPORT: &str = "-- store.refuse_import
update imports set state = 5, reason = $3, summary = coalesce($4, summary), problems = coalesce($5, problems),
  delivery = null
where district_id = $1 and id = $2 and state in (1, 3)";

const BEGIN_IMPORT: &str = "-- store.begin_import
with known as (
  select i.id, i.state, i.directory_version is not distinct from d.directory_version as same
  from imports i join districts d on d.id = i.district_id
  where i.district_id = $1 and i.id = $2
  for update of i
), begun as (
  update imports i set state = 3, looked_at = $3 from known k
  where i.district_id = $1 and i.id = k.id and k.state = 2 and k.same
  returning i.id
)
select exists (select from begun) as begun, state <> 2 or same as same from known";
