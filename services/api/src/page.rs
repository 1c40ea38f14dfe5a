//! Pages: `limit`, `cursor`, and the `next_cursor` that leads on (decision D7: no cap on the whole).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::fields::{Faults, Fields, quoted};

const LIMIT_DEFAULT: u32 = 100;
/// Rows of one page at most, so that no request holds a whole campaign in memory.
const LIMIT_MAX: u32 = 5000;

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
        text.and_then(|text| decode(&text)).ok_or_else(|| {
            "is no cursor of this list: send next_cursor of the page before, unchanged".to_owned()
        })
    })
}

/// Wrapped, so that nobody builds one by hand and what it holds may change.
pub(crate) fn encode(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}
