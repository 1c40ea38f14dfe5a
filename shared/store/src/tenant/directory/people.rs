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
        let mut asked = Asked::of(query);
        if let Some(bounds) = &mut asked.bounds {
            bounds.wide = self.wide_ways(bounds).await?;
        }
        let statement = Statement::of(&self.district.0, query, &asked);
        let rows = self.rows(NAME, &statement.sql, &statement.parameters).await?;
        rows.iter().map(|found| read(NAME, found)).collect()
    }
}

impl Tenant {
    /// Which ways to be found lead to so many people that all of them are not to be put in order for one page.
    async fn wide_ways(&self, bounds: &Bounds) -> Result<Vec<Way>, StoreError> {
        const NAME: &str = "wide_ways";
        let ways: Vec<(Way, &Range)> = bounds.ways().collect();
        let counts: Vec<String> = ways
            .iter()
            .enumerate()
            .map(|(nth, (way, _))| {
                let found = way.found(&format!("${}", 2 * nth + 3), &format!("${}", 2 * nth + 4));
                format!(
                    "(select count(*) > $2::bigint from (select from ({found}) f limit $2::bigint + 1) f)"
                )
            })
            .collect();
        let sql = format!("-- store.wide_ways\nselect array[{}]", counts.join(",\n  "));
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&self.district.0, &NARROW_MAX];
        parameters.extend(ways.iter().flat_map(|(_, range)| {
            let both: [&(dyn ToSql + Sync); 2] = [&range.from, &range.to];
            both
        }));
        let rows = self.rows(NAME, &sql, &parameters).await?;
        let wide: Vec<bool> = rows.first().map(|found| found.get(0)).unwrap_or_default();
        Ok(ways.into_iter().zip(wide).filter(|(_, wide)| *wide).map(|((way, _), _)| way).collect())
    }
}

/// The statement of a page, for the test that explains it. `wide`: every way to be found leads to many.
pub(crate) fn statement(query: &PeopleQuery, breadth: Breadth) -> String {
    let mut asked = Asked::of(query);
    if let (Some(bounds), Breadth::Wide) = (&mut asked.bounds, breadth) {
        bounds.wide = bounds.ways().map(|(way, _)| way).collect();
    }
    Statement::of(&uuid::Uuid::nil(), query, &asked).sql
}

/// How many people a search finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth {
    Narrow,
    Wide,
}

/// A way to be found that leads to more people is gone through in the order of names instead.
const NARROW_MAX: i64 = 2_000;

/// How somebody is found, beside by the family name, in whose order a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    GivenName,
    SourceId,
    /// The nth of those searched for.
    Address(usize),
}

impl Way {
    /// Those who are found so, each by an index: of `id > 0`, see the migration.
    fn found(self, from: &str, to: &str) -> String {
        match self {
            Self::GivenName => format!(
                "select id from people where district_id = $1 and id > 0 and given_key >= {from} and given_key < {to}"
            ),
            Self::SourceId => format!(
                "select id from people where district_id = $1 and id > 0
      and source_id collate \"C\" >= {from} and source_id collate \"C\" < {to}"
            ),
            Self::Address(_) => format!(
                "select person_id from devices where district_id = $1 and id > 0
      and address collate \"C\" >= {from} and address collate \"C\" < {to}"
            ),
        }
    }

    /// Is the person `p` found so?
    fn is_met(self) -> &'static str {
        match self {
            Self::GivenName => "p.given_key >= ? and p.given_key < ?",
            Self::SourceId => "p.source_id collate \"C\" >= ? and p.source_id collate \"C\" < ?",
            Self::Address(_) => {
                "(select true from devices d where d.district_id = $1 and d.person_id = p.id
    and d.address collate \"C\" >= ? and d.address collate \"C\" < ? limit 1)"
            }
        }
    }
}

/// What a query is asked with, as parameters.
struct Asked {
    role: Option<i16>,
    bounds: Option<Bounds>,
    rows_max: i64,
}

impl Asked {
    fn of(query: &PeopleQuery) -> Self {
        Self {
            role: query.role.map(Role::number),
            bounds: query.search.as_ref().map(Bounds::of),
            rows_max: i64::from(query.people_max),
        }
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
        Self { sql: "-- store.people\n".to_owned(), parameters: vec![district] }
    }

    fn of(district: &'a uuid::Uuid, query: &'a PeopleQuery, asked: &'a Asked) -> Self {
        let mut statement = Self::new(district);
        let Some(bounds) = &asked.bounds else {
            statement.page(query, asked, |_| {});
            return statement;
        };
        // Of each way to be found one page is read, in the order of names; together they hold the page that is wanted.
        statement.sql.push_str("select * from (\n(");
        statement.page(query, asked, |page| {
            page.and("p.family_key >= ? and p.family_key < ?", &[&bounds.whole.from, &bounds.whole.to]);
        });
        statement.sql.push_str(")\nunion\n(");
        statement.page(query, asked, |page| bounds.add_narrow(page));
        for (way, range) in bounds.ways().filter(|(way, _)| bounds.wide.contains(way)) {
            statement.sql.push_str(")\nunion\n(");
            statement.page(query, asked, |page| page.and(way.is_met(), &[&range.from, &range.to]));
        }
        statement.end(") ) p order by p.family_key, p.given_key, p.id limit ?", &[&asked.rows_max]);
        statement
    }

    /// A page of those who meet `condition`.
    fn page(&mut self, query: &'a PeopleQuery, asked: &'a Asked, condition: impl FnOnce(&mut Self)) {
        self.sql.push_str(OF_PEOPLE);
        if let Some(role) = &asked.role {
            self.and("p.role = ?", &[role]);
        }
        if let Some(active) = &query.active {
            self.and("p.active = ?", &[active]);
        }
        match (&query.school, &query.grade) {
            (None, None) => {}
            (Some(school), None) => self.and(OF_SCHOOL, &[school]),
            (Some(school), Some(grade)) => self.and(OF_SCHOOL_AND_GRADE, &[school, grade]),
            (None, Some(grade)) => self.and(OF_GRADE, &[grade]),
        }
        condition(self);
        if let Some(Place { family, given, id }) = &query.after {
            self.and("(p.family_key, p.given_key, p.id) > (?, ?, ?)", &[family, given, id]);
        }
        self.end("order by p.family_key, p.given_key, p.id limit ?", &[&asked.rows_max]);
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
    /// These lead to many.
    wide: Vec<Way>,
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
            wide: Vec::new(),
        }
    }

    fn ways(&self) -> impl Iterator<Item = (Way, &Range)> {
        let addresses = self.addresses.iter().enumerate().map(|(nth, range)| (Way::Address(nth), range));
        [(Way::GivenName, &self.whole), (Way::SourceId, &self.source_id)].into_iter().chain(addresses)
    }

    /// What the narrow ways find is put together first.
    fn add_narrow<'a>(&'a self, statement: &mut Statement<'a>) {
        statement.sql.push_str("\n  and p.id in (select null::bigint");
        for (way, range) in self.ways().filter(|(way, _)| !self.wide.contains(way)) {
            statement.end(&format!("    union {}", way.found("?", "?")), &[&range.from, &range.to]);
        }
        if let Some((first, last)) = &self.words {
            for (family, given) in [(last, first), (first, last)] {
                statement.end(BOTH, &[&family.from, &family.to, &given.from, &given.to]);
            }
        }
        statement.end(")", &[]);
    }
}

const BOTH: &str = "    union select id from people where district_id = $1 and id > 0
      and family_key >= ? and family_key < ? and given_key >= ? and given_key < ?";

/// The indexes of a search are of `id > 0`: see the migration.
const OF_PEOPLE: &str =
    " select p.id, p.source_id, p.given_name, p.family_name, p.role, p.language, p.active, p.family_key, p.given_key
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
        let search = Search {
            names: vec!["ana".to_owned(), "lee".to_owned()],
            source_id: "Ana Lee".to_owned(),
            addresses: vec!["ana lee".to_owned()],
        };
        let query = PeopleQuery { search: Some(search), people_max: 7, ..PeopleQuery::default() };
        for (breadth, last) in [(Breadth::Narrow, "limit $20"), (Breadth::Wide, "limit $23")] {
            let sql = statement(&query, breadth);
            assert!(!sql.contains('?') && sql.ends_with(last), "{sql}");
        }
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
