//! Pages: `limit`, `cursor`, and the `next_cursor` that leads on (decision D7: no cap on the whole).

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike as _, NaiveDate, Utc};

use crate::fields::{Faults, Fields, quoted};
use crate::openapi::shapes::shape;
use crate::problem::{Kind, Problem};

/// In which lists have their places.
const YEARS: RangeInclusive<i32> = 1970..=9999;
const LIMIT_DEFAULT: u32 = 100;
/// Rows of one page at most, so that no request holds a whole campaign in memory.
const LIMIT_MAX: u32 = 5000;

shape! {
    /// Of every list.
    pub(crate) struct PageQuery {
        /// Rows of the page at most.
        #[schemars(range(min = 1, max = LIMIT_MAX), extend("default" = LIMIT_DEFAULT))]
        limit: Option<u32>,
        /// `next_cursor` of the page before.
        cursor: Option<String>,
    }
}

/// Which page of a list is asked for.
pub(crate) struct Asked<T> {
    /// Where the page before ended.
    pub after: Option<T>,
    pub limit: u32,
}

/// Reads the query of a list that takes nothing but `limit` and `cursor`.
pub(crate) fn read_page<T>(
    query: Option<&str>,
    decode: impl FnOnce(&str) -> Option<T>,
) -> Result<Asked<T>, Problem> {
    let mut faults = Faults::default();
    let mut fields = Fields::of_query(query, &mut faults);
    let limit = read_limit(&mut fields, &mut faults);
    let after = read_cursor(&mut fields, &mut faults, decode);
    fields.finish(&mut faults);
    let asked = faults.or(limit.map(|limit| Asked { after, limit }));
    asked.map_err(|faults| Problem::faulty(Kind::InvalidQuery, faults))
}

/// Cuts what was found to the page, of which one row more than is shown was asked for: it tells whether another page
/// follows, whose cursor this returns.
pub(crate) fn cut<T>(found: &mut Vec<T>, limit: u32, place: impl FnOnce(&T) -> String) -> Option<String> {
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    found.last().filter(|_| more).map(|last| encode(&place(last)))
}

pub(crate) fn read_limit(fields: &mut Fields, faults: &mut Faults) -> Option<u32> {
    let Some(field) = fields.take("limit") else { return Some(LIMIT_DEFAULT) };
    field.parsed(faults, |text| match text.parse() {
        Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        _ => Err(format!("is {}: use a whole number from 1 to {LIMIT_MAX}", quoted(text))),
    })
}

/// Where the page before ended, as `decode` reads it from its own text; None on the first page.
pub(crate) fn read_cursor<T>(
    fields: &mut Fields,
    faults: &mut Faults,
    decode: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let field = fields.take("cursor")?;
    field.parsed(faults, |cursor| {
        let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        // Whoever made it by hand is told so: the store takes no NUL character.
        let text = text.filter(|text| !text.contains('\0'));
        text.and_then(|text| decode(&text)).ok_or_else(|| {
            "is no cursor of this list: send next_cursor of the page before, unchanged".to_owned()
        })
    })
}

/// Wrapped, so that nobody builds one by hand and what it holds may change.
pub(crate) fn encode(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

/// An instant of a cursor. What is out of all ages is of no list, and the store may not know it.
pub(crate) fn instant(micros: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros.parse().ok()?).filter(|at| YEARS.contains(&at.year()))
}

/// A day of a cursor.
pub(crate) fn day(text: &str) -> Option<NaiveDate> {
    text.parse().ok().filter(|day: &NaiveDate| YEARS.contains(&day.year()))
}
