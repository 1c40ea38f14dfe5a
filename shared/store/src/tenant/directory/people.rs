//! The people of a district, by page: all of them, those of a school, those whom a search finds.

use std::fmt::Write as _;

use tocsin_domain::audience::Role;
use tokio_postgres::types::ToSql;

use super::super::Tenant;
use crate::{StoreError, row};

/// A person as a list shows them. Debug output leaves the name out: it ends up in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonSummary {
    pub source_id: String,
    pub given_name: String,
    pub family_name: String,
    pub role: Role,
    pub language: Option<String>,
    pub active: bool,
    /// Where this page may end.
    pub place: Place,
}

impl std::fmt::Debug for PersonSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PersonSummary").field("source_id", &self.source_id).finish_non_exhaustive()
    }
}

/// A place in the order of people: family name, given name, and the number that tells namesakes apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    pub family: String,
    pub given: String,
    pub id: i64,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What people are looked for by: each as the beginning of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// Lower-case. Two words are a given and a family name, in either order.
    pub names: Vec<String>,
    pub source_id: String,
    /// Phones in E.164, email addresses.
    pub addresses: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct PeopleQuery {
    pub search: Option<Search>,
    pub role: Option<Role>,
    pub active: Option<bool>,
    /// Of students: where they are enrolled.
    pub school: Option<String>,
    pub grade: Option<String>,
    pub after: Option<Place>,
    pub people_max: u32,
}

impl Tenant {
    /// A page of people by name.
    pub async fn people(&self, query: &PeopleQuery) -> Result<Vec<PersonSummary>, StoreError> {
        const NAME: &str = "people";
        let role = query.role.map(Role::number);
        let bounds = query.search.as_ref().map(Bounds::of);
        let rows_max = i64::from(query.people_max);
        let mut statement = Statement::new(&self.district.0);
        if let Some(role) = &role {
            statement.and("p.role = ?", &[role]);
        }
        if let Some(active) = &query.active {
            statement.and("p.active = ?", &[active]);
        }
        match (&query.school, &query.grade) {
            (None, None) => {}
            (Some(school), None) => statement.and(OF_SCHOOL, &[school]),
            (Some(school), Some(grade)) => statement.and(OF_SCHOOL_AND_GRADE, &[school, grade]),
            (None, Some(grade)) => statement.and(OF_GRADE, &[grade]),
        }
        if let Some(bounds) = &bounds {
            bounds.add_to(&mut statement);
        }
        if let Some(Place { family, given, id }) = &query.after {
            statement.and("(p.family_key, p.given_key, p.id) > (?, ?, ?)", &[family, given, id]);
        }
        statement.end("order by p.family_key, p.given_key, p.id limit ?", &[&rows_max]);
        let rows = self.rows(NAME, &statement.sql, &statement.parameters).await?;
        rows.iter().map(|found| read(NAME, found)).collect()
    }
}

fn read(statement: &'static str, found: &tokio_postgres::Row) -> Result<PersonSummary, StoreError> {
    Ok(PersonSummary {
        source_id: found.get("source_id"),
        given_name: found.get("given_name"),
        family_name: found.get("family_name"),
        role: row::role(statement, found.get("role"))?,
        language: found.get("language"),
        active: found.get("active"),
        place: Place { family: found.get("family_key"), given: found.get("given_key"), id: found.get("id") },
    })
}

/// A list's text, made of parts: a condition that is not there is no part of it, so that the plan is that of what was
/// asked for.
struct Statement<'a> {
    sql: String,
    parameters: Vec<&'a (dyn ToSql + Sync)>,
}

impl<'a> Statement<'a> {
    fn new(district: &'a uuid::Uuid) -> Self {
        Self { sql: PEOPLE.to_owned(), parameters: vec![district] }
    }

    fn and(&mut self, condition: &str, parameters: &[&'a (dyn ToSql + Sync)]) {
        self.sql.push_str("\n  and ");
        self.end(condition, parameters);
    }

    /// Each `?` is the next parameter.
    fn end(&mut self, part: &str, parameters: &[&'a (dyn ToSql + Sync)]) {
        let mut pieces = part.split('?');
        self.sql.push('\n');
        self.sql.push_str(pieces.next().unwrap_or_default());
        for (piece, parameter) in pieces.zip(parameters) {
            self.parameters.push(*parameter);
            // Writing to a text does not fail.
            let _ = write!(self.sql, "${}{piece}", self.parameters.len());
        }
    }
}

/// From where to where what begins so lies, byte by byte.
struct Range {
    from: String,
    to: String,
}

impl Range {
    fn of(beginning: &str) -> Self {
        Self { from: beginning.to_owned(), to: format!("{beginning}\u{10FFFF}") }
    }
}

struct Bounds {
    whole: Range,
    /// Of the first word and of the last, if there are two.
    words: Option<(Range, Range)>,
    source_id: Range,
    addresses: Vec<Range>,
}

impl Bounds {
    fn of(search: &Search) -> Self {
        let words = match search.names.as_slice() {
            [first, .., last] => Some((Range::of(first), Range::of(last))),
            _ => None,
        };
        Self {
            whole: Range::of(&search.names.join(" ")),
            words,
            source_id: Range::of(&search.source_id),
            addresses: search.addresses.iter().map(|address| Range::of(address)).collect(),
        }
    }

    /// Each way to be found has its index; what they find is put together first.
    fn add_to<'a>(&'a self, statement: &mut Statement<'a>) {
        const FAMILY: &str = "p.id in (
    select id from people where district_id = $1 and id > 0 and family_key >= ? and family_key < ?";
        const GIVEN: &str = "    union select id from people where district_id = $1 and id > 0 and given_key >= ? and given_key < ?";
        const SOURCE: &str = "    union select id from people
      where district_id = $1 and id > 0 and source_id collate \"C\" >= ? and source_id collate \"C\" < ?";
        const ADDRESS: &str = "    union select person_id from devices
      where district_id = $1 and id > 0 and address collate \"C\" >= ? and address collate \"C\" < ?";
        const BOTH: &str = "    union select id from people where district_id = $1 and id > 0
      and family_key >= ? and family_key < ? and given_key >= ? and given_key < ?";
        statement.and(FAMILY, &[&self.whole.from, &self.whole.to]);
        statement.end(GIVEN, &[&self.whole.from, &self.whole.to]);
        statement.end(SOURCE, &[&self.source_id.from, &self.source_id.to]);
        for address in &self.addresses {
            statement.end(ADDRESS, &[&address.from, &address.to]);
        }
        if let Some((first, last)) = &self.words {
            for (family, given) in [(last, first), (first, last)] {
                statement.end(BOTH, &[&family.from, &family.to, &given.from, &given.to]);
            }
        }
        statement.end(")", &[]);
    }
}

/// The indexes of a search are of `id > 0`: see the migration.
pub(crate) const PEOPLE: &str = "-- store.people
select p.id, p.source_id, p.given_name, p.family_name, p.role, p.language, p.active, p.family_key, p.given_key
from people p
where p.district_id = $1 and p.id > 0";

const OF_SCHOOL: &str = "p.id in (
    select person_id from students where district_id = $1 and school_source_id = ? and active)";
const OF_SCHOOL_AND_GRADE: &str = "p.id in (
    select person_id from students where district_id = $1 and school_source_id = ? and grade = ? and active)";
const OF_GRADE: &str =
    "p.id in (select person_id from students where district_id = $1 and grade = ? and active)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_takes_its_parameters_in_order() {
        let district = uuid::Uuid::nil();
        let search = Search {
            names: vec!["ana".to_owned(), "lee".to_owned()],
            source_id: "Ana Lee".to_owned(),
            addresses: vec!["ana lee".to_owned()],
        };
        let bounds = Bounds::of(&search);
        let mut statement = Statement::new(&district);
        bounds.add_to(&mut statement);
        statement.end("limit ?", &[&7_i64]);
        assert!(!statement.sql.contains('?'), "{}", statement.sql);
        assert!(statement.sql.ends_with("limit $18"), "{}", statement.sql);
        assert_eq!(statement.parameters.len(), 18);
    }

    #[test]
    fn whatever_begins_so_lies_within_its_range() {
        let range = Range::of("le");
        for (name, within) in
            [("le", true), ("lee", true), ("le\u{10FFFE}", true), ("lf", false), ("ld", false)]
        {
            let is = name.as_bytes() >= range.from.as_bytes() && name.as_bytes() < range.to.as_bytes();
            assert_eq!(is, within, "{name:?}");
        }
    }
}
