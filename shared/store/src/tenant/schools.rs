//! What an audience may be chosen from, for the forms of the console: the district's schools, and the grades of its students.

use super::Tenant;
use crate::StoreError;

/// Does an `audience` say by schools whom it means, or by nothing that names them? As the domain's `Audience::by_schools`,
/// but that a correction is listed under every school.
macro_rules! by_schools {
    () => {
        "(audience->'schools' <> '[]' or audience->'people' = '[]' and not audience ?| array['students', 'classes'])"
    };
}

pub(crate) use by_schools;

/// Schools and grades that a form offers. A district with more names them by their ids.
const CHOICES_MAX: i64 = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct School {
    pub source_id: String,
    pub name: String,
}

impl Tenant {
    /// Active schools, by name.
    pub async fn active_schools(&self) -> Result<Vec<School>, StoreError> {
        let sql = "-- store.active_schools
                   select source_id, name from schools where district_id = $1 and active order by name, source_id limit $2";
        let rows = self.rows("active_schools", sql, &[&self.district.0, &CHOICES_MAX]).await?;
        Ok(rows
            .iter()
            .map(|found| School { source_id: found.get("source_id"), name: found.get("name") })
            .collect())
    }

    /// Grades that active students are in.
    pub async fn grades(&self) -> Result<Vec<String>, StoreError> {
        let sql = "-- store.grades
                   select distinct grade from students
                   where district_id = $1 and active and grade is not null order by grade limit $2";
        let rows = self.rows("grades", sql, &[&self.district.0, &CHOICES_MAX]).await?;
        Ok(rows.iter().map(|found| found.get(0)).collect())
    }
}
