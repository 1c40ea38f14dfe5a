//! The directory as its district sees and changes it (docs/adr/0034-directory.md). A person is named by the source id.

pub mod activities;
pub mod changes;
pub mod links;
pub mod people;
pub mod person;
pub mod preferences;

use super::Tenant;
use crate::StoreError;

/// An organisation of the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct School {
    pub source_id: String,
    pub name: String,
    /// OneRoster's word: `school`, `district`.
    pub kind: String,
    pub identifier: Option<String>,
    pub parent: Option<String>,
    pub active: bool,
}

/// What is taught at a school.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    pub source_id: String,
    pub title: String,
    pub code: Option<String>,
    pub school: String,
    /// Named by the year in which it ends.
    pub school_year: Option<i16>,
    pub active: bool,
}

/// How a change by hand ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Done,
    /// It was so already.
    Unchanged,
    /// The district has no such person, or no such thing of theirs.
    Unknown,
    /// The roster says so, and only there it can be changed.
    OfRoster,
}

impl Tenant {
    /// A page of the district's organisations after one, by source id.
    pub async fn schools(&self, after: &str, rows_max: u32) -> Result<Vec<School>, StoreError> {
        let rows = self.rows("schools", SCHOOLS, &[&self.district.0, &after, &i64::from(rows_max)]).await?;
        let read = |found: &tokio_postgres::Row| School {
            source_id: found.get("source_id"),
            name: found.get("name"),
            kind: found.get("kind"),
            identifier: found.get("identifier"),
            parent: found.get("parent_source_id"),
            active: found.get("active"),
        };
        Ok(rows.iter().map(read).collect())
    }

    /// A page of the classes of one school, or of all, after one, by source id.
    pub async fn classes(
        &self,
        school: Option<&str>,
        after: &str,
        rows_max: u32,
    ) -> Result<Vec<Class>, StoreError> {
        let rows_max = i64::from(rows_max);
        let rows = match school {
            Some(school) => {
                let statement = "classes_of_school";
                self.rows(statement, CLASSES_OF_SCHOOL, &[&self.district.0, &after, &rows_max, &school])
                    .await?
            }
            None => self.rows("classes", CLASSES, &[&self.district.0, &after, &rows_max]).await?,
        };
        let read = |found: &tokio_postgres::Row| Class {
            source_id: found.get("source_id"),
            title: found.get("title"),
            code: found.get("code"),
            school: found.get("school_source_id"),
            school_year: found.get("school_year"),
            active: found.get("active"),
        };
        Ok(rows.iter().map(read).collect())
    }

    /// Whose phone numbers are written without a country code: an ISO 3166 code.
    pub async fn default_region(&self) -> Result<String, StoreError> {
        let rows = self
            .rows(
                "default_region",
                "-- store.default_region
                 select default_region from districts where id = $1",
                &[&self.district.0],
            )
            .await?;
        Ok(rows.first().map_or_else(String::new, |found| found.get(0)))
    }
}

/// Every change by hand is audited and raises the directory's version, so that no delivery is applied that was compared
/// with another directory. `$1` is the district, `$2` who, `$3` when; `$done` is a query that answers with a row if
/// something changed.
macro_rules! told {
    ($action:literal, $subject:literal, $done:literal) => {
        concat!(
            "raised as (
  update districts set directory_version = directory_version + 1 where id = $1 and exists (",
            $done,
            ")
), audited as (
  insert into audit (district_id, at, actor, action, subject)
  select $1, $3, $2, '",
            $action,
            "', ",
            $subject,
            " where exists (",
            $done,
            ")
)"
        )
    };
}
pub(crate) use told;

pub(crate) const SCHOOLS: &str = "-- store.schools
select source_id, name, kind, identifier, parent_source_id, active from schools
where district_id = $1 and source_id > $2 order by source_id limit $3";

pub(crate) const CLASSES: &str = "-- store.classes
select source_id, title, code, school_source_id, school_year, active from classes
where district_id = $1 and source_id > $2 order by source_id limit $3";

pub(crate) const CLASSES_OF_SCHOOL: &str = "-- store.classes_of_school
select source_id, title, code, school_source_id, school_year, active from classes
where district_id = $1 and school_source_id = $4 and source_id > $2 order by source_id limit $3";
